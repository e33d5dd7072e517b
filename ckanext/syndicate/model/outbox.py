"""What is to be brought to the targets: one row a dataset and profile, so asking twice is asking once.

Who changes a dataset asks in the transaction of the change. A worker claims rows for its lease, and takes a row away
when it is done unless somebody has asked again meanwhile: so no change is lost and none is pushed twice.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql

from ckanext.relay import lease

from .rows import TEXTS, among, as_text, same
from .tables import FAILED, HELD, WAITING, is_waiting, lease_table, outbox_table, target_table

_outbox = outbox_table
_target = target_table

#: What is asked for, the most urgent first: that a private dataset is taken away, what a person changed, and the rest.
PRIVACY, PERSON, BULK = 0, 1, 2

#: The time of a statement, which is the same for all of its rows.
_now = sa.func.timezone("utc", sa.func.statement_timestamp(), type_=sa.DateTime)


@dataclasses.dataclass(frozen=True)
class Row:
    """What a worker has claimed.

    :ivar version: one more with each time that somebody asks
    :ivar attempts: how many have failed since somebody asked last
    :ivar force: push also what has not changed
    :ivar retracts: whether it was held because it takes a copy away
    """

    local_id: str
    profile_id: str
    version: int
    rank: int
    attempts: int
    force: bool
    retracts: bool | None


@dataclasses.dataclass(frozen=True)
class Entry(Row):
    """A row as people look at it; times in UTC.

    :ivar state: ``waiting``, ``held`` (until a person approves) or ``failed`` (until the dataset changes, or a retry)
    :ivar claimed_by: the lease of the worker that is, or was, at it
    :ivar cause: of the last failure, in a word
    """

    asked: datetime.datetime
    due: datetime.datetime
    state: str
    claimed_by: str | None
    cause: str | None
    error: str | None
    failing_since: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many rows of a profile there are in each state, and since when the oldest of those that wait does (UTC)."""

    waiting: int
    held: int
    failed: int
    oldest: datetime.datetime | None


_OF_ROW = [_outbox.c[field.name] for field in dataclasses.fields(Row)]
_OF_ENTRY = [_outbox.c[field.name] for field in dataclasses.fields(Entry)]


# -- asking


def ask(
    datasets: Collection[str] | sa.sql.Select[Any],
    profile_ids: Collection[str],
    rank: int,
    force: bool = False,
    connection: Any = None,
) -> int:
    """Ask for datasets to be brought to targets, in the session's transaction unless another is given.

    :param datasets: their ids; or a SELECT with a column ``id``, and ``rank`` if they differ in it
    :param rank: ``PRIVACY``, ``PERSON`` or ``BULK``; of two the more urgent counts
    :param force: also if nothing has changed
    :returns: how many rows are asked for
    """
    connection = connection or model.Session.connection()
    values: dict[str, Any] = {"rank": rank, "force": force, "profile_ids": sorted(set(profile_ids))}
    if isinstance(datasets, sa.sql.Select):
        return int(connection.execute(_ask(datasets), values).rowcount)
    text, constants = _text_for_ids()
    return int(connection.exec_driver_sql(text, {**constants, **values, "ids": sorted(set(datasets))}).rowcount)


def _ask(datasets: sa.sql.Select[Any]) -> Any:
    """Return the statement; parameters are ``rank``, ``force`` and ``profile_ids``."""
    found = datasets.subquery("found")
    profiles = sa.select(sa.func.unnest(sa.bindparam("profile_ids", type_=TEXTS)).label("profile_id")).subquery(
        "profiles"
    )
    asked: dict[str, Any] = {
        "version": sa.literal(1),
        "rank": found.c.rank if "rank" in found.c else sa.bindparam("rank", type_=sa.SmallInteger),
        "asked": _now,
        "due": _now,
        "attempts": sa.literal(0),
        "state": sa.literal(WAITING),
        "force": sa.bindparam("force", type_=sa.Boolean),
    }
    # in this order, so that nobody waits in a circle
    query = sa.select(found.c.id, profiles.c.profile_id, *asked.values()).select_from(found.join(profiles, sa.true()))
    query = query.order_by(found.c.id, profiles.c.profile_id)
    made = postgresql.insert(_outbox).from_select(["local_id", "profile_id", *asked], query)
    new = made.excluded
    return made.on_conflict_do_update(
        index_elements=[_outbox.c.local_id, _outbox.c.profile_id],
        set_={
            "version": _outbox.c.version + 1,
            "rank": sa.func.least(_outbox.c.rank, new.rank),
            "asked": sa.case((is_waiting, _outbox.c.asked), else_=new.asked),
            "due": new.due,
            "attempts": new.attempts,
            "state": new.state,
            "retracts": sa.null(),
            "force": sa.or_(_outbox.c.force, new.force),
        },
    )


@functools.cache
def _text_for_ids() -> tuple[str, dict[str, Any]]:
    """Return the statement for datasets with some ``ids``; it runs whenever a dataset is saved."""
    return as_text(_ask(sa.select(sa.func.unnest(sa.bindparam("ids", type_=TEXTS)).label("id"))))


def retry(profile_id: str | None = None, dataset_ids: Collection[str] | None = None) -> int:
    """Let what has failed, is held or waits for another attempt be tried now, and return how many rows that are."""
    conditions = [sa.or_(sa.not_(is_waiting), _outbox.c.due > _now)]
    if profile_id is not None:
        conditions.append(_outbox.c.profile_id == profile_id)
    if dataset_ids is not None:
        conditions.append(among(_outbox.c.local_id, dataset_ids))
    anew = {"state": WAITING, "due": _now, "attempts": 0, "retracts": None}
    return lease.execute(sa.update(_outbox).where(*conditions).values(anew))


def resume(profile_id: str, causes: Collection[str]) -> None:
    """Let what waits for another attempt at a target because of these causes be tried now, as the first to be asked
    for were the first to be tried in vain."""
    waits = sa.and_(is_waiting, _outbox.c.due > lease.now, _outbox.c.cause.in_(sorted(causes)))
    lease.execute(sa.update(_outbox).where(_outbox.c.profile_id == profile_id, waits).values(due=_now))


# -- working


def claim(profile_id: str, lease_id: str, limit: int, only: Collection[str] | None = None) -> list[Row]:
    """Claim rows that are due and that nobody is at: the most urgent first, then those that wait longest.

    :param only: ids of datasets, if only these are meant
    """
    conditions = [_outbox.c.profile_id == profile_id, _is_ready()]
    if only is not None:
        conditions.append(among(_outbox.c.local_id, only))
    first = sa.select(_outbox.c.local_id).where(*conditions)
    first = first.order_by(_outbox.c.rank, _outbox.c.asked, _outbox.c.local_id).limit(limit)
    claimed = sa.update(_outbox).values(claimed_by=lease_id).returning(*_OF_ROW, _outbox.c.asked)
    found = lease.claim_rows(first, _outbox.c.local_id, sa.and_(*conditions), claimed)
    rows = sorted(found, key=lambda row: (row.rank, row.asked, row.local_id))
    return [Row(*row[:-1]) for row in rows]


def _is_ready() -> Any:
    return sa.and_(is_waiting, _outbox.c.due <= lease.now, lease.is_free(lease_table, _outbox.c.claimed_by))


def done(row: Row, lease_id: str) -> bool:
    """Take a row away that was brought to the target. False: somebody has asked again meanwhile, or the lease has run
    out and another one has the row; it stays."""
    if lease.execute(sa.delete(_outbox).where(_is_mine(row, lease_id), _outbox.c.version == row.version)):
        return True
    lease.execute(sa.update(_outbox).where(_is_mine(row, lease_id)).values(claimed_by=None))
    return False


def done_with(connection: sa.engine.Connection, row: Row, lease_id: str) -> bool:
    """Do as :func:`done` in a transaction of others. False: it is to be called when that has ended, since somebody asks
    just now, or has asked; a transaction that has locked anything must not wait for one that saves a dataset."""
    text, constants = _done_with()
    given = {"dataset": row.local_id, "profile": row.profile_id, "mine": lease_id, "known": row.version}
    return bool(connection.exec_driver_sql(text, {**constants, **given}).rowcount)


@functools.cache
def _done_with() -> tuple[str, dict[str, Any]]:
    row = same(_outbox, sa.bindparam("dataset"), sa.bindparam("profile"))
    known = _outbox.c.version == sa.bindparam("known"), _outbox.c.claimed_by == sa.bindparam("mine")
    free = sa.select(_outbox.c.version).where(row).with_for_update(skip_locked=True)
    return as_text(sa.delete(_outbox).where(row, *known, sa.exists(free)))


def put_off(row: Row, lease_id: str, seconds: float, cause: str, error: str, counts: bool) -> None:
    """Record a failure after which it is tried again; at once, if somebody has asked again meanwhile.

    :param cause: in a word
    :param error: what happened, for people; without secrets
    :param counts: whether it counts among the attempts of this row
    """
    _failed(row, lease_id, cause, error, due=_now + datetime.timedelta(seconds=seconds), attempts=row.attempts + counts)


def fail(row: Row, lease_id: str, cause: str, error: str) -> None:
    """Record a failure after which it is not tried again, unless somebody asks, or has asked meanwhile."""
    _failed(row, lease_id, cause, error, state=FAILED, attempts=row.attempts + 1)


def _failed(row: Row, lease_id: str, cause: str, error: str, **columns: Any) -> None:
    since = sa.func.coalesce(_outbox.c.failing_since, _now)
    said = {"claimed_by": None, "cause": cause, "error": error, "failing_since": since}
    is_same = _outbox.c.version == row.version
    kept = {name: sa.case((is_same, value), else_=_outbox.c[name]) for name, value in columns.items()}
    lease.execute(sa.update(_outbox).where(_is_mine(row, lease_id)).values(**said, **kept))


def hold(row: Row, lease_id: str, reason: str) -> None:
    """Let a row that takes a copy away rest until a person approves; see :func:`retry`."""
    held = {"state": HELD, "retracts": True, "error": reason, "cause": HELD}
    is_same = _outbox.c.version == row.version
    kept = {name: sa.case((is_same, value), else_=_outbox.c[name]) for name, value in held.items()}
    lease.execute(sa.update(_outbox).where(_is_mine(row, lease_id)).values(claimed_by=None, **kept))


def release(lease_id: str) -> None:
    """Give all rows back that a lease has claimed."""
    lease.execute(sa.update(_outbox).where(_outbox.c.claimed_by == lease_id).values(claimed_by=None))


def _is_mine(row: Row, lease_id: str) -> Any:
    return sa.and_(same(_outbox, row.local_id, row.profile_id), _outbox.c.claimed_by == lease_id)


# -- looking


def are_due(profile_id: str) -> bool:
    """Return whether there is anything to claim for a target that need not be left alone now."""
    return bool(lease.rows(_due().where(_outbox.c.profile_id == profile_id).limit(1)))


def due_profiles() -> list[str]:
    """Return the ids of the profiles for which there is anything to claim, without the targets to be left alone."""
    return [row.profile_id for row in lease.rows(_due().distinct().order_by(_outbox.c.profile_id))]


def _due() -> sa.sql.Select[Any]:
    paused = sa.exists().where(_target.c.profile_id == _outbox.c.profile_id, _target.c.not_before > lease.now)
    return sa.select(_outbox.c.profile_id).where(_is_ready(), sa.not_(paused))


def counts() -> dict[str, Counts]:
    """Return how many rows there are, by profile; profiles without any are not in it."""
    numbers = (sa.func.count().filter(_outbox.c.state == state) for state in (WAITING, HELD, FAILED))
    oldest = sa.func.min(_outbox.c.asked).filter(is_waiting)
    query = sa.select(_outbox.c.profile_id, *numbers, oldest).group_by(_outbox.c.profile_id)
    return {row[0]: Counts(*row[1:]) for row in lease.rows(query.order_by(_outbox.c.profile_id))}


def entries(
    profile_id: str | None = None,
    dataset_ids: Collection[str] | None = None,
    states: Sequence[str] = (WAITING, HELD, FAILED),
    limit: int | None = None,
) -> list[Entry]:
    """Return rows for people to look at: the most urgent first, then those that wait longest."""
    query = sa.select(*_OF_ENTRY).where(_outbox.c.state.in_(list(states)))
    if profile_id is not None:
        query = query.where(_outbox.c.profile_id == profile_id)
    if dataset_ids is not None:
        query = query.where(among(_outbox.c.local_id, dataset_ids))
    query = query.order_by(_outbox.c.rank, _outbox.c.asked, _outbox.c.local_id, _outbox.c.profile_id)
    return [Entry(*row) for row in lease.rows(query.limit(limit))]
