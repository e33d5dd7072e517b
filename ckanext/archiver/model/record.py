"""Writing down what checks came to: all that a worker has at hand, in one transaction."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.archiver.domain import history
from ckanext.archiver.domain.link import Link
from ckanext.relay import clock, lease
from ckanext.relay.texts import storable

from . import removals
from .resources import among
from .tables import Archival, host_table, is_open, link_table, make_uuid

_archival = Archival.__table__
_host = host_table
_link = link_table

#: Those of the archival, but for what names the row.
_COLUMNS = [each.name for each in _archival.columns if each.name not in ("id", "resource_id", "created")]


@dataclasses.dataclass(frozen=True)
class Checked:
    """What a check came to.

    :ivar link: as it was claimed
    :ivar columns: of its archival, as :func:`ckanext.archiver.domain.history.record` returns them
    :ivar recheck_at: when it is to be checked again unless somebody asks before
    """

    link: Link
    columns: Mapping[str, Any]
    recheck_at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What was written down.

    :ivar done: of these links
    :ivar busy: these could not be written: somebody is changing them just now. Try again a little later.
    """

    done: list[Checked]
    busy: list[Checked]


def record_all(lease_id: str, checked: Sequence[Checked]) -> Recorded:
    """Record checks of different links, on a connection of its own.

    A check counts if the lease still has the host, and if the resource is still as it was: what is in neither list of
    the result does not count, and the link stays asked for.
    """
    if not checked:
        return Recorded([], [])
    mine = {each.link.resource_id: each for each in checked}
    with lease.transaction() as connection:
        held = _hosts(lease_id, mine, connection)
        here = {key: each for key, each in mine.items() if each.link.host in held}
        locking = _as_they_were(here).with_for_update(skip_locked=True)
        ours = {row.resource_id for row in connection.execute(locking)}
        before = _before(ours, connection)
        rows = {key: _row(mine[key], before.get(key)) for key in sorted(ours)}
        if rows:
            _write_archivals(rows, connection)
            _write_links({key: mine[key] for key in rows}, before, connection)
            removals.put_paths(_superseded(before, rows), connection)
        left = {key: each for key, each in here.items() if key not in ours}
        busy = [mine[row.resource_id] for row in connection.execute(_as_they_were(left))]
    return Recorded([mine[key] for key in rows], busy)


def _hosts(lease_id: str, checked: Mapping[str, Checked], connection: Any) -> set[str]:
    """Lock and return the hosts that the lease still has, so that nobody else claims them meanwhile."""
    named = among(_host.c.host, {each.link.host for each in checked.values()})
    query = sa.select(_host.c.host).where(named, _host.c.claimed_by == lease_id).order_by(_host.c.host)
    return {row.host for row in connection.execute(query.with_for_update())}


def _as_they_were(checked: Mapping[str, Checked]) -> sa.sql.Select:
    """Return the query for the ids of those links that are as they were when they were claimed."""
    pairs = [(key, each.link.fingerprint) for key, each in checked.items()]
    same = sa.tuple_(_link.c.resource_id, _link.c.fingerprint).in_(pairs)
    return sa.select(_link.c.resource_id).where(same, is_open).order_by(_link.c.resource_id)


def _before(resource_ids: set[str], connection: Any) -> dict[str, Mapping[str, Any]]:
    query = sa.select(_archival).where(among(_archival.c.resource_id, resource_ids))
    rows = connection.execute(query.order_by(_archival.c.resource_id).with_for_update())
    return {row.resource_id: row._mapping for row in rows}


def _row(checked: Checked, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the whole archival: what the check found, and for the rest what was there."""
    columns = {name: before[name] if before else None for name in _COLUMNS} | dict(checked.columns)
    columns["redirects"] = json.dumps(columns["redirects"]) if checked.columns.get("redirects") else None
    columns |= {"package_id": checked.link.package_id, "failure_count": columns["failure_count"] or 0}
    columns["size"] = columns["size"] if before or columns["size"] is not None else 0
    return {name: storable(value) if isinstance(value, str) else value for name, value in columns.items()}


def _write_archivals(rows: Mapping[str, dict[str, Any]], connection: Any) -> None:
    now = clock.now()
    made = postgresql.insert(_archival)
    connection.execute(
        made.on_conflict_do_update(
            index_elements=[_archival.c.resource_id], set_={name: made.excluded[name] for name in _COLUMNS}
        ),
        [{"id": make_uuid(), "resource_id": key, "created": now, **row} for key, row in rows.items()],
    )


def _write_links(checked: Mapping[str, Checked], before: Mapping[str, Mapping[str, Any]], connection: Any) -> None:
    names = ("resource_id", "recheck_at", "suspect", "notice", "succeeded", "shows")
    new = sa.values(*(sa.column(name, _link.c[name].type) for name in names), name="new").data(
        [
            (
                *(key, each.recheck_at, history.is_suspect(each.columns), each.link.lane),
                *(each.columns["is_broken"] is False, history.shows(before.get(key), each.columns)),
            )
            for key, each in checked.items()
        ]
    )
    written = {name: new.c[name] for name in ("recheck_at", "suspect", "notice")}
    added = {name: sa.or_(_link.c[name], new.c[name]) for name in ("succeeded", "shows")}
    done = {"lane": None, "due": None, "tries": 0, "checked": lease.now, "notice_by": None}
    statement = sa.update(_link).where(_link.c.resource_id == new.c.resource_id)
    connection.execute(statement.values(**done, **written, **added))


def _superseded(
    before: Mapping[str, Mapping[str, Any]], rows: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, str]]:
    """Return resource id and path of the copies that are not named any more."""
    paths = ((key, old["cache_filepath"]) for key, old in before.items())
    return [(key, path) for key, path in paths if path and path != rows[key]["cache_filepath"]]
