"""Making jobs."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state, schedule
from ckanext.relay import lease
from ckanext.relay.clock import now

from .tables import UPDATE_FREQUENCIES, HarvestError, HarvestJob, HarvestSource, lease_table

_OPEN = sorted(job_state.lifecycle.open)
_PERIODIC = [frequency for frequency in UPDATE_FREQUENCIES if frequency != "MANUAL"]


class NoSource(HarvestError):
    """There is no such source."""


class SourceInactive(HarvestError):
    """The source is inactive: it was deleted or deactivated."""


class JobOpen(HarvestError):
    """The source has a job that has not ended."""


class BeingCleared(JobOpen):
    """What the source has brought is being removed just now."""


def clear_task(source_id: str) -> str:
    """Return what the lease of who clears a source says."""
    return f"clear {source_id}"


def create(source_id: str, run: bool, lane: str | None = None) -> HarvestJob:
    """Make a job for a source, in the session's transaction.

    The row of the source is locked until that ends, so that of two who ask at the same time one gets the job.

    :param run: hand it to the workers at once
    :param lane: the queue of its messages, by default the one of what nobody waits for
    :raises NoSource, SourceInactive, JobOpen, BeingCleared: no job can be made
    """
    session = model.Session
    source = session.get(HarvestSource, source_id, populate_existing=True, with_for_update=True)
    if source is None:
        session.rollback()
        raise NoSource(source_id)
    if not source.active:
        session.rollback()
        raise SourceInactive(source_id)
    if HarvestJob.filter(source_id=source_id).filter(HarvestJob.status.in_(_OPEN)).first() is not None:
        session.rollback()
        raise JobOpen(source_id)
    if lease.alive(lease_table, clear_task(source_id)):
        session.rollback()
        raise BeingCleared(source_id)
    job = HarvestJob(source=source, status=job_state.RUNNING if run else job_state.NEW, lane=lane)
    session.add(job)
    session.flush()
    return job


def due_sources(at: datetime.datetime) -> list[str]:
    """Return the ids of the active sources that are due and have no open job, the longest due first.

    One whose frequency is none of ours is left alone.
    """
    open_job = sa.exists().where(HarvestJob.source_id == HarvestSource.id, HarvestJob.status.in_(_OPEN))
    query = sa.select(HarvestSource.id).where(
        HarvestSource.active,
        HarvestSource.frequency.in_(_PERIODIC),
        sa.or_(HarvestSource.next_run.is_(None), HarvestSource.next_run <= at),
        sa.not_(open_job),
    )
    return [row.id for row in model.Session.execute(query.order_by(HarvestSource.next_run))]


def start_due(source_id: str) -> None:
    """Start a source and set when it is due again. Commits.

    :raises NoSource, SourceInactive, JobOpen: somebody was faster
    """
    source = create(source_id, run=True).source
    source.next_run = schedule.next_run(source.frequency, source.next_run, now())
    model.Session.commit()
