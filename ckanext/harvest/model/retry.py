"""Taking the failed records of a job up again: a job of their own, which begins where they were gathered."""

from __future__ import annotations

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased

from ckanext.harvest.domain import object_state
from ckanext.relay.clock import now

from . import jobs, record
from .tables import HarvestJob, HarvestObject, HarvestObjectExtra

_object = HarvestObject.__table__
_extra = HarvestObjectExtra.__table__
#: What a copy keeps of its object; the rest says what became of it.
_KEPT = ("guid", "content", "content_hash", "metadata_modified_date", "package_id", "harvest_source_id")


def has_failed(job_id: str) -> bool:
    """Tell whether any record of a job failed."""
    # by both, as the index has them
    failed = sa.and_(_object.c.report_status == object_state.ERRORED, _object.c.state == object_state.ERROR)
    query = sa.select(_object.c.id).where(_object.c.harvest_job_id == job_id, failed).limit(1)
    return model.Session.execute(query).first() is not None


def create(failed: HarvestJob, lane: str) -> HarvestJob | None:
    """Make a job that runs, with a copy of each record that failed in a job that has ended, in the session's
    transaction; None if there is no such record.

    A record that a later job gathered again is left out: its copy would bring an older state back.

    :raises NoSource, SourceInactive, JobOpen: no job can be made
    """
    failed_id, gathered_whole = failed.id, _was_gathered_whole(failed)
    job = jobs.create(failed.source_id, run=True, lane=lane)
    begun = now()
    # with the time of the records, this job stands for all of that gathering; without one, for no gathering at all, so
    # that no later job asks only for what changed since
    job.gather_started = failed.gather_started if gathered_whole else None
    job.gather_finished = begun
    model.Session.flush()
    if not _copy_objects(failed_id, job.id, begun):
        model.Session.rollback()
        return None
    _copy_extras(failed_id, job.id)
    return job


def _was_gathered_whole(job: HarvestJob) -> bool:
    query = sa.select(HarvestJob.id).where(HarvestJob.id == job.id, record.gathered_whole())
    return model.Session.execute(query).first() is not None


def _copy_objects(failed_id: str, job_id: str, begun: object) -> int:
    later = aliased(HarvestObject)
    gathered_again = sa.exists().where(
        later.guid == _object.c.guid,
        later.harvest_source_id == _object.c.harvest_source_id,
        later.harvest_job_id != failed_id,
        later.gathered > _object.c.gathered,
        later.guid != "",
    )
    wanted = sa.and_(_object.c.harvest_job_id == failed_id, _object.c.state == object_state.ERROR)
    # a microsecond apart, so that they are worked on in the order of their gathering
    position = sa.func.row_number().over(order_by=(_object.c.gathered, _object.c.id))
    values = {
        "id": _copied_id(_object.c.id, job_id),
        "harvest_job_id": sa.literal(job_id),
        "state": sa.literal(object_state.WAITING),
        "current": sa.false(),
        "published": sa.false(),
        "needs_index": sa.false(),
        "retry_times": sa.literal(0),
        "gathered": sa.literal(begun) + position * sa.text("interval '1 microsecond'"),
    } | {name: _object.c[name] for name in _KEPT}
    copies = sa.select(*values.values()).where(wanted, sa.not_(gathered_again))
    return int(model.Session.execute(sa.insert(_object).from_select(list(values), copies)).rowcount)


def _copy_extras(failed_id: str, job_id: str) -> None:
    copy = aliased(HarvestObject)
    values = {
        "id": _copied_id(_extra.c.id, job_id),
        "harvest_object_id": copy.id,
        "key": _extra.c.key,
        "value": _extra.c.value,
    }
    copies = (
        sa.select(*values.values())
        .join(_object, _object.c.id == _extra.c.harvest_object_id)
        .join(copy, copy.id == _copied_id(_object.c.id, job_id))
        .where(_object.c.harvest_job_id == failed_id)
    )
    model.Session.execute(sa.insert(_extra).from_select(list(values), copies))


def _copied_id(own_id: sa.Column[str], job_id: str) -> sa.sql.ColumnElement[str]:
    """Return the id of the copy of a row in a job: made from both, so that the database can tell one from the other."""
    return sa.cast(sa.cast(sa.func.md5(own_id + job_id), postgresql.UUID), sa.UnicodeText)
