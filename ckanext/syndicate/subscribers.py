"""What CKAN tells when something is saved: in the transaction that saves it. Datasets whose copies may have to follow
are asked for; whether and how they do is found out by the workers.

Nothing here calls other extensions, the broker or a target, and no error of ours breaks a save.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.relay.celery_app import BULK, PRIORITY, after_commit, app

from . import config, profiles, tasks
from .model import affected, outbox
from .selection import needs_code
from .types import Profile

log = logging.getLogger(__name__)

#: Asks over a connection, and returns the ids of the profiles for which there is something to do.
_Asking = Callable[[Any], list[str]]


def notify(entity: Any, operation: str | None = None) -> None:
    """Ask for a dataset that was saved, deleted or purged, or that was put into a group or taken out.

    :param entity: anything that CKAN tells of; a dataset is told of also when something that belongs to it changed
    :param operation: ``new``, ``changed`` or ``deleted``; that a person deletes a dataset is a change of its state
    """
    if not isinstance(entity, model.Package) or not operation:
        return
    if operation == model.DomainObjectOperation.deleted:
        extras = dict(entity.extras or {})
        _ask(f"purged dataset {entity.id}", functools.partial(_ask_for_purged, entity.id, entity.name, extras))
    else:
        asking = functools.partial(_ask_for_saved, entity.id, _rank())
        _ask(f"dataset {entity.id}", asking, only_member=_is_only_member(entity))


def edited(group: model.Group) -> None:
    """Ask for the datasets of an organization or group that was changed: its name is in what was sent, and who selects
    datasets may go by it."""
    meant = affected.of_organization(group.id) if group.is_organization else affected.in_group(group.id)
    _ask(f"datasets of {group.id}", functools.partial(_ask_for, meant, outbox.BULK))


def bulk_updated(data_dict: dict[str, Any], private: bool | None = None) -> None:
    """Ask for the datasets of an organization that are about to be changed by SQL, of which CKAN tells nobody.

    :param data_dict: of the action: ``datasets``, ``org_id``
    :param private: whether they become private, or public
    """
    ids, organization_id = data_dict.get("datasets", []), data_dict.get("org_id")
    meant = sa.and_(affected.with_ids(ids), affected.of_organization(organization_id))
    _ask("datasets changed in bulk", functools.partial(_ask_for, meant, _rank(), private=private))


def _is_only_member(package: model.Package) -> bool:
    """Return whether a dataset is told of only because it was put into a group or taken out."""
    # CKAN says nothing of why; it collects what a transaction changed here
    cache = getattr(model.Session(), "_object_cache", {})
    changed = [each for kind in ("new", "changed", "deleted") for each in cache.get(kind, ())]
    members = {each.table_id for each in changed if isinstance(each, model.Member)}
    others = {getattr(each, name, None) for each in changed if not isinstance(each, model.Member) for name in _IDS}
    return package.id in members and package.id not in others


#: Where objects that belong to a dataset, or are one, have its id.
_IDS = ("id", "package_id", "subject_package_id", "object_package_id")


def _rank() -> int:
    """Return how urgent it is: what a harvest or another task saves does not come before what people edit."""
    return outbox.BULK if app.current_task else outbox.PERSON


# -- asking


def _ask_for_saved(package_id: str, rank: int, connection: Any) -> list[str]:
    """Ask for a dataset for each profile that it concerns."""

    def concerns(profile: Profile) -> bool:
        found = affected.rank_of(package_id, profile, rank, needs_code(profile), connection)
        return found is not None and outbox.ask([package_id], [profile.id], found, connection=connection) > 0

    return [profile.id for profile in profiles.all_profiles() if concerns(profile)]


def _ask_for(meant: Any, rank: int, connection: Any, private: bool | None = None) -> list[str]:
    """Ask for those of some datasets that concern each profile."""

    def concerns(profile: Profile) -> bool:
        found = affected.datasets(profile, meant, rank, needs_code(profile), private)
        return outbox.ask(found, [profile.id], rank, connection=connection) > 0

    return [profile.id for profile in profiles.all_profiles() if concerns(profile)]


def _ask_for_purged(package_id: str, name: str, extras: dict[str, Any], connection: Any) -> list[str]:
    """Ask for a dataset of which nothing is left but what we know of its copies."""
    for profile in profiles.all_profiles():
        affected.remember(package_id, name, profile, extras.get(profile.field_id), connection)
    found = [profile.id for profile in profiles.all_profiles() if affected.has_left(package_id, profile.id, connection)]
    if found:
        outbox.ask([package_id], found, _rank(), connection=connection)
    return found


def _ask(what: str, asking: _Asking, only_member: bool = False) -> None:
    """Ask in the session's transaction, which goes on if that fails; then it is asked after the commit.

    :param only_member: whether it is asked only because a dataset was put into a group or taken out
    """
    lane = BULK if app.current_task else PRIORITY
    try:
        if not config.get_sync_on_changes() or (only_member and not config.get_sync_on_member_changes()):
            return
        # one of the connection: CKAN would take the end of one of the session for a commit, and tell us again
        connection = model.Session.connection()
        with connection.begin_nested():
            found = asking(connection)
        tasks.push_after_commit(found, lane)
    except Exception:  # whatever it is, the save is not to suffer
        log.exception("The %s could not be asked for, that is tried again after the commit", what)
        after_commit(functools.partial(_ask_again, what, asking, lane))


def _ask_again(what: str, asking: _Asking, lane: str) -> None:
    try:
        with lease.transaction() as connection:
            found = asking(connection)
        tasks.push_now(found, lane)
    except Exception:  # what was saved is saved
        log.exception("The %s could not be asked for: `ckan syndicate reconcile` finds what is different", what)
