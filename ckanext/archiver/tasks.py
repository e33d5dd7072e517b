"""The Celery tasks of the archiver: call the runner, send what it says comes next. And what third parties import."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ckanext.relay import config as relay_config
from ckanext.relay import tickets
from ckanext.relay.celery_app import PRIORITY, add_queues, add_sweep, after_commit, app, processes, send

from . import config, runner
from .legacy import *  # noqa: F403  (this is where other extensions import it from)
from .model import lease_table

KIND = "archiver"
add_queues(KIND)


@app.task(name="archiver.archive")
def archive(lane: str, ticket: str | None = None) -> None:
    """Check links that are due, unless this is a copy of a message that came already. What nobody waits for leaves the
    last process of its worker to other work; the next sweep sends it again."""
    if ticket is not None and not tickets.give_back(lease_table, ticket):
        return
    send_all(runner.archive_batch(lane, at_most=None if lane == PRIORITY else max(1, processes() - 1)))


@app.task(name="archiver.tell")
def tell(lane: str, ticket: str | None = None) -> None:
    """Tell the search index and other extensions what was checked."""
    if ticket is None or tickets.give_back(lease_table, ticket):
        send_all(runner.tell())


@app.task(name="archiver.sweep")
def sweep() -> None:
    """Look for what is due and for what nobody works on."""
    send_again(runner.sweep())


add_sweep("archiver.sweep", KIND)

_TASKS = {"archive": archive, "tell": tell}


def send_all(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step, unless enough of its kind are on their way."""
    for step in steps:
        while ticket := _draw(step):
            _send(step, ticket)
            if step.lane == PRIORITY:
                break  # a person's change is few links, and they may wait for this to be sent


def send_again(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step that nobody is at; those that may be lost are sent again, the others are copies."""
    # dropped if nobody comes to it in time, for then the next sweep has sent another
    expires = 4 * relay_config.sweep_seconds()
    for step in steps:
        for drawn in tickets.drawn(lease_table, step.work):
            _send(step, drawn, expires=expires)
        send_all([step])


def _draw(step: runner.Next) -> str | None:
    return tickets.draw(lease_table, step.work, config.workers() if step.task == "archive" else 1)


def _send(step: runner.Next, ticket: str, **options: Any) -> None:
    # a task that hangs is killed after its lease has run out, and its process replaced
    limit = runner.longest(step.task) + runner.GRACE_SECONDS
    send(_TASKS[step.task], step.lane, ticket, kind=KIND, lane=step.lane, time_limit=limit, **options)


def archive_now(lane: str) -> None:
    """Let the workers begin with the links that were asked for."""
    send_all([runner.Next("archive", lane)])


def archive_after_commit(lane: str) -> None:
    """Let the workers begin with the links that are being asked for in the session's transaction."""
    after_commit(functools.partial(archive_now, lane), name=f"archiver.archive {lane}")
