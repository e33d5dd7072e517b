"""Leases: who works on which rows, and for how long that holds without a sign of life.

A worker takes a lease (one row of a lease table), puts its id on the rows that it claims, and renews the lease while it
works. When the worker dies, the lease runs out and its rows are free again; nobody has to clean up. Renewing touches
one small row, however many rows are claimed, and never waits for a transaction that holds one of them.

Everything here runs on connections of its own, each statement committed at once, so that it holds whatever a
third-party plugin does to CKAN's session. The clock is the database's, in UTC: workers on several hosts agree on it.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from ckan.model import meta
from sqlalchemy.dialects import postgresql

from . import config

log = logging.getLogger(__name__)

#: The time of the database, in UTC.
now = sa.func.timezone("utc", sa.func.clock_timestamp(), type_=sa.DateTime)


def table(name: str, metadata: sa.MetaData) -> sa.Table:
    """Return the lease table of a plugin, which the plugin's migrations create.

    ``id`` names the holder (host, worker, process, random part); ``task`` and ``started`` say what it does since when.
    """
    return sa.Table(
        name,
        metadata,
        sa.Column("id", sa.UnicodeText, primary_key=True),
        sa.Column("task", sa.UnicodeText, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
    )


def is_free(lease_table: sa.Table, claimed_by: sa.Column[Any]) -> sa.sql.ColumnElement[bool]:
    """Return the condition that a row is claimed by nobody who is alive."""
    alive = sa.exists().where(lease_table.c.id == claimed_by, lease_table.c.expires > now)
    return sa.or_(claimed_by.is_(None), sa.not_(alive))


def rows(statement: Any) -> list[Any]:
    """Run a statement in a transaction of its own and return its rows. To claim some, see :func:`claim_rows`."""
    with _engine().begin() as connection:
        return list(connection.execute(statement))


def claim_rows(candidates: Any, key: sa.Column[Any], is_ready: Any, update: Any) -> list[Any]:
    """Claim rows in a transaction of its own: lock them, then look at them once more, and return what the update does.

    Two statements, since one sees all other rows as they were when it began: the lease of another worker that took a
    row after that would look as if it were dead, and both would have the row.

    :param candidates: a SELECT whose first column is ``key``, in the order in which rows are to be taken
    :param is_ready: the condition that a row may be taken, as the candidates have it
    :param update: an UPDATE … RETURNING of the table, without conditions
    """
    with _engine().begin() as connection:
        locked = connection.execute(candidates.with_for_update(of=key.table, skip_locked=True))
        keys = [row[0] for row in locked]
        return list(connection.execute(update.where(key.in_(keys), is_ready))) if keys else []


def execute(statement: Any) -> int:
    """Run a statement in a transaction of its own and return how many rows it touched."""
    with _engine().begin() as connection:
        return int(connection.execute(statement).rowcount)


@contextlib.contextmanager
def held(lease_table: sa.Table, task: str, longest: float) -> Iterator[str]:
    """Hold a lease while the block runs; yields its id.

    :param task: what the holder does, for people who look
    :param longest: seconds after which the lease is not renewed any more, so that a call which hangs for ever gives
        its work back
    """
    seconds = config.lease_seconds()
    lease_id = f"{_worker()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
    until = datetime.timedelta(seconds=seconds)
    execute(sa.insert(lease_table).values(id=lease_id, task=task, started=now, expires=now + until))
    done = threading.Event()

    def renew() -> None:
        # three times in the span that it holds
        for _ in range(max(1, int(longest * 3 / seconds))):
            if done.wait(seconds / 3):
                return
            try:
                execute(sa.update(lease_table).where(lease_table.c.id == lease_id).values(expires=now + until))
            except sa.exc.SQLAlchemyError as error:
                # the next round may succeed; if none does, the lease runs out, as it should
                log.warning("Could not renew lease %s: %s", lease_id, error)
        log.error("%s has held its lease for %d s, it is not renewed any more", task, longest)

    heartbeat = threading.Thread(target=renew, name=f"lease {lease_id}", daemon=True)
    heartbeat.start()
    try:
        yield lease_id
    finally:
        done.set()
        heartbeat.join()
        execute(sa.delete(lease_table).where(lease_table.c.id == lease_id))


@contextlib.contextmanager
def held_if_room(
    lease_table: sa.Table, task: str, longest: float, kind: str, at_most: int | None
) -> Iterator[str | None]:
    """Hold a lease as :func:`held` does, or yield None if there is no room for it.

    :param kind: what the task begins with
    :param at_most: how many processes of this worker may hold one for such a task, this one included; None: all
    """
    with contextlib.ExitStack() as stack:
        if at_most is None:
            yield stack.enter_context(held(lease_table, task, longest))
            return
        # one after the other, so that two do not both find that there is room
        with one_at_a_time(f"room for {kind}"):
            has_room = alive_here(lease_table, kind) < at_most
            lease_id = stack.enter_context(held(lease_table, task, longest)) if has_room else None
        yield lease_id


def postpone(lease_table: sa.Table, task: str, seconds: float) -> str:
    """Make a lease that nobody renews and return its id: rows that carry it are free again after so many seconds."""
    lease_id = f"later:{uuid.uuid4().hex}"
    until = datetime.timedelta(seconds=seconds)
    execute(sa.insert(lease_table).values(id=lease_id, task=task, started=now, expires=now + until))
    return lease_id


def alive(lease_table: sa.Table, task: str) -> int:
    """Return how many hold a lease for this task now."""
    query = sa.select(sa.func.count()).where(lease_table.c.task == task, lease_table.c.expires > now)
    with _engine().connect() as connection:
        return int(connection.scalar(query) or 0)


def holders(lease_table: sa.Table) -> set[str]:
    """Return the ids of all leases that hold now."""
    with _engine().connect() as connection:
        return set(connection.scalars(sa.select(lease_table.c.id).where(lease_table.c.expires > now)))


def alive_here(lease_table: sa.Table, kind: str) -> int:
    """Return how many processes of the worker that this one belongs to hold a lease for such a task now.

    :param kind: what the task begins with
    """
    here = lease_table.c.id.startswith(f"{_worker()}:", autoescape=True)
    such = lease_table.c.task.startswith(kind, autoescape=True)
    query = sa.select(sa.func.count()).where(here, such, lease_table.c.expires > now)
    with _engine().connect() as connection:
        return int(connection.scalar(query) or 0)


def note(lease_table: sa.Table, task: str) -> None:
    """Record that something was done just now, for :func:`noted`."""
    values = {"started": now, "expires": now + datetime.timedelta(days=365)}
    made = postgresql.insert(lease_table).values(id=f"last {task}", task=f"last {task}", **values)
    execute(made.on_conflict_do_update(index_elements=[lease_table.c.id], set_=values))


def noted(lease_table: sa.Table, task: str) -> float | None:
    """Return how many seconds ago something was done the last time, or None if it never was."""
    age = sa.extract("epoch", now - lease_table.c.started)
    with _engine().connect() as connection:
        seconds = connection.scalar(sa.select(age).where(lease_table.c.id == f"last {task}"))
    return None if seconds is None else float(seconds)


def transaction() -> Any:
    """Return a transaction of its own on a connection of its own, as a context manager."""
    return _engine().begin()


def forget_expired(lease_table: sa.Table) -> None:
    """Delete leases whose holders died. Their rows are free already; this keeps the table small."""
    execute(sa.delete(lease_table).where(lease_table.c.expires < now))


@contextlib.contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Yield True to one holder of this name in the whole database at a time, False to the others at once."""
    with _engine().connect() as connection, connection.begin():
        yield bool(connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext(name)))))


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Let one holder of this name in the whole database run the block; the others wait for their turn."""
    with _engine().connect() as connection, connection.begin():
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(name))))
        yield


def _engine() -> sa.engine.Engine:
    if meta.engine is None:
        raise RuntimeError("CKAN's database is not configured yet")
    return meta.engine


def _worker() -> str:
    """Return what the processes of a worker share, and no others: the process that forked them."""
    return f"{socket.gethostname()}:{os.getppid()}"
