"""The queue as ckanext-harvest had it, for third parties: test suites that drive a harvest by hand, and own consumers.

There is no list of messages in here. What there is to do stands in the tables, and the workers of this extension take
it from there; a Celery message only wakes them. So this is a *view*:

* ``basic_get`` and ``consume`` of the gather consumer answer with the jobs that run, were not gathered yet and that no
  worker has; those of the fetch consumer with the objects that a worker might take now. What was handed out is not
  handed out again to this process, unless it is sent again or ``resubmit_…`` is called.
* ``send`` hands a job or object to the workers, and wakes them.
* ``gather_callback`` and ``fetch_callback`` claim what they are given and do what a worker does, by the same functions;
  if a worker was faster, there is nothing left and they return False. Errors of a harvester become errors of its job or
  object and are not raised.
* ``gather_stage`` and ``fetch_and_import_stages`` run the stages of the harvester that they are given, in the caller's
  session. What a stage raises passes through.
* ``purge_queues`` and ``queue_purge`` drop the waking messages, and what is in the view now is out of it, for this
  process. No row is touched: workers and the sweep find the work again.

As with ckanext-harvest, a job is ended by ``harvest_jobs_run`` after its last object, or by a worker.

Nothing in a Redis database is read or written but the messages of this extension's workers, whose keys begin with
``ckanext-relay:`` and the site id. ``get_connection`` is for who wants to talk to the broker himself.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis
from ckan import model

from ckanext.relay import config as relay_config
from ckanext.relay import lease
from ckanext.relay.celery_app import app, purge

from . import registry, runner, tasks
from .domain import job_state, object_state, outcome
from .model import HarvestJob, HarvestObject, lease_table, record, work

log = logging.getLogger(__name__)

REDIS_PORT = 6379
REDIS_DB = 0
PORT = 5672
HOSTNAME = "localhost"
MQ_TYPE = "redis"
EXCHANGE_TYPE = "direct"
EXCHANGE_NAME = "ckan.harvest"

#: Seconds after which an own consumer that found nothing looks again.
_PAUSE = 1.0


@dataclass
class _View:
    """One of the two queues: the rows that wait, and which of them this process has had already."""

    key: str
    waiting: Callable[[int], list[str]]
    had: set[str] = field(default_factory=set)

    def take(self) -> str | None:
        """Return the id of the row that waits longest and was not handed out, or None."""
        waiting = self.waiting(len(self.had) + 1)
        self.had.intersection_update(waiting)  # what was done since need not be remembered
        taken = next((row_id for row_id in waiting if row_id not in self.had), None)
        if taken:
            self.had.add(taken)
        return taken

    def clear(self) -> None:
        self.had.update(self.waiting(work.ALL))


_views = {
    "gather": _View("harvest_job_id", work.waiting_jobs),
    "fetch": _View("harvest_object_id", work.waiting_objects),
}


# -- names


def get_gather_queue_name() -> str:
    """Return the name that the gather queue has with ckanext-harvest."""
    return f"ckan.harvest.{relay_config.site_id()}.gather"


def get_fetch_queue_name() -> str:
    """Return the name that the fetch queue has with ckanext-harvest."""
    return f"ckan.harvest.{relay_config.site_id()}.fetch"


def get_gather_routing_key() -> str:
    """Return the key that the messages about jobs have with ckanext-harvest."""
    return f"ckanext-harvest:{relay_config.site_id()}:harvest_job_id"


def get_fetch_routing_key() -> str:
    """Return the key that the messages about objects have with ckanext-harvest."""
    return f"ckanext-harvest:{relay_config.site_id()}:harvest_object_id"


def _view(name: str) -> _View:
    """Return the queue that a queue name or a routing key means."""
    return _views["fetch" if name.endswith(("fetch", "harvest_object_id")) else "gather"]


# -- connections


def get_connection() -> Any:
    """Return a connection to the message broker: a Redis client, or kombu's connection to another broker."""
    return get_connection_redis() if relay_config.broker_url().startswith("redis") else get_connection_amqp()


def get_connection_redis() -> Any:
    """Return a client of the Redis database of the workers, which CKAN may use too; it answers with text."""
    return redis.Redis.from_url(relay_config.broker_url(), decode_responses=True)


def get_connection_amqp() -> Any:
    """Return kombu's connection to the broker."""
    return app.connection_for_write()


# -- publishers and consumers


class Publisher:
    """Hands rows to the workers.

    :param connection: closed by :meth:`close`, otherwise unused, as ``channel`` and ``exchange`` are
    :param routing_key: which of the two queues is meant
    """

    def __init__(self, connection: Any, channel: Any, exchange: Any, routing_key: str) -> None:
        self.connection, self.channel, self.exchange = connection, channel, exchange
        self.routing_key = routing_key

    def send(self, body: dict[str, str], **_: Any) -> None:
        """Hand over a job (``{"harvest_job_id": id}``) or an object (``{"harvest_object_id": id}``). Commits."""
        view = _view(self.routing_key)
        view.had.discard(body[view.key])
        if view is _views["gather"]:
            _send_job(body[view.key])
        else:
            _send_object(body[view.key])

    def close(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()


def _send_job(job_id: str) -> None:
    job = HarvestJob.get(job_id)
    if job is None:
        log.error("Harvest job does not exist: %s", job_id)
    elif job.status == job_state.NEW:
        tasks.gather_after_commit(job)
        record.run(job)
    else:
        model.Session.commit()
        tasks.send_all([runner.Next("gather", job_id)])


def _send_object(object_id: str) -> None:
    obj = HarvestObject.get(object_id)
    if obj is None:
        log.error("Harvest object does not exist: %s", object_id)
        return
    obj.published = True  # although its job may not be gathered yet
    model.Session.commit()
    tasks.send_all([runner.Next("process", obj.harvest_source_id)])


class RedisPublisher(Publisher):
    """A publisher as ``get_publisher`` returned it for Redis."""

    def __init__(self, redis: Any, routing_key: str) -> None:
        super().__init__(redis, None, None, routing_key)
        self.redis = redis


class FakeMethod:
    """What stands in for AMQP's delivery."""

    def __init__(self, message: Any) -> None:
        self.delivery_tag = message


#: method, header and body; all None if there is no message
Message = tuple[Any, Any, Any]


class RedisConsumer:
    """Answers with what waits to be worked on."""

    def __init__(self, redis: Any, routing_key: str) -> None:
        self.redis, self.routing_key = redis, routing_key
        self._view = _view(routing_key)

    def basic_get(self, queue: str | None = None) -> Message:
        """Return ``(method, header, body)`` of what waits longest, at once; ``body`` is None if nothing waits."""
        row_id = self._view.take()
        if row_id is None:
            return None, None, None
        body = json.dumps({self._view.key: row_id})
        return FakeMethod(body), self, body

    def consume(self, queue: str | None = None) -> Iterator[Message]:
        """Yield what waits, for ever."""
        while True:
            message = self.basic_get(queue)
            if message[2] is not None:
                yield message
                continue
            model.Session.remove()  # the next look is to see what others have committed since
            time.sleep(_PAUSE)

    def basic_ack(self, delivery_tag: Any) -> None:
        """Do nothing: what was done stands in its row, and what was not is found again."""

    def queue_purge(self, queue: str | None = None) -> None:
        """Forget what waits, in this process; see the head of the module."""
        self._view.clear()
        purge(tasks.KIND)


def get_publisher(routing_key: str) -> Publisher:
    """Return a publisher for one of the routing keys."""
    return RedisPublisher(get_connection(), routing_key)


def get_consumer(queue_name: str, routing_key: str) -> RedisConsumer:
    """Return a consumer for one of the routing keys."""
    return RedisConsumer(get_connection(), routing_key)


def get_gather_publisher() -> Publisher:
    """Return what hands jobs to the workers."""
    return get_publisher(get_gather_routing_key())


def get_fetch_publisher() -> Publisher:
    """Return what hands objects to the workers."""
    return get_publisher(get_fetch_routing_key())


def get_gather_consumer() -> RedisConsumer:
    """Return what answers with jobs to gather."""
    return get_consumer(get_gather_queue_name(), get_gather_routing_key())


def get_fetch_consumer() -> RedisConsumer:
    """Return what answers with objects to fetch."""
    return get_consumer(get_fetch_queue_name(), get_fetch_routing_key())


def purge_queues() -> None:
    """Forget what waits in both queues, in this process; see the head of the module."""
    for view in _views.values():
        view.clear()
    purge(tasks.KIND)


def resubmit_jobs() -> None:
    """Show all jobs that wait again, and wake the workers for them."""
    _views["gather"].had.clear()
    tasks.send_again(runner.Next("gather", job_id) for job_id in work.jobs_to_gather())


def resubmit_objects() -> None:
    """Show all objects that wait again, and wake the workers for them."""
    _views["fetch"].had.clear()
    tasks.send_again(runner.Next("process", source_id) for source_id in work.sources_to_process())


# -- doing the work


def get_harvester(harvest_source_type: str) -> Any:
    """Return the harvester of a type of source, or None."""
    return registry.find(harvest_source_type)


def gather_callback(channel: Any, method: Any, header: Any, body: Any) -> bool:
    """Gather the job that a message names; False if it names none, there is nothing to gather, or that did not end."""
    try:
        job = _named(HarvestJob, body, "harvest_job_id")
        if job is None or job.gather_finished:
            return False
        tasks.send_all(runner.gather(job.id))
        job = HarvestJob.get(job.id)
        return job is not None and job.gather_finished is not None
    finally:
        channel.basic_ack(method.delivery_tag)


def fetch_callback(channel: Any, method: Any, header: Any, body: Any) -> bool:
    """Take the object that a message names through its stages; False if it names none or there is nothing to do.

    An object whose job has ended becomes an error.
    """
    try:
        obj = _named(HarvestObject, body, "harvest_object_id")
        if obj is None or obj.state in object_state.lifecycle.final:
            return False
        if obj.job.status in job_state.lifecycle.final:
            record.end_with_job(obj.id)
            model.Session.refresh(obj)
            return False
        return runner.process_one(obj.id)
    finally:
        channel.basic_ack(method.delivery_tag)


def _named(cls: Any, body: Any, key: str) -> Any:
    """Return the row that a message names, or None. Commits, for what is not committed is not there for a worker."""
    try:
        row_id = json.loads(body)[key]
    except (TypeError, ValueError, KeyError):
        log.error("No %s in the message %r", key, body)
        return None
    model.Session.commit()
    row = model.Session.get(cls, row_id, populate_existing=True)
    if row is None:
        log.error("There is no such row: %s %s", key, row_id)
    return row


def gather_stage(harvester: Any, job: HarvestJob) -> Any:
    """Run the gather stage of a harvester for a job and return what it answers.

    If it raises, the objects of the job are deleted and the exception passes through.
    """
    with lease.held(lease_table, runner.gather_task(job.id), longest=runner.longest("gather")) as lease_id:
        if work.claim_job(job.id, lease_id):  # workers keep off a job that runs
            model.Session.refresh(job, ["claimed_by", "attempts"])
        record.gather_begins(job)
        try:
            return harvester.gather_stage(job)
        except Exception:
            model.Session.rollback()
            record.discard_objects(record.attached(job))
            raise
        finally:
            record.gather_ends(record.attached(job))


def fetch_and_import_stages(harvester: Any, obj: HarvestObject) -> None:
    """Run the fetch stage of a harvester for an object and, if that says so, its import stage. Commits.

    An object that has ended is left as it is. What a stage raises passes through.
    """
    object_id = obj.id
    if obj.state in object_state.lifecycle.final:
        return
    with lease.held(lease_table, f"process object {object_id}", longest=runner.longest("process")) as lease_id:
        if work.claim_object(object_id, lease_id):
            model.Session.refresh(obj, ["claimed_by", "retry_times"])
        record.fetch_begins(obj)
        step = outcome.after_fetch(harvester.fetch_stage(obj))
        if step is outcome.Step.IMPORT:
            record.import_begins(obj)
            step = outcome.after_import(harvester.import_stage(obj))
        _end(object_id, obj, step)


def _end(object_id: str, obj: HarvestObject, step: outcome.Step) -> None:
    if obj not in model.Session.deleted and model.Session.get(HarvestObject, object_id) is not None:
        own = record.attached(obj)
        record.object_ends(own, step)
        own.claimed_by = None
    model.Session.commit()
