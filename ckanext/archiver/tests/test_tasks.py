"""Which messages are sent, and when."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.archiver import runner, tasks
from ckanext.archiver.model import hosts, lease_table
from ckanext.relay import lease, tickets

pytestmark = pytest.mark.usefixtures("archiver_portal")

ARCHIVE = runner.Next("archive", "bulk")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was sent: name of the task, its lane and ticket, and the lane of the message."""
    messages: list[tuple[str, ...]] = []

    def send(task: Any, *args: str, lane: str, **options: Any) -> None:
        messages.append((task.name, *args, lane))

    monkeypatch.setattr(tasks, "send", send)
    return messages


def test_there_are_only_so_many_messages(sent: list[tuple[str, ...]], ckan_config: Any) -> None:
    """However often it is said that there is work, no more messages are under way than workers may work on it."""
    ckan_config["ckanext.archiver.workers"] = 3
    for _ in range(10):
        tasks.archive_now("bulk")
    assert [(name, lane, queue) for name, lane, _, queue in sent] == [("archiver.archive", "bulk", "bulk")] * 3
    assert sorted(ticket for _, _, ticket, _ in sent) == sorted(tickets.drawn(lease_table, ARCHIVE.work))


def test_an_edit_sends_one_message(sent: list[tuple[str, ...]]) -> None:
    """What a person changed is few links: one worker will do."""
    tasks.archive_now("priority")
    assert [(name, lane, queue) for name, lane, _, queue in sent] == [("archiver.archive", "priority", "priority")]


def batches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let there be work that is nothing to do; return the list of the lanes of batches, which grows."""
    lanes: list[str] = []

    @contextlib.contextmanager
    def begun(_lease_id: str, lane: str | None) -> Iterator[Any]:
        lanes.append(lane or "bulk")
        yield SimpleNamespace(run=lambda: (), is_stopped=True)

    monkeypatch.setattr(hosts, "are_due", lambda lane: True)
    monkeypatch.setattr(runner, "_batch", begun)
    return lanes


def test_a_copy_of_a_message_does_nothing(sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes twice, or that a sweep sent again, is worked on once."""
    done = batches(monkeypatch)
    tasks.archive_now("priority")
    (_, lane, ticket, _) = sent[0]
    for _ in range(2):
        tasks.archive(lane, ticket)
    assert done == ["priority"]


def test_lost_messages_are_sent_again(sent: list[tuple[str, ...]], ckan_config: Any) -> None:
    """A sweep sends those whose tickets are still out, with the same tickets, and as many new ones as there may be."""
    ckan_config["ckanext.archiver.workers"] = 2
    tasks.send_all([ARCHIVE])
    lost = {ticket for _, _, ticket, _ in sent}
    sent.clear()
    tasks.send_again([ARCHIVE])
    assert {ticket for _, _, ticket, _ in sent} == lost and len(sent) == 2


def test_bulk_leaves_a_process_to_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody waits for does not take the last process of a worker; what is urgent does."""
    done = batches(monkeypatch)
    monkeypatch.setattr(tasks, "processes", lambda: 2)
    with lease.held(lease_table, ARCHIVE.work, longest=60):
        tasks.archive("bulk")
        tasks.archive("priority")
    tasks.archive("bulk")
    assert done == ["priority", "bulk"]


def test_what_is_asked_for_in_a_transaction(sent: list[tuple[str, ...]]) -> None:
    """One message is sent when it is committed, however much was asked for, and none if it is rolled back."""
    for _ in range(5):
        tasks.archive_after_commit("priority")
    assert sent == []
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert len(sent) == 1
    tasks.archive_after_commit("bulk")
    model.Session.execute(sa.select(1))
    model.Session.rollback()
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert len(sent) == 1


def test_a_hint_that_fails_fails_nobody(sent: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saved something is not told of trouble with a message about it."""

    def away(*_: Any) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("away"))

    monkeypatch.setattr(tickets, "draw", away)
    tasks.archive_after_commit("priority")
    model.Session.execute(sa.select(1))
    model.Session.commit()
    assert sent == []
