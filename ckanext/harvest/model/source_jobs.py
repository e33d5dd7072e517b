"""What a list of sources says about their jobs, a query for each kind, however many sources there are."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state

from .tables import HarvestJob

_job = HarvestJob.__table__


@dataclass(frozen=True)
class SourceJobs:
    """The jobs of a source.

    :param waiting: how many were not begun
    :param last_status: the status of the newest one
    :param last_gathered: when the newest one that was gathered was (naive UTC)
    """

    count: int = 0
    waiting: int = 0
    last_status: str | None = None
    last_gathered: datetime.datetime | None = None


def of_sources(source_ids: Sequence[str]) -> dict[str, SourceJobs]:
    """Return what there is to say about the jobs of each source."""
    if not source_ids:
        return {}
    waiting = sa.func.count().filter(_job.c.status == job_state.NEW)
    counted = (
        sa.select(_job.c.source_id, sa.func.count().label("count"), waiting.label("waiting"))
        .where(_job.c.source_id.in_(source_ids))
        .group_by(_job.c.source_id)
    )
    newest = (
        sa.select(_job.c.source_id, _job.c.status, _job.c.gather_finished)
        .distinct(_job.c.source_id)
        .where(_job.c.source_id.in_(source_ids))
        .order_by(_job.c.source_id, _job.c.created.desc())
    )
    execute = model.Session.execute
    last = {row.source_id: row.status for row in execute(newest)}
    gathered = {row.source_id: row.gather_finished for row in execute(newest.where(_job.c.gather_finished.isnot(None)))}
    found = {
        row.source_id: SourceJobs(row[1], row.waiting, last.get(row.source_id), gathered.get(row.source_id))
        for row in execute(counted)
    }
    return {source_id: found.get(source_id, SourceJobs()) for source_id in source_ids}
