"""The queue as test suites of other extensions drive it: job, gather_callback, fetch_callback, harvest_jobs_run."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model

import ckanext.harvest.queue as queue
from ckanext.harvest.model import HarvestJob, HarvestObject, lease_table, work
from ckanext.harvest.tests.harvesting import act, counts, current, ended, errors, found, gather_errors, make_source
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id, save_objects
from ckanext.relay import lease
from ckanext.relay.celery_app import app
from ckanext.relay.celery_app import queue as queue_name

SCRIPT = {"guids": ("one", "two", "three")}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")

SURFACE = (
    "get_connection", "get_connection_redis", "get_connection_amqp", "get_gather_publisher", "get_fetch_publisher",
    "get_gather_consumer", "get_fetch_consumer", "get_gather_queue_name", "get_fetch_queue_name",
    "get_gather_routing_key", "get_fetch_routing_key", "purge_queues", "resubmit_jobs", "resubmit_objects",
    "gather_callback", "fetch_callback", "gather_stage", "fetch_and_import_stages", "get_harvester", "Publisher",
    "RedisPublisher", "RedisConsumer", "FakeMethod", "get_publisher", "get_consumer", "log",
)  # fmt: skip
CONSTANTS = {
    "MQ_TYPE": "redis", "HOSTNAME": "localhost", "REDIS_PORT": 6379, "REDIS_DB": 0, "PORT": 5672,
    "EXCHANGE_NAME": "ckan.harvest", "EXCHANGE_TYPE": "direct",
}  # fmt: skip


@pytest.fixture(autouse=True)
def purged(portal: None) -> None:
    queue.purge_queues()


class Suite:
    """A functional test suite as third parties write them."""

    def __init__(self) -> None:
        self.gather_consumer = queue.get_gather_consumer()
        self.fetch_consumer = queue.get_fetch_consumer()

    def create_job(self, source_id: str) -> dict[str, Any]:
        return tk.get_action("harvest_job_create")({"ignore_auth": True, "user": ""}, {"source_id": source_id})

    def run_jobs(self, source_id: str | None = None) -> None:
        tk.get_action("harvest_jobs_run")({"ignore_auth": True, "user": ""}, {"source_id": source_id})

    def gather(self) -> Any:
        reply = self.gather_consumer.basic_get(queue="ckan.harvest.gather.test")
        assert reply[2], "Empty gather queue"
        return queue.gather_callback(self.gather_consumer, *reply)

    def fetch(self, count: int) -> None:
        for _ in range(count):
            reply = self.fetch_consumer.basic_get(queue="ckan.harvest.fetch.test")
            assert reply[2], "Empty fetch queue, the gather stage failed"
            queue.fetch_callback(self.fetch_consumer, *reply)


@pytest.fixture
def suite() -> Suite:
    return Suite()


def test_the_surface() -> None:
    """Everything that other extensions import from here is here."""
    assert [name for name in SURFACE if not hasattr(queue, name)] == []
    assert {name: getattr(queue, name) for name in CONSTANTS} == CONSTANTS
    assert queue.get_harvester("scripted") is ScriptedHarvester()
    assert queue.get_harvester("no such type") is None


def test_names_and_connections() -> None:
    """Names carry the site id as they always did, and connections lead to the broker of the workers."""
    site_id = tk.config["ckan.site_id"]
    assert queue.get_gather_queue_name() == f"ckan.harvest.{site_id}.gather"
    assert queue.get_fetch_queue_name() == f"ckan.harvest.{site_id}.fetch"
    assert queue.get_gather_routing_key() == f"ckanext-harvest:{site_id}:harvest_job_id"
    assert queue.get_fetch_routing_key() == f"ckanext-harvest:{site_id}:harvest_object_id"
    assert queue.get_connection_redis().ping() is True
    with queue.get_connection_amqp() as connection:
        assert connection.ensure_connection(max_retries=1, timeout=5)
    publisher = queue.get_publisher(queue.get_fetch_routing_key())
    assert isinstance(publisher, queue.RedisPublisher) and isinstance(publisher, queue.Publisher)
    consumer = queue.get_consumer(queue.get_fetch_queue_name(), queue.get_fetch_routing_key())
    assert isinstance(consumer, queue.RedisConsumer)
    assert consumer.basic_get(queue=queue.get_fetch_queue_name())[2] is None


def test_a_whole_harvest(suite: Suite, source_id: str) -> None:
    """Each step does its part and no more, and the instances that a suite holds show what became of them."""
    job_dict = suite.create_job(source_id)
    assert job_dict["status"] == "Running"
    suite.run_jobs(source_id)
    job = HarvestJob.get(job_dict["id"])
    assert suite.gather()
    assert job.gather_started and job.gather_finished and job.status == "Running"
    objects = model.Session.query(HarvestObject).order_by(HarvestObject.gathered).all()
    assert [(obj.guid, obj.state, obj.retry_times) for obj in objects] == [
        (guid, "WAITING", 0) for guid in ("one", "two", "three")
    ]
    suite.fetch(1)
    assert [obj.state for obj in objects] == ["COMPLETE", "WAITING", "WAITING"]
    assert (objects[0].report_status, objects[0].current, objects[0].retry_times) == ("added", True, 1)
    assert objects[0].import_finished
    suite.run_jobs(source_id)
    assert act("harvest_job_show", id=job.id)["status"] == "Running"
    suite.fetch(2)
    assert suite.fetch_consumer.basic_get(queue="x")[2] is None
    assert suite.gather_consumer.basic_get(queue="x")[2] is None
    suite.run_jobs(source_id)
    assert counts(ended(job.id)) == {"added": 3}
    assert found() == ["record-one", "record-three", "record-two"]

    suite.create_job(source_id)
    suite.run_jobs()
    suite.gather()
    suite.fetch(3)
    suite.run_jobs()
    assert act("harvest_source_show_status", id=source_id)["last_job"]["stats"]["updated"] == 3
    assert len(current(package_id("one"))) == 1


def test_a_job_is_in_the_queue_when_the_action_returns(suite: Suite, source_id: str) -> None:
    """As soon as a job runs it can be had, once; one that was only made cannot."""
    made = act("harvest_job_create", source_id=source_id, run=False)
    assert suite.gather_consumer.basic_get(queue="x") == (None, None, None)
    tk.get_action("harvest_send_job_to_gather_queue")({"ignore_auth": True, "user": ""}, {"id": made["id"]})
    method, _header, body = suite.gather_consumer.basic_get(queue="x")
    assert json.loads(body) == {"harvest_job_id": made["id"]}
    assert suite.gather_consumer.basic_get(queue="x")[2] is None
    suite.gather_consumer.basic_ack(method.delivery_tag)


def test_a_message_twice(suite: Suite, script: Script, source_id: str) -> None:
    """The copy of a message does nothing."""
    job = HarvestJob.get(suite.create_job(source_id)["id"])
    reply = suite.gather_consumer.basic_get(queue="x")
    assert queue.gather_callback(suite.gather_consumer, *reply) is True
    assert queue.gather_callback(suite.gather_consumer, *reply) is False
    reply = suite.fetch_consumer.basic_get(queue="x")
    assert queue.fetch_callback(suite.fetch_consumer, *reply) is True
    assert queue.fetch_callback(suite.fetch_consumer, *reply) is False
    assert script.calls == ["gather", "fetch one", "import one"]
    assert len(job.objects) == 3


@pytest.mark.parametrize("body", [None, "", "no JSON", "[]", "{}", '{"harvest_job_id": "x", "harvest_object_id": "x"}'])
def test_messages_of_no_use(suite: Suite, body: Any) -> None:
    """A message that names nothing that is there is refused, and acknowledged like all others."""

    class Channel:
        acknowledged = 0

        def basic_ack(self, tag: Any) -> None:
            self.acknowledged += 1

    channel = Channel()
    assert queue.gather_callback(channel, queue.FakeMethod(body), None, body) is False
    assert queue.fetch_callback(channel, queue.FakeMethod(body), None, body) is False
    assert channel.acknowledged == 2


@pytest.mark.parametrize("stage", ["gather", "fetch", "imports"])
def test_a_raising_harvester(suite: Suite, script: Script, source_id: str, stage: str) -> None:
    """What a harvester raises ends in the errors of the job or object, not in the consumer."""

    def fail(_: Any) -> Any:
        raise RuntimeError("broken by the test")

    setattr(script, stage, fail)
    job_id = suite.create_job(source_id)["id"]
    suite.gather()
    suite.fetch(0 if stage == "gather" else 3)
    suite.run_jobs(source_id)
    job = ended(job_id)
    if stage == "gather":
        assert ["broken by the test" in message for message in gather_errors(job)] == [True]
    else:
        assert counts(job) == {"errored": 3}
        assert all("broken by the test" in errors(obj)[0][1] for obj in job.objects)


def test_an_object_of_a_job_that_has_ended(suite: Suite, script: Script, source_id: str) -> None:
    """An object that is taken from the queue when its job is over becomes an error, without any stage."""
    job = HarvestJob.get(suite.create_job(source_id)["id"])
    suite.gather()
    reply = suite.fetch_consumer.basic_get(queue="x")
    obj = HarvestObject.get(json.loads(reply[2])["harvest_object_id"])
    job.status = "Finished"
    job.save()
    assert queue.fetch_callback(suite.fetch_consumer, *reply) is False
    assert (obj.state, obj.report_status) == ("ERROR", "errored")
    assert script.calls == ["gather"]
    assert suite.fetch_consumer.basic_get(queue="x")[2] is None


def test_what_a_worker_has_is_not_in_the_queue(suite: Suite, script: Script, source_id: str) -> None:
    """Where workers run too, each job and object is done once, by whoever is faster."""
    job_id = suite.create_job(source_id)["id"]
    reply = suite.gather_consumer.basic_get(queue="x")
    with lease.held(lease_table, f"gather {job_id}", longest=60) as worker:
        assert work.claim_job(job_id, worker)
        assert Suite().gather_consumer.basic_get(queue="x")[2] is None
        assert queue.gather_callback(suite.gather_consumer, *reply) is False
    assert queue.gather_callback(suite.gather_consumer, *reply) is True
    with lease.held(lease_table, f"process {source_id}", longest=60) as worker:
        assert len(work.claim_objects(source_id, worker, 3)) == 3
        assert suite.fetch_consumer.basic_get(queue="x")[2] is None
    assert script.calls == ["gather"]


def test_purging(suite: Suite, source_id: str) -> None:
    """What was there before is out of the view, and no row is touched; what comes after is in it."""
    first = suite.create_job(source_id)["id"]
    queue.purge_queues()
    assert suite.gather_consumer.basic_get(queue="x")[2] is None
    assert HarvestJob.get(first).status == "Running"
    second = suite.create_job(make_source("scripted")["id"])["id"]
    assert json.loads(suite.gather_consumer.basic_get(queue="x")[2]) == {"harvest_job_id": second}
    queue.resubmit_jobs()
    assert suite.gather()
    suite.fetch_consumer.queue_purge(queue="x")
    assert suite.fetch_consumer.basic_get(queue="x")[2] is None
    queue.resubmit_objects()
    suite.fetch(3)
    suite.run_jobs()
    assert counts(ended(first)) == {"added": 3}


def test_nothing_else_in_redis_is_touched(suite: Suite, source_id: str) -> None:
    """CKAN and others may keep what they like in the same database; only our own messages come and go."""
    redis = queue.get_connection()
    others = {"ckanext-harvest:other:harvest_job_id": "[1]", "rq:queue:ckan": "x", "ckan:sessions": "y"}
    for key, value in others.items():
        redis.set(key, value)
    try:
        suite.create_job(source_id)
        waiting = f"{app.conf.broker_transport_options['global_keyprefix']}{queue_name('harvest', 'priority')}"
        assert redis.llen(waiting) == 1
        queue.purge_queues()
        assert redis.llen(waiting) == 0
        suite.run_jobs(source_id)
        assert {key: redis.get(key) for key in others} == others
    finally:
        redis.delete(*others)


def test_publishers(suite: Suite, script: Script, source_id: str) -> None:
    """What is sent is handed to the workers, and can be had again."""
    made = act("harvest_job_create", source_id=source_id, run=False)
    publisher = queue.get_gather_publisher()
    publisher.send({"harvest_job_id": made["id"]})
    publisher.send({"harvest_job_id": "no such job"})
    publisher.close()
    assert HarvestJob.get(made["id"]).status == "Running"
    assert suite.gather_consumer.basic_get(queue="x")[2]
    queue.get_gather_publisher().send({"harvest_job_id": made["id"]})
    reply = suite.gather_consumer.basic_get(queue="x")

    def gather(job: HarvestJob) -> list[str]:
        ids = save_objects(job)
        assert suite.fetch_consumer.basic_get(queue="x")[2] is None
        queue.get_fetch_publisher().send({"harvest_object_id": ids[1]})
        assert json.loads(suite.fetch_consumer.basic_get(queue="x")[2]) == {"harvest_object_id": ids[1]}
        return ids

    script.gather = gather
    assert queue.gather_callback(suite.gather_consumer, *reply) is True


def test_an_own_consumer(source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``consume`` waits for what comes, and yields it."""
    monkeypatch.setattr(queue, "_PAUSE", 0.05)

    def consume() -> list[Any]:
        try:
            return [json.loads(body) for _, _, body in islice(queue.get_gather_consumer().consume(queue="x"), 1)]
        finally:
            model.Session.remove()

    with ThreadPoolExecutor(1) as pool:
        consumed = pool.submit(consume)
        threading.Event().wait(0.2)
        assert not consumed.done()
        job_id = Suite().create_job(source_id)["id"]
        assert consumed.result(timeout=20) == [{"harvest_job_id": job_id}]


# -- the stages by hand, as ckanext.harvest.tests.lib runs them


def begun(source_id: str) -> HarvestJob:
    job = HarvestJob.get(act("harvest_job_create", source_id=source_id, run=False)["id"])
    job.status = "Running"
    job.save()
    return job


def test_the_stages_by_hand(suite: Suite, source_id: str) -> None:
    """A harvester is taken through its stages in the caller's session, and ``harvest_jobs_run`` ends the job."""
    job = begun(source_id)
    ids = queue.gather_stage(ScriptedHarvester(), job)
    assert len(ids) == 3 and job.gather_started and job.gather_finished
    for object_id in ids:
        obj = HarvestObject.get(object_id)
        queue.fetch_and_import_stages(ScriptedHarvester(), obj)
        assert (obj.state, obj.report_status, obj.current) == ("COMPLETE", "added", True)
        queue.fetch_and_import_stages(ScriptedHarvester(), obj)
    suite.run_jobs()
    assert counts(ended(job.id)) == {"added": 3}


@pytest.mark.parametrize(
    ("answer", "state", "report"), [("unchanged", "COMPLETE", "not modified"), (None, "ERROR", "errored")]
)
def test_answers_of_stages_by_hand(script: Script, source_id: str, answer: Any, state: str, report: str) -> None:
    """The rules for states are those of the workers."""
    script.imports = lambda obj: answer
    job = begun(source_id)
    obj = HarvestObject.get(queue.gather_stage(ScriptedHarvester(), job)[0])
    queue.fetch_and_import_stages(ScriptedHarvester(), obj)
    assert (obj.state, obj.report_status) == (state, report)


def test_exceptions_of_stages_by_hand(script: Script, source_id: str) -> None:
    """They pass through; a gather stage that raises leaves no object behind, and its job is gathered."""

    def fail(_: Any) -> Any:
        raise RuntimeError("broken by the test")

    script.imports = fail
    job = begun(source_id)
    ids = queue.gather_stage(ScriptedHarvester(), job)
    with pytest.raises(RuntimeError, match="broken by"):
        queue.fetch_and_import_stages(ScriptedHarvester(), HarvestObject.get(ids[0]))

    def gather(job: HarvestJob) -> Any:
        save_objects(job)
        raise RuntimeError("broken by the test")

    script.gather = gather
    other = begun(str(make_source("scripted")["id"]))
    with pytest.raises(RuntimeError, match="broken by"):
        queue.gather_stage(ScriptedHarvester(), other)
    assert HarvestObject.filter(harvest_job_id=other.id).count() == 0
    assert other.gather_finished
