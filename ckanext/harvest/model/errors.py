"""The errors of a job: which causes they have, how often each, and what they say of which record.

An error has the job of its object and a cause beside its message (the migration that adds them says how), so an index
has them in order, however many objects and errors there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from .tables import HarvestGatherError, HarvestObject, HarvestObjectError

_object = HarvestObject.__table__
_object_error = HarvestObjectError.__table__
_gather_error = HarvestGatherError.__table__
_package = model.Package.__table__

#: The stage of what went wrong for a whole job.
GATHER = "Gather"
#: The most causes that are told apart, the most frequent ones.
MOST = 1000
#: How many rows an export reads at a time.
_ROWS = 500


@dataclass(frozen=True)
class Wanted:
    """Which errors of a job are meant.

    :param stage: only those of a stage, :data:`GATHER` or one that a harvester named
    :param cause: only those of a cause
    :param text: only those with this text in the message, or with this GUID
    """

    job_id: str
    stage: str | None = None
    cause: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Cause:
    """Errors of a job that have the same stage and cause."""

    stage: str
    cause: str
    count: int


def causes(wanted: Wanted) -> list[Cause]:
    """Return the causes of errors and how often each is there, the most frequent ones first."""
    both = sa.union_all(*_selects(wanted, "stage", "cause")).subquery()
    number = sa.func.count().label("number")
    query = sa.select(both.c.stage, both.c.cause, number).group_by(both.c.stage, both.c.cause)
    rows = model.Session.execute(query.order_by(number.desc(), both.c.stage, both.c.cause).limit(MOST))
    return [Cause(row.stage or "", row.cause, row.number) for row in rows]


def count(wanted: Wanted) -> int:
    """Return how many errors there are."""
    both = sa.union_all(*_selects(wanted, "id")).subquery()
    return model.Session.execute(sa.select(sa.func.count()).select_from(both)).scalar() or 0


def entries(wanted: Wanted, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Return errors, the oldest first, each with what there is to say of its record and of the dataset of that."""
    first = [
        each.order_by(sa.text("created"), sa.text("id")).limit(offset + limit).subquery().select()
        for each in _selects(wanted, *_COLUMNS)
    ]
    both = sa.union_all(*first).subquery()
    page = sa.select(*both.c).order_by(both.c.created, both.c.id).limit(limit).offset(offset).subquery()
    return [dict(row._mapping) for row in model.Session.execute(_with_records(page))]


def each(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield all errors as :func:`entries` returns them, read from the database little by little."""
    assert model.meta.engine is not None
    query = _with_records(sa.union_all(*_selects(wanted, *_COLUMNS)).subquery())
    with model.meta.engine.connect() as connection:
        rows = connection.execution_options(stream_results=True, max_row_buffer=_ROWS).execute(query)
        for row in rows:
            yield dict(row._mapping)


def first_messages(job_id: str, limit: int) -> tuple[list[str], list[str]]:
    """Return the first messages of a job as ``harvest_job_report`` has them: of the gather stage, the newest first, and
    of objects, in the order of the first error of each."""
    gather = sa.select(_gather_error.c.message).where(_gather_error.c.harvest_job_id == job_id)
    of_gather = model.Session.execute(gather.order_by(_gather_error.c.created.desc()).limit(limit)).scalars().all()
    error = _object_error.c
    # their objects have as many errors together, or more
    of_job = sa.select(error.harvest_object_id, error.created).where(error.harvest_job_id == job_id)
    oldest = of_job.order_by(error.created, error.id).limit(limit).subquery()
    begun = sa.func.min(oldest.c.created).label("begun")
    first = sa.select(oldest.c.harvest_object_id, begun).group_by(oldest.c.harvest_object_id).subquery()
    of_first = sa.select(error.message).join(first, first.c.harvest_object_id == error.harvest_object_id)
    ordered = of_first.order_by(first.c.begun, error.harvest_object_id, error.created).limit(limit)
    return list(of_gather), list(model.Session.execute(ordered).scalars())


_COLUMNS = ("id", "stage", "cause", "message", "line", "created", "harvest_object_id")
#: What errors of a job have in place of columns of objects' errors.
_OF_GATHER: dict[str, Any] = {
    "stage": sa.literal(GATHER, sa.UnicodeText),
    "line": sa.cast(sa.null(), sa.Integer),
    "harvest_object_id": sa.cast(sa.null(), sa.UnicodeText),
}


def _selects(wanted: Wanted, *names: str) -> list[sa.sql.Select]:
    """Return a query for each table that may hold such errors."""
    of_objects = sa.select(*(_object_error.c[name] for name in names)).where(*_conditions(wanted, _object_error))
    if wanted.stage not in (None, GATHER):
        return [of_objects]
    columns = (_OF_GATHER[name].label(name) if name in _OF_GATHER else _gather_error.c[name] for name in names)
    return [of_objects, sa.select(*columns).where(*_conditions(wanted, _gather_error))]


def _conditions(wanted: Wanted, table: sa.Table) -> Iterator[Any]:
    yield table.c.harvest_job_id == wanted.job_id
    is_of_objects = table is _object_error
    if wanted.stage is not None and is_of_objects:
        yield table.c.stage == wanted.stage
    if wanted.cause is not None:
        yield table.c.cause == wanted.cause
    if wanted.text:
        found = table.c.message.ilike(f"%{_literal(wanted.text)}%", escape="\\")
        of_job = sa.and_(_object.c.harvest_job_id == wanted.job_id, _object.c.guid == wanted.text)
        by_guid = sa.select(_object.c.id).where(of_job)
        yield sa.or_(found, table.c.harvest_object_id.in_(by_guid)) if is_of_objects else found


def _literal(text: str) -> str:
    """Return a text that LIKE takes word for word."""
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return text


def _with_records(errors: Any) -> sa.sql.Select:
    joined = errors.outerjoin(_object, _object.c.id == errors.c.harvest_object_id)
    return (
        sa.select(
            *errors.c,
            _object.c.guid,
            _object.c.state,
            _object.c.report_status,
            _package.c.name.label("dataset_name"),
            _package.c.title.label("dataset_title"),
        )
        .select_from(joined.outerjoin(_package, _package.c.id == _object.c.package_id))
        .order_by(errors.c.created, errors.c.id)
    )
