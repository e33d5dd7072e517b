"""A push dies at each of its steps, with the broker or the database, and yet each dataset arrives once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ckanext.harvest.tests.flow import wait_until
from ckanext.relay.devstack.portal import Portal, Worker
from ckanext.syndicate.tests.dying_worker import STEPS
from ckanext.syndicate.tests.flow import Dataset, assert_equal, create, pushed, resource_ids
from ckanext.syndicate.tests.portals import Pair, hurry, through
from ckanext.syndicate.tests.target_proxy import slow


class DyingWorker(Worker):
    """A worker whose processes die at the step that ``order`` names."""

    def __init__(self, state: Path, portal: Portal) -> None:
        super().__init__(state, portal, "dying", concurrency=1)
        self.order = state / "die-at"
        self.order.unlink(missing_ok=True)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "ckanext.syndicate.tests.dying_worker", *super().command()[3:]]

    def variables(self) -> dict[str, str]:
        return super().variables() | {"RELAY_DIE_AT": str(self.order)}


@pytest.fixture(scope="module")
def dying(_two_portals: Pair) -> Iterator[DyingWorker]:
    stack = _two_portals.a.stack
    stack.worker.stop()
    worker = DyingWorker(stack.state, stack.this)
    worker.start()
    yield worker
    worker.stop()
    stack.worker.start()


@pytest.fixture(autouse=True)
def rested(pair: Pair) -> Iterator[None]:
    """No test begins while the target is left alone because of the one before."""
    hurry(pair.a)
    yield
    pair.to_b.well()
    through(pair.a, hurried=True)


@pytest.mark.parametrize("step", STEPS)
def test_creating(pair: Pair, dying: DyingWorker, step: str) -> None:
    """Wherever a process is killed, the next one goes on: nothing is lost, and nothing is there twice."""
    dying.order.write_text(step)
    made = [create(pair.a) for _ in range(2)]
    wait_until(lambda: not dying.order.exists(), 20)
    arrive(pair, made)


@pytest.mark.parametrize("step", [step for step in STEPS if step in ("claimed", "the target has it", "recorded")])
def test_updating(pair: Pair, dying: DyingWorker, step: str) -> None:
    """The same with an update: what is at the target keeps its ids."""
    made = create(pair.a)
    before = pushed(pair.a, pair.b, made["id"])
    dying.order.write_text(step)
    pair.a.call("package_patch", id=made["id"], title="Another title")
    wait_until(lambda: not dying.order.exists(), 20)
    arrive(pair, [made])
    assert resource_ids(assert_equal(pair.a, pair.b, made["id"])) == resource_ids(before)


def many(pair: Pair, count: int = 12) -> list[Dataset]:
    """Create datasets and return while the first of them are being pushed to a slow target."""
    pair.to_b.fail("package_create", slow(0.3), times=count)
    made = [create(pair.a) for _ in range(count)]
    wait_until(lambda: pair.to_b.asked("package_create"), 20)
    return made


def arrive(pair: Pair, made: list[Dataset]) -> None:
    through(pair.a, seconds=90, hurried=True)
    for each in made:
        assert_equal(pair.a, pair.b, each["id"])


def test_a_killed_worker(pair: Pair) -> None:
    """The worker dies with all its processes, and is started again."""
    made = many(pair)
    pair.a.stack.worker.kill()
    pair.a.stack.worker.start()
    arrive(pair, made)


def test_a_flushed_broker(pair: Pair) -> None:
    """Messages are hints: when all of them are lost, the sweep finds what is to be pushed."""
    made = many(pair)
    pair.a.stack.valkey.flush()
    made.append(create(pair.a))
    arrive(pair, made)


def test_a_restarted_database(pair: Pair) -> None:
    """Workers connect again to a PostgreSQL that was restarted under them."""
    made = many(pair)
    pair.a.stack.postgres.restart()
    arrive(pair, made)


def test_a_dead_broker(pair: Pair) -> None:
    """While the broker is down datasets can be saved as ever; when it is back they are pushed."""
    stack = pair.a.stack
    stack.valkey.stop()
    try:
        made = [create(pair.a) for _ in range(2)]
    finally:
        stack.valkey.start()
    arrive(pair, made)


def test_a_frozen_worker(pair: Pair) -> None:
    """A worker that hangs for longer than its lease holds does no harm when it goes on: another one did its work."""
    made = many(pair, 4)
    record = pair.a.stack.worker.pid
    assert record
    frozen = [psutil.Process(record), *psutil.Process(record).children(recursive=True)]
    other = pair.a.stack.new_worker("other", concurrency=1)
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        other.start()
        through(pair.a, seconds=60, hurried=True)
    finally:
        for process in frozen:
            os.kill(process.pid, signal.SIGCONT)
        other.stop()
    arrive(pair, made)
