"""One unit of work per function: push what waits for a target, push one dataset at once, sweep.

Each claims what it works on, so that it may be called by anybody at any time, twice or never, and no function sends a
message: it returns what comes next, as hints for :mod:`ckanext.syndicate.tasks`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ckan import model

from ckanext.relay import lease
from ckanext.relay.celery_app import BULK
from ckanext.relay.errors import ConfigurationError

from . import batch, identity, profiles
from .batch import Batch, Outcome
from .model import copies, lease_table, outbox
from .organizations import Replicator
from .remote import Target
from .types import Profile

__all__ = ["GRACE_SECONDS", "Next", "Outcome", "longest", "push", "push_now", "sweep", "sync_group"]

log = logging.getLogger(__name__)

#: Seconds beyond their limits after which tasks that hang are killed.
GRACE_SECONDS = 60
#: How many answers of the target are waited for, at most, after the last dataset was begun.
LAST_REQUESTS = 20
#: Seconds that somebody who pushes at once waits for a worker that has the dataset in hand, and between two looks.
PATIENCE, LOOK_SECONDS = 60, 0.25
#: The name of the sweep where it says when it last ran.
SWEEP = "syndicate sweep"


@dataclass(frozen=True)
class Next:
    """What there is to do next: push what waits for a target, and in which lane."""

    profile_id: str
    lane: str

    @property
    def message(self) -> str:
        """What there is one message of at a time."""
        return f"{task(self.profile_id)} {self.lane}"


def task(profile_id: str) -> str:
    """Return what the lease of who pushes to a target says."""
    return f"push {profile_id}"


def longest(profile_id: str) -> float:
    """Return after how many seconds a push is taken for hung and its lease is not renewed any more."""
    profile = profiles.by_id(profile_id)
    return batch.SECONDS + LAST_REQUESTS * (profile.timeout if profile else 0)


def push(profile_id: str) -> Iterator[Next]:
    """Push what waits for a target, for a while; does nothing while somebody else does, or while it is left alone."""
    profile = profiles.by_id(profile_id)
    if profile is None or not outbox.are_due(profile_id):
        return
    with _alone(profile) as lease_id:
        if lease_id is None:
            return
        try:
            with Batch(profile, lease_id) as mine:
                for _ in mine.run():
                    pass
        finally:
            model.Session.rollback()  # end the transaction that read the datasets
    if outbox.are_due(profile_id):
        yield Next(profile_id, BULK)


@contextlib.contextmanager
def _alone(profile: Profile) -> Iterator[str | None]:
    """Hold the lease of a target, or yield None if another process has it."""
    with contextlib.ExitStack() as stack:
        with lease.one_at_a_time(task(profile.id)):
            is_free = not lease.alive(lease_table, task(profile.id))
            held = lease.held(lease_table, task(profile.id), longest(profile.id))
            lease_id = stack.enter_context(held) if is_free else None
        yield lease_id


def push_now(dataset_id: str, profile_id: str, force: bool = False, insists: bool = False) -> Outcome:
    """Push one dataset in this process, whether it was asked for or not, and even while the target is left alone.

    :param dataset_id: its id; of one that is purged, too
    :param force: also if nothing changed
    :param insists: also if it is not selected; a private one, a draft and a deleted one are not
    :raises ConfigurationError: there is no such profile
    """
    profile = profiles.by_id(profile_id)
    if profile is None:
        raise ConfigurationError(f"Profile {profile_id} does not exist")
    with lease.transaction() as connection:
        outbox.ask([dataset_id], [profile_id], outbox.PERSON, force, connection=connection)
    until = time.monotonic() + PATIENCE
    with lease.held(lease_table, f"at once: {dataset_id} {profile_id}", longest(profile_id)) as lease_id:
        while True:
            with Batch(profile, lease_id, only=[dataset_id], insists=insists) as mine:
                outcome = next(mine.run(), None) or _elsewhere(dataset_id, profile_id)
            if outcome is not None:
                return outcome
            if time.monotonic() > until:
                error = "Another process has been at it for a minute; it ends it"
                return Outcome(dataset_id, profile_id, batch.WAITING, error=error)
            time.sleep(LOOK_SECONDS)


def _elsewhere(dataset_id: str, profile_id: str) -> Outcome | None:
    """Return what another process has made of a dataset, or None while it is at it."""
    entry = next(iter(outbox.entries(profile_id, [dataset_id])), None)
    if entry is None:
        copy = copies.get(dataset_id, profile_id)
        state = batch.SYNCED if copy is not None and copy.payload_hash else batch.STOPPED
        return Outcome(dataset_id, profile_id, state, target_id=(copy.target_id if copy else None) or "")
    if entry.state == batch.WAITING and entry.attempts == 0:
        return None
    state = batch.HELD if entry.state == batch.HELD else batch.FAILED
    return Outcome(dataset_id, profile_id, state, cause=entry.cause, error=entry.error)


def sync_group(group_id: str, profile_id: str, kind: str, update: bool) -> str:
    """Bring an organization or a group to a target, and return its id there.

    :param kind: ``organization`` or ``group``
    :param update: whether one that is there is made like ours
    :raises ConfigurationError: there is no such profile
    :raises RelayError: the target does not take it, or cannot be reached
    """
    profile = profiles.by_id(profile_id)
    if profile is None:
        raise ConfigurationError(f"Profile {profile_id} does not exist")
    with Target(profile) as target:
        identity.verify(target, profile)
        return Replicator(target, profile).sync(group_id, kind, update)


def sweep() -> Iterator[Next]:
    """Find what is due and what nobody works on; does nothing while another sweep runs."""
    with lease.only_one(SWEEP) as mine:
        if not mine:
            return
        lease.note(lease_table, SWEEP)
        lease.forget_expired(lease_table)
        due = outbox.due_profiles()
    yield from (Next(profile_id, BULK) for profile_id in due if profiles.by_id(profile_id))
