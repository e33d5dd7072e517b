"""Which sources are to be cleared by the workers, how far that is, and what went wrong: a row until it is done."""

from __future__ import annotations

import dataclasses
import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.relay import lease

from .jobs import clear_task
from .tables import clearing_table, lease_table

_clearing = clearing_table


@dataclasses.dataclass(frozen=True)
class Clearing:
    """What somebody asked for.

    :ivar user_name: who
    :ivar asked: when, UTC
    :ivar done: how many datasets are removed; None until it is known how many there are
    :ivar total: of how many
    :ivar error: why it has ended too early; it goes on when somebody asks again
    """

    source_id: str
    user_name: str
    asked: datetime.datetime
    done: int | None = None
    total: int | None = None
    error: str | None = None


_COLUMNS = [_clearing.c[field.name] for field in dataclasses.fields(Clearing)]


def ask(source_id: str, user_name: str) -> None:
    """Let the workers clear a source. Commits, on a connection of its own, as all here does."""
    anew = {"user_name": user_name, "asked": lease.now, "done": None, "total": None, "error": None}
    made = postgresql.insert(_clearing).values(source_id=source_id, **anew)
    lease.execute(made.on_conflict_do_update(index_elements=[_clearing.c.source_id], set_=anew))


def find(source_id: str) -> Clearing | None:
    """Return what was asked for and is not done."""
    rows = lease.rows(sa.select(*_COLUMNS).where(_clearing.c.source_id == source_id))
    return Clearing(*rows[0]) if rows else None


def waiting() -> list[str]:
    """Return the sources that are to be cleared and that nobody is at."""
    query = sa.select(_clearing.c.source_id).where(_clearing.c.error.is_(None)).order_by(_clearing.c.asked)
    ids = [row.source_id for row in lease.rows(query)]
    return [source_id for source_id in ids if not lease.alive(lease_table, clear_task(source_id))]


def note(source_id: str, done: int, total: int) -> None:
    """Record how many datasets are removed."""
    _update(source_id, done=done, total=total)


def failed(source_id: str, error: str) -> None:
    """Record why a source could not be cleared: it is not tried again unless somebody asks."""
    _update(source_id, error=error)


def done(source_id: str) -> None:
    """Record that a source is cleared."""
    lease.execute(sa.delete(_clearing).where(_clearing.c.source_id == source_id))


def _update(source_id: str, **columns: int | str) -> None:
    lease.execute(sa.update(_clearing).where(_clearing.c.source_id == source_id).values(columns))
