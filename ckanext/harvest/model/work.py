"""Who works on what: the queries by which workers claim jobs and objects, and release them.

A claim is a transaction on a connection of its own (see :mod:`ckanext.relay.lease`): harvesters commit, roll back and
remove the session at will, and none of it may touch who owns the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import object_state
from ckanext.relay import lease
from ckanext.relay.clock import now

from .tables import HarvestJob, HarvestObject, lease_table

_job = HarvestJob.__table__
_object = HarvestObject.__table__

#: A limit that is none.
ALL = 2**31
#: Objects still to be worked on. Spelt as the partial index has it, so that PostgreSQL uses it.
_open = _object.c.state.in_(sorted(object_state.lifecycle.open))
#: Objects that a worker may take: all of a gathered job, and those that the gather stage published early.
_ready = sa.and_(_job.c.status == "Running", sa.or_(_object.c.published, _job.c.gather_finished.isnot(None)))


def _free(table: sa.Table) -> sa.sql.ColumnElement[bool]:
    return lease.is_free(lease_table, table.c.claimed_by)


def _ready_of(source_id: str) -> sa.Select:
    """Return a query for the ids of the objects of a source that a worker may take now."""
    query = sa.select(_object.c.id).join(_job, _job.c.id == _object.c.harvest_job_id)
    return query.where(_object.c.harvest_source_id == source_id, _open, _ready, _free(_object))


def claim_job(job_id: str, lease_id: str) -> bool:
    """Claim the gathering of a job, which begins with that; False if it is done, not asked for, or somebody else is at
    it."""
    wanted = sa.and_(_job.c.id == job_id, _job.c.status == "Running", _job.c.gather_finished.is_(None), _free(_job))
    attempts = sa.func.coalesce(_job.c.attempts, 0) + 1
    claimed = sa.update(_job).values(claimed_by=lease_id, attempts=attempts, gather_started=now())
    return bool(lease.claim_rows(sa.select(_job.c.id).where(wanted), _job.c.id, wanted, claimed.returning(_job.c.id)))


def claim_objects(source_id: str, lease_id: str, limit: int) -> list[str]:
    """Claim up to ``limit`` objects of a source in the order they were gathered and return their ids.

    An object that was begun before comes alone: if it is the one that takes a worker down, it takes no other with it.
    """

    def candidates(retried: sa.sql.ColumnElement[bool], at_most: int) -> sa.Select:
        return _ready_of(source_id).where(retried).order_by(_object.c.gathered, _object.c.id).limit(at_most)

    for query in (
        candidates(sa.func.coalesce(_object.c.retry_times, 0) == 0, limit),
        candidates(sa.func.coalesce(_object.c.retry_times, 0) > 0, 1),
    ):
        ids = lease.claim_rows(query, _object.c.id, sa.and_(_open, _free(_object)), _claimed(lease_id))
        if ids:
            return [row.id for row in sorted(ids, key=lambda row: (row.gathered, row.id))]
    return []


def claim_object(object_id: str, lease_id: str) -> bool:
    """Claim one object, though its turn may not have come; False if it has ended, its job does not run, or somebody
    else has it."""
    running = sa.exists().where(_job.c.id == _object.c.harvest_job_id, _job.c.status == "Running")
    ready = sa.and_(_object.c.id == object_id, _open, running, _free(_object))
    return bool(lease.claim_rows(sa.select(_object.c.id).where(ready), _object.c.id, ready, _claimed(lease_id)))


def _claimed(lease_id: str) -> Any:
    tries = sa.func.coalesce(_object.c.retry_times, 0) + 1
    claimed = sa.update(_object).values(claimed_by=lease_id, retry_times=tries)
    return claimed.returning(_object.c.id, _object.c.gathered)


def count_ready(source_id: str, most: int) -> int:
    """Return how many objects of a source a worker may take now; counts up to ``most``."""
    ready = _ready_of(source_id).limit(most).subquery()
    return model.Session.execute(sa.select(sa.func.count()).select_from(ready)).scalar() or 0


def has_waiting(source_id: str) -> bool:
    """Tell whether there are objects of a source that a worker may take now, or that the search index lacks."""
    of_source = _object.c.harvest_source_id == source_id
    unindexed = sa.select(_object.c.id).where(of_source, _object.c.needs_index, _free(_object))
    found = sa.or_(_ready_of(source_id).exists(), unindexed.exists())
    return bool(model.Session.execute(sa.select(found)).scalar())


def count_busy(source_id: str, task: str) -> int:
    """Return how many have claimed objects of a source and are not done with them.

    :param task: what the leases say of those who process the source
    """
    leases = lease_table.c
    has_objects = sa.exists().where(_object.c.harvest_source_id == source_id, _open, _object.c.claimed_by == leases.id)
    query = sa.select(sa.func.count()).where(leases.task == task, leases.expires > lease.now, has_objects)
    return model.Session.execute(query).scalar() or 0


def release_objects(ids: Sequence[str], lease_id: str) -> None:
    """Give claimed objects back untouched, so that the claim does not count as a try."""
    if ids:
        lease.execute(
            sa.update(_object)
            .where(_object.c.id.in_(ids), _object.c.claimed_by == lease_id, _open)
            .values(claimed_by=None, retry_times=_object.c.retry_times - 1)
        )


def claim_unindexed(source_id: str, lease_id: str, limit: int) -> list[tuple[str, str]]:
    """Claim objects whose datasets are saved but not in the search index; return (object id, package id) pairs."""
    ready = sa.and_(_object.c.harvest_source_id == source_id, _object.c.needs_index, _free(_object))
    claimed = sa.update(_object).values(claimed_by=lease_id).returning(_object.c.id, _object.c.package_id)
    rows = lease.claim_rows(sa.select(_object.c.id).where(ready).limit(limit), _object.c.id, ready, claimed)
    return [(row.id, row.package_id) for row in rows]


def indexed(ids: Sequence[str]) -> None:
    """Record that the search index has the datasets of these objects."""
    if ids:
        lease.execute(sa.update(_object).where(_object.c.id.in_(ids)).values(needs_index=False, claimed_by=None))


def is_mine(object_id: str, lease_id: str) -> bool:
    """Lock the object in the session's transaction and tell whether the claim still holds: it was not aborted or
    deleted, and no other worker took it after the lease ran out.
    """
    query = sa.select(_object.c.id).where(_object.c.id == object_id, _object.c.claimed_by == lease_id)
    return model.Session.execute(query.with_for_update()).first() is not None


def lane(job_id: str | None = None, source_id: str | None = None) -> str | None:
    """Return the lane of a job, or of the job of a source that runs; None for the one of what nobody waits for."""
    query = sa.select(_job.c.lane)
    if job_id:
        query = query.where(_job.c.id == job_id)
    else:
        query = query.where(_job.c.source_id == source_id, _job.c.status == "Running")
    rows = lease.rows(query.limit(1))
    return rows[0].lane if rows else None


def jobs_to_gather(source_id: str | None = None) -> list[str]:
    """Ids of running jobs that were not gathered yet and that no worker gathers now."""
    query = sa.select(_job.c.id).where(_job.c.status == "Running", _job.c.gather_finished.is_(None), _free(_job))
    if source_id:
        query = query.where(_job.c.source_id == source_id)
    return [row.id for row in model.Session.execute(query)]


def waiting_jobs(limit: int) -> list[str]:
    """Ids of the jobs that a worker may gather now, the oldest first."""
    wanted = sa.and_(_job.c.status == "Running", _job.c.gather_finished.is_(None), _free(_job))
    query = sa.select(_job.c.id).where(wanted).order_by(_job.c.created, _job.c.id).limit(limit)
    return [row.id for row in model.Session.execute(query)]


def waiting_objects(limit: int) -> list[str]:
    """Ids of the objects that a worker may take now, in the order they were gathered."""
    query = sa.select(_object.c.id).join(_job, _job.c.id == _object.c.harvest_job_id)
    query = query.where(_open, _ready, _free(_object)).order_by(_object.c.gathered, _object.c.id).limit(limit)
    return [row.id for row in model.Session.execute(query)]


def sources_to_process() -> list[str]:
    """Ids of sources with objects that a worker may take now, or datasets that the search index lacks."""
    waiting = (
        sa.select(_object.c.harvest_source_id)
        .join(_job, _job.c.id == _object.c.harvest_job_id)
        .where(_open, _ready, _free(_object))
    )
    unindexed = sa.select(_object.c.harvest_source_id).where(_object.c.needs_index, _free(_object))
    return [row[0] for row in model.Session.execute(sa.union(waiting, unindexed))]


def jobs_to_finish(source_id: str | None = None) -> list[str]:
    """Ids of running jobs that were gathered and have nothing left to do, those of one source only if one is named."""
    # by source and state, as the partial indexes have them: counting all that a large job has done would be slow
    of_job = sa.and_(_object.c.harvest_source_id == _job.c.source_id, _object.c.harvest_job_id == _job.c.id)
    left = sa.or_(sa.exists().where(of_job, _open), sa.exists().where(of_job, _object.c.needs_index))
    query = sa.select(_job.c.id).where(_job.c.status == "Running", _job.c.gather_finished.isnot(None), sa.not_(left))
    if source_id:
        query = query.where(_job.c.source_id == source_id)
    return [row.id for row in model.Session.execute(query)]
