"""Taking away what a source has brought: its datasets are found here, its jobs and objects are deleted here.

Everything is deleted in small transactions, so that nobody waits for a lock, and who is interrupted can begin again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest import progress
from ckanext.harvest.domain import job_state, object_state

from . import claims
from .tables import HarvestJob, HarvestObject

_job = HarvestJob.__table__
_object = HarvestObject.__table__
_package = model.Package.__table__
_resource = model.Resource.__table__
_view = model.ResourceView.__table__
_tag = model.PackageTag.__table__
_member = model.Member.__table__
_relationship = model.PackageRelationship.__table__

#: Rows that one transaction deletes.
BATCH = 2000
_SAVED = (object_state.ADDED, object_state.UPDATED, object_state.DELETED)


def datasets(source_id: str) -> list[str]:
    """Return the ids of the datasets that are of a source, deleted ones included.

    A dataset that two sources have brought belongs to the one that has its current object. If both have one, or if
    neither has, it is of no source that could be cleared: better one dataset too many than one too few.
    """
    other = _object.alias("other")
    mine = _object.alias("mine")
    of_other = sa.and_(other.c.package_id == _package.c.id, other.c.harvest_source_id != source_id)
    current_here = sa.exists().where(
        mine.c.package_id == _package.c.id, mine.c.harvest_source_id == source_id, mine.c.current
    )
    saved_here = sa.exists().where(
        mine.c.package_id == _package.c.id,
        mine.c.harvest_source_id == source_id,
        mine.c.state == object_state.COMPLETE,
        mine.c.report_status.in_(_SAVED),
    )
    owned = sa.or_(
        sa.and_(current_here, sa.not_(sa.exists().where(of_other, other.c.current))),
        sa.and_(saved_here, sa.not_(sa.exists().where(of_other))),
    )
    brought = sa.select(_object.c.package_id).where(
        _object.c.harvest_source_id == source_id, _object.c.package_id.isnot(None)
    )
    query = sa.select(_package.c.id).where(_package.c.id.in_(brought), _package.c.type != "harvest", owned)
    ids = [row.id for row in model.Session.execute(query)]
    model.Session.commit()  # nothing was written: the transaction must not stay open while the datasets are removed
    return ids


def remove_datasets(package_ids: Sequence[str]) -> None:
    """Remove datasets for good, all in one transaction, with all that CKAN keeps of them, and commit.

    :raises IntegrityError: a table of a plugin refers to one of them
    """
    of_packages = _resource.c.package_id.in_(package_ids)
    resources = sa.select(_resource.c.id).where(of_packages).scalar_subquery()
    conditions = [
        (_member, sa.and_(_member.c.table_name == "package", _member.c.table_id.in_(package_ids))),
        (_relationship, _relationship.c.subject_package_id.in_(package_ids)),
        (_relationship, _relationship.c.object_package_id.in_(package_ids)),
        (_tag, _tag.c.package_id.in_(package_ids)),
        (_view, _view.c.resource_id.in_(resources)),
        (_resource, of_packages),
    ]
    if hasattr(model, "PackageExtra"):  # before CKAN 2.12
        extra = model.PackageExtra.__table__
        conditions.append((extra, extra.c.package_id.in_(package_ids)))
    for table, condition in [*conditions, (_package, _package.c.id.in_(package_ids))]:
        model.Session.execute(sa.delete(table).where(condition))
    model.Session.commit()
    model.Session.expire_all()


def existing(package_ids: list[str]) -> set[str]:
    """Return those of the ids that are ids of datasets, deleted ones included."""
    found: set[str] = set()
    for first in range(0, len(package_ids), BATCH):
        query = sa.select(_package.c.id).where(_package.c.id.in_(package_ids[first : first + BATCH]))
        found.update(row.id for row in model.Session.execute(query))
    return found


def outdated_objects(source_id: str) -> None:
    """Delete the objects of a source that are not the current ones of a dataset. Commits."""
    _delete(_object, _object.c.harvest_source_id == source_id, sa.not_(sa.func.coalesce(_object.c.current, False)))


def history(source_id: str) -> None:
    """Delete the jobs of a source with all their objects and errors. Commits."""
    claims.keep_of_cleared(source_id)
    _delete(_object, _object.c.harvest_source_id == source_id)
    _delete(_job, _job.c.source_id == source_id)


def history_but_current(source_id: str) -> None:
    """Delete the jobs of a source that have ended and have no current object, with all that is theirs. Commits."""
    has_current = sa.exists().where(_object.c.harvest_job_id == _job.c.id, _object.c.current)
    final = sorted(job_state.lifecycle.final)
    query = sa.select(_job.c.id).where(_job.c.source_id == source_id, _job.c.status.in_(final), sa.not_(has_current))
    ids = [row.id for row in model.Session.execute(query)]
    for job_id in progress.of(ids):
        _delete(_object, _object.c.harvest_job_id == job_id)
        _delete(_job, _job.c.id == job_id)


def _delete(table: sa.Table, *conditions: Any) -> None:
    """Delete the rows that meet the conditions, a batch a transaction; extras and errors go with their rows."""
    while True:
        picked = sa.select(table.c.id).where(*conditions).limit(BATCH)
        # the conditions once more: another transaction may have changed a row since it was picked
        deleted = model.Session.execute(sa.delete(table).where(table.c.id.in_(picked.scalar_subquery()), *conditions))
        model.Session.commit()
        if deleted.rowcount == 0:
            break
    model.Session.expire_all()
