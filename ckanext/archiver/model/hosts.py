"""Hosts: a worker claims whole hosts, so that how one is treated is decided in one place."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.relay import lease
from ckanext.relay.celery_app import PRIORITY

from .resources import among
from .tables import host_table, is_open, lease_table, link_table, may_be_asked

_host = host_table
_link = link_table


@dataclasses.dataclass(frozen=True)
class Claimed:
    """A host in the hands of a worker.

    :ivar failures: how often in a row it could not be reached
    :ivar interrupted: whether the worker that had it before has died
    """

    host: str
    failures: int = 0
    interrupted: bool = False


@dataclasses.dataclass(frozen=True)
class Known:
    """What a worker has learned of a host.

    :ivar failures: how often in a row it could not be reached, by now
    :ivar answered: whether it has answered
    :ivar pause: for how many seconds it is to be left alone from now on; None: it is not
    """

    host: str
    failures: int = 0
    answered: bool = False
    pause: float | None = None


def refresh(lane: str | None = None) -> None:
    """Note for each host when the first of its links is due.

    :param lane: only look at links of this lane, which is faster where another one is full
    """
    asked = is_open if lane is None else sa.and_(is_open, _link.c.lane == lane)
    of_links = (
        sa.select(
            _link.c.host,
            sa.func.min(_link.c.due).label("due"),
            sa.func.min(_link.c.due).filter(_link.c.lane == PRIORITY).label("priority_due"),
        )
        .where(asked)
        .group_by(_link.c.host)
        .subquery()
    )
    due: Any = of_links.c.due if lane is None else sa.func.least(of_links.c.due, _host.c.due)
    priority_due = of_links.c.priority_due if lane in (None, PRIORITY) else _host.c.priority_due
    other = sa.or_(
        *(_host.c.host.is_(None), _host.c.due.is_distinct_from(due)),
        _host.c.priority_due.is_distinct_from(priority_due),
    )
    # ordered, so that two of these do not wait for each other
    rows = (
        sa.select(of_links.c.host, due, priority_due, sa.literal(0))
        .select_from(of_links.outerjoin(_host, _host.c.host == of_links.c.host))
        .where(other)
        .order_by(of_links.c.host)
    )
    made = postgresql.insert(_host).from_select(["host", "due", "priority_due", "failures"], rows)
    new = {name: made.excluded[name] for name in ("due", "priority_due")}
    lease.execute(made.on_conflict_do_update(index_elements=[_host.c.host], set_=new))


def claim(lease_id: str, limit: int, lane: str | None = None, named: Collection[str] | None = None) -> list[Claimed]:
    """Claim hosts that have links due and may be asked now: those first for which somebody waits, of these the one
    whose last turn is longest ago.

    :param lane: only hosts with due links of this lane, if one is named
    :param named: only these hosts, if any are named
    """
    wanted = _host.c.priority_due <= lease.now if lane == PRIORITY else _host.c.due <= lease.now
    if named is not None:
        wanted = sa.and_(wanted, among(_host.c.host, named))
    is_urgent = sa.func.coalesce(_host.c.priority_due <= lease.now, sa.false())
    ready = sa.and_(wanted, may_be_asked, lease.is_free(lease_table, _host.c.claimed_by))
    first = sa.select(_host.c.host).where(ready)
    first = first.order_by(is_urgent.desc(), _host.c.last_claim.asc().nulls_first(), _host.c.due).limit(limit)
    # an UPDATE returns what is new: who had the host before is read from the row as it was
    before = _host.alias("before")
    claimed = sa.update(_host).where(before.c.host == _host.c.host).values(claimed_by=lease_id, last_claim=lease.now)
    claimed = claimed.returning(_host.c.host, _host.c.failures, before.c.claimed_by.isnot(None))
    return [Claimed(*row) for row in lease.claim_rows(first, _host.c.host, ready, claimed)]


def record(lease_id: str, known: Iterable[Known]) -> None:
    """Record what was learned of hosts that a lease has claimed."""
    with lease.transaction() as connection:
        for each in sorted(known, key=lambda each: each.host):
            values: dict[str, object] = {"failures": each.failures}
            if each.pause is not None:
                values["not_before"] = lease.now + datetime.timedelta(seconds=each.pause)
            if each.answered:
                values["last_answer"] = lease.now
            mine = sa.and_(_host.c.host == each.host, _host.c.claimed_by == lease_id)
            connection.execute(sa.update(_host).where(mine).values(values))


def release(lease_id: str, hosts: Collection[str] | None = None) -> None:
    """Give hosts back that a lease has claimed; all of them, unless some are named."""
    mine = _host.c.claimed_by == lease_id
    if hosts is not None:
        mine = sa.and_(mine, among(_host.c.host, hosts))
    of_host = sa.and_(is_open, _link.c.host == _host.c.host)
    due = sa.select(sa.func.min(_link.c.due)).where(of_host, _link.c.lane.in_(("bulk", PRIORITY)))
    priority_due = sa.select(sa.func.min(_link.c.due)).where(of_host, _link.c.lane == PRIORITY)
    locked = sa.select(_host.c.host).where(mine).order_by(_host.c.host).with_for_update().cte("locked")
    lease.execute(
        sa.update(_host)
        .where(_host.c.host == locked.c.host)
        .values(claimed_by=None, due=due.scalar_subquery(), priority_due=priority_due.scalar_subquery())
    )


def witnesses(hosts: Collection[str], limit: int) -> list[str]:
    """Return hosts that answered last, other than these: if they do not any more, it is our network that is down."""
    query = sa.select(_host.c.host).where(_host.c.last_answer.isnot(None), _host.c.host.notin_(list(hosts)))
    return [row.host for row in lease.rows(query.order_by(_host.c.last_answer.desc()).limit(limit))]


def are_due(lane: str | None = None) -> bool:
    """Return whether a worker would find a host to claim."""
    due = _host.c.priority_due if lane == PRIORITY else _host.c.due
    query = sa.select(_host.c.host).where(due <= lease.now, may_be_asked)
    return bool(lease.rows(query.where(lease.is_free(lease_table, _host.c.claimed_by)).limit(1)))


def forget_idle() -> None:
    """Forget hosts that no link names any more."""
    named = sa.exists().where(_link.c.host == _host.c.host)
    idle = sa.select(_host.c.host).where(sa.not_(named), lease.is_free(lease_table, _host.c.claimed_by))
    lease.execute(sa.delete(_host).where(_host.c.host.in_(idle.with_for_update(skip_locked=True).scalar_subquery())))
