"""``ckan celeryd2``: the workers, as supervisor files of older releases start them."""

from __future__ import annotations

import os

import click

from ckanext.archiver import tasks
from ckanext.relay.celery_app import BULK, PRIORITY
from ckanext.relay.cli import run_worker

#: What a worker serves, by the name that it is started with.
_LANES = {"all": (PRIORITY, BULK), PRIORITY: (PRIORITY,), BULK: (BULK,)}


@click.group(short_help="Start the workers of the archiver.")
def celeryd2() -> None:
    """Start the workers of the archiver."""


@celeryd2.command()
@click.argument("queue", type=click.Choice(list(_LANES)), default="all")
@click.option("-c", "--concurrency", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def run(queue: str, concurrency: int) -> None:
    """Run a worker that archives: what people wait for (priority), all the rest (bulk), or both (all).

    It also sweeps, so that a site which has no beat yet needs nothing else.
    """
    arguments = ["--beat", "--hostname", f"archiver-{queue}-{os.getpid()}@%h"]
    run_worker(concurrency, [tasks.KIND], arguments, lanes=_LANES[queue])
