"""Which workers are alive: each says so, for pages that cannot wait until workers have answered.

A worker that is ready to take messages keeps a row in the lease table of what it works on, and deletes it when it ends
or loses its broker. The row of one that was killed expires.
"""

from __future__ import annotations

import datetime
import logging
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from celery import bootsteps
from sqlalchemy.dialects import postgresql

from . import config, lease

log = logging.getLogger(__name__)

_TASK = "worker"
_tables: dict[str, sa.Table] = {}


@dataclass(frozen=True)
class Worker:
    """A worker that was alive a moment ago.

    :param name: host and process, ``web1:4711``
    :param processes: how many pieces of work it does at a time
    :param lanes: those of the kind of work that was asked about which it serves, such as ``priority``
    :param since: when it was ready (naive UTC)
    """

    name: str
    processes: int
    lanes: tuple[str, ...]
    since: datetime.datetime


def keep_in(lease_table: sa.Table, kind: str) -> None:
    """Let the workers that serve a kind of work say so in this table."""
    _tables[kind] = lease_table


def workers(lease_table: sa.Table) -> list[Worker]:
    """Return the workers that are alive and serve the work of this lease table."""
    columns = lease_table.c
    is_worker = columns.task.startswith(f"{_TASK} ", autoescape=True)
    query = sa.select(columns.task, columns.started).where(is_worker, columns.expires > lease.now).order_by(columns.id)
    found = []
    for row in lease.rows(query):
        _, name, processes, *lanes = row.task.split(" ")
        found.append(Worker(name, int(processes), tuple(lanes), row.started))
    return found


def beat(lease_table: sa.Table, name: str, processes: int, lanes: Collection[str]) -> None:
    """Say that a worker is alive, for as long as a lease holds."""
    task = " ".join([_TASK, name, str(processes), *sorted(lanes)])
    until = lease.now + datetime.timedelta(seconds=config.lease_seconds())
    made = postgresql.insert(lease_table).values(id=_id(name), task=task, started=lease.now, expires=until)
    lease.execute(made.on_conflict_do_update(index_elements=[lease_table.c.id], set_={"expires": until, "task": task}))


def end(lease_table: sa.Table, name: str) -> None:
    """Say that a worker takes no more messages."""
    lease.execute(sa.delete(lease_table).where(lease_table.c.id == _id(name)))


def _id(name: str) -> str:
    return f"{_TASK} {name}"


class Heartbeat(bootsteps.StartStopStep):
    """The part of a Celery worker that says so, from its main loop: begun with each connection to the broker."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def start(self, consumer: Any) -> None:
        """Say it now, and three times in the span for which it holds."""
        self._beat(consumer)
        self._timer = consumer.timer.call_repeatedly(config.lease_seconds() / 3, self._beat, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Say that it is over."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        for kind, table in _tables.items():
            if _lanes(consumer, kind):
                self._try(end, table, self._name)

    def _beat(self, consumer: Any) -> None:
        for kind, table in _tables.items():
            if lanes := _lanes(consumer, kind):
                self._try(beat, table, self._name, consumer.pool.num_processes or 1, lanes)

    def _try(self, say: Any, *arguments: Any) -> None:
        """What the database does not take is said again soon, or expires; the worker itself goes on."""
        try:
            say(*arguments)
        except sa.exc.SQLAlchemyError as error:
            log.warning("Could not record whether worker %s is alive: %s", self._name, error)


def _lanes(consumer: Any, kind: str) -> list[str]:
    """Return the lanes of a kind of work whose messages a worker takes."""
    before = f"{config.site_id()}.{kind}."
    return [name[len(before) :] for name in consumer.app.amqp.queues.consume_from if name.startswith(before)]
