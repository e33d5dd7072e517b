"""For people who wait for a check: which links are asked for and not checked yet, and which were a moment ago."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.relay.celery_app import PRIORITY

from .resources import Wanted, among, facts
from .tables import host_table, link_table

_host = host_table
_link = link_table

#: Seconds within which a check that a person asks for is done, unless all workers are busy or none runs.
SOON = 60


@dataclasses.dataclass(frozen=True)
class Standing:
    """How the check of a link stands.

    :ivar is_open: whether it is asked for; the rest but ``recheck_at`` is about that
    :ivar is_urgent: whether a person asked for it
    :ivar seconds: for how long it has been asked for
    :ivar until: before when it is not done, since the host is left alone or we had a fault of our own; None: no such
    :ivar recheck_at: when it is checked again unless somebody asks before
    """

    is_open: bool = False
    is_urgent: bool = False
    seconds: float = 0
    until: datetime.datetime | None = None
    recheck_at: datetime.datetime | None = None

    @property
    def kind(self) -> str | None:
        """In one word: ``soon``, ``long`` (longer than usual), ``held`` (see ``until``), ``queued`` (nobody waits for
        it); None: no check is asked for."""
        if not self.is_open:
            return None
        if self.until:
            return "held"
        if not self.is_urgent:
            return "queued"
        return "soon" if self.seconds < SOON else "long"


def of_resources(resource_ids: Collection[str]) -> dict[str, Standing]:
    """Return how the checks of these resources stand; there is none of those that nobody ever asked for."""
    return _standings(among(_link.c.resource_id, resource_ids))


def of_dataset(package_id: str) -> dict[str, Standing]:
    """Return how the checks of a dataset's resources stand, in the same way."""
    return _standings(_link.c.package_id == package_id)


def _standings(condition: Any) -> dict[str, Standing]:
    left_alone = sa.func.greatest(_host.c.not_before, _link.c.due)
    query = (
        sa.select(
            *(_link.c.resource_id, _link.c.lane, _link.c.recheck_at),
            sa.extract("epoch", lease.now - _link.c.due).label("seconds"),
            sa.case((left_alone > lease.now, left_alone)).label("until"),
        )
        .select_from(_link.outerjoin(_host, _host.c.host == _link.c.host))
        .where(condition)
    )
    return {row.resource_id: _standing(row) for row in model.Session.execute(query)}


def _standing(row: Any) -> Standing:
    if row.lane is None:
        return Standing(recheck_at=row.recheck_at)
    return Standing(True, row.lane == PRIORITY, float(row.seconds), row.until, row.recheck_at)


@dataclasses.dataclass(frozen=True)
class Sorted:
    """The links that a person wants to be checked now, by their resources.

    :ivar ask: those to be asked for
    :ivar waiting: those that are asked for already
    :ivar too_soon: those that were checked a moment ago
    """

    ask: list[str]
    waiting: list[str]
    too_soon: list[str]


def sort_out(wanted: Wanted, pause: datetime.timedelta) -> Sorted:
    """Return which links may be asked for; resources that are not checked at all are left out.

    :param pause: how long a link that was checked is not asked for again, unless it has changed
    """
    found = facts().where(wanted.condition()).cte("found")
    is_waiting = sa.and_(_link.c.lane == PRIORITY, _link.c.due <= lease.now)
    is_fresh = _link.c.checked > lease.now - pause
    kind = sa.case((_link.c.resource_id.is_(None), "ask"), (is_waiting, "waiting"), (is_fresh, "too_soon"), else_="ask")
    same = sa.and_(_link.c.resource_id == found.c.resource_id, _link.c.fingerprint == found.c.fingerprint)
    query = sa.select(found.c.resource_id, kind.label("kind")).select_from(found.outerjoin(_link, same))
    kinds: dict[str, list[str]] = {"ask": [], "waiting": [], "too_soon": []}
    for row in model.Session.execute(query.order_by(found.c.resource_id)):
        kinds[row.kind].append(row.resource_id)
    return Sorted(**kinds)
