"""``ckan relay``: the Celery processes that do the work of all our plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import ckan.plugins.toolkit as tk
import click

from .celery_app import BULK, PRIORITY, queue


@click.group()
def relay() -> None:
    """Run the workers of harvesting, archiving and syndication."""


@relay.command(context_settings={"ignore_unknown_options": True})
@click.option("-c", "--concurrency", type=click.IntRange(min=1), help="Worker processes (default: one a core).")
@click.option("-q", "--queue", "kinds", multiple=True, help="Serve only this kind of work, e.g. harvest (repeatable).")
@click.argument("celery_args", nargs=-1, type=click.UNPROCESSED)
def worker(concurrency: int | None, kinds: tuple[str, ...], celery_args: tuple[str, ...]) -> None:
    """Start a Celery worker; whatever follows the options goes to Celery as it is."""
    run_worker(concurrency, kinds, celery_args)


@relay.command(context_settings={"ignore_unknown_options": True})
@click.argument("celery_args", nargs=-1, type=click.UNPROCESSED)
def beat(celery_args: tuple[str, ...]) -> None:
    """Start Celery beat, which starts due work and finds work whose worker died. Several are harmless."""
    _exec_celery("beat", *celery_args)


def run_worker(
    concurrency: int | None,
    kinds: Sequence[str],
    celery_args: Sequence[str] = (),
    lanes: Sequence[str] = (PRIORITY, BULK),
) -> None:
    """Become a Celery worker for these lanes of these kinds of work, or for all if none is named. Does not return."""
    options = ["--pool", "prefork", "--loglevel", "INFO"]
    if concurrency:
        options += ["--concurrency", str(concurrency)]
    if kinds:
        options += ["--queues", ",".join(queue(kind, lane) for kind in kinds for lane in lanes)]
    _exec_celery("worker", *options, *celery_args)


def _exec_celery(*arguments: str) -> None:
    os.environ["CKAN_INI"] = str(tk.config["__file__"])
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "celery", "-A", "ckanext.relay.celery_app", *arguments])
