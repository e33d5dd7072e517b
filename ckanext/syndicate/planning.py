"""What a push would do, dataset by dataset. Nothing is written: not at the target, and not here.

The same code decides and composes as in a push (:mod:`.batch`); the target is only read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease

from . import bulk, delivery, identity
from .delivery import Conflict, NameTaken
from .domain import states
from .domain.diff import Difference, differences
from .domain.payload import Dataset
from .domain.topic import Step
from .model.tables import copy_table
from .organizations import Replicator
from .preparation import Preparation, Prepared, Subject
from .quota import Quota
from .remote import Target
from .types import Profile

#: What would be done, beside the steps of a push.
UNCHANGED, CONFLICT, BLOCKED, SKIPPED = "unchanged", "conflict", "blocked", "skipped"
ACTIONS = (
    Step.CREATE.value,
    Step.UPDATE.value,
    Step.PRIVATE.value,
    Step.DELETE.value,
    UNCHANGED,
    CONFLICT,
    BLOCKED,
    SKIPPED,
)


@dataclass(frozen=True)
class Planned:
    """What a push would do with a dataset.

    :ivar name: here
    :ivar action: one of :data:`ACTIONS`
    :ivar reason: why, for people
    :ivar target_id: id of the copy, None if there is none
    :ivar changes: fields that would change
    :ivar dropped: what the target does not have or take, one sentence each
    """

    dataset_id: str
    name: str
    profile_id: str
    action: str
    reason: str
    target_id: str | None = None
    changes: tuple[Difference, ...] = ()
    dropped: tuple[str, ...] = ()


def plan(profile: Profile, dataset_ids: Collection[str] | None = None, force: bool = False) -> Iterator[Planned]:
    """Yield what a push would do now with datasets at a target.

    :param dataset_ids: None: all that are there, or are to be
    :param force: also look at what has not changed since it was pushed last
    :raises RelayError: the target cannot be asked, or is not the one that it was
    :raises Exception: whatever a plugin raises
    """
    with Target(profile) as target:
        planner = Planner(target, Preparation(profile), force)
        for dataset_id in candidates(profile) if dataset_ids is None else dataset_ids:
            yield planner.plan(dataset_id)


def candidates(profile: Profile) -> list[str]:
    """Return the ids of the datasets that are at a target, or may have to be; of those that are purged, too."""
    left = sa.select(copy_table.c.local_id).where(
        copy_table.c.profile_id == profile.id,
        sa.or_(copy_table.c.presence.is_(None), copy_table.c.presence != states.DELETED),
        sa.not_(sa.exists().where(model.Package.__table__.c.id == copy_table.c.local_id)),
    )
    return [row[0] for query in (bulk.candidates(profile), left) for row in lease.rows(query)]


def differs(target: Target, preparation: Preparation, subject: Subject, remote: Dataset) -> tuple[str, ...]:
    """Return the fields in which a copy is not what it is to be.

    :param remote: the copy
    :raises Exception: whatever a plugin raises
    """
    planner = Planner(target, preparation)
    prepared = preparation.prepare(subject, planner.owner(subject))
    return tuple(each.field for each in planner.compared(subject, prepared, remote).changes)


class Planner:
    """Looks at one dataset after the other, and at the target.

    :param force: also look at what has not changed since it was pushed last
    """

    def __init__(self, target: Target, preparation: Preparation, force: bool = False) -> None:
        self._target, self._preparation, self._force = target, preparation, force
        self._profile = preparation.profile
        self._replicator = Replicator(target, self._profile)
        self._owners: dict[str, str] = {}
        self._quota: Quota | None = None
        self._is_verified = False

    def plan(self, dataset_id: str) -> Planned:
        """Return what a push would do with a dataset; see :func:`plan`."""
        subject = self._preparation.look(dataset_id)
        step, reason = subject.decision.step, subject.decision.reason
        if step is Step.NOTHING:
            return self._planned(subject, SKIPPED, reason)
        try:
            return self._retraction(subject) if step in (Step.PRIVATE, Step.DELETE) else self._push(subject)
        except (Conflict, NameTaken) as error:
            return self._planned(subject, CONFLICT, f"{error}. {error.hint or ''}".strip())

    def _retraction(self, subject: Subject) -> Planned:
        reason = subject.decision.reason
        self._verify()
        remote = delivery.find_copy(self._target, self._preparation.delivery(subject, None))
        if remote is None or remote.get("state") == states.DELETED:
            return self._planned(subject, UNCHANGED, "the copy is gone")
        if subject.decision.guarded:
            self._quota = self._quota or Quota(self._profile)
            if not self._quota.take():
                return self._planned(subject, BLOCKED, f"{reason}, but more would be taken away today than is allowed")
        is_hidden = subject.decision.step is Step.PRIVATE and remote.get("owner_org")
        return self._planned(subject, (Step.PRIVATE if is_hidden else Step.DELETE).value, reason)

    def _push(self, subject: Subject) -> Planned:
        prepared = self._preparation.prepare(subject, self.owner(subject))
        if not self._force and subject.copy is not None and subject.copy.payload_hash == prepared.hash:
            return self._planned(subject, UNCHANGED, "it has not changed since it was pushed")
        self._verify()
        if reason := self._preparation.loop(subject.package):
            return self._planned(subject, SKIPPED, reason)
        wanted = self._preparation.delivery(subject, prepared)
        remote = delivery.find_copy(self._target, wanted) or delivery.holder(self._target, wanted)
        if remote is None:
            dropped = delivery.compose(self._target, wanted, prepared.content).sealed.dropped
            reason = "the copy is gone" if subject.target_id else subject.decision.reason
            return replace(self._planned(subject, Step.CREATE.value, reason), target_id=None, dropped=dropped)
        return self.compared(subject, prepared, remote)

    def compared(self, subject: Subject, prepared: Prepared, remote: Dataset) -> Planned:
        """Return what a push would do with a copy that is there."""
        wanted = self._preparation.delivery(subject, prepared)
        composed = delivery.compose(self._target, wanted, prepared.content, remote)
        changes = differences(remote, composed.payload)
        if not changes:
            action, reason = UNCHANGED, "it is there as it is here"
        elif subject.target_id is None:
            action, reason = Step.UPDATE.value, "it is there, and was not known to be"
        else:
            action, reason = Step.UPDATE.value, subject.decision.reason
        planned = self._planned(subject, action, reason)
        return replace(planned, target_id=remote["id"], changes=changes, dropped=composed.sealed.dropped)

    def owner(self, subject: Subject) -> str | None:
        """Return id or name of the organization at the target, or the name that it would get."""
        organization = (subject.package or {}).get("organization")
        if not organization or not (self._profile.replicate_organization or self._profile.update_organization):
            return self._profile.organization or None
        local_id = organization["id"]
        if local_id not in self._owners:
            known = self._replicator.known(local_id)
            self._owners[local_id] = known or self._replicator.look_up(local_id)
        return self._owners[local_id]

    def _verify(self) -> None:
        if not self._is_verified:
            self._preparation.target_sites.add(identity.verify(self._target, self._profile, records=False))
            self._is_verified = True

    def _planned(self, subject: Subject, action: str, reason: str) -> Planned:
        name = str(subject.package["name"]) if subject.package else subject.copy.name if subject.copy else subject.name
        return Planned(subject.local_id, name, self._profile.id, action, reason, subject.target_id)
