"""The counts and error summaries of jobs, a query for each kind, however many jobs are asked for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.orm import defer

from ckanext.harvest.domain import stats

from .tables import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError

_job = HarvestJob.__table__
_object = HarvestObject.__table__
_gather_error = HarvestGatherError.__table__
_object_error = HarvestObjectError.__table__
_package = model.Package.__table__

#: A dataset that is not public, spelt as an index has it. In old databases it may be NULL: such a one is public.
_is_hidden = sa.or_(_package.c.state != "active", _package.c.private)


@dataclass(frozen=True)
class Counts:
    """What was counted of a job.

    :param states: how many objects are in each state
    :param stats: the five counts that a job shows
    """

    states: dict[str, int] = field(default_factory=dict)
    stats: dict[str, int] = field(default_factory=dict)


def job_stats(job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the counts of each job. A job that has ended kept them; others are counted."""
    kept = {
        row.id: json.loads(row.stats)
        for row in model.Session.execute(sa.select(_job.c.id, _job.c.stats).where(_job.c.id.in_(job_ids)))
        if row.stats
    }
    counted = count([job_id for job_id in job_ids if job_id not in kept])
    return kept | {job_id: counts.stats for job_id, counts in counted.items()}


def count(job_ids: Sequence[str]) -> dict[str, Counts]:
    """Count the objects and errors of each job."""
    if not job_ids:
        return {}
    execute = model.Session.execute
    states: dict[str, Counter[str]] = defaultdict(Counter)
    reported: dict[str, Counter[str | None]] = defaultdict(Counter)
    by_both = (_object.c.harvest_job_id, _object.c.report_status, _object.c.state)
    grouped = sa.select(*by_both, sa.func.count()).where(_object.c.harvest_job_id.in_(job_ids)).group_by(*by_both)
    for job_id, status, state, number in execute(grouped):
        states[job_id][state] += number
        reported[job_id][status] += number
    failed = sa.func.count(sa.distinct(_object_error.c.harvest_object_id))
    with_errors = sa.select(_object_error.c.harvest_job_id, failed).where(_object_error.c.harvest_job_id.in_(job_ids))
    objects_with_errors = dict(execute(with_errors.group_by(_object_error.c.harvest_job_id)).all())
    of_gather = sa.select(_gather_error.c.harvest_job_id, sa.func.count())
    of_gather = of_gather.where(_gather_error.c.harvest_job_id.in_(job_ids))
    gather_errors = dict(execute(of_gather.group_by(_gather_error.c.harvest_job_id)).all())
    return {
        job_id: Counts(
            dict(states[job_id]),
            stats.combine(reported[job_id], objects_with_errors.get(job_id, 0), gather_errors.get(job_id, 0)),
        )
        for job_id in job_ids
    }


def error_summaries(job_id: str, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Return the most frequent messages of a job's objects and of its gather stage, each with its ``error_count``."""

    def top(table: sa.Table) -> list[dict[str, Any]]:
        number = sa.func.count().label("error_count")
        query = sa.select(table.c.message, number).where(table.c.harvest_job_id == job_id).group_by(table.c.message)
        rows = model.Session.execute(query.order_by(sa.desc("error_count"), "message").limit(limit))
        return [{"message": row.message, "error_count": row.error_count} for row in rows]

    return {"object_error_summary": top(_object_error), "gather_error_summary": top(_gather_error)}


def source_counts(source_id: str) -> dict[str, int]:
    """Return how many jobs a source has had and how many public datasets come from it now.

    These are all that come from it but for those that are not public: an index has the ones in order, and another the
    few others, so that nothing need be read of each dataset. Spelt as these indexes have it.
    """
    jobs = sa.select(sa.func.count()).select_from(_job).where(_job.c.source_id == source_id)
    come_from_it = sa.and_(_object.c.harvest_source_id == source_id, _object.c.current)
    brought = sa.select(_object.c.package_id).where(come_from_it, _object.c.package_id.isnot(None)).distinct()
    datasets = sa.select(sa.func.count()).select_from(brought.subquery())
    of_source = sa.exists().where(come_from_it, _object.c.package_id == _package.c.id)
    hidden = sa.select(sa.func.count()).select_from(_package).where(_is_hidden, of_source)
    job_count, total, not_public = (model.Session.execute(query).scalar() or 0 for query in (jobs, datasets, hidden))
    return {"job_count": job_count, "total_datasets": total - not_public}


def datasets_by_source() -> dict[str, int]:
    """Return how many public datasets come from each source now, by its id; sources without any are not there."""
    of_source = sa.select(_object.c.harvest_source_id, sa.func.count(sa.distinct(_object.c.package_id)))
    is_public = sa.not_(sa.func.coalesce(_is_hidden, sa.false()))
    query = of_source.join(_package, _package.c.id == _object.c.package_id).where(_object.c.current, is_public)
    return dict(model.Session.execute(query.group_by(_object.c.harvest_source_id)).all())


def object_errors(job_id: str) -> list[tuple[HarvestObjectError, HarvestObject]]:
    """Return the errors of a job's objects, oldest first, each with its object, whose content is not read."""
    query = (
        sa.select(HarvestObjectError, HarvestObject)
        .options(defer(HarvestObject.content))
        .join(HarvestObject, HarvestObject.id == HarvestObjectError.harvest_object_id)
        .where(HarvestObjectError.harvest_job_id == job_id)
        .order_by(HarvestObjectError.created)
    )
    return [(error, obj) for error, obj in model.Session.execute(query)]
