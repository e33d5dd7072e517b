"""``ckan harvester source …`` and ``ckan harvester sources``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ckan.plugins.toolkit as tk
import click
import sqlalchemy as sa
from ckan import model

from ckanext.harvest.logic.dictization import harvest_source_dicts
from ckanext.harvest.model import HarvestJob, HarvestSource
from ckanext.relay.commands import as_json, echo_json
from ckanext.relay.errors import redact

from .calling import ActionCommand, call, id_of_source, progress_bar
from .maintenance import purge_queues


@click.group()
def source() -> None:
    """Manage harvest sources."""


source.command_class = ActionCommand


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
def create_command(as_json: bool, **fields: Any) -> None:
    """Create a harvest source. With an empty FREQUENCY a job for it is created at once."""
    if as_json:
        echo_json(_create(**fields))
    else:
        click.echo(create_harvest_source(**fields))


def create_harvest_source(
    name: str, url: str, type: str, title: str | None = None, active: bool | str = True, owner_org: str | None = None,
    frequency: str = "MANUAL", config: str | None = None,
) -> str:  # fmt: skip
    """Create a source, and a job for it if ``frequency`` is empty; return what there is to say about it."""
    created = _create(name, url, type, title, active, owner_org, frequency, config)
    count = HarvestSource.filter(active=True).count()
    return f"Created new harvest source:\n{_block(created['id'])}\nThere are {count} harvest sources"


def _create(
    name: str, url: str, type: str, title: str | None, active: bool | str, owner_org: str | None,
    frequency: str | None, config: str | None,
) -> dict[str, Any]:  # fmt: skip
    data = {
        "name": name, "url": url, "source_type": type, "title": title, "owner_org": owner_org,
        "state": "active" if tk.asbool(active) else "inactive", "frequency": frequency or "", "config": config or None,
    }  # fmt: skip
    created: dict[str, Any] = call("harvest_source_create", data)
    if not frequency:
        call("harvest_job_create", {"source_id": created["id"]})
    return created


@source.command("show")
@click.argument("id_or_name")
@as_json
def show_command(id_or_name: str, as_json: bool) -> None:
    """Show a harvest source."""
    if as_json:
        echo_json(call("harvest_source_show", {"id": id_of_source(id_or_name)}))
    else:
        click.echo(show_harvest_source(id_or_name))


def show_harvest_source(source_id_or_name: str) -> str:
    """Return what there is to say about a source."""
    return _block(id_of_source(source_id_or_name))


@source.command("remove")
@click.argument("id_or_name")
def remove_command(id_or_name: str) -> None:
    """Delete a harvest source; its datasets, jobs and objects stay."""
    click.echo(remove_harvest_source(id_or_name))


def remove_harvest_source(source_id_or_name: str) -> str:
    """Delete a source; its datasets and history stay."""
    call("harvest_source_delete", {"id": id_of_source(source_id_or_name)})
    return f"Removed harvest source: {source_id_or_name}"


@source.command("clear")
@click.argument("id_or_name")
def clear_command(id_or_name: str) -> None:
    """Remove all datasets, jobs and objects of a harvest source for good; the source itself stays.

    May be called again if it is interrupted.
    """
    with progress_bar("Removing"):
        said = clear_harvest_source(id_or_name)
    click.echo(said)


def clear_harvest_source(source_id_or_name: str) -> str:
    """Remove the datasets and the history of a source for good."""
    call("harvest_source_clear", {"id": id_of_source(source_id_or_name)})
    return f"Cleared harvest source: {source_id_or_name}"


@source.command("clear-history")
@click.argument("id_or_name", required=False)
@click.option(
    "-k", "--keep-current", type=click.BOOL, default=False, help="Keep jobs that run or that have a current object."
)
def clear_history_command(id_or_name: str | None, keep_current: bool) -> None:
    """Remove the jobs and objects of a harvest source, or of all; the datasets stay.

    Without a source the queues are purged as well, unless current objects are kept.
    """
    with progress_bar("Removing"):
        said = clear_harvest_source_history(id_or_name, keep_current)
    click.echo(said)


def clear_harvest_source_history(source_id: str | None, keep_current: bool | str = False) -> str:
    """Remove the jobs and objects of a source, by id or name, or of all if none is named; the datasets stay."""
    keep = tk.asbool(keep_current)
    if source_id:
        call("harvest_source_job_history_clear", {"id": id_of_source(source_id), "keep_current": keep})
        return f"Cleared job history of harvest source: {source_id}"
    if not keep:
        purge_queues()
    cleared = call("harvest_sources_job_history_clear", {"keep_current": keep})
    return f"Cleared job history of {len(cleared)} harvest sources"


@click.command("sources", cls=ActionCommand)
@click.argument("all", required=False)
@as_json
def sources_command(all: str | None, as_json: bool) -> None:
    """List harvest sources, inactive ones too if any word such as "all" follows."""
    if as_json:
        echo_json(harvest_source_dicts(_sources(bool(all))))
    else:
        click.echo(list_sources(bool(all)))


def list_sources(all: bool = False) -> str:
    """Return what there is to say about the active sources, or about all."""
    found = _sources(all)
    return "\n".join([*_blocks(found), f"There are {len(found)} {'' if all else 'active '}harvest sources"])


def _sources(all: bool) -> list[HarvestSource]:
    query = model.Session.query(HarvestSource).order_by(HarvestSource.created.desc())
    return (query if all else query.filter(HarvestSource.active)).all()


def _block(source_id: str) -> str:
    return _blocks([HarvestSource.get(source_id)])[0]


def _blocks(sources: Sequence[HarvestSource]) -> list[str]:
    """Return a block of text for each source; the names and counts of all are asked for at once."""
    ids = [each.id for each in sources]
    packages = sa.select(model.Package.id, model.Package.name).where(model.Package.id.in_(ids))
    names = {row.id: row.name for row in model.Session.execute(packages)}
    of_source = sa.select(HarvestJob.source_id, sa.func.count().label("jobs")).where(HarvestJob.source_id.in_(ids))
    jobs = {row.source_id: row.jobs for row in model.Session.execute(of_source.group_by(HarvestJob.source_id))}
    blocks = []
    for each in sources:
        fields = [("Source id", each.id)]
        if each.id in names:
            fields.append(("     name", names[each.id]))
        fields += [
            ("      url", redact(each.url)),
            ("     type", each.type),
            ("   active", each.active),
            ("frequency", each.frequency),
            ("     jobs", jobs.get(each.id, 0)),
        ]
        blocks.append("\n".join(f"{label}: {value}" for label, value in fields) + "\n")
    return blocks


COMMANDS = (source, sources_command)
