"""What is wrong with a portal's harvesting, and how it is mended.

``ckan harvester doctor`` shows what is found here. Nothing is written unless mending is asked for; then each kind of
thing is mended in small batches, while workers may run.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from ckan import model
from kombu.exceptions import OperationalError

from ckanext.relay import config as relay_config
from ckanext.relay import lease, search
from ckanext.relay.celery_app import BULK, PRIORITY, app, queue
from ckanext.relay.errors import redact

from . import drift, progress, registry, runner, sources
from .model import checks, health, lease_table

log = logging.getLogger(__name__)

#: How many ids a finding names.
SAMPLE = 5
#: Seconds after which a sweep is missed; `ckan harvester run` in a crontab often runs each quarter of an hour.
SWEEP_MISSED = 20 * 60
#: Seconds that workers have to answer.
PING_SECONDS = 3.0
_KIND = "harvest"

NEEDS_MENDING = {
    drift.MISSING: ("harvested datasets are not in the search index", "they are indexed"),
    drift.STALE: ("datasets are in the search index with another harvest object, or none", "they are indexed anew"),
    drift.GONE: ("entries of the search index are of datasets that are gone", "they are removed"),
    drift.SOURCES: ("sources are not in the search index", "they are indexed"),
}


@dataclass
class Finding:
    """One kind of thing that is wrong.

    :param code: its name, which does not change
    :param what: what is wrong
    :param count: how many
    :param samples: ids of up to five
    :param remedy: what mending does, or what a person must do
    :param mendable: whether mending does it
    :param left: how many are left after mending
    """

    code: str
    what: str
    remedy: str
    count: int = 1
    samples: list[str] = field(default_factory=list)
    mendable: bool = False
    left: int = 1


def examine(fix: bool = False) -> Iterator[Finding]:
    """Yield what is wrong, and mend it if asked to.

    What cannot be looked at, because something that is needed for it is not there, is left out: that is the finding.
    """
    yield from _broker()
    if finding := _migrations():
        yield finding
        return
    yield from _sweep()
    for check in (*health.CHECKS, *_own_checks()):
        if finding := _rows(check, fix):
            yield finding
    try:
        search.require()
        yield from _index(fix)
    except search.SearchUnavailable as error:
        yield Finding("solr-away", f"Solr cannot be reached: {error}", "start it, or correct solr_url")


# -- what runs


def _broker() -> Iterator[Finding]:
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PING_SECONDS)
        served = app.control.inspect(timeout=PING_SECONDS).active_queues() or {}
    except (OperationalError, OSError) as error:
        remedy = "start it, or correct ckanext.relay.broker_url or ckan.redis.url; nothing is lost meanwhile"
        yield Finding("broker-away", redact(f"the message broker cannot be reached: {error}"), remedy)
        return
    names = {each["name"] for queues in served.values() for each in queues or ()}
    lacking = [lane for lane in (PRIORITY, BULK) if queue(_KIND, lane) not in names]
    if lacking:
        what = f"no worker serves the queue {' and '.join(queue(_KIND, lane) for lane in lacking)}"
        yield Finding("no-worker", what, "start one: ckan relay worker", samples=sorted(served)[:SAMPLE])


def _sweep() -> Iterator[Finding]:
    age = lease.noted(lease_table, runner.SWEEP)
    if age is not None and age < max(SWEEP_MISSED, 10 * relay_config.sweep_seconds()):
        return
    last = "never" if age is None else f"{age / 60:.0f} minutes ago"
    what = f"nothing looks for due sources and for work that was lost (last: {last})"
    yield Finding("no-beat", what, "start beat (ckan relay beat), or let cron call ckan harvester run")


def _migrations() -> Finding | None:
    folder = os.path.join(os.path.dirname(__file__), "migration", "harvest")
    head = ScriptDirectory(folder).get_current_head()
    assert model.meta.engine is not None
    versions = "harvest_alembic_version"
    current = None
    if sa.inspect(model.meta.engine).has_table(versions):
        rows = lease.claim(sa.select(sa.column("version_num")).select_from(sa.table(versions)))
        current = rows[0][0] if rows else None
    if current == head:
        return None
    what = f"the tables are at revision {current or 'none'}, this version needs {head}; nothing else was looked at"
    return Finding("migrations-pending", what, "run ckan db pending-migrations --apply")


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
