"""Where CKAN 2.11 keeps, saves and indexes datasets in another way than CKAN 2.12.

CKAN 2.12 indexes a dataset in the action that saves it, and leaves that to the caller if he commits himself. CKAN 2.11
indexes while the session commits, whoever does, and commits by itself in the middle of ``package_create`` when it makes
the views of new resources.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import logic, model
from ckan.lib import search

from .stand_ins import current, replaced

#: Whether this portal runs CKAN 2.11.
RUNS = not hasattr(logic, "index_update_package")

#: ids of the datasets that are indexed with their batch
_with_batch: set[str] = set()


def extra(key: str) -> Any:
    """Return the SQL expression for an extra of the dataset in ``package``, NULL if it has none. CKAN 2.11 has a table
    for them."""
    package = model.Package.__table__
    if not RUNS:
        return package.c.extras[key].astext
    extras = model.PackageExtra.__table__
    active = sa.and_(extras.c.package_id == package.c.id, extras.c.key == key, extras.c.state == model.State.ACTIVE)
    return sa.select(sa.func.min(extras.c.value)).where(active).correlate(package).scalar_subquery()


def index_update_package(context: Any, package_id: str, defer_commit: bool = False) -> None:
    """Send the document of a dataset to Solr, as ``ckan.logic.index_update_package`` does, which CKAN 2.12 has."""
    if not RUNS:
        logic.index_update_package(context, package_id, defer_commit)
        return
    uncached = {"ignore_auth": True, "validate": False, "use_cache": False}
    shown = tk.get_action("package_show")(uncached, {"id": package_id})
    search.index_for("Package").update_dict(shown, defer_commit)


@contextlib.contextmanager
def saved_by_caller(package_id: str) -> Iterator[None]:
    """Let the block save a dataset without committing; it is not indexed until :func:`indexed_by_caller` ends."""
    _with_batch.add(package_id)
    with replaced(model.repo, "commit", model.Session.flush):
        yield


@contextlib.contextmanager
def indexed_by_caller() -> Iterator[None]:
    """Let commits in the block index all datasets but those of :func:`saved_by_caller`. On CKAN 2.12 no commit does."""
    if not RUNS:
        yield
        return
    plugin = search.SynchronousSearchPlugin
    notify = current(plugin, "notify")

    def notify_others(self: Any, entity: Any, operation: str) -> None:
        if entity.id not in _with_batch:
            notify(self, entity, operation)

    try:
        with replaced(plugin, "notify", notify_others):
            yield
    finally:
        _with_batch.clear()
