"""The Celery application of the extension.

A worker or beat is started with the CKAN configuration in the environment::

    CKAN_INI=/etc/ckan/default/ckan.ini celery -A ckanext.relay.celery_app worker
    CKAN_INI=/etc/ckan/default/ckan.ini celery -A ckanext.relay.celery_app beat

Nothing is read or connected when this module is imported: the settings come from CKAN's configuration when Celery first
asks for them, which in a worker also loads CKAN and so the plugins and their tasks.

Messages are hints. What there is to do stands in the database, so a message that is lost, doubled or late does no
harm; that is why a broker that is down is logged and not an error for who sends.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import celery
import ckan.plugins.toolkit as tk
import flask
import kombu
import sqlalchemy as sa
from celery import signals
from ckan import model
from ckan.exceptions import CkanConfigurationException
from ckan.model import meta
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.utils.scheduling import round_robin_cycle
from sqlalchemy import event

from . import config, heartbeat

log = logging.getLogger(__name__)

#: Lanes of each kind of work: what a person waits for, and the rest.
PRIORITY, BULK = "priority", "bulk"

#: How many messages a worker takes from the priority lanes before a bulk lane has a turn.
PRIORITY_TURNS = 4

_OUTBOX = "ckanext.relay.outbox"

#: Redis' own limits, for who must not be kept waiting.
_SHORTLY = {"socket_connect_timeout": 1, "socket_timeout": 1}

TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = "ckanext.relay.redis_transport:Transport"


class LaneOrder(round_robin_cycle):
    """In which order a worker that is free looks into its queues in Redis: what a person waits for comes first.

    Now and then a bulk lane has a turn, so that neither starves the other. Queues of the same lane take turns.
    """

    def __init__(self, it: Iterable[str] | None = None) -> None:
        super().__init__(list(it or ()))
        self._in_a_row = 0

    def consume(self, n: int) -> list[str]:
        bulk_first = self._in_a_row >= PRIORITY_TURNS
        return sorted(self.items[:n], key=lambda name: name.endswith(f".{PRIORITY}") == bulk_first)

    def rotate(self, last_used: str) -> str:
        self._in_a_row = self._in_a_row + 1 if last_used.endswith(f".{PRIORITY}") else 0
        return str(super().rotate(last_used))


class CkanTask(celery.Task):
    """A task that runs inside a CKAN request context, with a clean database session before and after.

    The context lets ``url_for``, translations and helpers work in third-party code as they do in a web request.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if flask.has_app_context():
            return self.run(*args, **kwargs)
        with _flask_app().test_request_context(base_url=tk.config.get("ckan.site_url")):
            try:
                return self.run(*args, **kwargs)
            finally:
                model.Session.remove()


app = celery.Celery("ckanext.relay", task_cls=CkanTask)
app.steps["consumer"].add(heartbeat.Heartbeat)
_ckan: dict[str, flask.Flask] = {}
_queues: set[str] = set()
_sweeps: dict[str, str] = {}
_worker = {"processes": 1}
_broker = {"away_until": 0.0}


def add_sweep(name: str, kind: str) -> None:
    """Let beat send the task of this name, which looks for work that nobody does, every
    ``ckanext.relay.sweep_seconds``. (By name, since touching the task would read the settings too early.)"""
    _sweeps[name] = kind


def add_queues(kind: str, lease_table: sa.Table | None = None) -> None:
    """Declare the lanes of a kind of work, which a worker serves unless told otherwise.

    :param lease_table: where workers say that they serve them, see :func:`ckanext.relay.heartbeat.workers`
    """
    _queues.update(f"{kind}.{lane}" for lane in (PRIORITY, BULK))
    if lease_table is not None:
        heartbeat.keep_in(lease_table, kind)


def queue(kind: str, lane: str) -> str:
    """Return the full name of a lane. It carries the site id, since portals may share a broker."""
    return f"{config.site_id()}.{kind}.{lane}"


def send(task: celery.Task, *args: str, kind: str, lane: str = BULK, **options: Any) -> None:
    """Send a task now. Its arguments are ids, never content. A broker that cannot be reached is left alone until the
    next sweep, which sends again: who saves a hundred datasets must not wait for it a hundred times.

    :param options: Celery's own, such as ``countdown`` (seconds)
    """
    if time.monotonic() < _broker["away_until"]:
        return
    try:
        task.apply_async(args=args, queue=queue(kind, lane), retry=False, **options)
    except OperationalError as error:
        log.warning("The broker cannot be reached, %s%s waits for the next sweep: %s", task.name, args, error)
        _broker["away_until"] = time.monotonic() + config.sweep_seconds()


def purge(kind: str) -> None:
    """Drop the messages of a kind of work that nobody has taken yet.

    :raises OperationalError: the broker cannot be reached
    """
    with app.connection_for_write() as connection:
        for lane in (PRIORITY, BULK):
            waiting = kombu.Queue(queue(kind, lane))(connection.default_channel)
            waiting.queue_declare()
            waiting.purge()


def waiting(kind: str) -> dict[str, int]:
    """Return how many messages of a kind of work nobody has taken yet, by lane, or say within seconds that the broker
    does not answer.

    :raises OperationalError: the broker cannot be reached
    """
    with app.connection_for_read() as connection:
        if connection.transport.driver_type == "redis":
            connection.transport_options = {**connection.transport_options, **_SHORTLY}
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
        queues = {lane: kombu.Queue(queue(kind, lane))(connection.default_channel) for lane in (PRIORITY, BULK)}
        return {lane: int(each.queue_declare().message_count) for lane, each in queues.items()}


def send_after_commit(task: celery.Task, *args: str, kind: str, lane: str = BULK, **options: Any) -> None:
    """Send a task when the session's transaction is committed, and not at all if it is rolled back."""
    after_commit(functools.partial(send, task, *args, kind=kind, lane=lane, **options))


def after_commit(message: Callable[[], Any], name: str | None = None) -> None:
    """Call something that sends messages when the session's transaction is committed, and not if it is rolled back.

    A database that goes away meanwhile is logged: what was saved is saved, and whoever saved it must not be told
    otherwise.

    :param name: of several with the same name in one transaction, one is called
    """
    outbox: list[tuple[str | None, Callable[[], Any]]] = model.Session().info.setdefault(_OUTBOX, [])
    if name is None or all(name != other for other, _ in outbox):
        outbox.append((name, message))


@event.listens_for(meta.Session, "after_commit")
def _send_outbox(session: Any) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released, nothing is committed yet
    for name, message in session.info.pop(_OUTBOX, ()):
        try:
            message()
        except sa.exc.SQLAlchemyError as error:
            log.warning("What was saved waits for the next sweep, %s: %s", name or message, error)


@event.listens_for(meta.Session, "after_rollback")
def _drop_outbox(session: Any) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was rolled back; a message too many does no harm
    session.info.pop(_OUTBOX, None)


def _flask_app() -> flask.Flask:
    """Return this process's CKAN, loading it from CKAN_INI in a process that is not CKAN itself."""
    if "app" not in _ckan:
        from ckan.cli import load_config
        from ckan.config.middleware import make_app

        try:
            _ckan["app"] = make_app(load_config(os.environ.get("CKAN_INI")))._wsgi_app
        except CkanConfigurationException as error:
            raise SystemExit(f"CKAN's configuration is wrong. {error}") from None
        _let_celery_log()
    return _ckan["app"]


def _let_celery_log() -> None:
    """Undo that reading CKAN's logging configuration silences all loggers that were made before, Celery's among them:
    a task that fails would leave no trace."""
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in ("celery", "kombu"):
            logger.disabled = False


@app.add_defaults
def _settings() -> dict[str, Any]:
    if not tk.config.get("ckan.site_id"):
        _flask_app()
    url = config.broker_url()
    settings: dict[str, Any] = {
        "broker_url": url,
        "broker_connection_retry_on_startup": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        # a task that a killed worker had begun is delivered again; it finds what is left to claim
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_create_missing_queues": True,
        "task_default_queue": queue("relay", PRIORITY),
        "task_queues": [kombu.Queue(f"{config.site_id()}.{name}") for name in sorted(_queues)],
        "worker_hijack_root_logger": False,
        "enable_utc": True,
        "timezone": "UTC",
        # nothing in the schedule outlives beat, so it needs no file; several beats are harmless, see lease.only_one
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_schedule": {
            name: {
                "task": name,
                "schedule": config.sweep_seconds(),
                # a sweep that no worker came to in time is dropped, so that they never pile up
                "options": {"queue": queue(kind, PRIORITY), "expires": config.sweep_seconds()},
            }
            for name, kind in _sweeps.items()
        },
    }
    if url.startswith("redis"):
        settings["broker_transport_options"] = {
            # the Redis database may be CKAN's own: all our keys carry this prefix
            "global_keyprefix": f"ckanext-relay:{config.site_id()}:",
            "queue_order_strategy": "ckanext.relay.celery_app:LaneOrder",
            "socket_connect_timeout": 3,
            "socket_timeout": 5,
            "visibility_timeout": 3600,
            # who sends from a web request must not wait long for a broker that is down
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        }
    return settings


def processes() -> int:
    """Return how many processes the worker has that this one belongs to; 1 outside of a worker."""
    return _worker["processes"]


@signals.worker_init.connect
def _count_processes(sender: Any, **_: Any) -> None:
    """Remember, before the processes are forked, how many there will be."""
    _worker["processes"] = sender.concurrency if isinstance(sender.concurrency, int) else os.cpu_count() or 1


@signals.worker_process_init.connect
def _forget_parent_connections(**_: Any) -> None:
    """A forked process must not talk over the sockets of its parent."""
    model.Session.remove()
    if meta.engine is not None:
        meta.engine.dispose(close=False)
