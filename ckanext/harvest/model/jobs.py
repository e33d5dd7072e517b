"""Making jobs."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state, schedule

from .record import now
from .tables import HarvestError, HarvestJob, HarvestSource

_OPEN = sorted(job_state.lifecycle.open)


class NoSource(HarvestError):
    """There is no such source."""


class SourceInactive(HarvestError):
    """The source is inactive: it was deleted or deactivated."""


class JobOpen(HarvestError):
    """The source has a job that has not ended."""


def create(source_id: str, run: bool) -> HarvestJob:
    """Make a job for a source, in the session's transaction.

    The row of the source is locked until that ends, so that of two who ask at the same time one gets the job.

    :param run: hand it to the workers at once
    :raises NoSource, SourceInactive, JobOpen: no job can be made
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
    job = HarvestJob(source=source, status=job_state.RUNNING if run else job_state.NEW)
    session.add(job)
    session.flush()
    return job


def due_sources(at: datetime.datetime) -> list[HarvestSource]:
    """Return the active sources that are due and have no open job."""
    open_job = sa.exists().where(HarvestJob.source_id == HarvestSource.id, HarvestJob.status.in_(_OPEN))
    query = model.Session.query(HarvestSource).filter(
        HarvestSource.active,
        HarvestSource.frequency != "MANUAL",
        sa.or_(HarvestSource.next_run.is_(None), HarvestSource.next_run <= at),
        sa.not_(open_job),
    )
    return query.order_by(HarvestSource.next_run).all()


def start_due(source: HarvestSource) -> HarvestJob:
    """Start a source that is due and set when it is due again. Commits.

    :raises SourceInactive, JobOpen: somebody was faster
    """
    job = create(source.id, run=True)
    source.next_run = schedule.next_run(source.frequency, source.next_run, now())
    model.Session.commit()
    return job
