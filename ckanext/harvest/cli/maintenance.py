"""The commands that look after what is there: import again, reindex, purge, and which harvesters there are."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins.toolkit as tk
import click

from ckanext.harvest import config, model, tasks
from ckanext.harvest.model import HarvestObject, HarvestSource
from ckanext.relay import celery_app, clock
from ckanext.relay.commands import as_json, echo_json

from .calling import ActionCommand, call, id_of_source, progress_bar


@click.command("import", cls=ActionCommand)
@click.argument("source", required=False)
@click.option("-j", "--no-join-datasets", is_flag=True, help="Also what has no dataset, or a deleted one.")
@click.option("-o", "--harvest-object-id", help="Only this harvest object.")
@click.option("-p", "--package-id", help="Only the dataset with this id or name.")
@click.option("-g", "--guid", help="Only the record with this GUID.")
@click.option("--segments", help="Only objects whose id has one of these hex digits first in its MD5 sum.")
def import_command(source: str | None, **options: Any) -> None:
    """Import the current objects again: all, those of SOURCE, or one.

    Nothing is gathered or fetched. Several processes may share the work by SEGMENTS, such as 01234567 and 89abcdef.
    """
    with progress_bar("Importing"):
        said = import_stage(source, **options)
    click.echo(said)


def import_stage(
    source_id_or_name: str | None = None, no_join_datasets: bool = False, harvest_object_id: str | None = None,
    guid: str | None = None, package_id: str | None = None, segments: str | None = None,
) -> str:  # fmt: skip
    """Run the import stage again for what is current; see the action ``harvest_objects_import``."""
    for label, column, value in (("harvest object", "id", harvest_object_id), ("record with the GUID", "guid", guid)):
        if value and HarvestObject.get(value, attr=column) is None:
            raise tk.ObjectNotFound(f"There is no {label} {value}")
    source_id = id_of_source(source_id_or_name) if source_id_or_name else None
    given = {"source_id": source_id, "harvest_object_id": harvest_object_id, "guid": guid, "package_id": package_id}
    named = {key: value for key, value in given.items() if value}
    count = call("harvest_objects_import", named, segments=segments, join_datasets=not no_join_datasets)
    return f"{count} objects reimported"


@click.command("reindex", cls=ActionCommand)
def reindex_command() -> None:
    """Bring the search documents of all harvest sources up to date."""
    with progress_bar("Indexing"):
        said = reindex()
    click.echo(said)


def reindex() -> str:
    """Bring the search documents of all sources up to date."""
    call("harvest_sources_reindex", {})
    return f"{HarvestSource.filter(active=True).count()} harvest sources reindexed"


@click.command("purge-queues", cls=ActionCommand)
def purge_queues_command() -> None:
    """Drop the messages that wait for the workers. No work is lost: the next sweep finds it in the database."""
    click.echo(purge_queues())


def purge_queues() -> str:
    """Drop the messages that wait for the workers."""
    celery_app.purge(tasks.KIND)
    return "The queues are empty. What there is to do is found again by the next sweep"


@click.command("clean-harvest-log", cls=ActionCommand)
def clean_harvest_log_command() -> None:
    """Delete log messages in the database that are older than ckan.harvest.log_timeframe days."""
    click.echo(clean_harvest_log())


def clean_harvest_log() -> str:
    """Delete log messages that are older than the settings say."""
    days = config.log_days()
    model.clean_harvest_log(clock.now() - datetime.timedelta(days=days))
    return f"Deleted log messages that are older than {days} days"


@click.command("harvesters_info", cls=ActionCommand)
@as_json
def harvesters_info_command(as_json: bool) -> None:
    """Show which types of source can be harvested."""
    if as_json:
        echo_json(call("harvesters_info_show", {}))
    else:
        click.echo(harvesters_info())


def harvesters_info() -> str:
    """Return the harvesters that there are, as text of a Python list."""
    return str(call("harvesters_info_show", {}))


COMMANDS = (
    import_command, reindex_command, purge_queues_command, clean_harvest_log_command, harvesters_info_command,
)  # fmt: skip
