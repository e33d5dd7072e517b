"""Copies that are to be removed: after a grace, and not if a resource needs them again by then."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.archiver import config
from ckanext.archiver.domain.history import Copy
from ckanext.relay import lease

from .resources import is_there, package, resource
from .tables import Archival, removal_table, statement_time

_archival = Archival.__table__
_removal = removal_table

#: What is known of a copy, and is no more when it is removed.
OF_A_COPY = tuple(field.name for field in dataclasses.fields(Copy))


def put_gone() -> None:
    """Have the copies removed, after the grace, of resources that are gone, by whichever way, and of those of private
    datasets where private ones have none. What is known of a resource that does not come back is forgotten."""
    with lease.transaction() as connection:
        copies = sa.select(_archival.c.cache_filepath, _archival.c.resource_id, statement_time + config.removal_grace())
        # in the order in which put_paths writes, so that nobody waits in a circle
        gone = copies.where(sa.not_(_is_needed()), is_copy()).order_by(_archival.c.resource_id)
        made = postgresql.insert(_removal).from_select(["path", "resource_id", "due"], gone)
        connection.execute(made.on_conflict_do_nothing())
        there = sa.exists().where(resource.c.id == _archival.c.resource_id)
        purged = sa.select(_archival.c.id).where(sa.not_(there)).with_for_update(skip_locked=True, of=_archival)
        connection.execute(sa.delete(_archival).where(_archival.c.id.in_(purged.scalar_subquery())))


def is_copy() -> Any:
    """Return the condition that an archival names a file in the archive: an upload that CKAN has is none."""
    return _archival.c.cache_filepath.startswith(_folder(), autoescape=True)


def _is_needed() -> Any:
    """Return the condition that a copy is to be there that an archival names."""
    has_copies = sa.true() if config.private_copies() else sa.not_(sa.func.coalesce(package.c.private, sa.false()))
    of_dataset = resource.join(package, package.c.id == resource.c.package_id)
    needing = sa.select(resource.c.id).select_from(of_dataset).where(is_there, has_copies)
    return needing.where(resource.c.id == _archival.c.resource_id).exists()


def put_paths(paths: Iterable[tuple[str, str]], connection: Any) -> None:
    """Have files removed after the grace.

    :param paths: resource id and path of each; what is not in the archive is passed over
    """
    due = statement_time + config.removal_grace()
    rows = [
        {"path": path, "resource_id": resource_id, "due": due}
        for resource_id, path in sorted(paths)
        if path.startswith(_folder())
    ]
    if rows:
        connection.execute(postgresql.insert(_removal).values(rows).on_conflict_do_nothing())


def _folder() -> str:
    """Return how the paths of copies begin: that of an upload, which is the original and stays, does not."""
    return f"{config.archive_dir()}/"


@contextlib.contextmanager
def due(limit: int) -> Iterator[list[str]]:
    """Yield the paths of copies that are to be removed now. After the block they are forgotten, and the archivals that
    named them name no copy any more; after an exception nothing is.

    A copy that a resource needs is forgotten at once: one that is there, and not private where private ones have none.
    Somebody who makes such a copy at the same time waits until the block ends.
    """
    with lease.transaction() as connection:
        query = sa.select(_removal).where(_removal.c.due <= statement_time).order_by(_removal.c.due, _removal.c.path)
        rows = list(connection.execute(query.limit(limit).with_for_update(skip_locked=True)))
        needed = _needed(rows, connection)
        yield [row.path for row in rows if row.path not in needed]
        for row in rows:
            if row.path not in needed:
                named = sa.and_(_archival.c.resource_id == row.resource_id, _archival.c.cache_filepath == row.path)
                connection.execute(sa.update(_archival).where(named).values(dict.fromkeys(OF_A_COPY)))
        connection.execute(sa.delete(_removal).where(_removal.c.path.in_([row.path for row in rows])))


def _needed(rows: list[Any], connection: Any) -> set[str]:
    named = _archival.c.resource_id.in_([row.resource_id for row in rows])
    query = sa.select(_archival.c.cache_filepath, _is_needed().label("needed")).where(named)
    query = query.order_by(_archival.c.resource_id).with_for_update(of=_archival)
    return {row.cache_filepath for row in connection.execute(query) if row.needed}
