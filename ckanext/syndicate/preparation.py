"""What one dataset is, here and at a target, what is to be done about it, and what would be sent. Nothing is written.

It runs where CKAN and its plugins may be called: in the main thread of a worker.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import ckan_211

from . import config, hooks, selection
from .delivery import Content, Delivery
from .domain import names, payload
from .domain.marker import Marker, is_returned, marker_for, marker_of, normalised
from .domain.payload import Dataset
from .domain.states import ACTIVE
from .domain.topic import Decision, Local, Policies, Situation, Step, decide
from .model import copies, targets
from .model.copies import Copy
from .types import Profile, Topic


@dataclass(frozen=True)
class Subject:
    """A dataset and a target.

    :ivar package: as ``package_show`` shows it, with the extras as they are stored; None if it is purged
    :ivar copy: what is recorded of the copy, or None
    :ivar target_id: id of the copy, from wherever it is known, or None
    :ivar name: what it is called at the target, or is to be
    :ivar decision: what is to be done
    """

    local_id: str
    package: Dataset | None
    copy: Copy | None
    target_id: str | None
    name: str
    marker: Marker
    decision: Decision

    @property
    def is_lost(self) -> bool:
        """Whether the copy may be at the target although its id is not known."""
        return self.target_id is None and self.copy is not None and self.copy.intent is not None

    @property
    def topic(self) -> Topic:
        return Topic.create if self.decision.step is Step.CREATE else Topic.update


@dataclass(frozen=True)
class Prepared:
    """What is to be at the target.

    :ivar dataset: after all hooks
    :ivar hash: of what would be sent if it had nothing of its own
    """

    dataset: Dataset
    content: Content
    hash: str


class Preparation:
    """What the datasets have in common that are brought to one target, looked up once."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.site = config.site()
        self._policies = Policies(profile.on_unflag, profile.on_private, profile.on_delete, profile.on_purge)
        known = targets.get(profile.id).site_url
        #: addresses by which the target is known
        self.target_sites = {normalised(url) for url in (profile.ckan_url, known) if url}

        self._fetched: dict[str, tuple[Copy | None, str | None]] = {}

    @cached_property
    def _vocabularies(self) -> Mapping[str, str]:
        columns = model.Vocabulary.__table__.c
        return {row.id: row.name for row in model.Session.execute(sa.select(columns.id, columns.name))}

    # -- what it is

    def fetch(self, local_ids: Collection[str]) -> None:
        """Read at once what is recorded of datasets that will each be looked at next."""
        found = copies.at(self.profile.id, local_ids)
        logged = copies.logged_targets(self.profile.id, [each for each in local_ids if each not in found])
        self._fetched = {each: (found.get(each), logged.get(each)) for each in local_ids}

    def _recorded(self, local_id: str, package: Dataset | None) -> tuple[Copy | None, str | None]:
        """Return what is recorded of a copy, and its id from wherever it is known."""
        if local_id not in self._fetched:
            self.fetch([local_id])
        copy, logged = self._fetched.pop(local_id)
        if copy is not None:
            return copy, copy.target_id
        extras = (package or {}).get("extras") or ()
        kept = next((str(each["value"]).strip() for each in extras if each["key"] == self.profile.field_id), None)
        return None, logged or kept or None

    def look(self, local_id: str, insists: bool = False) -> Subject:
        """Return what a dataset is, and what is to be done.

        :param insists: whether a person wants it there, selected or not; a private or deleted one is not
        :raises Exception: whatever a plugin raises
        """
        entity = model.Package.get(local_id)
        if ckan_211.RUNS and entity is not None:
            # the session that has just deleted an extra goes on showing it
            model.Session.expire(entity, ["_extras"])
        package = show(entity.id) if entity is not None else None
        copy, target_id = self._recorded(local_id, package)
        local = _local(package)
        asks = local is Local.PRIVATE or (local is Local.ACTIVE and not insists)
        situation = Situation(
            local=local,
            skip=selection.skips(entity, self.profile) if asks else None,
            copy=_presence(copy, target_id),
            policies=self._policies,
            loop=self.loop(package),
        )
        return Subject(
            local_id=local_id,
            package=package,
            copy=copy,
            target_id=target_id,
            name=self._name(package, copy, local_id),
            marker=marker_for(package or {}, self.site, local_id),
            decision=decide(situation),
        )

    def loop(self, package: Dataset | None) -> str | None:
        """Return why a dataset may not go to the target: it has been there, or begins here. None if it may."""
        marker = marker_of(package) if package else None
        if package is None or marker is None:
            return None
        if is_returned(marker, self.site, package["id"]):
            return f"it says that it is a copy of another dataset of this portal, {marker.origin}"
        passed = sorted(self.target_sites.intersection(marker.path))
        return f"it came here from {passed[0]}" if passed else None

    def _name(self, package: Dataset | None, copy: Copy | None, local_id: str) -> str:
        if copy is not None and copy.target_name and not self.profile.refresh_package_name:
            return copy.target_name
        name = package["name"] if package else copy.name if copy else local_id
        return names.remote_name(name, self.profile.name_prefix)

    # -- what is sent

    def prepare(self, subject: Subject, owner_org: str | None) -> Prepared:
        """Return what is to be at the target of a dataset that is to be there.

        :param owner_org: id or name of the organization at the target
        :raises Exception: whatever a plugin raises
        """
        assert subject.package is not None
        prepared = payload.prepared(
            subject.package,
            name=subject.name,
            owner_org=owner_org,
            remote_id=subject.target_id,
            without_extras=[self.profile.field_id],
        )
        prepared = hooks.prepare_dataset(subject.local_id, prepared, self.profile)
        content = Content(
            prepared=prepared,
            resources=tuple(subject.package.get("resources") or ()),
            known_resources=subject.copy.resources if subject.copy else {},
            sent_groups=tuple(subject.copy.groups) if subject.copy else (),
            local_vocabularies=self._vocabularies,
            keeps_name=not self.profile.refresh_package_name and prepared.get("name") == subject.name,
        )
        sealed = payload.seal(
            prepared,
            marker=subject.marker,
            resource_ids=payload.resource_ids(content.resources, self.profile.id, content.known_resources),
            groups=None,
            vocabularies=None,
            local_vocabularies=self._vocabularies,
        )
        return Prepared(prepared, content, sealed.hash)

    def delivery(
        self, subject: Subject, prepared: Prepared | None, site: str | None = None, looks: bool = True
    ) -> Delivery:
        """Return what a thread is to do.

        :param prepared: None if the copy is retracted
        :param site: which portal the target must be; None: it was asked before
        :param looks: whether to look at the copy before it is updated, even if it should be as it was
        """
        return Delivery(
            step=subject.decision.step,
            profile_id=self.profile.id,
            marker=subject.marker,
            name=str(prepared.dataset.get("name") or subject.name) if prepared else subject.name,
            content=prepared.content if prepared else None,
            target_id=subject.target_id,
            # one that was pushed to us may have come there by another way
            is_lost=subject.is_lost or (subject.target_id is None and len(subject.marker.path) > 1),
            is_gone=subject.package is None,
            author=self.profile.author,
            site=site,
            known=None if looks else _known(subject.copy),
        )


def show(local_id: str) -> Dataset:
    """Return a dataset as ``package_show`` shows it, with the extras as they are stored."""
    context = {"ignore_auth": True, "use_cache": False, "validate": False}
    return dict(tk.get_action("package_show")(context, {"id": local_id}))


def _local(package: Dataset | None) -> Local:
    if package is None:
        return Local.PURGED
    if package["state"] == model.State.DELETED:
        return Local.DELETED
    if package["state"] != model.State.ACTIVE:
        return Local.DRAFT
    return Local.PRIVATE if package["private"] else Local.ACTIVE


def _known(copy: Copy | None) -> Dataset | None:
    """Return what is known of a copy since it was written, None if that is not enough to tell it from others."""
    if copy is None or not (copy.target_id and copy.target_name and copy.target_modified):
        return None
    return {"id": copy.target_id, "name": copy.target_name, "metadata_modified": copy.target_modified}


def _presence(copy: Copy | None, target_id: str | None) -> str | None:
    if target_id is None and (copy is None or copy.intent is None):
        return None
    # what nobody has seen, and what is known from before there were copies, is taken for public
    return (copy.presence if copy else None) or ACTIVE
