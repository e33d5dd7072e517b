"""How long files stay: a copy goes, after a grace, when its resource, its URL or its dataset goes or turns private.

Originals that people uploaded are never touched: they are not in the archive. Nor are files that no archival ever
named: another portal may use the same folder. ``ckan archiver doctor`` finds them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease, search

from .model import Archival, removals
from .storage import Store, StoreError

log = logging.getLogger(__name__)

_BATCH = 200
#: A file that changed so lately may be of a check that is not recorded yet.
_FRESH_SECONDS = 600


def sweep(store: Store) -> int:
    """Remove what is due, and contents that workers that died left; return how many copies that were. Several may do
    this at a time.

    :raises SearchUnavailable: Solr is away; searches show datasets with copies that are gone until these are indexed
    """
    removals.put_gone()
    copies = 0
    while removed := _remove_due(store):
        copies += removed
    store.sweep_contents()
    return copies


def _remove_due(store: Store) -> int:
    """Remove the copies of one batch and return how many. Those that could not be removed are due again later."""
    with removals.due(_BATCH) as paths:
        datasets = _shown_with(paths)
        left = [path for path in paths if not _remove(store, path)]
    with lease.transaction() as connection:
        removals.put_paths([(path.split("/")[-2], path) for path in left], connection)
    if datasets:
        search.index(datasets)
    return len(paths) - len(left)


def _remove(store: Store, path: str) -> bool:
    """Remove a file and return whether it is gone, or never was ours to remove."""
    if store.relative(path) is None:
        return True
    try:
        if time.time() - os.lstat(path).st_ctime < _FRESH_SECONDS:
            return False
        store.remove(path)
    except FileNotFoundError:
        return True
    except StoreError as error:
        log.warning("%s", error)
        return False
    return True


def _shown_with(paths: Sequence[str]) -> list[str]:
    """Return the ids of the datasets that are shown with one of these copies."""
    query = (
        sa.select(model.Package.id)
        .join(model.Resource, model.Resource.package_id == model.Package.id)
        .join(Archival, Archival.resource_id == model.Resource.id)
        .where(Archival.cache_filepath.in_(paths), model.Package.state == model.State.ACTIVE)
        .distinct()
    )
    return list(model.Session.scalars(query)) if paths else []
