"""Importing again what was imported before: the import stage alone, by force, for a harvester that does better now."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from ckan import model

from ckanext.relay import search

from . import progress, registry, runner
from .domain import outcome
from .model import HarvestObject, HarvestObjectError, current

log = logging.getLogger(__name__)

#: Objects between two commits of the search index.
_BATCH = 50


def run(object_ids: Sequence[str]) -> int:
    """Import objects again and return how many of them did not fail. Commits.

    :raises SearchUnavailable: Solr went away
    """
    done = 0
    for first in range(0, len(object_ids), _BATCH):
        search.require()
        with search.deferred_commits():
            for object_id in object_ids[first : first + _BATCH]:
                done += _import(object_id)
        search.index([])
        progress.report(min(first + _BATCH, len(object_ids)), len(object_ids))
    return done


def _import(object_id: str) -> bool:
    obj = HarvestObject.get(object_id)
    if obj is None:
        return False  # cleared meanwhile
    harvester = registry.find(obj.source.type)
    if harvester is None:
        HarvestObjectError.create(f"No harvester could be found for source type {obj.source.type}", obj, "Import")
        return False
    obj.force_import = True
    try:
        with _forced(harvester):
            step = outcome.after_import(harvester.import_stage(obj))
        model.Session.flush()
        if obj.current:
            current.keep(object_id)
        model.Session.commit()
        return step is not outcome.Step.ERROR
    except Exception as error:  # the boundary to third-party code
        model.Session.rollback()
        log.exception("Importing object %s again failed", object_id)
        if (left := HarvestObject.get(object_id)) is not None:
            HarvestObjectError.create(runner.describe(error), left, "Import")
        return False
    finally:
        obj.force_import = False


@contextlib.contextmanager
def _forced(harvester: Any) -> Iterator[None]:
    """Set ``force_import`` on a harvester that has it, and set it back: the instance lives as long as the process."""
    if not hasattr(harvester, "force_import"):
        yield
        return
    before = harvester.force_import
    harvester.force_import = True
    try:
        yield
    finally:
        harvester.force_import = before
