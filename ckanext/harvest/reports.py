"""The report on how harvesting goes: each source with its newest job."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.relay import clock
from ckanext.relay.errors import redact
from ckanext.relay.translation import N_
from ckanext.report.interfaces import IReport
from ckanext.report.lib import Plot
from ckanext.report.visibility import Viewer, visible_rows

from . import source_status
from .domain import source_state
from .model import dashboard, stats

__all__ = ["IReport", "harvest_status", "harvest_status_report_info"]

#: What needs somebody to look at it stands first.
_ORDER = (
    *(source_state.LATE, source_state.ERRORS, source_state.RUNNING),
    *(source_state.NEVER_RUN, source_state.OK, source_state.INACTIVE),
)


def harvest_status() -> dict[str, Any]:
    """Return a row for each source that was not deleted, with what its newest job came to, and how many are how."""
    sources = dashboard.sources(None)
    jobs = dashboard.last_jobs([source.id for source in sources])
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
    words = source_status.names()
    rows = [[words[state], counts[state]] for state in _ORDER if counts[state]]
    return Plot(tk._("Sources by state"), (tk._("State"), tk._("Sources")), rows)


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
