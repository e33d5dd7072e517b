"""How jobs and objects change their state: the only place that assigns one.

States are set on the ORM instance in the shared session, because harvesters and their tests hold that instance and read
from it what became of it.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state, object_state, outcome
from ckanext.relay.clock import now

from . import tally
from .tables import HarvestGatherError, HarvestJob, HarvestObject

_job = HarvestJob.__table__
_object = HarvestObject.__table__
_open_objects = _object.c.state.in_(sorted(object_state.lifecycle.open))
#: What an object gets that is not done any more.
GIVEN_UP = {"state": object_state.ERROR, "report_status": object_state.ERRORED, "claimed_by": None}


def attached(row: Any) -> Any:
    """Return the instance of a row that is in the session, for a harvester may have removed that.

    What was set on a detached instance and not saved is carried over; the rest may be older than the database.
    """
    if row in model.Session:
        return row
    state = sa.inspect(row)
    own = model.Session.get(type(row), state.identity[0])
    for column in type(row).__table__.c:
        if state.attrs[column.key].history.has_changes():
            setattr(own, column.key, getattr(row, column.key))
    return own


# -- jobs


def run(job: HarvestJob) -> None:
    """Hand a new job to the workers, and commit. A job that runs already stays as it is."""
    if job.status != job_state.RUNNING:
        _move_job(job, job_state.RUNNING)
    model.Session.commit()


def gather_begins(job: HarvestJob) -> None:
    """Record that a worker began to gather a job, and commit."""
    job.gather_started = now()
    model.Session.commit()


def gather_ends(job: HarvestJob) -> None:
    """Record that nothing more will be gathered for a job, and commit. If it was aborted meanwhile, what was gathered
    since then is given up."""
    job.gather_finished = now()
    job.claimed_by = None
    if _status(job.id) in job_state.lifecycle.final:
        _give_up_objects(job)
    model.Session.commit()


def discard_objects(job: HarvestJob) -> None:
    """Delete all objects of a job whose gather stage failed or is begun anew, and commit."""
    model.Session.execute(sa.delete(_object).where(_object.c.harvest_job_id == job.id))
    model.Session.commit()
    model.Session.expire_all()


def finish(job_id: str, error: str | None = None, finished: datetime.datetime | None = None) -> HarvestJob | None:
    """End a job with its final counts, and commit; None if it has ended already.

    :param error: kept as a gather error of the job
    :param finished: when it ended (naive UTC); by default when its last object was imported, or when gathering ended
    """
    job = model.Session.get(HarvestJob, job_id, populate_existing=True, with_for_update=True)
    if job is None or job.status in job_state.lifecycle.final:
        model.Session.rollback()
        return None
    if error:
        model.Session.add(HarvestGatherError(message=error, harvest_job_id=job.id))
        model.Session.flush()
    _move_job(job, job_state.FINISHED)
    job.finished = finished or max(filter(None, (_last_import(job), job.gather_finished)), default=now())
    job.claimed_by = None
    tally.keep(job)
    model.Session.commit()
    return job


def abort(job: HarvestJob, error: str | None = None) -> HarvestJob:
    """End a job now; its objects that are not done become errors. Commits.

    :param error: kept as a gather error of the job
    """
    _give_up_objects(job)
    model.Session.commit()
    finish(job.id, error, finished=now())
    return job


def gathered_whole() -> sa.sql.ColumnElement[bool]:
    """Return the condition on jobs that they have ended after all of the source was gathered, without an error of that
    stage: those that were aborted meanwhile, or whose gather stage raised in the foreground, have no error either."""
    return sa.and_(
        _job.c.status == job_state.FINISHED,
        _job.c.gather_finished.isnot(None),
        # a worker that notices the abort late says when it stopped
        sa.or_(_job.c.finished.is_(None), _job.c.gather_finished <= _job.c.finished),
        sa.not_(sa.exists().where(HarvestGatherError.harvest_job_id == _job.c.id)),
    )


def is_running(job_id: str) -> bool:
    """Tell whether a job was not ended meanwhile by somebody else."""
    return _status(job_id) == job_state.RUNNING


def is_gone(job_id: str) -> bool:
    """Tell whether a job was removed meanwhile, because its source was cleared."""
    return _status(job_id) is None


def _status(job_id: str) -> str | None:
    # asked of the database: the instance in the session may be older
    return model.Session.execute(sa.select(HarvestJob.status).where(HarvestJob.id == job_id)).scalar()


def _give_up_objects(job: HarvestJob) -> None:
    query = model.Session.query(HarvestObject).filter(HarvestObject.harvest_job_id == job.id, _open_objects)
    query.update(GIVEN_UP, synchronize_session="fetch")


def abort_new(source_id: str) -> None:
    """End the jobs of a source that were not begun, because the source is gone. Does not commit."""
    for job in HarvestJob.filter(source_id=source_id, status=job_state.NEW):
        _move_job(job, job_state.ABORTED)
        job.finished = now()
        tally.keep(job)


def _move_job(job: HarvestJob, status: str) -> None:
    job_state.lifecycle.check(job.status, status)
    job.status = status


def _last_import(job: HarvestJob) -> Any:
    query = sa.select(sa.func.max(_object.c.import_finished)).where(_object.c.harvest_job_id == job.id)
    return model.Session.execute(query).scalar()


# -- objects; nothing here commits: the caller ends the stage


def fetch_begins(obj: HarvestObject) -> None:
    """Record that the fetch stage of an object begins."""
    _move_object(obj, object_state.FETCH)
    obj.fetch_started = now()


def import_begins(obj: HarvestObject) -> None:
    """Record that an object was fetched and its import stage begins."""
    obj.fetch_finished = now()
    _move_object(obj, object_state.IMPORT)
    obj.import_started = now()


def object_ends(obj: HarvestObject, step: outcome.Step) -> None:
    """Record what became of an object."""
    if obj.state == object_state.IMPORT or step is outcome.Step.COMPLETE:
        obj.import_finished = now()
    else:
        obj.fetch_finished = now()
    has_older = False
    if obj.package_id and step is outcome.Step.COMPLETE:
        query = sa.select(_object.c.id).where(_object.c.package_id == obj.package_id, _object.c.id != obj.id).limit(1)
        has_older = model.Session.execute(query).first() is not None
    if obj.state in object_state.lifecycle.final:
        obj.state = outcome.final_state(step)  # the harvester ended it itself; what its stage answered counts
    else:
        _move_object(obj, outcome.final_state(step))
    obj.report_status = outcome.report_status(step, obj.current, has_older)


def end_with_job(object_id: str) -> None:
    """Give up an object whose job was ended while it was at work, and whose harvester saved it as it was before that.
    Commits."""
    final = sorted(job_state.lifecycle.final)
    over = sa.exists().where(_job.c.id == _object.c.harvest_job_id, _job.c.status.in_(final))
    model.Session.execute(sa.update(_object).where(_object.c.id == object_id, _open_objects, over).values(GIVEN_UP))
    model.Session.commit()


def _move_object(obj: HarvestObject, state: str) -> None:
    object_state.lifecycle.check(obj.state, state)
    obj.state = state
