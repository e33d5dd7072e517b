"""Who is to be told that a dataset's links were checked: other extensions, and the search index."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from ckanext.relay import lease
from ckanext.relay.celery_app import PRIORITY

from .resources import among
from .tables import lease_table, link_table

_link = link_table

#: Minutes after which a dataset is told of although some of its links are still to be checked: their host may be left
#: alone for hours.
WAIT_MINUTES = 10


@dataclasses.dataclass(frozen=True)
class Notice:
    """A dataset of which something is to be told.

    :ivar queue: the lane that its links were checked in
    :ivar succeeded: whether any of them is well
    :ivar shows: whether pages and search index show it differently
    """

    package_id: str
    queue: str
    succeeded: bool
    shows: bool


def claim(lease_id: str, limit: int, resource_ids: Collection[str] | None = None) -> list[Notice]:
    """Claim datasets whose links were checked, all that were asked for; say when it is done with :func:`told`.

    :param resource_ids: only those of these resources, if any are named
    """
    query = _ready() if resource_ids is None else _ready().where(among(_link.c.resource_id, resource_ids))
    ready = query.limit(limit).cte("ready")
    statement = (
        sa.update(_link)
        .where(_link.c.package_id == ready.c.package_id, _link.c.notice.isnot(None))
        .values(notice_by=lease_id)
        .returning(_link.c.package_id, _link.c.notice, _link.c.succeeded, _link.c.shows)
    )
    with lease.transaction() as connection:
        # one at a time: the links of a dataset are told of together
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("archiver notices"))))
        rows = list(connection.execute(statement))
    of_packages: dict[str, list[Any]] = {}
    for row in rows:
        of_packages.setdefault(row.package_id, []).append(row)
    return [_notice(package_id, mine) for package_id, mine in of_packages.items()]


def _ready() -> sa.sql.Select:
    other = _link.alias("other")
    # what is urgent does not wait for the rest
    concerns = sa.or_(other.c.lane == _link.c.notice, other.c.lane == PRIORITY)
    is_waited_for = sa.exists().where(other.c.package_id == _link.c.package_id, other.c.lane.isnot(None), concerns)
    long_enough = _link.c.checked < lease.now - sa.func.make_interval(0, 0, 0, 0, 0, WAIT_MINUTES)
    return (
        sa.select(_link.c.package_id)
        .where(_link.c.notice.isnot(None), lease.is_free(lease_table, _link.c.notice_by))
        .where(sa.or_(sa.not_(is_waited_for), long_enough))
        .group_by(_link.c.package_id)
    )


def _notice(package_id: str, rows: Collection[Any]) -> Notice:
    return Notice(
        package_id=package_id,
        queue=max((row.notice for row in rows), key=lambda lane: lane == PRIORITY),
        succeeded=any(row.succeeded for row in rows),
        shows=any(row.shows for row in rows),
    )


def told(lease_id: str, package_ids: Collection[str]) -> None:
    """Record that what was claimed of these datasets is told."""
    lease.execute(
        sa.update(_link)
        .where(_link.c.notice_by == lease_id, among(_link.c.package_id, package_ids))
        .values(notice=None, notice_by=None, succeeded=False, shows=False)
    )


def are_ready() -> bool:
    """Return whether there is anything to tell."""
    return bool(lease.rows(_ready().limit(1)))
