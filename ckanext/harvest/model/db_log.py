"""The log that is kept in the database: what writes it, and what throws old rows away."""

from __future__ import annotations

import atexit
import datetime
import logging
import os
import queue
import threading
import weakref
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.model import meta

from ckanext.relay import redaction
from ckanext.relay.texts import storable

from .tables import HarvestLog

_table = HarvestLog.__table__
_ROOT = "ckanext.harvest"
#: The loggers of each scope (contract: ``ckan.harvest.log_scope``); those below them are meant too.
_MODEL, _ACTIONS, _VALIDATORS, _HARVESTERS, _PLUGIN = (
    f"{_ROOT}.{name}" for name in ("model", "logic.action", "logic.validators", "harvesters", "plugin")
)
SCOPES: dict[int, tuple[str, ...]] = {
    -1: (),
    0: (_ROOT,),
    1: (_MODEL, _ACTIONS, _VALIDATORS, _HARVESTERS),
    2: (_MODEL, _ACTIONS, _VALIDATORS),
    3: (_MODEL, _ACTIONS),
    4: (_ACTIONS,),
    5: (_MODEL,),
    6: (_PLUGIN,),
    7: (_HARVESTERS,),
}

#: Characters of a message that are kept.
LONGEST = 10_000
#: Messages that wait to be written; more are dropped, since who logs must not wait.
WAITING = 1_000
#: Seconds that the end of a process waits for them.
_PATIENCE = 2.0

_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")


class DBLogHandler(logging.Handler):
    """Keeps log messages as rows of ``harvest_log``.

    Who logs only puts the message into a queue; a thread writes, on a connection and in transactions of its own. So a
    row stays whatever becomes of the caller's transaction, and nothing that is wrong with the database reaches the
    caller: messages are dropped then, with one warning on the standard error stream.
    """

    def __init__(self, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._start()
        _handlers.add(self)

    def _start(self) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self._writer: threading.Thread | None = None
        self._pid = os.getpid()
        self._warned = False

    def emit(self, record: logging.LogRecord) -> None:
        if threading.current_thread() is self._writer or meta.engine is None:
            return  # what the writer's own doing logs, or CKAN has no database yet
        try:
            row = {"content": self._content(record), "level": _level(record), "created": _created(record)}
        except Exception:  # noqa: BLE001  the boundary to whatever is logged: its text may not be made
            self.handleError(record)
            return
        if self._pid != os.getpid():
            self._start()  # a fork has no thread, and its parent writes what was waiting
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="harvest log", daemon=True)
            self._writer.start()
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            self._warn("too many at once")

    def _content(self, record: logging.LogRecord) -> str:
        return storable(redaction.scrub(self.format(record)))[:LONGEST]

    def _write(self) -> None:
        while True:
            rows = [self._queue.get()]
            while not self._queue.empty():
                rows.append(self._queue.get())
            try:
                _insert(rows)
                self._warned = False
            except (sa.exc.SQLAlchemyError, OSError) as error:
                self._warn(f"{type(error).__name__}: {getattr(error, 'orig', error)}")
            for _ in rows:
                self._queue.task_done()

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            # not by logging, which may end here again
            os.write(2, redaction.scrub(f"Log messages are not kept in the database: {reason}\n").encode())

    def flush(self) -> None:
        """Wait until what was logged is written, two seconds at most."""
        if self._writer is None or self._pid != os.getpid():
            return
        with self._queue.all_tasks_done:
            self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, _PATIENCE)


_handlers: weakref.WeakSet[DBLogHandler] = weakref.WeakSet()
_configured: list[tuple[logging.Logger, DBLogHandler]] = []


def flush() -> None:
    """Wait until what this process has logged is in the database, two seconds a handler at most."""
    for handler in list(_handlers):
        handler.flush()


atexit.register(flush)


def configure(scope: int, level: int) -> None:
    """Keep the messages of a scope, from a level on, and no others; replaces what was configured before.

    :param scope: see ``SCOPES``
    """
    while _configured:
        logger, handler = _configured.pop()
        logger.removeHandler(handler)
    if SCOPES[scope]:
        handler = DBLogHandler(level)
        for name in SCOPES[scope]:
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            _configured.append((logger, handler))


def _insert(rows: list[dict[str, Any]]) -> None:
    engine = meta.engine
    if engine is None:
        return
    with engine.begin() as connection:
        connection.execute(sa.insert(_table), rows)


def _level(record: logging.LogRecord) -> str:
    return next((name for name in _LEVELS if record.levelno >= getattr(logging, name)), "DEBUG")


def _created(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc).replace(tzinfo=None)


def clean_harvest_log(condition: datetime.datetime) -> None:
    """Delete the log messages from before a time (naive UTC), and commit."""
    model.Session.execute(sa.delete(_table).where(_table.c.created < condition))
    model.Session.commit()
