"""What is wrong with a portal's harvesting, and how it is mended.

``ckan harvester doctor`` shows what is found here. Nothing is written unless mending is asked for; then each kind of
thing is mended in small batches, while workers may run.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.relay import diagnosis, search
from ckanext.relay.diagnosis import SAMPLE, Finding

from . import drift, progress, registry, runner, sources
from .model import checks, health, lease_table

log = logging.getLogger(__name__)

_MIGRATIONS = os.path.join(os.path.dirname(__file__), "migration", "harvest")

NEEDS_MENDING = {
    drift.MISSING: ("harvested datasets are not in the search index", "they are indexed"),
    drift.STALE: ("datasets are in the search index with another harvest object, or none", "they are indexed anew"),
    drift.GONE: ("entries of the search index are of datasets that are gone", "they are removed"),
    drift.SOURCES: ("sources are not in the search index", "they are indexed"),
}


def examine(fix: bool = False) -> Iterator[Finding]:
    """Yield what is wrong, and mend it if asked to.

    What cannot be looked at, because something that is needed for it is not there, is left out: that is the finding.
    """
    yield from diagnosis.broker("harvest")
    if finding := diagnosis.tables("harvest", _MIGRATIONS):
        yield finding
        return
    remedy = "start beat (ckan relay beat), or let cron call ckan harvester run"
    yield from diagnosis.sweep(lease_table, runner.SWEEP, "due sources", remedy)
    for check in (*health.CHECKS, *_own_checks()):
        if finding := _rows(check, fix):
            yield finding
    try:
        search.require()
        yield from _index(fix)
    except search.SearchUnavailable as error:
        yield Finding("solr-away", f"Solr cannot be reached: {error}", "start it, or correct solr_url")


# -- rows


def _own_checks() -> Iterator[checks.Check]:
    """Yield the checks that need the plugins."""
    types = registry.types()
    yield checks.Check(
        "datasets-without-row",
        "datasets of type harvest have no row, so they are never harvested",
        "they get one",
        health.datasets_without_row,
        _create_rows,
    )
    yield checks.Check(
        "type-missing",
        "active sources have a type that no enabled plugin provides",
        f"enable its plugin in ckan.plugins, or deactivate them; there are {', '.join(types)}",
        lambda: health.of_other_types(types),
    )


def _create_rows(ids: Any) -> None:
    for package_id in ids:
        shown = tk.get_action("package_show")({"ignore_auth": True, "user": "", "use_cache": False}, {"id": package_id})
        sources.create_row(shown)
        model.Session.commit()


def _rows(check: checks.Check, fix: bool) -> Finding | None:
    count = check.count()
    if not count:
        return None
    finding = Finding(check.code, check.what, check.remedy, count, check.sample(SAMPLE), bool(check.mend), left=count)
    if fix and check.mend:
        done = 0
        for mended in check.mend_all():
            log.info("Doctor: %s, %s mended", check.code, mended)
            progress.report(done := done + mended, max(done, count))  # workers may have made more meanwhile
        finding.left = check.count()
    return finding


# -- the search index


def _index(fix: bool) -> Iterator[Finding]:
    counts, samples = _drifts(drift.mend if fix else lambda found: None)
    # what was mended is looked at once more, all of it: Solr may have refused a document
    left = _drifts(lambda found: None)[0] if fix and counts else counts
    for code, count in counts.items():
        what, remedy = NEEDS_MENDING[code]
        yield Finding(code, what, remedy, count, samples[code], True, left[code])


def _drifts(mend: Callable[[Any], None]) -> tuple[Counter[str], dict[str, list[str]]]:
    counts: Counter[str] = Counter()
    samples: dict[str, list[str]] = defaultdict(list)
    for found in drift.find():
        for code, package_id in found:
            counts[code] += 1
            if counts[code] <= SAMPLE:
                samples[code].append(package_id)
        if found:
            mend(found)
    return counts, samples
