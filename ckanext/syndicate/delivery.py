"""What one thread does for one dataset at a target. It knows no CKAN of ours and no database.

Creating is done once: who is not sure whether an earlier try got through (``is_lost``) looks for the dataset first, by
its origin, then by its name. What is found is updated. A copy that another portal put there is a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ckanext.relay.errors import RelayError

from .domain import payload, states
from .domain.marker import Marker, marker_of
from .domain.payload import Dataset, Sealed
from .domain.topic import Step
from .remote import Catalog, Refused


class Conflict(RelayError):
    """What is at the target is not ours to write."""


class WrongPortal(RelayError):
    """Another portal answers at the address of the target than before, or this one itself."""


class Found(Exception):
    """A copy was found of which it is not recorded here that it is this dataset's: who has the records looks whose."""

    def __init__(self, target_id: str) -> None:
        super().__init__(target_id)
        self.target_id = target_id


class NameTaken(RelayError):
    """Another dataset of the target has the name."""

    hint = (
        "Rename one of them, set name_prefix of the profile, or name in author of the profile the user of the token, "
        "if that user made it."
    )

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(f"Another dataset of the target, {dataset.get('id')}, has the name {dataset.get('name')}")


class Vanished(RelayError):
    """A dataset of the target went away while it was written. Trying again helps."""

    permanent = False


@dataclass(frozen=True)
class Content:
    """What is to be at the target.

    :ivar prepared: the dataset as the hooks left it
    :ivar resources: as they are here
    :ivar known_resources: ids of resources at the target by their ids here, as far as recorded
    :ivar sent_groups: names of the groups that were sent the last time
    :ivar local_vocabularies: names of vocabularies by their ids here
    :ivar keeps_name: whether a copy that is there keeps its name
    """

    prepared: Mapping[str, Any]
    resources: tuple[Mapping[str, Any], ...]
    known_resources: Mapping[str, str] = field(default_factory=dict)
    sent_groups: tuple[str, ...] = ()
    local_vocabularies: Mapping[str, str] = field(default_factory=dict)
    keeps_name: bool = True


@dataclass(frozen=True)
class Delivery:
    """What a thread is to do.

    :ivar step: create and update both lead to what ``content`` says, whether the dataset is there or not
    :ivar profile_id: of the target
    :ivar marker: whose the copy is; its origin is not compared if the dataset is gone here
    :ivar name: what it is called at the target, or is to be
    :ivar target_id: id at the target, None if it is not known
    :ivar is_lost: whether the dataset may be there although no id is known
    :ivar is_gone: whether the dataset is purged here
    :ivar author: name of the user at the target whose datasets may be taken over, if they bear no marker; '': nobody's
    :ivar reattaches: whether the last refusal of the target means that the name is taken: a plugin says so
    :ivar site: which portal the target must be: it is asked, unless it shows a copy that was pushed from here, which no
        other portal has; None: it was asked before
    :ivar known: ``id``, ``name`` and ``metadata_modified`` of the copy when we wrote it the last time: if it is still
        that, nobody need look at it before it is updated; None: look at it in any case
    """

    step: Step
    profile_id: str
    marker: Marker
    name: str
    content: Content | None = None
    target_id: str | None = None
    is_lost: bool = False
    is_gone: bool = False
    author: str = ""
    reattaches: bool = False
    site: str | None = None
    known: Dataset | None = None


@dataclass(frozen=True)
class Delivered:
    """What was done.

    :ivar step: create, update, private or delete; nothing: there was nothing left to retract
    :ivar dataset: as the target answered; None if it was deleted or is not there
    :ivar presence: what it is at the target now: ``active``, ``private``, ``deleted``
    :ivar hash: of what was sent
    :ivar resources: ids of resources at the target by their ids here
    :ivar groups: names of the groups that were sent
    :ivar dropped: what the target does not have or take, one sentence each
    """

    step: Step
    dataset: Dataset | None
    presence: str
    hash: str | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Portal(Protocol):
    """As much of :class:`ckanext.syndicate.remote.Target` as is asked for here."""

    def site(self) -> str: ...
    def show(self, id_or_name: str) -> Dataset | None: ...
    def find(self, origin: str) -> list[Dataset]: ...
    def create(self, payload: Mapping[str, Any]) -> Dataset: ...
    def update(self, payload: Mapping[str, Any]) -> Dataset | None: ...
    def revise(self, payload: Mapping[str, Any], modified: str) -> Dataset | None: ...
    def patch(self, id: str, **fields: Any) -> Dataset | None: ...
    def delete(self, id: str) -> bool: ...
    def catalog(self) -> Catalog: ...
    def user(self, name: str) -> dict[str, Any] | None: ...


def deliver(target: Portal, delivery: Delivery) -> Delivered:
    """Do what is to be done at the target.

    :raises Conflict: the copy is another portal's
    :raises NameTaken: another dataset has the name
    :raises Found: there is a copy although no id is known; called with that id it is written
    :raises RelayError: as :class:`ckanext.syndicate.remote.Target` does
    """
    revised = revise(target, delivery, delivery.content) if delivery.content else None
    if revised is not None:
        return revised
    remote = find_copy(target, delivery)
    if remote is not None and delivery.target_id is None:
        raise Found(str(remote["id"]))
    if delivery.content is None:
        return retract(target, delivery, remote)
    if remote is None:
        return create(target, delivery, delivery.content)
    return update(target, delivery, delivery.content, remote)


# -- find


def find_copy(target: Portal, delivery: Delivery) -> Dataset | None:
    """Return the copy at the target, or None if there is none."""
    if delivery.target_id and (remote := target.show(delivery.target_id)):
        if not _is_ours(delivery, remote):
            _verify(target, delivery)
        _check(delivery, remote)
        return remote
    _verify(target, delivery)
    if delivery.target_id or delivery.is_lost:
        return search_copy(target, delivery)
    return None


def _verify(target: Portal, delivery: Delivery) -> None:
    """Make sure that the target is the portal that it was."""
    if delivery.site is not None and (site := target.site()) != delivery.site:
        raise WrongPortal(f"The target says that it is {site}, and was {delivery.site} before")


def search_copy(target: Portal, delivery: Delivery) -> Dataset | None:
    """Return the copy at the target wherever it is: by its origin, else by its name."""
    found = sorted(target.find(delivery.marker.origin), key=lambda each: str(each.get("metadata_created")))
    # the one that was made first, should there be several; a search may show what is not there any more
    shown = [remote for each in found if _is_ours(delivery, each) and (remote := target.show(each["id"]))]
    if shown:
        return shown[0]
    named = target.show(delivery.name)
    if named is not None and _is_ours(delivery, named):
        return named
    for each in found:
        _check(delivery, each)
    return None


def _is_ours(delivery: Delivery, remote: Dataset) -> bool:
    marker = marker_of(remote)
    return marker is not None and marker.origin == delivery.marker.origin and marker.pusher == delivery.marker.pusher


def _check(delivery: Delivery, remote: Dataset) -> None:
    """Make sure that a copy may be written; one without a marker is from before there were any."""
    marker = marker_of(remote)
    if marker is None or _is_ours(delivery, remote):
        return
    if marker.pusher != delivery.marker.pusher:
        raise Conflict(
            f"The dataset {remote.get('name')} at the target was put there by {marker.pusher}",
            hint="If that is this portal under a former address, say so in ckanext.syndicate.site_url.",
        )
    if not delivery.is_gone:
        raise Conflict(f"The dataset {remote.get('name')} at the target is a copy of {marker.origin}")


# -- write


def revise(target: Portal, delivery: Delivery, content: Content) -> Delivered | None:
    """Update the copy without a look at it, if it is what we wrote there; None: look at it.

    No other portal has a dataset of this id that was changed at this microsecond, so this is the one that it was.
    """
    if delivery.known is None:
        return None
    composed = compose(target, delivery, content, delivery.known)
    if composed.ids != content.known_resources or {*composed.sealed.groups} != {*content.sent_groups}:
        return None
    answer = target.revise(composed.payload, delivery.known["metadata_modified"])
    return _delivered(Step.UPDATE, answer, composed) if answer else None


def create(target: Portal, delivery: Delivery, content: Content) -> Delivered:
    """Create the dataset at the target; if it turns out to be there, update it."""
    composed = compose(target, delivery, content)
    try:
        answer = target.create(composed.payload)
    except Refused as refusal:
        remote = _behind(target, delivery, refusal)
        if remote is None:
            raise
        return update(target, delivery, content, remote)
    return _delivered(Step.CREATE, answer, composed)


def update(target: Portal, delivery: Delivery, content: Content, remote: Dataset) -> Delivered:
    """Update the copy at the target."""
    composed = compose(target, delivery, content, remote)
    try:
        answer = target.update(composed.payload)
    except Refused as refusal:
        name = str(composed.payload.get("name"))
        if "name" in refusal.errors and (named := target.show(name)) and named["id"] != remote["id"]:
            raise NameTaken(named) from refusal
        raise
    if answer is None:
        raise Vanished(f"The dataset {remote['id']} of the target was there and is gone")
    return _delivered(Step.UPDATE, answer, composed)


def retract(target: Portal, delivery: Delivery, remote: Dataset | None) -> Delivered:
    """Make the copy private, or delete it. One without an organization cannot be private."""
    if remote is None or remote.get("state") == states.DELETED:
        return Delivered(Step.NOTHING, None, states.DELETED)
    if delivery.step is Step.PRIVATE and remote.get("owner_org"):
        if remote.get("private"):
            return Delivered(Step.NOTHING, remote, states.PRIVATE)
        answer = target.patch(remote["id"], private=True)
        return Delivered(Step.PRIVATE, answer, presence(answer) if answer else states.DELETED)
    target.delete(remote["id"])
    return Delivered(Step.DELETE, {**remote, "state": states.DELETED}, states.DELETED)


@dataclass(frozen=True)
class Composed:
    """What is sent.

    :ivar ids: of resources at the target by their ids here
    """

    payload: Dataset
    sealed: Sealed
    ids: Mapping[str, str]


def compose(target: Portal, delivery: Delivery, content: Content, remote: Dataset | None = None) -> Composed:
    """Return what is sent to the target; it is asked for what it has, if that matters.

    :param remote: the copy that is to be updated
    """
    there = (remote or {}).get("resources") or ()
    ids = payload.resource_ids(content.resources, delivery.profile_id, content.known_resources, there)
    prepared = {key: value for key, value in content.prepared.items() if key != "id"}
    if remote is not None and content.keeps_name:
        prepared["name"] = remote["name"]
    sealed = _seal(delivery, content, prepared, ids, None)
    if sealed.asks:
        sealed = _seal(delivery, content, prepared, ids, target.catalog())
    onto = payload.onto(sealed.payload, remote, content.sent_groups) if remote is not None else sealed.payload
    return Composed(onto, sealed, ids)


def _seal(
    delivery: Delivery,
    content: Content,
    prepared: Mapping[str, Any],
    ids: Mapping[str, str],
    catalog: Catalog | None,
) -> Sealed:
    return payload.seal(
        prepared,
        marker=delivery.marker,
        resource_ids=ids,
        groups=catalog.groups if catalog else None,
        vocabularies=catalog.vocabularies if catalog else None,
        local_vocabularies=content.local_vocabularies,
    )


def _behind(target: Portal, delivery: Delivery, refusal: Refused) -> Dataset | None:
    """Return the copy because of which the target does not let us create it, or None if that is not the reason.

    What the target says is in its own language; so whatever it says about the name, we look who has it.
    """
    if "name" in refusal.errors or delivery.reattaches:
        return holder(target, delivery)
    if "resources" in refusal.errors and not delivery.is_lost:
        return search_copy(target, delivery)
    return None


def holder(target: Portal, delivery: Delivery) -> Dataset | None:
    """Return the dataset that has the name at the target if it is the copy, or may be made it; None if nobody has it.

    :raises Conflict: it is a copy that another portal put there
    :raises NameTaken: it is another dataset
    """
    named = target.show(delivery.name)
    if named is None or _is_ours(delivery, named):
        return named
    marker = marker_of(named)
    if marker is not None and marker.origin == delivery.marker.origin:
        _check(delivery, named)
    if marker is None and delivery.author:
        user = target.user(delivery.author)
        if user is not None and named.get("creator_user_id") == user["id"]:
            return named
    raise NameTaken(named)


def _delivered(step: Step, answer: Dataset, composed: Composed) -> Delivered:
    sealed = composed.sealed
    return Delivered(step, answer, presence(answer), sealed.hash, composed.ids, sealed.groups, sealed.dropped)


def presence(remote: Mapping[str, Any]) -> str:
    """Return what a dataset is at the target."""
    if remote.get("state") == states.DELETED:
        return states.DELETED
    return states.PRIVATE if remote.get("private") else states.ACTIVE
