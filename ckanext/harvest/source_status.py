"""How sources are doing, for their pages: a few queries, however many sources there are."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import clock, lease

from .domain import job_state, source_state
from .model import HarvestSource, dashboard, jobs, lease_table, stats

_source = HarvestSource.__table__


@dataclass(frozen=True)
class SourceStatus:
    """How a source is doing.

    :param state: one of ``domain.source_state``
    :param next_run: when it is due (naive UTC); None if only a person starts it, or if it is inactive
    :param is_due: whether it waits for a worker to begin
    :param job_id: of its newest job, None if it has none
    :param job_status: of that job
    :param begun: when that job began, or was asked for (naive UTC)
    :param counts: what that job came to, by ``added``, ``errored`` …; nothing while it runs
    """

    state: str
    next_run: datetime.datetime | None = None
    is_due: bool = False
    job_id: str | None = None
    job_status: str | None = None
    begun: datetime.datetime | None = None
    counts: dict[str, int] | None = None


def of_sources(source_ids: Sequence[str], with_counts: bool = True) -> dict[str, SourceStatus]:
    """Return how each source is doing; an id that is of no source is left out.

    :param with_counts: False if only the times matter: no errors are looked for
    """
    if not source_ids:
        return {}
    columns = [_source.c[name] for name in ("id", "active", "frequency", "next_run")]
    found = list(model.Session.execute(sa.select(*columns).where(_source.c.id.in_(source_ids))))
    newest = dashboard.last_jobs(source_ids)
    ended = [job.id for job in newest.values() if job.status in job_state.lifecycle.final]
    counts = stats.job_stats(ended) if ended and with_counts else {}
    now = clock.now()
    return {source.id: _status(source, newest.get(source.id), counts, now) for source in found}


def of_source(source_id: str) -> SourceStatus | None:
    """Return how a source is doing, None if there is none."""
    return of_sources([source_id]).get(source_id)


def names() -> dict[str, str]:
    """Return what each state is called in the language of the reader."""
    return {
        source_state.LATE: tk._("Late"),
        source_state.ERRORS: tk._("Errors"),
        source_state.RUNNING: tk._("Running"),
        source_state.NEVER_RUN: tk._("Never run"),
        source_state.OK: tk._("OK"),
        source_state.INACTIVE: tk._("Inactive"),
    }


def is_being_cleared(source_id: str) -> bool:
    """Tell whether somebody removes what a source has brought just now; no job can be started meanwhile."""
    return lease.alive(lease_table, jobs.clear_task(source_id)) > 0


def _status(source: Any, job: Any, counts: dict[str, dict[str, int]], now: datetime.datetime) -> SourceStatus:
    came_to = counts.get(job.id) if job else None
    job_status = job.status if job else None
    state = source_state.of(source.active, source.next_run, job_status, (came_to or {}).get("errored", 0), now)
    scheduled = source.active and (source.frequency or "MANUAL") != "MANUAL"
    return SourceStatus(
        state=state,
        next_run=source.next_run if scheduled else None,
        is_due=bool(scheduled and state != source_state.RUNNING and (source.next_run or now) <= now),
        job_id=job.id if job else None,
        job_status=job_status,
        begun=(job.gather_started or job.created) if job else None,
        counts=came_to,
    )
