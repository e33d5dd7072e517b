"""Where the search index says something else than the database.

Both are read in pages, so that a million datasets need neither memory nor long transactions. What a page finds is
looked at once more before it is called wrong: workers may have written between the two looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease, search, search_entries

from . import progress
from .model import HarvestObject, HarvestSource

_object = HarvestObject.__table__
_source = HarvestSource.__table__
_package = model.Package.__table__

PAGE = 500

MISSING, STALE, GONE, SOURCES = "index-missing", "index-stale", "index-gone", "sources-not-indexed"


class Drift(NamedTuple):
    """A dataset of which the index says something else: ``code`` is one of the four above."""

    code: str
    package_id: str


def find() -> Iterator[list[Drift]]:
    """Yield what is wrong with each page of datasets, and report how far this is.

    :raises SearchUnavailable: Solr went away
    """
    total = lease.rows(sa.select(sa.func.count()).select_from(_object).where(_object.c.current))[0][0]
    done = 0
    for ids in _harvested():
        yield _lacking(ids)
        progress.report(done := min(done + len(ids), total), 2 * total)
    for ids, hits in search_entries.having_field("harvest_source_id", PAGE):
        yield _surplus(ids)
        progress.report(min(done := done + len(ids), total + hits), total + hits)
    yield _sources()


def mend(found: Sequence[Drift]) -> None:
    """Bring the index up to date for what was found.

    :raises SearchUnavailable: Solr went away
    """
    search.index(drift.package_id for drift in found if drift.code != GONE)
    if gone := [drift.package_id for drift in found if drift.code == GONE]:
        search_entries.remove(gone)
    model.Session.remove()


def _harvested() -> Iterator[list[str]]:
    """Yield the ids of the datasets that have a current object, in their order."""
    last = ""
    while True:
        query = sa.select(_object.c.package_id).where(_object.c.current, _object.c.package_id > last)
        ids = [row[0] for row in lease.rows(query.distinct().order_by(_object.c.package_id).limit(PAGE))]
        if not ids:
            return
        yield ids
        last = ids[-1]


def _lacking(ids: Sequence[str]) -> list[Drift]:
    """Return those of the datasets that the index lacks, or of which it names another object."""
    for _ in range(2):
        named = _current(ids)
        indexed = search_entries.having_any("harvest_object_id", list(named.values())) if named else set()
        ids = sorted(named.keys() - indexed)
    known = search_entries.having_any("id", ids) if ids else set()
    return [Drift(STALE if package_id in known else MISSING, package_id) for package_id in ids]


def _current(ids: Sequence[str]) -> dict[str, str]:
    """Return the current object of those of the datasets that belong into the index; the newest of several."""
    query = (
        sa.select(_object.c.package_id, _object.c.id)
        .join(_package, _package.c.id == _object.c.package_id)
        .join(_source, _source.c.id == _object.c.harvest_source_id)
        .where(_object.c.current, _package.c.state == "active", _object.c.package_id.in_(ids))
        # what the engine knows to be unindexed is not wrong but late
        .where(sa.not_(sa.func.coalesce(_object.c.needs_index, False)))
        .distinct(_object.c.package_id)
        .order_by(_object.c.package_id, _object.c.import_finished.desc().nulls_first())
    )
    return {row.package_id: row.id for row in lease.rows(query)}


def _surplus(ids: Sequence[str]) -> list[Drift]:
    """Return those of the datasets in the index that are not here any more, or are not harvested any more."""
    for _ in range(2):
        current = sa.select(_object.c.package_id).where(_object.c.current, _object.c.package_id.in_(ids))
        claimed = {row[0] for row in lease.rows(current)}
        here = {
            row.id: row.state
            for row in lease.rows(sa.select(_package.c.id, _package.c.state).where(_package.c.id.in_(ids)))
        }
        ids = [each for each in ids if here.get(each) in (None, "deleted") or each not in claimed]
        if ids:
            indexed = search_entries.having_any("id", ids)
            ids = [each for each in ids if each in indexed]
        if not ids:
            return []
    return [Drift(GONE if here.get(each) in (None, "deleted") else STALE, each) for each in ids]


def _sources() -> list[Drift]:
    query = sa.select(_source.c.id).join(_package, _package.c.id == _source.c.id).where(_package.c.state == "active")
    ids = [row.id for row in lease.rows(query)]
    found = []
    for first in range(0, len(ids), PAGE):
        page = ids[first : first + PAGE]
        indexed = search_entries.having_any("id", page)
        found += [Drift(SOURCES, each) for each in page if each not in indexed]
    return found
