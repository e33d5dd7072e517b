"""Which messages are sent, and when."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease, tickets
from ckanext.syndicate import runner, tasks
from ckanext.syndicate.model import lease_table
from ckanext.syndicate.tests.rows import add_dataset, ask, profile

pytestmark = pytest.mark.usefixtures("syndicate_portal")

STEP = runner.Next("target", "priority")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was sent: name of the task, profile, ticket, and lane of the message."""
    messages: list[tuple[str, ...]] = []

    def send(task: Any, *args: str, lane: str, **options: Any) -> None:
        assert options["kind"] == "syndicate" and options["time_limit"] > 60
        messages.append((task.name, *args, lane))

    monkeypatch.setattr(tasks, "send", send)
    return messages


def test_one_message_a_lane(sent: list[tuple[str, ...]]) -> None:
    """However often datasets are saved, one message is on its way for each target and lane; urgent ones do not wait
    behind the others."""
    for _ in range(5):
        tasks.push_now(["target", "other"], "bulk")
        tasks.push_now(["target"])
    assert [(name, profile_id, lane) for name, profile_id, _, lane in sent] == [
        ("syndicate.push", "target", "bulk"),
        ("syndicate.push", "other", "bulk"),
        ("syndicate.push", "target", "priority"),
    ]


def test_a_message_during_a_push(sent: list[tuple[str, ...]]) -> None:
    """What is asked for while somebody pushes sends a message, since the push may just be ending."""
    with lease.held(lease_table, runner.task("target"), longest=60):
        tasks.push_now(["target"])
    assert len(sent) == 1


def test_a_copy_of_a_message_does_nothing(sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes twice, or that a sweep sent again, is worked on once; one without a ticket always."""
    done: list[str] = []

    def push(profile_id: str) -> list[runner.Next]:
        done.append(profile_id)
        return []

    monkeypatch.setattr(runner, "push", push)
    tasks.push_now(["target"])
    (_, profile_id, ticket, _) = sent[0]
    tasks.push(profile_id, ticket)
    tasks.push(profile_id, ticket)
    assert done == ["target"]
    tasks.push(profile_id)
    assert done == ["target", "target"]


def test_lost_messages_are_sent_again(sent: list[tuple[str, ...]]) -> None:
    """A sweep sends those whose tickets are still out, with the same tickets."""
    tasks.send_all([STEP])
    lost = [ticket for _, _, ticket, _ in sent]
    sent.clear()
    tasks.send_again([STEP])
    assert [ticket for _, _, ticket, _ in sent] == lost == tickets.drawn(lease_table, STEP.message)


def test_a_sweep_sends_what_is_due(sent: list[tuple[str, ...]], ckan_config: Any) -> None:
    """Each target with something to do gets a message."""
    ckan_config.update(profile("target"))
    add_dataset("a")
    ask("a")
    tasks.sweep()
    assert [(name, profile_id, lane) for name, profile_id, _, lane in sent] == [("syndicate.push", "target", "bulk")]


def test_what_is_asked_for_in_a_transaction(sent: list[tuple[str, ...]]) -> None:
    """One message is sent when it is committed, however much was asked for, and none if it is rolled back."""
    for _ in range(5):
        tasks.push_after_commit(["target"])
    assert sent == []
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert len(sent) == 1
    tasks.push_after_commit(["other"])
    model.Session.execute(sa.select(1))
    model.Session.rollback()
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert len(sent) == 1


def test_a_database_that_is_down_breaks_no_save(sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is saved, and who saved it is told nothing else; the sweep comes to it."""
    tried = []

    def fail(*_: Any) -> None:
        tried.append(True)
        raise sa.exc.OperationalError("SELECT", {}, Exception("down"))

    monkeypatch.setattr(tickets, "draw", fail)
    tasks.push_after_commit(["target"])
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert sent == [] and tried == [True]
