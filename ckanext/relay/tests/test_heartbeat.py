"""Workers say that they are alive, in rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.model import meta
from kombu.asynchronous.timer import Timer

from ckanext.relay import config, heartbeat, lease

_metadata = sa.MetaData()
leases = lease.table("relay_test_heartbeat", _metadata)


@pytest.fixture(autouse=True)
def tables(with_plugins: None, ckan_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A lease table as a plugin has it, and leases that run out soon."""
    ckan_config["ckanext.relay.lease_seconds"] = 0.9
    monkeypatch.setattr(heartbeat, "_tables", {})
    heartbeat.keep_in(leases, "test")
    _metadata.drop_all(meta.engine)
    _metadata.create_all(meta.engine)
    yield
    model.Session.remove()
    _metadata.drop_all(meta.engine)


def worker(*queues: str) -> Any:
    """What a Celery worker's consumer shows of itself to its parts."""
    names = {f"{config.site_id()}.{queue}": None for queue in queues}
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=names)))
    return SimpleNamespace(app=app, timer=Timer(), pool=SimpleNamespace(num_processes=3))


def test_a_worker_that_lives() -> None:
    """It says so as long as it lives, and no longer."""
    consumer = worker("test.bulk", "test.priority", "other.bulk")
    step = heartbeat.Heartbeat(consumer)
    step.start(consumer)
    [alive] = heartbeat.workers(leases)
    assert (alive.processes, alive.lanes) == (3, ("bulk", "priority"))
    for _ in range(12):
        for _, entry in zip(range(5), consumer.timer, strict=False):
            if entry and entry[1] is not None:
                entry[1]()
        time.sleep(0.1)
    [later] = heartbeat.workers(leases)
    assert later == alive, "it is the same, ready since the same time"
    step.stop(consumer)
    assert heartbeat.workers(leases) == []


def test_a_worker_that_was_killed(ckan_config: Any) -> None:
    """It is taken for alive for as long as a lease holds."""
    heartbeat.beat(leases, "host:1", 2, ["bulk"])
    ckan_config["ckanext.relay.lease_seconds"] = 60
    heartbeat.beat(leases, "host:2", 2, ["bulk"])
    assert [each.name for each in heartbeat.workers(leases)] == ["host:1", "host:2"]
    time.sleep(1)
    assert [each.name for each in heartbeat.workers(leases)] == ["host:2"]


def test_a_worker_of_something_else() -> None:
    """One that takes no messages of a kind of work says nothing where that is asked."""
    consumer = worker("other.bulk")
    step = heartbeat.Heartbeat(consumer)
    step.start(consumer)
    assert heartbeat.workers(leases) == []
    step.stop(consumer)


def test_a_database_that_is_away(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker goes on, and the log says what it could not record."""
    monkeypatch.setattr(heartbeat.log, "disabled", False)
    _metadata.drop_all(meta.engine)
    consumer = worker("test.bulk")
    step = heartbeat.Heartbeat(consumer)
    step.start(consumer)
    step.stop(consumer)
    assert "Could not record" in caplog.text


def test_leases_are_no_workers() -> None:
    """What else is in the table is not taken for a worker."""
    lease.note(leases, "sweep")
    with lease.held(leases, "process source", 10):
        assert heartbeat.workers(leases) == []
