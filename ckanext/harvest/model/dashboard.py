"""What the dashboard, lists and reports say about many sources: a few queries, however many there are."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state, object_state, stats
from ckanext.harvest.domain.health_of_source import RUNS, Run

from .tables import HarvestGatherError, HarvestJob, HarvestObject, HarvestSource

_source = HarvestSource.__table__
_job = HarvestJob.__table__
_object = HarvestObject.__table__
_gather_error = HarvestGatherError.__table__
_package = model.Package.__table__
_group = model.Group.__table__

#: Records that wait are counted so far: beyond that it makes no difference, and counting takes long.
COUNTED = 100_000

_COLUMNS = ("id", "title", "url", "type", "frequency", "created", "next_run", "active")
_JOB_COLUMNS = ("id", "status", "created", "gather_started", "gather_finished", "finished", "stats")


def sources(organization_ids: Collection[str] | None, source_id: str | None = None) -> list[Any]:
    """Return the sources that were not deleted, with the ``name`` of the dataset and ``group_title`` and ``group_name``
    of its organization, in the order of their titles.

    :param organization_ids: only those of these organizations; None: all
    :param source_id: only this one
    """
    query = (
        sa.select(
            *(_source.c[name] for name in _COLUMNS),
            _package.c.name,
            _group.c.title.label("group_title"),
            _group.c.name.label("group_name"),
        )
        .select_from(
            _source.join(_package, _package.c.id == _source.c.id).outerjoin(_group, _group.c.id == _package.c.owner_org)
        )
        .where(_package.c.state == model.State.ACTIVE)
    )
    if organization_ids is not None:
        query = query.where(_package.c.owner_org.in_(list(organization_ids)))
    if source_id is not None:
        query = query.where(_source.c.id == source_id)
    return list(model.Session.execute(query.order_by(sa.func.lower(_source.c.title), _source.c.id)))


def id_of(name: str) -> str | None:
    """Return the id of the source of this name, or None if there is none."""
    query = sa.select(_package.c.id).where(_package.c.name == name, _package.c.type == "harvest")
    return model.Session.execute(query).scalar()


def last_jobs(source_ids: Sequence[str]) -> dict[str, Any]:
    """Return the newest job of each source by the id of the source, with the columns that say how far it is; sources
    without any are not there."""
    columns = (_job.c[name] for name in ("id", "source_id", "status", "created", "gather_started", "finished"))
    newest = sa.select(*columns).distinct(_job.c.source_id).where(_job.c.source_id.in_(source_ids))
    rows = model.Session.execute(newest.order_by(_job.c.source_id, _job.c.created.desc()))
    return {row.source_id: row for row in rows}


def newest_runs(source_ids: Sequence[str]) -> dict[str, list[tuple[str, Run]]]:
    """Return the newest jobs of each source, the newest first: ids, and what the decisions need."""
    gather_errors = sa.select(sa.func.count()).where(_gather_error.c.harvest_job_id == _job.c.id).scalar_subquery()
    newest = (
        sa.select(*(_job.c[name] for name in _JOB_COLUMNS), gather_errors.label("gather_errors"))
        .where(_job.c.source_id == _source.c.id)
        .order_by(_job.c.created.desc())
        .limit(RUNS)
        .lateral("newest")
    )
    joined = sa.select(_source.c.id.label("source_id"), newest).select_from(_source.join(newest, sa.true()))
    found = defaultdict(list)
    rows = model.Session.execute(joined.where(_source.c.id.in_(list(source_ids)))).all()
    for source_id, job_id, status, created, begun, gathered, ended, counts, gather_error_count in rows:
        kept = json.loads(counts) if counts else None
        run = Run(status, created, begun, gathered, ended, kept, gather_error_count)
        found[source_id].append((job_id, run))
    for runs in found.values():
        runs.sort(key=lambda each: each[1].created, reverse=True)
    return dict(found)


def datasets(source_ids: Collection[str]) -> dict[str, int]:
    """Return how many datasets come from each source now; sources without any are not there."""
    if not source_ids:
        return {}
    # read from an index that has them in order
    counted = sa.select(_object.c.harvest_source_id, sa.func.count(_object.c.package_id))
    query = counted.where(_object.c.current, _object.c.harvest_source_id.in_(list(source_ids)))
    return dict(model.Session.execute(query.group_by(_object.c.harvest_source_id)).all())


def days(source_ids: Sequence[str] | None, since: datetime.datetime) -> list[dict[str, Any]]:
    """Return what the jobs came to that ended since then, by day: ``day``, ``jobs``, and the keys of their stats.

    :param source_ids: only those of these sources; None: all
    """
    day = sa.cast(_job.c.finished, sa.Date).label("day")
    sums = [
        sa.func.sum(sa.func.coalesce(_job.c.counts[place], 0)).label(key) for place, key in enumerate(stats.KEYS, 1)
    ]
    query = sa.select(day, sa.func.count().label("jobs"), *sums)
    query = query.where(_job.c.finished >= since, _job.c.stats.isnot(None))
    if source_ids is not None:
        query = query.where(_job.c.source_id.in_(list(source_ids)))
    return [dict(row._mapping) for row in model.Session.execute(query.group_by(day).order_by(day))]


def newest_jobs(source_id: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest jobs of a source that have ended, the oldest first: ``job``, ``finished``, and their stats."""
    query = sa.select(_job.c.id, _job.c.finished, _job.c.stats).where(
        _job.c.source_id == source_id, _job.c.finished.isnot(None), _job.c.stats.isnot(None)
    )
    rows = model.Session.execute(query.order_by(_job.c.created.desc()).limit(limit)).all()
    return [{"job": row.id, "finished": row.finished, **json.loads(row.stats)} for row in reversed(rows)]


def waiting_records(source_ids: Sequence[str] | None) -> int:
    """Return how many records are gathered and not done, :data:`COUNTED` at most.

    :param source_ids: only those of these sources; None: all
    """
    query = sa.select(sa.literal(1)).where(_object.c.state.in_(sorted(object_state.lifecycle.open)))
    if source_ids is not None:
        query = query.where(_object.c.harvest_source_id.in_(list(source_ids)))
    counted = sa.select(sa.func.count()).select_from(query.limit(COUNTED).subquery())
    return int(model.Session.execute(counted).scalar() or 0)


def open_jobs(source_ids: Sequence[str] | None) -> int:
    """Return how many jobs have not ended.

    :param source_ids: only those of these sources; None: all
    """
    query = sa.select(sa.func.count()).where(_job.c.status.in_(sorted(job_state.lifecycle.open)))
    if source_ids is not None:
        query = query.where(_job.c.source_id.in_(list(source_ids)))
    return int(model.Session.execute(query).scalar() or 0)
