"""What may be wrong with the rows, and how it is mended: one check for each kind of thing.

A check is a query for the rows that are wrong, so it can be counted, sampled and mended in batches. What mends asks the
query once more for each batch: workers may run meanwhile, and what they have mended or begun is left alone.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.orm import aliased

from ckanext.harvest.domain import job_state, object_state
from ckanext.relay import lease

from . import record, stats
from .checks import Check, among, delete, update
from .tables import UPDATE_FREQUENCIES, HarvestJob, HarvestObject, HarvestSource, lease_table

_source = HarvestSource.__table__
_job = HarvestJob.__table__
_object = HarvestObject.__table__
_package = model.Package.__table__

#: How long nothing happens to work that somebody is at, or that waits for its turn while other sources have theirs.
QUIET = datetime.timedelta(hours=1)

_open = _object.c.state.in_(sorted(object_state.lifecycle.open))
_running = _job.c.status == job_state.RUNNING
_job_over = _job.c.status.in_(sorted(job_state.lifecycle.final))
_of_job = _object.c.harvest_job_id == _job.c.id


def _long_ago(*times: sa.Column[Any]) -> sa.sql.ColumnElement[bool]:
    return sa.func.coalesce(*times, datetime.datetime.min) < lease.now - QUIET


# -- jobs


def _several_open() -> sa.Select:
    newer = _job.alias("newer")
    is_newer = sa.tuple_(newer.c.created, newer.c.id) > sa.tuple_(_job.c.created, _job.c.id)
    is_open = [table.c.status.in_(sorted(job_state.lifecycle.open)) for table in (_job, newer)]
    return sa.select(_job.c.id).where(
        is_open[0], sa.exists().where(newer.c.source_id == _job.c.source_id, is_open[1], is_newer)
    )


def _end_jobs(ids: Sequence[str]) -> None:
    for job_id in ids:
        job = HarvestJob.get(job_id)
        if job is not None and job.status in job_state.lifecycle.open:
            record.abort(job, "Ended by the doctor: a newer job of the source is open")
    model.Session.remove()


def _gather_lost() -> sa.Select:
    # a job without a count of tries was handed to the workers of ckanext-harvest
    unseen = _job.c.attempts.is_(None)
    stopped = sa.and_(_job.c.gather_started.isnot(None), _long_ago(_job.c.gather_started))
    free = lease.is_free(lease_table, _job.c.claimed_by)
    return sa.select(_job.c.id).where(_running, _job.c.gather_finished.is_(None), free, sa.or_(unseen, stopped))


def _gather_anew(ids: Sequence[str]) -> None:
    """Hand jobs over as if they had just been made; what was gathered of them before would be there twice."""
    values = {"gather_started": None, "claimed_by": None, "attempts": 0}
    with lease.transaction() as connection:
        mended = sa.update(_job).where(_job.c.id.in_(among(_gather_lost, _job, ids)))
        again = [row.id for row in connection.execute(mended.values(values).returning(_job.c.id))]
        connection.execute(sa.delete(_object).where(_object.c.harvest_job_id.in_(again), _open))


def _not_ended() -> sa.Select:
    # by the source too, as the partial index has it
    of_source = sa.and_(_of_job, _object.c.harvest_source_id == _job.c.source_id)
    left = sa.or_(sa.exists().where(of_source, _open), sa.exists().where(of_source, _object.c.needs_index))
    newest = sa.select(sa.func.max(_object.c.import_finished)).where(_of_job).scalar_subquery()
    quiet = sa.func.greatest(_job.c.gather_finished, newest) < lease.now - QUIET
    return sa.select(_job.c.id).where(_running, _job.c.gather_finished.isnot(None), sa.not_(left), quiet)


def _finish_jobs(ids: Sequence[str]) -> None:
    for job_id in ids:
        record.finish(job_id)
    model.Session.remove()


def _undated() -> sa.Select:
    return sa.select(_job.c.id).where(_job_over, _job.c.finished.is_(None))


def _end_of_job() -> Any:
    def newest(column: sa.Column[Any]) -> Any:
        return sa.select(sa.func.max(column)).where(_of_job).correlate(_job).scalar_subquery()

    return sa.func.coalesce(
        newest(_object.c.import_finished), _job.c.gather_finished, newest(_object.c.gathered), _job.c.created
    )


def _uncounted() -> sa.Select:
    # ckanext-harvest kept no counts; what is counted here is to be as it stays
    return sa.select(_job.c.id).where(_job_over, _job.c.stats.is_(None))


def _keep_counts(ids: Sequence[str]) -> None:
    counted = stats.job_stats(ids)
    model.Session.remove()
    keep = sa.update(_job).where(_job.c.id == sa.bindparam("job_id"), _job.c.stats.is_(None))
    rows = [{"job_id": job_id, "kept": json.dumps(counts)} for job_id, counts in counted.items()]
    with lease.transaction() as connection:
        connection.execute(keep.values(stats=sa.bindparam("kept")), rows)


def _jobs_without_source() -> sa.Select:
    return sa.select(_job.c.id).where(_job.c.source_id.is_(None))


# -- objects


def _lost() -> sa.Select:
    begun = _object.c.state.in_([object_state.FETCH, object_state.IMPORT])
    # that column is ours: it is empty in what ckanext-harvest gathered
    unseen = _object.c.published.is_(None)
    quiet = _long_ago(_object.c.import_started, _object.c.fetch_finished, _object.c.fetch_started, _object.c.gathered)
    free = lease.is_free(lease_table, _object.c.claimed_by)
    query = sa.select(_object.c.id).join(_job, _of_job)
    return query.where(begun, _open, _running, _job.c.gather_finished.isnot(None), free, sa.or_(unseen, quiet))


_AS_GATHERED = {"state": object_state.WAITING, "claimed_by": None, "retry_times": 0}


def _left_open() -> sa.Select:
    return sa.select(_object.c.id).join(_job, _of_job).where(_open, _job_over)


def _without_tries() -> sa.Select:
    return sa.select(_object.c.id).where(_open, _object.c.retry_times.is_(None))


def _errors_not_reported() -> sa.Select:
    return sa.select(_object.c.id).where(
        _object.c.state == object_state.ERROR, _object.c.report_status.is_distinct_from(object_state.ERRORED)
    )


def _without_source() -> sa.Select:
    query = sa.select(_object.c.id).join(_job, _of_job)
    return query.where(_object.c.harvest_source_id.is_(None), _job.c.source_id.isnot(None))


def _source_of_job() -> Any:
    return sa.select(_job.c.source_id).where(_of_job).correlate(_object).scalar_subquery()


def _without_job() -> sa.Select:
    return sa.select(_object.c.id).where(_object.c.harvest_job_id.is_(None))


def _give_to_a_job(ids: Sequence[str]) -> None:
    newest = (
        sa.select(_job.c.id)
        .where(_job.c.source_id == _object.c.harvest_source_id, _job_over)
        .order_by(_job.c.created.desc())
        .limit(1)
        .correlate(_object)
        .scalar_subquery()
    )
    rows = (_object.c.id.in_(ids), _object.c.harvest_job_id.is_(None))
    lease.execute(sa.update(_object).where(*rows, _object.c.current).values(harvest_job_id=newest))
    lease.execute(sa.delete(_object).where(*rows))


# -- what is current


def _untouched(package_id: Any) -> sa.sql.ColumnElement[bool]:
    """Nobody is at work on a dataset."""
    at_work = aliased(HarvestObject)
    states = sorted(object_state.lifecycle.open)
    return sa.not_(sa.exists().where(at_work.package_id == package_id, at_work.state.in_(states)))


def _age(table: Any) -> sa.sql.ColumnElement[Any]:
    nothing = datetime.datetime.min
    return sa.tuple_(
        sa.func.coalesce(table.import_finished, nothing), sa.func.coalesce(table.gathered, nothing), table.id
    )


def _current_twice() -> sa.Select:
    newer = aliased(HarvestObject)
    replaced = sa.exists().where(
        newer.package_id == _object.c.package_id, newer.current, newer.id != _object.c.id, _age(newer) > _age(_object.c)
    )
    return sa.select(_object.c.id).where(_object.c.current, replaced, _untouched(_object.c.package_id))


def _current_of_nothing() -> sa.Select:
    gone = sa.exists().where(_package.c.id == _object.c.package_id, _package.c.state == "deleted")
    without = sa.or_(_object.c.package_id.is_(None), gone)
    return sa.select(_object.c.id).where(_object.c.current, without, sa.not_(_open))


def _unclaimed() -> sa.Select:
    """The newest complete object of each dataset that has none which is current, unless that one deleted it."""
    claims = aliased(HarvestObject)
    unclaimed = sa.not_(sa.exists().where(claims.package_id == _object.c.package_id, claims.current))
    newest = (
        sa.select(_object.c.id, _object.c.report_status)
        .join(_package, _package.c.id == _object.c.package_id)
        .where(_object.c.state == object_state.COMPLETE, _package.c.state == "active", unclaimed)
        .where(_untouched(_object.c.package_id))
        .distinct(_object.c.package_id)
        .order_by(_object.c.package_id, _object.c.import_finished.desc().nulls_last(), _object.c.gathered.desc())
        .subquery()
    )
    not_deleted = newest.c.report_status.is_distinct_from(object_state.DELETED)
    return sa.select(_object.c.id).where(_object.c.id.in_(sa.select(newest.c.id).where(not_deleted)))


# -- sources


def _without_dataset() -> sa.Select:
    dataset = sa.exists().where(_package.c.id == _source.c.id)
    return sa.select(_source.c.id).where(_source.c.active, sa.not_(dataset))


def _frequency_unknown() -> sa.Select:
    known = sa.and_(_source.c.frequency.isnot(None), _source.c.frequency.in_(UPDATE_FREQUENCIES))
    return sa.select(_source.c.id).where(sa.not_(known))


def _known_frequency() -> Any:
    meant = sa.func.upper(sa.func.trim(_source.c.frequency))
    return sa.case((meant.in_(UPDATE_FREQUENCIES), meant), else_="MANUAL")


def datasets_without_row() -> sa.Select:
    """Return a query for the datasets of type ``harvest`` that no worker would ever see."""
    row = sa.exists().where(_source.c.id == _package.c.id)
    return sa.select(_package.c.id).where(_package.c.type == "harvest", _package.c.state == "active", sa.not_(row))


def of_other_types(types: Sequence[str]) -> sa.Select:
    """Return a query for the active sources whose type is none of these."""
    return sa.select(_source.c.id).where(_source.c.active, _source.c.type.notin_(list(types)))


#: In the order in which they are mended: what one leaves may be another's.
CHECKS = (
    Check(
        "jobs-without-source",
        "jobs belong to no source",
        "they are deleted",
        _jobs_without_source,
        delete(_job, _jobs_without_source),
    ),
    Check(
        "objects-without-job",
        "objects belong to no job",
        "current ones are given to the newest job of their source, the others are deleted",
        _without_job,
        _give_to_a_job,
    ),
    Check(
        "objects-without-source",
        "objects do not say which source they are of",
        "they get the source of their job",
        _without_source,
        update(_object, _without_source, {"harvest_source_id": _source_of_job()}),
    ),
    Check(
        "several-open-jobs",
        "jobs are open although their source has a newer one that is open",
        "they are ended, and what they had not done becomes errors",
        _several_open,
        _end_jobs,
    ),
    Check(
        "gather-lost",
        "jobs run, nobody gathers them, and no message to do so is left",
        "they are handed to the workers to be gathered anew",
        _gather_lost,
        _gather_anew,
    ),
    Check(
        "objects-lost",
        "objects were begun and nobody is at them",
        "they are handed to the workers once more",
        _lost,
        update(_object, _lost, _AS_GATHERED),
    ),
    Check(
        "objects-left-open",
        "objects are open although their job has ended",
        "they become errors",
        _left_open,
        update(_object, _left_open, record.GIVEN_UP),
    ),
    Check(
        "jobs-not-ended",
        "jobs run although nothing is left to do",
        "they are ended, with their counts",
        _not_ended,
        _finish_jobs,
    ),
    Check(
        "retry-times-missing",
        "open objects have no count of their tries",
        "they get one",
        _without_tries,
        update(_object, _without_tries, {"retry_times": 0}),
    ),
    Check(
        "errors-not-reported",
        "objects failed, and their report status says something else",
        "it says errored",
        _errors_not_reported,
        update(_object, _errors_not_reported, {"report_status": object_state.ERRORED}),
    ),
    Check(
        "jobs-undated",
        "jobs have ended and do not say when",
        "they get the time of the last thing that was done",
        _undated,
        update(_job, _undated, {"finished": _end_of_job()}),
    ),
    Check(
        "jobs-uncounted",
        "jobs have ended and keep no counts, so their objects are counted at each look",
        "they are counted once and for all",
        _uncounted,
        _keep_counts,
    ),
    Check(
        "current-twice",
        "objects are current although a newer one of their dataset is",
        "the newest one stays current",
        _current_twice,
        update(_object, _current_twice, {"current": False}),
    ),
    Check(
        "current-of-nothing",
        "objects are current although their dataset is deleted or gone",
        "they are not current any more",
        _current_of_nothing,
        update(_object, _current_of_nothing, {"current": False}),
    ),
    Check(
        "datasets-unclaimed",
        "objects brought a dataset that is still here, and none of its objects is current",
        "the newest one becomes current",
        _unclaimed,
        update(_object, _unclaimed, {"current": True}),
    ),
    Check(
        "sources-without-dataset",
        "active sources have no dataset, so nobody can see or edit them",
        "they are deactivated",
        _without_dataset,
        update(_source, _without_dataset, {"active": False, "next_run": None}),
    ),
    Check(
        "frequency-unknown",
        "sources have a frequency that there is not, so they are never due",
        "they get the one that is meant, or MANUAL",
        _frequency_unknown,
        update(_source, _frequency_unknown, {"frequency": _known_frequency()}),
    ),
)
