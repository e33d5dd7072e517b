"""The command that brings datasets from files into a portal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from ckan import model
from ckanapi import LocalCKAN

from ckanext.relay.commands import Command, as_json, echo_json, progress_bar
from ckanext.syndicate import config, source_files
from ckanext.syndicate.source_files import SourceFiles
from ckanext.syndicate.syncing import BadSource, SynchronizationClient, SyncResult, SyncStopped

#: how many failures are shown one by one
_SHOWN = 20


class _ThisPortal:
    """This portal, whose actions are called as the site user, without HTTP."""

    def __init__(self) -> None:
        self.ckan_url = config.site()

    def get_target(self) -> Any:
        return _Actions()


class _Actions(LocalCKAN):
    """Leaves nothing of an action that failed to the next one."""

    def call_action(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call_action(*args, **kwargs)
        except Exception:
            model.Session.rollback()
            raise


def _share(_context: click.Context, _option: click.Parameter, value: str | None) -> int | str | None:
    """Return what SynchronizationClient takes as max_delete."""
    return int(value) if value and value.isdecimal() else value


@click.command("import", cls=Command)
@click.argument("source_name")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--url", envvar="CKAN_URL", help="The portal to write to (default: this one, without HTTP).")
@click.option(
    "--api-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the API token for --url (default: what the environment variable CKAN_API_KEY says).",
)
@click.option("--dry-run", is_flag=True, help="Write nothing, and show what would be done.")
@click.option(
    "--max-delete",
    metavar="NUMBER|SHARE|all",
    callback=_share,
    help="How many datasets may be deleted: 50, 20%, all (default: a tenth, or ten if that is not more than half).",
)
@click.option("--on-error", type=click.Choice(["continue", "stop"]), default="continue", show_default=True)
@click.option("--organizations", type=click.Choice(["create", "update"]), default="create", show_default=True)
@click.option("--groups", type=click.Choice(["create", "update"]), default="create", show_default=True)
@click.option("--dataset-groups", type=click.Choice(["add", "replace", "preserve"]), default="add", show_default=True)
@click.option("--preserve-names/--replace-names", default=True, show_default=True)
@click.option("--preserve-organization/--replace-organization", default=True, show_default=True)
@click.option("--threads", type=click.IntRange(1, 32), default=1, show_default=True, help="Requests at a time.")
@click.option("--requests-per-second", type=click.FloatRange(min=0, min_open=True), help="At most (default: no limit).")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60, show_default=True, help="Seconds.")
@click.option("--dataset-table", default="dataset", show_default=True, help="Of an SQLite database.")
@click.option("--group-table", default="group", show_default=True)
@click.option("--organization-table", default="organization", show_default=True)
@as_json
def import_command(source_name: str, path: Path, **options: Any) -> None:
    """Bring the datasets of a source into a portal, and keep them as the source has them.

    PATH is a folder with subfolders dataset, group and organization and a JSON file for each object; a file of JSON
    lines; or an SQLite database with tables of columns id and json_data. Datasets that an earlier run with the same
    SOURCE_NAME has brought and that are not among them any more are deleted.

    Ends with 0 if all is done, otherwise with 1.
    """
    found = source_files.read(path, {kind: options[f"{kind}_table"] for kind in source_files.KINDS})
    result = _synchronized(_client(options), source_name, found)
    if options["as_json"]:
        echo_json(result.as_dict())
    else:
        _echo(result)
    click.get_current_context().exit(0 if result else 1)


def _client(options: dict[str, Any]) -> SynchronizationClient:
    settings = {
        "organization_merge_strategy": options["organizations"],
        "group_merge_strategy": options["groups"],
        "dataset_group_merge_strategy": options["dataset_groups"],
        "dataset_preserve_names": options["preserve_names"],
        "dataset_preserve_organization": options["preserve_organization"],
        **{name: options[name] for name in ("dry_run", "max_delete", "on_error", "threads")},
    }
    try:
        if options["url"]:
            connection = {name: options[name] for name in ("timeout", "requests_per_second")}
            return SynchronizationClient(options["url"], _token(options["api_key_file"]), **connection, **settings)
        if options["threads"] > 1:
            raise click.UsageError("--threads needs --url: this portal is written to without HTTP, in one thread")
        return SynchronizationClient(_ThisPortal(), **settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _token(path: Path | None) -> str | None:
    """Return the API token from a file, or from the environment; never from an argument, which all processes see."""
    if path is None:
        return os.environ.get("CKAN_API_KEY")
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from None


def _synchronized(client: SynchronizationClient, source_name: str, found: SourceFiles) -> SyncResult:
    click.echo(f"Writing to {client!r}", err=True)
    try:
        with progress_bar("Importing") as progress:
            return client.sync(source_name, found.data, progress=progress)
    except BadSource as error:
        raise found.explained(error) from None
    except SyncStopped as stopped:
        return stopped.result
    except ValueError as error:  # the name of the source
        raise click.UsageError(str(error)) from None


def _echo(result: SyncResult) -> None:
    for kind in ("groups", "organizations"):
        changes = getattr(result, kind)
        if changes.created or changes.updated:
            click.echo(f"{kind}: {len(changes.created)} created, {len(changes.updated)} updated")
    would = "would be " if result.dry_run else ""
    for name, number in result.counts.items():
        if number or name in ("created", "updated", "unchanged", "deleted"):
            click.echo(f"{number} {would if name.endswith('ed') and name != 'unchanged' else ''}{name}")
    for failure in result.failed[:_SHOWN]:
        click.echo(f"Cannot {failure.step} {failure.kind} {failure.source_id}: {failure.reason}", err=True)
    if len(result.failed) > _SHOWN:
        click.echo(f"… and {len(result.failed) - _SHOWN} more; --json shows them all", err=True)
    if result.stopped:
        click.echo(f"Stopped: {result.stopped}", err=True)
    if result.held:
        click.echo("More datasets are gone from the source than --max-delete allows: none was deleted", err=True)


COMMANDS = (import_command,)
