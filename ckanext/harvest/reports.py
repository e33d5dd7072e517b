"""The report on how harvesting goes: each source with its newest job."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import clock
from ckanext.relay.errors import redact
from ckanext.relay.translation import N_
from ckanext.report.interfaces import IReport
from ckanext.report.lib import Plot
from ckanext.report.visibility import Viewer, visible_rows

from .domain import source_state
from .model import HarvestJob, HarvestSource, stats

__all__ = ["IReport", "harvest_status", "harvest_status_report_info"]

_source = HarvestSource.__table__
_job = HarvestJob.__table__
_package = model.Package.__table__
_group = model.Group.__table__

#: What needs somebody to look at it stands first.
_ORDER = (
    *(source_state.LATE, source_state.ERRORS, source_state.RUNNING),
    *(source_state.NEVER_RUN, source_state.OK, source_state.INACTIVE),
)


def harvest_status() -> dict[str, Any]:
    """Return a row for each source that was not deleted, with what its newest job came to, and how many are how."""
    sources = _sources()
    jobs = _newest_jobs([source.id for source in sources])
    counts = stats.job_stats([job.id for job in jobs.values()])
    datasets = stats.datasets_by_source()
    now = clock.now()
    rows = []
    for source in sources:
        job = jobs.get(source.id)
        came_to = counts.get(job.id, {}) if job else {}
        errors = came_to.get("errored", 0)
        status = job.status if job else None
        rows.append(
            {
                "source_title": source.title or source.name,
                "source_name": source.name,
                "source_type": source.type,
                "source_url": redact(source.url or ""),
                "organization_title": source.group_title,
                "organization_name": source.group_name,
                "frequency": source.frequency,
                "state": source_state.of(source.active, source.next_run, status, errors, now),
                "next_run": _iso(source.next_run),
                "last_job": job.id if job else None,
                "last_status": status,
                "last_started": _iso(job.gather_started or job.created) if job else None,
                "last_finished": _iso(job.finished) if job else None,
                **{name: came_to.get(name) for name in ("added", "updated", "not modified", "deleted", "errored")},
                "datasets": datasets.get(source.id, 0),
            }
        )
    rows.sort(key=lambda row: (_ORDER.index(row["state"]), row["source_title"]))
    return _summed({"table": rows})


def _sources() -> list[Any]:
    columns = ("id", "title", "url", "type", "frequency", "next_run", "active")
    query = sa.select(
        *(_source.c[name] for name in columns),
        _package.c.name,
        _group.c.title.label("group_title"),
        _group.c.name.label("group_name"),
    )
    tables = _source.join(_package, _package.c.id == _source.c.id).outerjoin(
        _group, _group.c.id == _package.c.owner_org
    )
    rows = model.Session.execute(query.select_from(tables).where(_package.c.state == model.State.ACTIVE))
    return list(rows)


def _newest_jobs(source_ids: list[str]) -> dict[str, Any]:
    columns = ("id", "source_id", "status", "created", "gather_started", "finished")
    newest = sa.select(*(_job.c[name] for name in columns)).distinct(_job.c.source_id)
    newest = newest.where(_job.c.source_id.in_(source_ids))
    rows = model.Session.execute(newest.order_by(_job.c.source_id, _job.c.created.desc()))
    return {row.source_id: row for row in rows}


def _iso(time: datetime.datetime | None) -> str | None:
    return time.isoformat() if time else None


def _summed(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with how many of the sources are in each state."""
    states = Counter(row["state"] for row in data["table"])
    return {**data, "num_sources": len(data["table"]), "states": {state: states[state] for state in _ORDER}}


def _visible(data: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    return _summed(visible_rows(data, viewer, "source_name"))


def _plot(data: dict[str, Any], _options: dict[str, Any]) -> Plot:
    counts = Counter(row["state"] for row in data["table"])
    words = _words()
    rows = [[words[state], counts[state]] for state in _ORDER if counts[state]]
    return Plot(tk._("Sources by state"), (tk._("State"), tk._("Sources")), rows)


def _words() -> dict[str, str]:
    """Return what each state is called in the language of the reader."""
    return {
        source_state.LATE: tk._("Late"),
        source_state.ERRORS: tk._("Errors"),
        source_state.RUNNING: tk._("Running"),
        source_state.NEVER_RUN: tk._("Never run"),
        source_state.OK: tk._("OK"),
        source_state.INACTIVE: tk._("Inactive"),
    }


harvest_status_report_info: dict[str, Any] = {
    "name": "harvest-status",
    "title": N_("Harvest status"),
    "description": N_(
        "How the harvest sources are doing: which are late, whose newest job had errors, and what it brought."
    ),
    "option_defaults": None,
    "option_combinations": None,
    "generate": harvest_status,
    "template": "report/harvest_status.html",
    "visible": _visible,
    "plot": _plot,
}
