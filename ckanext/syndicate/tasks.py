"""The Celery tasks of the syndicate plugin: call the runner, send what it says comes next."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ckanext.relay import config as relay_config
from ckanext.relay import tickets
from ckanext.relay.celery_app import BULK, PRIORITY, add_queues, add_sweep, after_commit, app, send

from . import reconcile, runner
from .legacy import (  # noqa: F401  (other extensions import them from here)
    filter_extras,
    filter_resources,
    get_target,
    reattaching_context,
    replicate_remote_organization,
    set_syndicated_id,
    sync_package,
    sync_package_task,
)
from .model import lease_table

KIND = "syndicate"
add_queues(KIND)


@app.task(name="syndicate.push")
def push(profile_id: str, ticket: str | None = None) -> None:
    """Push what waits for a target, unless this is a copy of a message that came already."""
    if ticket is None or tickets.give_back(lease_table, ticket):
        send_all(runner.push(profile_id))


@app.task(name="syndicate.sweep")
def sweep() -> None:
    """Look for what is due and for what nobody works on."""
    send_again(runner.sweep())
    for profile_id in reconcile.due_profiles():
        if ticket := tickets.draw(lease_table, reconcile.task(profile_id), 1):
            send(compare, profile_id, ticket, kind=KIND, lane=BULK)


add_sweep("syndicate.sweep", KIND)


@app.task(name="syndicate.reconcile")
def compare(profile_id: str, ticket: str) -> None:
    """Compare a target with what is here, and push what differs, unless this is a copy of a message that came."""
    if tickets.give_back(lease_table, ticket):
        reconcile.reconcile_due(profile_id)
        push_now([profile_id], BULK)


def send_all(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step, unless one is on its way in the same lane."""
    for step in steps:
        if ticket := tickets.draw(lease_table, step.message, 1):
            _send(step, ticket)


def send_again(steps: Iterable[runner.Next]) -> None:
    """Send a message for each step that nobody is at; those that may be lost are sent again, the others are copies."""
    # dropped if nobody comes to it in time, for then the next sweep has sent another
    expires = 4 * relay_config.sweep_seconds()
    for step in steps:
        for drawn in tickets.drawn(lease_table, step.message):
            _send(step, drawn, expires=expires)
        send_all([step])


def _send(step: runner.Next, ticket: str, **options: Any) -> None:
    # a task that hangs is killed after its lease has run out, and its process replaced
    limit = runner.longest(step.profile_id) + runner.GRACE_SECONDS
    send(push, step.profile_id, ticket, kind=KIND, lane=step.lane, time_limit=limit, **options)


def push_now(profile_ids: Iterable[str], lane: str = PRIORITY) -> None:
    """Let the workers begin with what waits for these targets."""
    send_all(runner.Next(profile_id, lane) for profile_id in profile_ids)


def push_after_commit(profile_ids: Iterable[str], lane: str = PRIORITY) -> None:
    """Let the workers begin with what is being asked for in the session's transaction."""
    for profile_id in profile_ids:
        after_commit(functools.partial(push_now, [profile_id], lane), name=f"syndicate.push {profile_id} {lane}")
