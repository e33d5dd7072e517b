"""What there is: archivals, copies and their sizes, files that nobody needs; and what commands do to all of it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from .model import Archival, removals
from .model.resources import is_there
from .storage import Store

_archival = Archival.__table__
_resource = model.Resource.__table__
_package = model.Package.__table__

#: Rows that one statement reads or changes.
PAGE = 1000
#: What is said of a copy whose resource this portal does not have, or not any more.
NO_RESOURCE = "Resource not found"
#: Upper bounds of the classes of ``size_classes``, in bytes.
BOUNDS = tuple(10**power for power in range(3, 12))


@dataclass(frozen=True)
class Summary:
    """How many active resources there are, how many were checked, have a copy, and when the last check was (UTC)."""

    resources: int
    archived: int
    with_cache_url: int
    latest: datetime.datetime | None


def summary() -> Summary:
    """Count what there is."""
    resources = sa.select(sa.func.count()).select_from(_of_datasets()).where(is_there)
    archivals = sa.select(sa.func.count(), sa.func.count(_archival.c.cache_url), sa.func.max(_archival.c.updated))
    archived, with_cache_url, latest = model.Session.execute(archivals).one()
    return Summary(model.Session.execute(resources).scalar() or 0, archived, with_cache_url, latest)


def _of_datasets() -> Any:
    return _resource.join(_package, _package.c.id == _resource.c.package_id)


def forget_archivals() -> int:
    """Delete all archivals and return how many."""
    count = model.Session.execute(sa.delete(_archival)).rowcount
    model.Session.commit()
    return int(count)


def forget_copies() -> Iterator[int]:
    """Forget what is known of copies, wherever there is an address of one; yields how many rows were changed, page by
    page. The files stay."""
    while ids := _page(sa.select(_archival.c.id).where(_archival.c.cache_url.isnot(None))):
        _set(ids, dict.fromkeys(removals.OF_A_COPY))
        yield len(ids)


def _page(query: Any) -> list[Any]:
    return [row[0] for row in model.Session.execute(query.limit(PAGE))]


def _set(ids: Sequence[str], values: dict[str, Any]) -> None:
    model.Session.execute(sa.update(_archival).where(_archival.c.id.in_(ids)).values(values))
    model.Session.commit()


# -- sizes


def size_classes() -> list[tuple[str, int, int]]:
    """Return for each class of sizes its name, how many copies of live resources are of it, and their bytes."""
    bound = sa.case(*((_archival.c.size < each, each) for each in BOUNDS), else_=0)
    query = sa.select(bound, sa.func.count(), sa.func.sum(_archival.c.size)).select_from(
        _archival.join(_of_datasets(), _resource.c.id == _archival.c.resource_id)
    )
    query = query.where(is_there, _archival.c.cache_url.isnot(None), _archival.c.size.isnot(None)).group_by(bound)
    found = {bound: (count, int(size)) for bound, count, size in model.Session.execute(query)}
    named = [*((each, f"<{_size(each)}") for each in BOUNDS), (0, f">{_size(BOUNDS[-1])}")]
    return [(name, *found.get(each, (0, 0))) for each, name in named]


def _size(count: int) -> str:
    power = (len(str(count)) - 1) // 3
    return f"{count // 1000**power} {('B', 'KB', 'MB', 'GB')[power]}"


@dataclass(frozen=True)
class Large:
    """A copy that is as large as the limit, or larger."""

    archival_id: str
    path: str
    size: int


def larger_than(limit: int, store: Store) -> list[Large]:
    """Return the copies in the archive that have so many bytes or more. An upload is none: its file is the original."""
    query = sa.select(_archival.c.id, _archival.c.cache_filepath, _archival.c.size)
    rows = model.Session.execute(query.where(_archival.c.size >= limit, _archival.c.cache_filepath.isnot(None)))
    return [Large(row.id, row.cache_filepath, row.size) for row in rows if store.relative(row.cache_filepath)]


def delete(copies: Sequence[Large], store: Store) -> None:
    """Delete copies, and what is known of them but their size."""
    for each in copies:
        store.remove(each.path)
    nothing = dict.fromkeys(name for name in removals.OF_A_COPY if name not in ("size", "mimetype"))
    _set([each.archival_id for each in copies], nothing)


def forget_deleted() -> int:
    """Delete the archivals of resources that are deleted or gone, and return how many."""
    live = (
        sa.select(_resource.c.id).select_from(_of_datasets()).where(is_there, _resource.c.id == _archival.c.resource_id)
    )
    count = model.Session.execute(sa.delete(_archival).where(~live.exists())).rowcount
    model.Session.commit()
    return int(count)


# -- files that nobody needs


@dataclass(frozen=True)
class Problem:
    """A file that should not be there, or is not what the table says."""

    resource_id: str
    path: str
    what: str
    orphan: bool


def problems(store: Store) -> Iterator[Problem]:
    """Yield the files in the archive that no archival names, and copies that are not there or cannot be read."""
    pages: dict[str, list[str]] = {}
    for path in store.files():
        pages.setdefault(path.split("/")[-2], []).append(path)
        if len(pages) == PAGE:
            yield from _of_files(pages)
            pages = {}
    yield from _of_files(pages)
    yield from _misplaced(store)
    yield from _of_rows()


def _of_files(paths: dict[str, list[str]]) -> Iterator[Problem]:
    """Yield those of the files, by resource id, that no archival names."""
    if not paths:
        return
    query = sa.select(_resource.c.id, _resource.c.state, _archival.c.cache_filepath).select_from(
        _resource.outerjoin(_archival, _archival.c.resource_id == _resource.c.id)
    )
    rows = {row.id: row for row in model.Session.execute(query.where(_resource.c.id.in_(list(paths))))}
    for resource_id, mine in paths.items():
        row = rows.get(resource_id)
        for path in mine:
            if row is None:
                yield Problem(resource_id, path, NO_RESOURCE, True)
            elif row.cache_filepath != path:
                yield Problem(resource_id, path, f"Resource not cached: {row.state}", True)
            elif not os.access(path, os.R_OK):
                yield Problem(resource_id, path, "File not readable", False)


def _misplaced(store: Store) -> Iterator[Problem]:
    """Yield what lies where no copy can be; it is not deleted, since nobody knows whose it is."""
    for folder, names, files in os.walk(store.root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            path = os.path.join(folder, name)
            if store.relative(path) is None:
                yield Problem("", path, "Malformed path (no UUID)", False)


def _of_rows() -> Iterator[Problem]:
    """Yield the copies that archivals name and that are not there."""
    query = sa.select(_archival.c.resource_id, _archival.c.cache_filepath, _resource.c.state)
    query = query.select_from(_archival.outerjoin(_resource, _resource.c.id == _archival.c.resource_id))
    query = query.where(_archival.c.cache_filepath.isnot(None)).order_by(_archival.c.resource_id)
    last = ""
    while rows := model.Session.execute(query.where(_archival.c.resource_id > last).limit(PAGE)).all():
        for row in rows:
            if not os.path.exists(row.cache_filepath):
                state = row.state or "gone"
                yield Problem(row.resource_id, row.cache_filepath, f"File not found: {state}", False)
        last = rows[-1].resource_id


# -- the folders of the first release


def migrate_folders(store: Store) -> Iterator[tuple[str, str]]:
    """Move the copies of a resource from ``<id>/`` to ``<first 2 characters of the id>/<id>/``; yields where from and
    where to. Archivals and old addresses follow. What is there already stays as it is."""
    try:
        names = sorted(os.listdir(store.root))
    except FileNotFoundError:
        return
    for name in filter(model.is_id, names):
        old, new = os.path.join(store.root, name), os.path.join(store.root, name[:2], name)
        if not os.path.isdir(old) or os.path.islink(old):
            continue
        os.makedirs(new, mode=0o755, exist_ok=True)
        for file in os.listdir(old):
            if not os.path.lexists(os.path.join(new, file)):
                os.rename(os.path.join(old, file), os.path.join(new, file))
        if not os.listdir(old):
            os.rmdir(old)
        _follow(name, old, new)
        yield old, new


def _follow(resource_id: str, old: str, new: str) -> None:
    short, long = f"/{resource_id}/", f"/{resource_id[:2]}/{resource_id}/"
    replaced = sa.func.replace
    for table, key in ((_archival, _archival.c.resource_id), (_resource, _resource.c.id)):
        moved = table.c.cache_url.like(f"%{short}%") & table.c.cache_url.notlike(f"%{long}%")
        statement = sa.update(table).where(key == resource_id, moved)
        model.Session.execute(statement.values(cache_url=replaced(table.c.cache_url, short, long)))
    path = _archival.c.cache_filepath
    named = sa.update(_archival).where(_archival.c.resource_id == resource_id, path.like(f"{old}/%"))
    model.Session.execute(named.values(cache_filepath=replaced(path, f"{old}/", f"{new}/")))
    model.Session.commit()
