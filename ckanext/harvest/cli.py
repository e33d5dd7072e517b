"""``ckan harvester``: sources, jobs and the processes that harvest."""

from __future__ import annotations

import json
import os
from typing import Any

import ckan.plugins.toolkit as tk
import click
from ckan import model

from ckanext.harvest import foreground, registry
from ckanext.harvest.logic import HarvestJobExists, HarvestSourceInactiveError
from ckanext.harvest.logic.dictization import harvest_source_dictize
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource
from ckanext.relay.cli import run_worker

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def get_commands() -> list[click.Command]:
    """Return the commands of the plugin."""
    return [harvester]


@click.group(short_help="Harvest the metadata of other portals.")
def harvester() -> None:
    """Harvest the metadata of other portals."""


# -- sources


@harvester.group()
def source() -> None:
    """Manage harvest sources."""


@source.command("create")
@click.argument("name")
@click.argument("url")
@click.argument("type")
@click.argument("title", required=False)
@click.argument("active", type=click.BOOL, default=True)
@click.argument("owner_org", required=False)
@click.argument("frequency", default="MANUAL")
@click.argument("config", required=False)
@as_json
def source_create(
    name: str, url: str, type: str, title: str | None, active: bool, owner_org: str | None, frequency: str,
    config: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Create a harvest source. With an empty FREQUENCY a job for it is created at once."""
    data = {
        "name": name, "url": url, "source_type": type, "title": title, "owner_org": owner_org,
        "state": "active" if active else "inactive", "frequency": frequency, "config": config or None,
    }  # fmt: skip
    created = _call("harvest_source_create", data)
    if not frequency:
        _call("harvest_job_create", {"source_id": created["id"]})
    if as_json:
        _echo_json(created)
        return
    click.echo("Created new harvest source:")
    _echo_source(HarvestSource.get(created["id"]))
    click.echo(f"There are {HarvestSource.filter(active=True).count()} harvest sources")


@source.command("show")
@click.argument("id_or_name")
@as_json
def source_show(id_or_name: str, as_json: bool) -> None:
    """Show a harvest source."""
    shown = _call("harvest_source_show", {"id": id_or_name})
    if as_json:
        _echo_json(shown)
    else:
        _echo_source(HarvestSource.get(shown["id"]))


@source.command("remove")
@click.argument("id_or_name")
def source_remove(id_or_name: str) -> None:
    """Delete a harvest source; its datasets, jobs and objects stay."""
    shown = _call("harvest_source_show", {"id": id_or_name})
    _call("harvest_source_delete", {"id": shown["id"]})
    click.echo(f"Removed harvest source: {id_or_name}")


@harvester.command("sources")
@click.argument("all", required=False)
@as_json
def sources(all: str | None, as_json: bool) -> None:
    """List harvest sources, inactive ones too if any word such as "all" follows."""
    query = model.Session.query(HarvestSource).order_by(HarvestSource.created.desc())
    found = (query if all else query.filter(HarvestSource.active)).all()
    if as_json:
        _echo_json([harvest_source_dictize(each, {}) for each in found])
        return
    for each in found:
        _echo_source(each)
    click.echo(f"There are {len(found)} {'' if all else 'active '}harvest sources")


def _echo_source(each: HarvestSource) -> None:
    fields = [("Source id", each.id)]
    package = model.Package.get(each.id)
    if package is not None:
        fields.append(("     name", package.name))
    fields += [
        ("      url", each.url),
        ("     type", each.type),
        ("   active", each.active),
        ("frequency", each.frequency),
        ("     jobs", HarvestJob.filter(source_id=each.id).count()),
    ]
    click.echo("\n".join(f"{label}: {value}" for label, value in fields) + "\n")


# -- jobs


@harvester.command("job")
@click.argument("id_or_name")
@as_json
def job(id_or_name: str, as_json: bool) -> None:
    """Create a job for a harvest source and hand it to the workers."""
    shown = _call("harvest_source_show", {"id": id_or_name})
    created = _call("harvest_job_create", {"source_id": shown["id"], "run": True})
    if as_json:
        _echo_json(created)
        return
    _echo_job(HarvestJob.get(created["id"]))
    click.echo(f"There is 1 new harvest job, for source {id_or_name}")


@harvester.command("jobs")
@click.option("--limit", type=click.IntRange(min=1), help="Show so many at most, newest first.")
@as_json
def jobs(limit: int | None, as_json: bool) -> None:
    """List harvest jobs, newest first."""
    query = model.Session.query(HarvestJob).order_by(HarvestJob.created.desc())
    found = query.limit(limit).all()
    if as_json:
        _echo_json([each.as_dict() for each in found])
        return
    for each in found:
        _echo_job(each)
    click.echo(f"There are {query.count()} harvest jobs")


@harvester.command("job-abort")
@click.argument("source_or_job")
def job_abort(source_or_job: str) -> None:
    """End a job now, named by its id or by its source, whose newest job is meant."""
    ended = _call("harvest_job_abort", {"id": source_or_job})
    click.echo(f"Job status: {ended['status']}")


def _echo_job(each: HarvestJob) -> None:
    fields = [
        ("       Job id", each.id),
        ("       status", each.status),
        ("       source", each.source_id),
        ("      objects", HarvestObject.filter(harvest_job_id=each.id).count()),
    ]
    click.echo("\n".join(f"{label}: {value}" for label, value in fields))
    for error in each.get_gather_errors():
        click.echo(f" gather_error: {error.message}")
    click.echo("")


# -- running


@harvester.command("run")
def run() -> None:
    """Start what is due and end what is done. Beat does the same; cron may call this instead."""
    _call("harvest_jobs_run", {})
    running = HarvestJob.filter(status="Running").count()
    click.echo(f"{running} harvest jobs are running")


@harvester.command("gather-consumer")
@click.pass_context
def gather_consumer(ctx: click.Context) -> None:
    """Run a worker process. It also sweeps, so that a site which has no beat yet needs nothing else."""
    run_worker(1, ["harvest"], ["--beat", "--hostname", f"gather-{os.getpid()}@%h"])


@harvester.command("fetch-consumer")
def fetch_consumer() -> None:
    """Run a worker process. Start several to harvest faster."""
    run_worker(1, ["harvest"], ["--hostname", f"fetch-{os.getpid()}@%h"])


@harvester.command("run-test")
@click.argument("id_or_name")
@click.argument("force_import", required=False)
def run_test(id_or_name: str, force_import: str | None) -> None:
    """Harvest a source in this process, without workers, for developing a harvester. Exceptions are not caught.

    force-import=GUID gathers everything and imports the record with this GUID even if it did not change.
    """
    guid = None
    if force_import is not None:
        key, separator, guid = force_import.partition("=")
        if not separator or key != "force-import" or not guid:
            raise click.UsageError("The second argument must be force-import=GUID")
    shown = _call("harvest_source_show", {"id": id_or_name})
    each = HarvestSource.get(shown["id"])
    if registry.find(each.type) is None:
        raise click.ClickException(f"No harvester for type {each.type}. Enabled types: {registry.types()}")
    running = HarvestJob.filter(source_id=each.id, status="Running").first()
    if running is not None:
        click.echo(f"\nSource {id_or_name} has a job that is running: {running.id}")
        if click.prompt("Abort it? (y/n)", type=click.Choice(["y", "n"]), show_choices=False) != "y":
            raise click.Abort()
        _call("harvest_job_abort", {"id": running.id})
    finished = foreground.run(each, guid, _progress)
    click.echo(json.dumps(_call("harvest_job_show", {"id": finished.id})["stats"]))


def _progress(count: int) -> Any:
    return click.progressbar(length=count, label="Processing objects")


def _call(action: str, data_dict: dict[str, Any]) -> Any:
    """Call an action as the site user; what is wrong with what was given ends the command with a message."""
    site_user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    context = {"user": site_user["name"], "ignore_auth": False}
    try:
        return tk.get_action(action)(context, data_dict)
    except (HarvestJobExists, HarvestSourceInactiveError) as error:
        raise click.ClickException(str(error)) from None
    except tk.ValidationError as error:
        lines = [f"{field}: {'; '.join(map(str, messages))}" for field, messages in error.error_dict.items()]
        raise click.ClickException("An error occurred:\n" + "\n".join(lines)) from None
    except tk.ObjectNotFound as error:
        raise click.ClickException(str(error) or "Not found") from None


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))
