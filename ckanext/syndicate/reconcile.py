"""Finds and mends what no change told us of: lost pushes, edits at the target, copies of nothing, copies made twice.

Mending is asking: whatever differs is put into the outbox, where the workers find it and decide again. So each repair
goes the way of a push, and what takes a copy away is held if there is too much of it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ckanext.relay import lease
from ckanext.relay.errors import RelayError

from . import config, identity, profiles
from .comparison import Comparison, Discrepancy, Kind
from .domain import guard
from .model import SyndicationLog, copies, lease_table, outbox, targets
from .preparation import Preparation
from .remote import Target
from .types import Profile

log = logging.getLogger(__name__)

#: How many datasets are asked for in one statement.
_PAGE = 1000
#: What is pushed even if we would send the same again: what is there is not what we sent.
_FORCED = frozenset({Kind.LOST, Kind.EDITED, Kind.UNMARKED})


@dataclass(frozen=True)
class Reconciliation:
    """What came of a look at a target.

    :ivar site_url: which portal it says it is
    :ivar recorded: how many copies are recorded
    :ivar read: how many the target has
    :ivar discrepancies: what differs
    :ivar asked: how many datasets are put into the outbox
    :ivar refused: why nothing is mended, or None
    """

    profile_id: str
    site_url: str
    recorded: int
    read: int
    discrepancies: list[Discrepancy] = field(default_factory=list)
    asked: int = 0
    refused: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many discrepancies there are of each kind."""
        found = Counter(each.kind for each in self.discrepancies)
        return {str(kind): found[kind] for kind in Kind if found[kind]}


def reconcile(
    profile: Profile,
    fix: bool = False,
    accept_target: bool = False,
    progress: Callable[[int, int], Any] = lambda read, of: None,
) -> Reconciliation:
    """Compare a target with what is recorded of it and with what is here.

    :param fix: whether what differs is mended
    :param accept_target: whether the target is to be taken for the right one although it says that it is another
        portal, or has lost most of what was there
    :param progress: called with the number of datasets that were read, and how many it may be
    :raises WrongPortal: it is another portal than before, or this one
    :raises RelayError: it does not answer, or not as it should
    :raises Exception: whatever a plugin raises that selects or prepares datasets
    """
    preparation = Preparation(profile)
    with Target(profile) as target:
        site = _identity(target, profile, accept_target)
        comparison = Comparison(target, preparation, progress)
        found = list(comparison.run())
    result = Reconciliation(profile.id, site, len(comparison.known), comparison.read, found)
    if not fix or not found:
        return result
    if not accept_target and (refused := _reason_to_refuse(result)):
        return _with(result, refused=refused)
    _record(profile, found)
    return _with(result, asked=_ask(profile, found))


def _identity(target: Target, profile: Profile, accept_target: bool) -> str:
    if accept_target and (site := target.site()) != config.site():
        targets.seen(profile.id, profile.ckan_url, site)
        targets.answered(profile.id)
        return site
    return identity.verify(target, profile)


def _reason_to_refuse(result: Reconciliation) -> str | None:
    lost = result.counts.get(Kind.LOST, 0)
    if lost <= guard.allowed(result.recorded, config.delete_limit()):
        return None
    return (
        f"The target {result.profile_id} has lost {lost} of {result.recorded} datasets. If it is the right portal: "
        f"ckan syndicate reconcile {result.profile_id} --fix --accept-target"
    )


def _with(result: Reconciliation, **changes: Any) -> Reconciliation:
    return Reconciliation(**{**vars(result), **changes})


# -- mend


def _record(profile: Profile, found: Iterable[Discrepancy]) -> None:
    """Record what was seen of copies, so that the workers know what is there."""
    for each in found:
        if each.seen is not None:
            copies.record(each.local_id, profile.id, state=SyndicationLog.State.SYNCED, **each.seen)


def _ask(profile: Profile, found: list[Discrepancy]) -> int:
    asked = 0
    for force in (True, False):
        ids = [each.local_id for each in found if (each.kind in _FORCED) is force]
        for start in range(0, len(ids), _PAGE):
            with lease.transaction() as connection:
                page = ids[start : start + _PAGE]
                asked += outbox.ask(page, [profile.id], outbox.BULK, force, connection=connection)
    return asked


# -- by the sweep


def due_profiles() -> list[str]:
    """Return the ids of the profiles that have not been compared for as long as the setting says."""
    seconds = config.reconcile_hours() * 3600
    if not seconds:
        return []
    ages = {profile.id: lease.noted(lease_table, task(profile.id)) for profile in profiles.all_profiles()}
    return [profile_id for profile_id, age in ages.items() if age is None or age > seconds]


def reconcile_due(profile_id: str) -> None:
    """Compare a target and mend what differs, if nobody is at it; an error is logged, and it is tried when it is due
    again."""
    profile = profiles.by_id(profile_id)
    with lease.only_one(task(profile_id)) as mine:
        if profile is None or not mine or profile_id not in due_profiles():
            return
        lease.note(lease_table, task(profile_id))
        copies.forget_gone(profile_id, guard.DAY)  # until then they count against what may be taken away
        try:
            result = reconcile(profile, fix=True)
        except RelayError as error:
            log.warning("The target %s cannot be compared: %s %s", profile_id, error, error.hint or "")
            return
        if result.refused:
            log.error("%s", result.refused)
        log.info("The target %s was compared: %s", profile_id, result.counts or "nothing differs")


def task(profile_id: str) -> str:
    """Return what the message says, and when it was done the last time."""
    return f"reconcile {profile_id}"
