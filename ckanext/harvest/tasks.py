"""The Celery tasks of the harvest plugin: call the runner, send what it says comes next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckanext.relay import config as relay_config
from ckanext.relay import tickets
from ckanext.relay.celery_app import (
    BULK,
    PRIORITY,
    add_queues,
    add_sweep,
    app,
    processes,
    send,
    send_after_commit,
)

from . import clearing, config, runner
from .model import HarvestJob, lease_table, work

KIND = "harvest"
add_queues(KIND, lease_table)


@app.task(name="harvest.gather")
def gather(job_id: str) -> None:
    """Gather a job. One that nobody waits for leaves the last process of its worker to what does not take hours; the
    next sweep sends it again."""
    is_waited_for = work.lane(job_id=job_id) == PRIORITY
    send_all(runner.gather(job_id, at_most=None if is_waited_for else max(1, processes() - 1)))


@app.task(name="harvest.process")
def process(source_id: str, ticket: str | None = None) -> None:
    """Process a batch of objects of a source, unless this is a copy of a message that came already."""
    if ticket is None or tickets.give_back(lease_table, ticket):
        send_all(runner.process_batch(source_id, processes()))


@app.task(name="harvest.finish")
def finish(job_id: str) -> None:
    """End a job."""
    send_all(runner.finish(job_id))


@app.task(name="harvest.reindex")
def reindex(source_id: str) -> None:
    """Index a source."""
    send_all(runner.reindex(source_id))


@app.task(name="harvest.clear")
def clear(source_id: str) -> None:
    """Clear a source."""
    clearing.carry_out(source_id)


@app.task(name="harvest.sweep")
def sweep() -> None:
    """Look for what is due and for what nobody works on."""
    sweep_now()


add_sweep("harvest.sweep", KIND)


@app.task(name="harvest.mail")
def mail(job_id: str) -> None:
    """Tell people that a job has ended."""
    send_all(runner.mail(job_id))


_TASKS = {
    "gather": gather,
    "process": process,
    "finish": finish,
    "reindex": reindex,
    "clear": clear,
    "mail": mail,
}


def send_all(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step, as soon as the runner comes to it, unless enough of its kind are on their way."""
    for step in steps:
        if step.task != "process":
            _send(step)
        elif ticket := _draw(step):
            _send(step, ticket)


def send_again(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step that nobody is at; those that may be lost are sent again, the others are copies."""
    # dropped if nobody comes to it in time, for then the next sweep has sent another
    expires = 4 * relay_config.sweep_seconds()
    for step in steps:
        if step.task != "process":
            _send(step, expires=expires)
            continue
        for drawn in tickets.drawn(lease_table, runner.process_task(step.id)):
            _send(step, drawn, expires=expires)
        while ticket := _draw(step):
            _send(step, ticket)


def _draw(step: runner.Next) -> str | None:
    return tickets.draw(lease_table, runner.process_task(step.id), config.workers_per_source())


def _send(step: runner.Next, *ticket: str, **options: Any) -> None:
    # a task that hangs is killed after its lease has run out, and its process replaced
    options |= {"countdown": step.countdown, "time_limit": runner.longest(step.task) + runner.GRACE_SECONDS}
    send(_TASKS[step.task], step.id, *ticket, kind=KIND, lane=_lane(step), **options)


def _lane(step: runner.Next) -> str:
    if step.task == "gather":
        return work.lane(job_id=step.id) or BULK
    if step.task == "process":
        return work.lane(source_id=step.id) or BULK
    if step.task == "mail":
        return BULK  # a mail server may be slow
    return PRIORITY  # somebody may wait for it


def gather_after_commit(job: HarvestJob) -> None:
    """Send a job that is being handed over in the session's transaction to the workers."""
    limit = runner.longest("gather") + runner.GRACE_SECONDS
    send_after_commit(gather, job.id, kind=KIND, lane=job.lane or BULK, time_limit=limit)


def process_now(source_id: str) -> None:
    """Let the workers begin with the objects of a source."""
    send_all([runner.Next("process", source_id)] * config.workers_per_source())


def clear_now(source_id: str) -> None:
    """Let a worker clear a source that somebody asked for."""
    send_all([runner.Next("clear", source_id)])


def sweep_now(source_id: str | None = None) -> None:
    """Sweep in this process, of one source only if one is named; the work itself is left to the workers."""
    send_again(runner.tick(source_id) if source_id else runner.sweep())
