"""Sending tasks to a real broker, and what surrounds them when they run."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ckan.plugins.toolkit as tk
import flask
import pytest
import redis
import sqlalchemy as sa
from ckan import model
from ckan.tests.helpers import _get_test_app

from ckanext.relay import celery_app, config

seen: list[Any] = []


@celery_app.app.task(name="relay.test.note", shared=False, lazy=False)
def note(word: str) -> None:
    """Note what surrounds a task."""
    seen.append((word, flask.has_request_context(), flask.request.host_url if flask.request else "", _identity()))
    model.Session.execute(sa.text("SELECT 1"))


def _identity() -> int:
    return id(model.Session())


@pytest.fixture(autouse=True)
def broker(with_plugins: None) -> Iterator[redis.Redis]:
    """The broker, in which messages of these tests have a queue of their own."""
    client = redis.Redis.from_url(tk.config["ckan.redis.url"])
    client.delete(_key(celery_app.BULK), _key(celery_app.PRIORITY))
    seen.clear()
    yield client
    model.Session.remove()
    client.delete(_key(celery_app.BULK), _key(celery_app.PRIORITY))


def _key(lane: str) -> str:
    site_id = tk.config["ckan.site_id"]
    return f"ckanext-relay:{site_id}:{site_id}.test.{lane}"


def messages(broker: redis.Redis, lane: str = celery_app.BULK) -> list[dict[str, Any]]:
    return [json.loads(message) for message in broker.lrange(_key(lane), 0, -1)]


def words(broker: redis.Redis, lane: str = celery_app.BULK) -> list[str]:
    """Return the arguments of the messages in a queue, oldest first."""
    bodies = [json.loads(base64.b64decode(message["body"])) for message in messages(broker, lane)]
    return [body[0][0] for body in reversed(bodies)]


def test_a_message(broker: redis.Redis) -> None:
    """It is JSON, names its task, and lies in a queue whose name and key carry the site id."""
    celery_app.send(note, "one", kind="test")
    [message] = messages(broker)
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "relay.test.note"
    assert words(broker) == ["one"]
    celery_app.send(note, "two", kind="test", lane=celery_app.PRIORITY, countdown=5)
    assert words(broker, celery_app.PRIORITY) == ["two"]
    assert words(broker) == ["one"]


def test_nothing_else_of_the_broker_is_touched(broker: redis.Redis) -> None:
    """The database of the broker may be CKAN's: each key of ours says whose it is."""
    before = set(broker.keys())
    celery_app.send(note, "one", kind="test")
    new = set(broker.keys()) - before
    assert new and all(str(key).startswith("b'ckanext-relay:") for key in new)


def test_a_message_waits_for_the_commit(broker: redis.Redis) -> None:
    """What a transaction sends is sent when it is committed, in its order, once."""
    for word in ("one", "two"):
        celery_app.send_after_commit(note, word, kind="test")
    model.Session.execute(sa.text("SELECT 1"))
    assert words(broker) == []
    model.Session.commit()
    assert words(broker) == ["one", "two"]
    model.Session.commit()
    assert words(broker) == ["one", "two"]


def test_a_message_goes_with_the_rollback(broker: redis.Redis) -> None:
    """What a transaction wanted to send is forgotten if it is rolled back."""
    model.Session.execute(sa.text("SELECT 1"))
    celery_app.send_after_commit(note, "one", kind="test")
    model.Session.rollback()
    model.Session.execute(sa.text("SELECT 1"))
    model.Session.commit()
    assert words(broker) == []


def test_a_message_goes_with_the_session(broker: redis.Redis) -> None:
    """A session that is removed leaves no message to the next one."""
    model.Session.execute(sa.text("SELECT 1"))
    celery_app.send_after_commit(note, "one", kind="test")
    model.Session.remove()
    model.Session.execute(sa.text("SELECT 1"))
    model.Session.commit()
    assert words(broker) == []


def test_a_message_that_fails_fails_nobody(
    broker: redis.Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who saved something is not told that the database went away when a message was to be sent; the others go."""
    monkeypatch.setattr(celery_app.log, "disabled", False)  # migrations, for one, silence loggers

    def away() -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("away"))

    celery_app.after_commit(away, name="test.note one")
    celery_app.send_after_commit(note, "two", kind="test")
    model.Session.execute(sa.text("SELECT 1"))
    model.Session.commit()
    assert words(broker) == ["two"]
    assert "test.note one" in caplog.text


def test_a_savepoint_is_no_commit(broker: redis.Redis) -> None:
    """The release of a savepoint sends nothing, the commit around it does."""
    with model.Session.begin_nested():
        celery_app.send_after_commit(note, "one", kind="test")
    assert words(broker) == []
    model.Session.commit()
    assert words(broker) == ["one"]


def test_a_savepoint_that_is_rolled_back(broker: redis.Redis) -> None:
    """A part that failed and was undone does not undo what the rest wants to send."""
    celery_app.send_after_commit(note, "one", kind="test")
    nested = model.Session.begin_nested()
    nested.rollback()
    model.Session.commit()
    assert words(broker) == ["one"]


def test_a_broker_that_is_down(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends is not disturbed, and does not wait long; the log says so, and the next sweep sends again."""
    away = celery_app.app.amqp.Producer(
        celery_app.app.connection_for_write("redis://127.0.0.1:9/0"), auto_declare=False
    )
    monkeypatch.setattr(celery_app.log, "disabled", False)  # migrations, for one, silence loggers
    monkeypatch.setitem(celery_app._broker, "away_until", 0.0)
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING):
        celery_app.send(note, "one", kind="test", producer=away)
    assert time.monotonic() - begun < 5
    assert "The broker cannot be reached" in caplog.text and "relay.test.note" in caplog.text


def test_a_broker_that_says_nothing(broker: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for once, for seconds and not for ever; then messages wait for the next sweep, and go again."""
    options = celery_app.app.conf.broker_transport_options
    monkeypatch.setitem(celery_app._broker, "away_until", 0.0)
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        with celery_app.app.connection_for_write(url, transport_options=options) as connection:
            silent = celery_app.app.amqp.Producer(connection, auto_declare=False)
            for _ in range(100):
                celery_app.send(note, "one", kind="test", producer=silent)
    assert time.monotonic() - begun < 15
    celery_app.send(note, "two", kind="test")
    assert words(broker) == []
    celery_app._broker["away_until"] = time.monotonic()
    celery_app.send(note, "two", kind="test")
    assert words(broker) == ["two"]


def test_a_task_runs_as_a_request_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a request context, under the address of the portal, and a session of its own that is gone after it."""
    monkeypatch.setitem(celery_app._ckan, "app", _get_test_app().flask_app)

    def work() -> bool:
        before = model.Session()  # kept, so that no other one gets its address
        note("one")
        return before is model.Session()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() is False
    [(word, context, url, _)] = seen
    assert (word, context, url) == ("one", True, "http://test.ckan.example/")


def test_a_task_that_is_called_runs_where_it_is_called() -> None:
    """Inside a context, which an action has, a task is a plain function and leaves the session alone."""
    with _get_test_app().flask_app.test_request_context():
        before = _identity()
        note("one")
        assert _identity() == before
    assert seen[0][3] == before


def test_settings(ckan_config: dict[str, Any]) -> None:
    """Tasks are acknowledged when they are done, only JSON is taken, and queues carry the site id."""
    settings = celery_app.app.conf
    assert settings["broker_url"] == config.broker_url() == tk.config["ckan.redis.url"]
    assert settings["task_acks_late"] and settings["task_reject_on_worker_lost"]
    assert (settings["accept_content"], settings["task_serializer"]) == (["json"], "json")
    assert settings["worker_prefetch_multiplier"] == 1
    queues = {queue.name for queue in settings["task_queues"]}
    assert queues and all(name.startswith(f"{tk.config['ckan.site_id']}.") for name in queues)
    sweeps = settings["beat_schedule"].values()
    assert sweeps and all(sweep["schedule"] == sweep["options"]["expires"] == 15 for sweep in sweeps)
    ckan_config["ckanext.relay.broker_url"] = "amqp://somewhere//"
    assert config.broker_url() == "amqp://somewhere//"


def test_the_order_of_lanes() -> None:
    """What a person waits for comes first, a bulk lane now and then all the same, and queues of a lane take turns."""
    order = celery_app.LaneOrder()
    order.update(["site.a.bulk", "site.a.priority", "site.b.bulk", "site.b.priority"])
    waiting = {"site.a.bulk": 40, "site.b.bulk": 40, "site.a.priority": 40, "site.b.priority": 40}
    taken = [take(order, waiting) for _ in range(50)]
    assert [name.endswith("priority") for name in taken] == ([True] * 4 + [False]) * 10
    for lane in ("priority", "bulk"):
        in_lane = [name for name in taken if name.endswith(lane)]
        assert all(one != other for one, other in itertools.pairwise(in_lane))


def test_a_lane_alone() -> None:
    """Nothing waits for a lane that is empty, and what then comes for a person is still the next."""
    order = celery_app.LaneOrder()
    order.update(["site.a.bulk", "site.a.priority"])
    waiting = {"site.a.bulk": 20, "site.a.priority": 0}
    assert {take(order, waiting) for _ in range(10)} == {"site.a.bulk"}
    waiting["site.a.priority"] = 1
    assert take(order, waiting) == "site.a.priority"
    waiting |= {"site.a.bulk": 0, "site.a.priority": 9}
    assert {take(order, waiting) for _ in range(9)} == {"site.a.priority"}


def take(order: celery_app.LaneOrder, waiting: dict[str, int]) -> str:
    """Do what BRPOP does: take from the first queue that has something."""
    name = next(name for name in order.consume(len(waiting)) if waiting[name])
    waiting[name] -= 1
    order.rotate(name)
    return name


def test_the_broker_is_asked_in_that_order(broker: redis.Redis) -> None:
    """The connection that workers read from is told of the order, by a name that it can resolve."""
    with celery_app.app.connection_for_read() as connection:
        assert isinstance(connection.default_channel._queue_cycle, celery_app.LaneOrder)
