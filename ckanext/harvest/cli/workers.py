"""The commands that harvest: worker processes, the tick for cron, and a harvest in the foreground."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from ckanext.harvest import foreground, registry
from ckanext.harvest.model import HarvestJob, HarvestSource, jobs
from ckanext.relay.cli import run_worker

from .calling import ActionCommand, call, errors_as_messages, id_of_source


@click.command("run", cls=ActionCommand)
def run_command() -> None:
    """Start what is due and end what is done. Beat does the same; cron may call this instead."""
    click.echo(run_harvester())


def run_harvester() -> str:
    """Start what is due and end what is done."""
    call("harvest_jobs_run", {})
    return f"{HarvestJob.filter(status='Running').count()} harvest jobs are running"


@click.command("gather-consumer")
def gather_consumer_command() -> None:
    """Run a worker process. It also sweeps, so that a site which has no beat yet needs nothing else."""
    gather_consumer()


def gather_consumer() -> None:
    """Become a worker process that also sweeps. Does not return."""
    run_worker(1, ["harvest"], ["--beat", "--hostname", f"gather-{os.getpid()}@%h"])


@click.command("fetch-consumer")
def fetch_consumer_command() -> None:
    """Run a worker process. Start several to harvest faster."""
    fetch_consumer()


def fetch_consumer() -> None:
    """Become a worker process. Does not return."""
    run_worker(1, ["harvest"], ["--hostname", f"fetch-{os.getpid()}@%h"])


@click.command("run-test")
@click.argument("id_or_name")
@click.argument("force_import", required=False)
def run_test_command(id_or_name: str, force_import: str | None) -> None:
    """Harvest a source in this process, without workers, for developing a harvester. Exceptions are not caught.

    force-import=GUID gathers everything and imports the record with this GUID even if it did not change.
    """
    run_test_harvester(id_or_name, force_import)


def run_test_harvester(source_id_or_name: str, force_import: str | None = None) -> None:
    """Harvest a source in this process and print the counts. What a stage raises passes through.

    :param force_import: ``force-import=GUID``
    """
    guid = None
    if force_import:
        key, separator, guid = force_import.partition("=")
        if not separator or key != "force-import" or not guid:
            raise click.UsageError("The second argument must be force-import=GUID")
    with errors_as_messages():
        each = HarvestSource.get(id_of_source(source_id_or_name))
    if registry.find(each.type) is None:
        raise click.ClickException(f"No harvester for type {each.type}. Enabled types: {registry.types()}")
    running = HarvestJob.filter(source_id=each.id, status="Running").first()
    if running is not None:
        click.echo(f"\nSource {source_id_or_name} has a job that is running: {running.id}")
        if click.prompt("Abort it? (y/n)", type=click.Choice(["y", "n"]), show_choices=False) != "y":
            raise click.Abort()
        call("harvest_job_abort", {"id": running.id})
    try:
        finished = foreground.run(each, guid, _progress)
    except jobs.SourceInactive:
        raise click.ClickException(f"Source {source_id_or_name} is inactive: it was removed or deactivated") from None
    except jobs.JobOpen:  # made, or the source being cleared, in this moment
        raise click.ClickException(f"Somebody else is at source {source_id_or_name}. Try again later") from None
    click.echo(json.dumps(call("harvest_job_show", {"id": finished.id})["stats"]))


def _progress(count: int) -> Any:
    return click.progressbar(length=count, label="Processing objects")


COMMANDS = (run_command, gather_consumer_command, fetch_consumer_command, run_test_command)
