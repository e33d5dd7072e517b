"""What is at a target against what is recorded of it, and against what is here. Nothing is written.

The target is read with searches, a thousand datasets each: first what bears the marker of this portal, then, by their
ids, the copies that are recorded and were not among them; those are from before there were markers, or gone. Only what
is found to differ is looked at more closely.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import ckan_211, lease

from . import bulk, delivery, selection
from .domain import marker
from .domain.payload import Dataset
from .domain.states import ACTIVE, DELETED, PRIVATE
from .domain.topic import Step
from .model import affected, copies, outbox
from .model.copies import Copy
from .planning import differs
from .preparation import Preparation
from .remote import Target

_package = model.Package.__table__
#: How many copies are asked for by their ids at a time; Solr takes a thousand conditions.
_IDS = 500
#: For copies whose dataset is not here, which have no id of ours.
_NAMESPACE = uuid.UUID("1d1c61a1-6c0e-4f09-8f0e-1c4f6f2f9a53")


class Kind(str, enum.Enum):
    """How something is not as it should be."""

    LOST = "lost"
    EDITED = "edited"
    UNMARKED = "unmarked"
    UNRECORDED = "unrecorded"
    ORPHAN = "orphan"
    DUPLICATE = "duplicate"
    MISSING = "missing"
    BEHIND = "behind"

    def __str__(self) -> str:
        return self.value


#: What people are told about each.
MEANINGS = {
    Kind.LOST: "recorded, but not at the target any more",
    Kind.EDITED: "changed at the target since it was written",
    Kind.UNMARKED: "pushed by an older release, without the marker of this portal",
    Kind.UNRECORDED: "at the target, but not recorded here",
    Kind.ORPHAN: "at the target, but not to be there any more",
    Kind.DUPLICATE: "at the target a second time",
    Kind.MISSING: "to be at the target, but never pushed",
    Kind.BEHIND: "changed here since it was pushed",
}


@dataclass(frozen=True)
class Discrepancy:
    """A dataset that is not at the target as it should be, and of which nothing waits to be pushed.

    :ivar local_id: of the dataset here; made up for a copy of which there is none
    :ivar name: here, or at the target
    :ivar target_id: of the copy, None if there is none
    :ivar fields: that are other there than here
    :ivar seen: what is to be recorded of the copy before it is asked for: columns of
        :class:`ckanext.syndicate.model.copies.Copy`
    """

    kind: Kind
    local_id: str
    name: str
    target_id: str | None
    fields: tuple[str, ...] = ()
    seen: Mapping[str, Any] | None = None


class Comparison:
    """One look at a target.

    :param progress: called with the number of datasets that were read so far, and how many it may be
    :ivar known: what is recorded of copies, by their ids at the target
    :ivar read: how many datasets the target has of us
    """

    def __init__(self, target: Target, preparation: Preparation, progress: Callable[[int, int], Any]) -> None:
        self.target, self.preparation, self.progress = target, preparation, progress
        self.profile = preparation.profile
        self.known = {copy.target_id: copy for copy in _all_copies(self.profile.id) if copy.target_id}
        self.read = 0
        self._seen: set[str] = set()
        self._strange: dict[str, list[Dataset]] = {}

    def run(self) -> Iterator[Discrepancy]:
        """Yield what differs.

        :raises RelayError: the target does not answer, or not as it should
        """
        under_way = {entry.local_id for entry in outbox.entries(self.profile.id)}
        told = set(under_way)
        for found in self._all():
            if found.local_id not in told:
                told.add(found.local_id)
                yield found

    def _all(self) -> Iterator[Discrepancy]:
        for remote in self.target.copies(self.preparation.site):
            self._count(remote)
            if remote["id"] in self.known:
                yield from self._compared(self.known[remote["id"]], remote)
            else:
                self._strange.setdefault(self._local_id(remote), []).append(remote)
        yield from self._unmarked_or_lost()
        for local_id, remotes in self._strange.items():
            yield from self._unrecorded(local_id, remotes)
        yield from self._changed_here()

    def _count(self, remote: Dataset) -> None:
        self._seen.add(remote["id"])
        self.read += 1
        self.progress(self.read, len(self.known))

    # -- what is recorded

    def _compared(self, copy: Copy, remote: Dataset, is_marked: bool = True) -> Iterator[Discrepancy]:
        """Compare a copy with its record, if it is not the one that was written last."""
        presence, modified = delivery.presence(remote), remote.get("metadata_modified")
        if is_marked and presence == copy.presence and modified == copy.target_modified:
            return
        now = copies.get(copy.local_id, copy.profile_id)  # a worker may have written it while we read
        if now is None or (now.target_id, now.target_modified) != (copy.target_id, copy.target_modified):
            return
        seen = {"presence": presence, "target_modified": modified}
        subject = self.preparation.look(copy.local_id)
        if subject.decision.step in (Step.CREATE, Step.UPDATE):
            fields = differs(self.target, self.preparation, subject, remote)
            if not is_marked:
                yield Discrepancy(Kind.UNMARKED, copy.local_id, copy.name, remote["id"], fields, seen)
            elif fields:
                yield Discrepancy(Kind.EDITED, copy.local_id, copy.name, remote["id"], fields, seen)
        elif copy.presence == DELETED or subject.decision.step is not Step.NOTHING:
            yield Discrepancy(Kind.ORPHAN, copy.local_id, copy.name, remote["id"], (), seen)

    def _unmarked_or_lost(self) -> Iterator[Discrepancy]:
        """Look for the copies that should be there and did not bear our marker."""
        gone = [copy for each, copy in self.known.items() if each not in self._seen and copy.presence != DELETED]
        for start in range(0, len(gone), _IDS):
            page = {str(copy.target_id): copy for copy in gone[start : start + _IDS]}
            found = {remote["id"]: remote for remote in self.target.with_ids(page)}
            for target_id, copy in page.items():
                if target_id in found:
                    yield from self._unmarked(copy, found[target_id])
                elif copies.get(copy.local_id, copy.profile_id) == copy and self._is_wanted(copy):
                    yield Discrepancy(Kind.LOST, copy.local_id, copy.name, target_id)

    def _unmarked(self, copy: Copy, remote: Dataset) -> Iterator[Discrepancy]:
        self._count(remote)
        if marker.marker_of(remote) is None:  # else it is another portal's now, which the push will say
            yield from self._compared(copy, remote, is_marked=False)

    def _is_wanted(self, copy: Copy) -> bool:
        return self.preparation.look(copy.local_id).decision.step in (Step.CREATE, Step.UPDATE)

    # -- what is not recorded

    def _local_id(self, remote: Dataset) -> str:
        """Return the id here of the dataset that a copy is of; one that is made up if there is none."""
        said = marker.marker_of(remote)
        assert said is not None  # the search was for it
        here = f"{self.preparation.site}/dataset/"
        if said.origin.startswith(here):
            return said.origin.removeprefix(here)
        query = sa.select(_package.c.id).where(ckan_211.extra(marker.ORIGIN) == said.origin).limit(1)
        found = lease.rows(query)
        return str(found[0].id) if found else made_up_id(remote["id"])

    def _unrecorded(self, local_id: str, remotes: list[Dataset]) -> Iterator[Discrepancy]:
        """Say what copies are that are not recorded: the one that was made first is the copy if there is no other."""
        copy = copies.get(local_id, self.profile.id)
        remotes = [each for each in remotes if copy is None or each["id"] != copy.target_id]
        remotes.sort(key=lambda remote: str(remote.get("metadata_created")))
        if remotes and (copy is None or copy.target_id is None or copy.target_id not in self._seen):
            first = remotes.pop(0)
            step = self.preparation.look(local_id).decision.step
            is_wanted = step in (Step.CREATE, Step.UPDATE)
            kind = Kind.UNRECORDED if is_wanted else Kind.ORPHAN
            yield Discrepancy(kind, local_id, first["name"], first["id"], (), _as_columns(first))
        for remote in remotes:
            made_up = made_up_id(remote["id"])
            yield Discrepancy(Kind.DUPLICATE, made_up, remote["name"], remote["id"], (), _as_columns(remote))

    # -- what is here

    def _changed_here(self) -> Iterator[Discrepancy]:
        """Look for what nobody asked for although it is to be there, was changed, or is to be there no longer."""
        recorded = {copy.local_id: copy for copy in self.known.values()}
        found = bulk.candidates(self.profile).subquery()
        query = sa.select(found.c.id, _package.c.metadata_modified).join(_package, _package.c.id == found.c.id)
        for row in lease.rows(query):
            copy = recorded.get(row.id)
            if copy is None or copy.pushed is None or row.metadata_modified > copy.pushed:
                yield from self._looked_at(row.id, copy)
        for local_id in self._leaving():
            yield from self._looked_at(local_id, recorded[local_id], is_changed=False)

    def _looked_at(self, local_id: str, copy: Copy | None, is_changed: bool = True) -> Iterator[Discrepancy]:
        subject = self.preparation.look(local_id)
        step, target_id = subject.decision.step, subject.target_id
        name = str(subject.package["name"]) if subject.package else (copy.name if copy else local_id)
        if step in (Step.PRIVATE, Step.DELETE):
            yield Discrepancy(Kind.ORPHAN, local_id, name, target_id)
        elif step in (Step.CREATE, Step.UPDATE) and target_id is None:
            yield Discrepancy(Kind.MISSING, local_id, name, None)
        elif step is Step.UPDATE and is_changed:
            yield Discrepancy(Kind.BEHIND if copy else Kind.UNMARKED, local_id, name, target_id)

    def _leaving(self) -> list[str]:
        """Return the ids of datasets with a copy that may have to go: the dataset is gone here, not public any more, or
        not selected, so far as the database can tell."""
        there = [copy.local_id for copy in self.known.values() if copy.presence in (ACTIVE, PRIVATE)]
        if selection.needs_code(self.profile):
            return there
        stays = sa.and_(
            _package.c.state == model.State.ACTIVE,
            sa.not_(_package.c.private),
            affected.may_be_selected(self.profile.flag, self.profile.types),
        )
        staying = {row.id for row in lease.rows(sa.select(_package.c.id).where(stays))}
        return [local_id for local_id in there if local_id not in staying]


def _all_copies(profile_id: str) -> Iterator[Copy]:
    page = copies.page(profile_id)
    while page:
        yield from page
        page = copies.page(profile_id, page[-1].local_id)


def _as_columns(remote: Dataset) -> dict[str, Any]:
    """Return what there is to record of a copy of which nothing is."""
    return {
        "name": remote["name"],
        "target_id": remote["id"],
        "target_name": remote["name"],
        "target_modified": remote.get("metadata_modified"),
        "presence": delivery.presence(remote),
    }


def made_up_id(target_id: str) -> str:
    """Return the id under which a copy is recorded that no dataset here belongs to."""
    return str(uuid.uuid5(_NAMESPACE, target_id))
