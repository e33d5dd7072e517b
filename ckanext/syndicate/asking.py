"""Asking for pushes from Python: of one dataset, or of all that are to be at a target."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.relay.celery_app import BULK, PRIORITY
from ckanext.relay.errors import ConfigurationError

from . import bulk, profiles, selection, tasks
from .legacy import sync_package
from .model import outbox
from .types import Profile, Topic

log = logging.getLogger(__name__)


def profiles_for(pkg: model.Package) -> Iterator[Profile]:
    """Yield the profiles of the targets at which a dataset is to be."""
    for profile in profiles.all_profiles():
        try:
            reason = selection.skips(pkg, profile)
        except ConfigurationError as error:
            log.error("Nobody knows whether %s is to be at %s: %s", pkg.name, profile.id, error)
            continue
        if reason is None:
            yield profile
        else:
            log.debug("%s is not to be at %s: %s", pkg.name, profile.id, reason)


def syndicate_dataset(package_id: str, topic: Topic | str, profile: Profile | None = None) -> None:
    """Ask for a dataset to be brought to a target, or to all, by the workers.

    During a save this is part of it; otherwise it is asked for when this returns.

    :param package_id: id or name
    :param topic: what the caller thinks it is; the workers look for themselves
    """
    package = model.Package.get(package_id)
    wanted = [profile] if profile else profiles.all_profiles()
    _ask([package.id if package else package_id], [each.id for each in wanted], outbox.PERSON)


def notify_sync(id: str) -> None:
    """Ask for a dataset to be brought to the targets at which it is to be; one that is not here is only logged.

    :param id: id or name
    """
    if package := _package(id):
        _ask([package.id], [profile.id for profile in profiles_for(package)], outbox.PERSON)


def trigger_sync(id: str) -> None:
    """Bring a dataset to the targets at which it is to be, in this process; one that is not here is only logged.

    :param id: id or name
    """
    if package := _package(id):
        for profile in profiles_for(package):
            sync_package(package.id, Topic.update, profile)


def sync_profile(profile_id: str, foreground: bool = False) -> None:
    """Bring all datasets that are to be there to a target; a profile that is not there is only logged.

    :param foreground: in this process, not by the workers
    """
    profile = profiles.by_id(profile_id)
    if profile is None:
        log.error("There is no profile %s", profile_id)
        return
    if not foreground:
        _ask(bulk.candidates(profile), [profile.id], outbox.BULK)
        return
    bulk.ask([profile])
    for waiting in bulk.push_here(profile.id):
        log.info("%s datasets wait for %s", waiting, profile.id)


def sync_all_profiles(foreground: bool = False) -> None:
    """Bring all datasets that are to be at a target to it, for each target.

    :param foreground: in this process, not by the workers
    """
    for profile in profiles.all_profiles():
        sync_profile(profile.id, foreground)


def _package(id: str) -> model.Package | None:
    package = model.Package.get(id)
    if package is None:
        log.error("There is no dataset %s", id)
    return package


def _ask(datasets: Collection[str] | sa.sql.Select[Any], profile_ids: Collection[str], rank: int) -> None:
    lane = PRIORITY if rank == outbox.PERSON else BULK
    if _is_saving():
        outbox.ask(datasets, profile_ids, rank, connection=model.Session.connection())
        tasks.push_after_commit(profile_ids, lane)
        return
    with lease.transaction() as connection:
        outbox.ask(datasets, profile_ids, rank, connection=connection)
    tasks.push_now(profile_ids, lane)


def _is_saving() -> bool:
    """Return whether the session has something to commit: what is asked for belongs to it then. Another connection
    would not see it yet, and might wait for its locks for ever."""
    session = model.Session()
    if session.new or session.dirty or session.deleted:
        return True
    written = sa.select(sa.func.txid_current_if_assigned())
    return bool(session.in_transaction() and session.connection().execute(written).scalar() is not None)
