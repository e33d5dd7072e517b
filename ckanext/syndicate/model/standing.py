"""How datasets stand at the targets, for people: what is known to be there, and what is on its way.

A dataset that is on its way counts by that, whatever is known of its copy. There may be very many copies, and few of
them are shown: what chooses and counts reads the index of when they were pushed, and no row.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.syndicate.domain import states

from .rows import among
from .tables import copy_table, outbox_table, target_table

#: What a dataset is at a target, in one word; what needs somebody to look at it stands first.
FAILED, HELD, WAITING = states.FAILED, states.HELD, states.WAITING
SYNCED, PRIVATE, DELETED = "synced", states.PRIVATE, states.DELETED
#: Its creation was begun and given up, or another extension left only its id.
UNKNOWN = "unknown"
STATES = (FAILED, HELD, WAITING, UNKNOWN, SYNCED, PRIVATE, DELETED)
#: Those that a person must look at, and those in which a dataset is on its way, or should be.
STUCK = (FAILED, HELD)
ASKED = (*STUCK, WAITING)

_package = model.Package.__table__
_copy, _outbox = copy_table, outbox_table
_same = sa.and_(_copy.c.local_id == _outbox.c.local_id, _copy.c.profile_id == _outbox.c.profile_id)
#: What is at the target, and since when it is on its way, or fails.
_at_target = sa.case((_copy.c.presence == states.ACTIVE, SYNCED), else_=sa.func.coalesce(_copy.c.presence, UNKNOWN))
_since = sa.func.coalesce(_outbox.c.failing_since, _outbox.c.asked)
#: The time of a statement, which is the same for all of its rows.
_now = sa.func.timezone("utc", sa.func.statement_timestamp(), type_=sa.DateTime)


@dataclass
class Numbers:
    """How a target is served; times in UTC.

    :ivar datasets: in each state
    :ivar oldest: since when the one waits, is held, or fails that does so for the longest time
    :ivar last_hour: datasets that were written in the last hour, each counted once
    """

    datasets: Counter[str] = field(default_factory=Counter)
    oldest: dict[str, datetime.datetime] = field(default_factory=dict)
    last_hour: int = 0


def numbers(profile_id: str | None = None) -> dict[str, Numbers]:
    """Return by profile how many datasets are in each state, and how they get there.

    :param profile_id: only of this one
    """
    found: dict[str, Numbers] = {}
    asked = sa.select(_outbox.c.profile_id, _outbox.c.state, sa.func.count().label("number"), sa.func.min(_since))
    for row in _rows(asked.group_by(_outbox.c.profile_id, _outbox.c.state), _outbox, profile_id):
        of = found.setdefault(row[0], Numbers())
        of.datasets[row.state], of.oldest[row.state] = row.number, row[3]
    not_asked = sa.func.count().filter(_outbox.c.local_id.is_(None))
    lately = sa.func.count().filter(_copy.c.pushed > _now - datetime.timedelta(hours=1))
    copies = sa.select(_copy.c.profile_id, _at_target.label("state"), not_asked.label("number"), lately.label("lately"))
    copies = copies.select_from(_copy.outerjoin(_outbox, _same)).group_by(_copy.c.profile_id, _copy.c.presence)
    for row in _rows(copies, _copy, profile_id):
        of = found.setdefault(row.profile_id, Numbers())
        of.datasets[row.state] += row.number
        of.last_hour += row.lately
    return found


def _rows(query: Any, table: sa.Table, profile_id: str | None) -> Any:
    return model.Session.execute(query if profile_id is None else query.where(table.c.profile_id == profile_id))


def troubles(profile_id: str | None = None) -> list[Any]:
    """Return what failed or is held, by target and reason: rows of ``profile_id``, ``state``, ``cause``, ``number``
    and ``since``; of what most datasets suffer stands first."""
    key = (_outbox.c.profile_id, _outbox.c.state, _outbox.c.cause)
    query = sa.select(*key, sa.func.count().label("number"), sa.func.min(_since).label("since"))
    query = query.where(_outbox.c.state.in_(STUCK)).group_by(*key).order_by(sa.desc("number"), *key)
    return list(_rows(query, _outbox, profile_id))


def entries(
    profile_id: str | None,
    states_: Collection[str],
    dataset_ids: Collection[str] | None,
    cause: str | None,
    limit: int | None,
    offset: int,
) -> Any:
    """Return rows of what :func:`entry_rows` has, and ``name_here``, ``title`` and ``ckan_url``; the latest first.

    :param profile_id: None: of all targets
    :param dataset_ids: None: of all datasets
    :param cause: None: whatever the latest failure was
    """
    chosen = [_asked(profile_id, states_, dataset_ids, cause)]
    if cause is None and not set(states_) <= set(ASKED):
        chosen.append(_copied(profile_id, states_, dataset_ids))
    every = (sa.union_all(*chosen) if len(chosen) > 1 else chosen[0]).subquery("every")
    order = (every.c.latest.desc().nullslast(), every.c.local_id)
    page = sa.select(every).order_by(*order).limit(limit).offset(offset).subquery("page")

    def of_page(table: sa.Table) -> Any:
        return sa.and_(table.c.local_id == page.c.local_id, table.c.profile_id == page.c.profile_id)

    found = page.outerjoin(_copy, of_page(_copy)).outerjoin(_outbox, of_page(_outbox))
    found = found.outerjoin(_package, _package.c.id == page.c.local_id)
    found = found.outerjoin(target_table, target_table.c.profile_id == page.c.profile_id)
    names = (_package.c.name.label("name_here"), _package.c.title, target_table.c.ckan_url)
    query = sa.select(page.c.local_id, page.c.profile_id, *_columns(_copy, _outbox), *names).select_from(found)
    return model.Session.execute(query.order_by(page.c.latest.desc().nullslast(), page.c.local_id))


def _asked(
    profile_id: str | None, states_: Collection[str], dataset_ids: Collection[str] | None, cause: str | None
) -> Any:
    """Return the query for those that are on their way."""
    query = sa.select(_outbox.c.local_id, _outbox.c.profile_id, _since.label("latest"))
    query = query.where(_outbox.c.state.in_(list(states_)))
    if cause is not None:
        query = query.where(_outbox.c.cause == cause)
    return _only(query, _outbox, profile_id, dataset_ids)


def _copied(profile_id: str | None, states_: Collection[str], dataset_ids: Collection[str] | None) -> Any:
    """Return the query for those of which it is only known that they are there."""
    query = sa.select(_copy.c.local_id, _copy.c.profile_id, _copy.c.pushed.label("latest"))
    query = query.where(_at_target.in_(list(states_)), sa.not_(sa.exists().where(_same).correlate(_copy)))
    return _only(query, _copy, profile_id, dataset_ids)


def entry_rows() -> Any:
    """Return the query for a row a dataset and target, of all."""
    ids = (sa.func.coalesce(_copy.c[name], _outbox.c[name]).label(name) for name in ("local_id", "profile_id"))
    return sa.select(*ids, *_columns(_copy, _outbox)).select_from(_copy.join(_outbox, _same, full=True))


def _columns(copies: sa.Table, asked: sa.Table) -> tuple[Any, ...]:
    return (
        sa.func.coalesce(asked.c.state, _at_target).label("state"),
        *(copies.c.name, copies.c.target_id, copies.c.target_name, copies.c.presence, copies.c.pushed),
        *(asked.c.cause, asked.c.error, asked.c.attempts, asked.c.due),
        _since.label("since"),
    )


def _only(query: Any, table: sa.Table, profile_id: str | None, dataset_ids: Collection[str] | None) -> Any:
    if profile_id is not None:
        query = query.where(table.c.profile_id == profile_id)
    return query if dataset_ids is None else query.where(among(table.c.local_id, dataset_ids))
