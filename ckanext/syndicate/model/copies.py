"""What is at the targets, as far as we brought it there, or know of it from before."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import ckan_211, lease

from . import log
from .log import SyndicationLog
from .rows import among, as_text, same, upsert
from .tables import ACTIVE, DELETED, PRIVATE, copy_table

_copy = copy_table
_log: sa.Table = SyndicationLog.__table__
_package: sa.Table = model.Package.__table__


@dataclasses.dataclass(frozen=True)
class Copy:
    """The copy of a dataset at a target; times in UTC.

    :ivar name: of our dataset
    :ivar target_id: id of the copy; None: none is known
    :ivar intent: since when there may be a copy that nobody has seen yet: its creation was begun
    :ivar payload_hash: of what was sent last; None: nobody knows, so it is to be sent
    :ivar target_modified: ``metadata_modified`` as the target said it last
    :ivar resources: ids at the target by ours
    :ivar groups: names of the groups that were sent
    :ivar presence: ``active``, ``private`` or ``deleted``; None: nobody knows whether there is one
    :ivar pushed: when it was written the last time
    :ivar retracted: when it was made private or deleted the last time
    """

    local_id: str
    profile_id: str
    name: str
    target_id: str | None = None
    target_name: str | None = None
    intent: datetime.datetime | None = None
    payload_hash: str | None = None
    target_modified: str | None = None
    resources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    groups: Sequence[str] = ()
    presence: str | None = None
    pushed: datetime.datetime | None = None
    retracted: datetime.datetime | None = None


_COLUMNS = [_copy.c[field.name] for field in dataclasses.fields(Copy)]
_JSON: dict[str, Any] = {"resources": dict, "groups": tuple}


def get(local_id: str, profile_id: str) -> Copy | None:
    """Return what is known of a copy, or None if we never brought one there, nor began to."""
    rows = lease.rows(sa.select(*_COLUMNS).where(same(_copy, local_id, profile_id)))
    return _as_copy(rows[0]) if rows else None


def page(profile_id: str, after: str = "", limit: int = 1000) -> list[Copy]:
    """Return copies of a profile in the order of the ids of our datasets.

    :param after: the id at which the page before ended
    """
    query = sa.select(*_COLUMNS).where(_copy.c.profile_id == profile_id, _copy.c.local_id > after)
    return [_as_copy(row) for row in lease.rows(query.order_by(_copy.c.local_id).limit(limit))]


def of_datasets(local_ids: Sequence[str]) -> list[Copy]:
    """Return the copies of some datasets at all targets."""
    query = sa.select(*_COLUMNS).where(among(_copy.c.local_id, local_ids))
    return [_as_copy(row) for row in lease.rows(query.order_by(_copy.c.local_id, _copy.c.profile_id))]


def at(profile_id: str, local_ids: Collection[str]) -> dict[str, Copy]:
    """Return the copies of some datasets at a target, by their ids here."""
    query = sa.select(*_COLUMNS).where(_copy.c.profile_id == profile_id, among(_copy.c.local_id, local_ids))
    return {copy.local_id: copy for copy in map(_as_copy, lease.rows(query))}


def _as_copy(row: Any) -> Copy:
    columns = dict(row._mapping)
    for name, kind in _JSON.items():
        columns[name] = kind(json.loads(columns[name]) if columns[name] else ())
    return Copy(**columns)


def other_of(target_id: str, local_id: str, profile_id: str) -> str | None:
    """Return the id of another dataset of ours whose copy has an id at a target, None if there is none."""
    query = sa.select(_copy.c.local_id).where(
        _copy.c.profile_id == profile_id,
        *(_copy.c.target_id == target_id, _copy.c.local_id != local_id),
        sa.exists().where(_package.c.id == _copy.c.local_id),
    )
    rows = lease.rows(query.limit(1))
    return rows[0].local_id if rows else None


def known_target(local_id: str, profile: Any) -> str | None:
    """Return the id of a copy that we have no row of: from the extra of the dataset in which ckanext-syndicate 1 and 2
    kept it, or from its log.

    :param profile: with ``id`` and ``field_id``
    """
    extra = ckan_211.extra(profile.field_id) if profile.field_id else sa.null()
    found = sa.select(extra).where(_package.c.id == local_id)
    logged = sa.select(_log.c.target_id).where(same(_log, local_id, profile.id))
    for query in (logged, found):
        for row in lease.rows(query):
            if row[0] and row[0].strip() not in ("", SyndicationLog.NO_TARGET):
                return str(row[0]).strip()
    return None


def logged_targets(profile_id: str, local_ids: Collection[str]) -> dict[str, str]:
    """Return the ids at a target that the log has of some datasets, by their ids here."""
    query = sa.select(_log.c.local_id, _log.c.target_id).where(
        _log.c.profile_id == profile_id,
        among(_log.c.local_id, local_ids),
        _log.c.target_id.notin_(["", SyndicationLog.NO_TARGET]),
    )
    return {row.local_id: row.target_id for row in lease.rows(query)}


def intend(local_id: str, profile_id: str, name: str) -> None:
    """Record, before it is begun, that a copy is being created.

    :param name: of our dataset
    """
    text, constants = _intend()
    with lease.transaction() as connection:
        connection.exec_driver_sql(text, {**constants, "dataset": local_id, "profile": profile_id, "called": name})


@functools.cache
def _intend() -> tuple[str, dict[str, Any]]:
    key: dict[str, Any] = {"local_id": sa.bindparam("dataset"), "profile_id": sa.bindparam("profile")}
    return as_text(upsert(_copy, key, {"name": sa.bindparam("called"), "intent": lease.now}, {}))


def record(
    local_id: str,
    profile_id: str,
    *,
    state: str,
    error: str | None = None,
    connection: sa.engine.Connection | None = None,
    **columns: Any,
) -> None:
    """Record what came of a push, in the log and in the copy.

    :param state: of the log, see ``SyndicationLog.State``; nothing is logged of a dataset that is purged
    :param error: for people, without secrets
    :param connection: in a transaction to be part of, instead of one of its own
    :param columns: those of the copy that are other now, see :class:`Copy`; ``resources`` and ``groups`` as they are
        there, a time may be ``lease.now``. Without any the copy stays as it is. A ``target_id`` ends the intent.
    """
    values = {key: json.dumps(_plain(value)) if key in _JSON else value for key, value in columns.items()}
    if values.get("target_id"):
        values.setdefault("intent", None)
    with contextlib.nullcontext(connection) if connection else lease.transaction() as mine:
        # the dataset first, as who purges it does, so that nobody waits in a circle
        log.note(mine, local_id, profile_id, values.get("target_id"), state, error)
        if values and not _change(mine, local_id, profile_id, values):
            key = {"local_id": local_id, "profile_id": profile_id}
            name = sa.select(_package.c.name).where(_package.c.id == local_id).scalar_subquery()
            new = {} if "name" in values else {"name": sa.func.coalesce(name, local_id)}
            mine.execute(upsert(_copy, key, values, new))


def _change(connection: sa.engine.Connection, local_id: str, profile_id: str, values: Mapping[str, Any]) -> bool:
    """Change columns of a copy, and return whether there is a row of it."""
    times = tuple(name for name, value in values.items() if value is lease.now)
    given = {f"new_{name}": value for name, value in values.items() if name not in times}
    text, constants = _changed(tuple(values), times)
    keys = {"dataset": local_id, "profile": profile_id}
    return bool(connection.exec_driver_sql(text, {**constants, **given, **keys}).rowcount)


@functools.cache
def _changed(names: tuple[str, ...], times: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Return the statement that changes columns of a copy; parameters are ``dataset``, ``profile`` and ``new_NAME``.

    :param times: those of them that become the time of the statement
    """
    values = {
        name: lease.now if name in times else sa.bindparam(f"new_{name}", type_=_copy.c[name].type) for name in names
    }
    row = same(_copy, sa.bindparam("dataset"), sa.bindparam("profile"))
    return as_text(sa.update(_copy).where(row).values(values))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(sorted(value.items()))
    return None if value is None else sorted(value)


def forget_gone(profile_id: str, seconds: float) -> int:
    """Forget the copies of a target that were deleted so many seconds ago, of datasets that are purged here; returns
    how many that are."""
    gone = sa.not_(sa.exists().where(_package.c.id == _copy.c.local_id))
    ended = sa.func.coalesce(_copy.c.retracted, _copy.c.pushed) < lease.now - datetime.timedelta(seconds=seconds)
    conditions = _copy.c.profile_id == profile_id, _copy.c.presence == DELETED, _copy.c.intent.is_(None), ended, gone
    return lease.execute(sa.delete(_copy).where(*conditions))


def number(profile_id: str) -> int:
    """Return how many copies there are at a target, public or private."""
    there = _copy.c.presence.in_([ACTIVE, PRIVATE])
    return _count(_copy.c.profile_id == profile_id, there)


def retracted_since(profile_id: str, seconds: float) -> int:
    """Return how many copies of a target were made private or deleted in the last so many seconds, and still are."""
    lately = _copy.c.retracted > lease.now - datetime.timedelta(seconds=seconds)
    return _count(_copy.c.profile_id == profile_id, lately, _copy.c.presence.in_([PRIVATE, DELETED]))


def _count(*conditions: Any) -> int:
    return int(lease.rows(sa.select(sa.func.count()).select_from(_copy).where(*conditions))[0][0])
