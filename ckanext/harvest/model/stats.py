"""The counts and error summaries of jobs, a query for each kind, however many jobs are asked for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.orm import defer

from ckanext.harvest.domain import object_state, stats

from .tables import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError

_job = HarvestJob.__table__
_object = HarvestObject.__table__
_gather_error = HarvestGatherError.__table__
_object_error = HarvestObjectError.__table__
_package = model.Package.__table__

#: A dataset that is not public, spelt as an index has it. In old databases it may be NULL: such a one is public.
_is_hidden = sa.or_(_package.c.state != "active", _package.c.private)


def job_stats(job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the counts of each job. A job that has ended kept them; others are counted."""
    execute = model.Session.execute
    kept = {
        row.id: json.loads(row.stats)
        for row in execute(sa.select(_job.c.id, _job.c.stats).where(_job.c.id.in_(job_ids)))
        if row.stats
    }
    ids = [job_id for job_id in job_ids if job_id not in kept]
    if not ids:
        return kept
    by_status: dict[str, Counter[str | None]] = defaultdict(Counter)
    grouped = sa.select(_object.c.harvest_job_id, _object.c.report_status, sa.func.count())
    grouped = grouped.where(_object.c.harvest_job_id.in_(ids))
    for job_id, status, count in execute(grouped.group_by(_object.c.harvest_job_id, _object.c.report_status)):
        by_status[job_id][status] += count
    with_errors = (
        sa.select(_object.c.harvest_job_id, sa.func.count(sa.distinct(_object.c.id)))
        .join(_object_error, _object_error.c.harvest_object_id == _object.c.id)
        .where(_object.c.harvest_job_id.in_(ids))
        .group_by(_object.c.harvest_job_id)
    )
    objects_with_errors = dict(execute(with_errors).all())
    of_gather = sa.select(_gather_error.c.harvest_job_id, sa.func.count()).where(
        _gather_error.c.harvest_job_id.in_(ids)
    )
    gather_errors = dict(execute(of_gather.group_by(_gather_error.c.harvest_job_id)).all())
    return kept | {
        job_id: stats.combine(by_status[job_id], objects_with_errors.get(job_id, 0), gather_errors.get(job_id, 0))
        for job_id in ids
    }


def progress(job_id: str) -> dict[str, int]:
    """Return how many objects of a job were gathered and how many of them are done."""
    done = sa.func.count().filter(_object.c.state.in_(sorted(object_state.lifecycle.final)))
    query = sa.select(sa.func.count(), done).where(_object.c.harvest_job_id == job_id)
    gathered, finished = model.Session.execute(query).one()
    return {"gathered": gathered, "done": finished}


def error_summaries(job_id: str, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Return the most frequent messages of a job's objects and of its gather stage, each with its ``error_count``."""
    of_objects = (
        sa.select(_object_error.c.message, sa.func.count().label("error_count"))
        .join(_object, _object.c.id == _object_error.c.harvest_object_id)
        .where(_object.c.harvest_job_id == job_id)
        .group_by(_object_error.c.message)
    )
    of_gather = (
        sa.select(_gather_error.c.message, sa.func.count().label("error_count"))
        .where(_gather_error.c.harvest_job_id == job_id)
        .group_by(_gather_error.c.message)
    )

    def top(query: Any) -> list[dict[str, Any]]:
        rows = model.Session.execute(query.order_by(sa.desc("error_count"), "message").limit(limit))
        return [{"message": row.message, "error_count": row.error_count} for row in rows]

    return {"object_error_summary": top(of_objects), "gather_error_summary": top(of_gather)}


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
        .where(HarvestObject.harvest_job_id == job_id)
        .order_by(HarvestObjectError.created)
    )
    return [(error, obj) for error, obj in model.Session.execute(query)]
