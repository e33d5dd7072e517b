"""Datasets and resources as rows of CKAN's tables: what the engine sees of them, made fast; and checks of them."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.archiver.domain import history, status
from ckanext.archiver.domain.cause import Cause
from ckanext.archiver.domain.history import Confirm, Copy, Facts
from ckanext.archiver.domain.link import Link
from ckanext.archiver.domain.verdict import Verdict
from ckanext.archiver.model import hosts, lease_table, links, record, requests
from ckanext.archiver.model.resources import Wanted
from ckanext.archiver.model.tables import Archival, host_table, link_table
from ckanext.relay import clock, lease

CONFIRM = Confirm(tries=3, hours=24)
OK = Verdict(status.ARCHIVED, keep=True)
GONE = Verdict(status.DOWNLOAD_ERROR, "Server reported status error: 404 Not Found", Cause("http_404"))
_UNSET: Any = object()


def add_dataset(name: str, resources: Mapping[str, Any], **fields: Any) -> None:
    """Add a dataset whose id is its name.

    :param resources: by id the URL, or a dictionary of columns
    """
    row = {"id": name, "name": name, "type": "dataset", "state": "active", "private": False, **fields}
    model.Session.execute(sa.insert(model.Package.__table__).values(row))
    for position, (resource_id, given) in enumerate(resources.items()):
        columns = given if isinstance(given, Mapping) else {"url": given}
        row = {"id": resource_id, "package_id": name, "state": "active", "position": position, "format": "", **columns}
        model.Session.execute(sa.insert(model.Resource.__table__).values(row))
    model.Session.commit()


def change(table: str, key: str, **columns: Any) -> None:
    """Change a row of ``package``, ``resource`` or of one of our tables, without CKAN."""
    tables = {"package": model.Package.__table__, "resource": model.Resource.__table__, "archival": Archival.__table__}
    target = tables.get(table, link_table if table == "link" else host_table)
    name = {"link": "resource_id", "host": "host", "archival": "resource_id"}.get(table, "id")
    with lease.transaction() as connection:
        connection.execute(sa.update(target).where(target.c[name] == key).values(columns))


def ask(lane: str = "bulk", **wanted: Any) -> int:
    """Ask for checks, and let the hosts know."""
    asked = requests.request(lane, Wanted(**wanted))
    model.Session.commit()
    hosts.refresh()
    return asked


def link(resource_id: str) -> Any:
    return {row.resource_id: row for row in all_links()}.get(resource_id)


def all_links() -> list[Any]:
    return lease.rows(sa.select(link_table).order_by(link_table.c.resource_id))


def all_hosts() -> dict[str, Any]:
    return {row.host: row for row in lease.rows(sa.select(host_table).order_by(host_table.c.host))}


def archival(resource_id: str) -> Any:
    rows = lease.rows(sa.select(Archival.__table__).where(Archival.resource_id == resource_id))
    return rows[0] if rows else None


@contextlib.contextmanager
def worker(limit: int = 100) -> Iterator[str]:
    """A lease with all hosts that it can get; yields its id."""
    with lease.held(lease_table, "archive", longest=60) as lease_id:
        hosts.claim(lease_id, limit)
        yield lease_id
        hosts.release(lease_id)


def due(lease_id: str, **options: Any) -> list[str]:
    return [each.resource_id for each in links.due(lease_id, options.pop("each", 100), **options)]


def checked(of: Link, verdict: Verdict = OK, copy: Copy | None = _UNSET, **columns: Any) -> record.Checked:
    """What a check of a link came to: a copy of its own, unless told otherwise."""
    if copy is _UNSET:
        copy = Copy(f"/archive/{of.resource_id}/data.csv", "/cached", 7, "text/csv", "sha1", "sha256", '"e"', "Sun")
    found = history.record(of.previous, verdict, Facts(of.url, (), copy), clock.now(), CONFIRM) | columns
    return record.Checked(of, found, history.next_check(found, datetime.timedelta(days=30), CONFIRM))


def check(verdict: Verdict = OK, only: Sequence[str] | None = None) -> list[str]:
    """Check all that is due, and return the ids of what was recorded."""
    with worker() as lease_id:
        found = [each for each in links.due(lease_id, 100) if only is None or each.resource_id in only]
        return [
            each.link.resource_id for each in record.record_all(lease_id, [checked(e, verdict) for e in found]).done
        ]
