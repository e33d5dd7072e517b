"""The commands that look after the tables, and show what there is."""

from __future__ import annotations

from dataclasses import asdict

import click
from ckan import model

from ckanext.archiver import inventory
from ckanext.archiver.model import Archival, init_tables
from ckanext.relay.commands import Command, as_json, echo_json, with_progress


@click.command("init", cls=Command)
def init_command() -> None:
    """Make the tables, or bring them up to date."""
    _upgrade()
    click.secho("Archiver tables are initialized", fg="green")


@click.command("migrate", cls=Command)
def migrate_command() -> None:
    """Bring tables that an older release made up to date; the same as init."""
    _upgrade()
    click.secho("Archiver tables are up to date", fg="green")


def _upgrade() -> None:
    assert model.meta.engine is not None
    init_tables(model.meta.engine)


@click.command("view", cls=Command)
@click.argument("package_ref", required=False)
@as_json
def view_command(package_ref: str | None, as_json: bool) -> None:
    """Show how much was archived, or what is known of a dataset's links."""
    if package_ref is None:
        echo_json(asdict(inventory.summary())) if as_json else _echo_summary()
        return
    package = model.Package.get(package_ref)
    if package is None:
        raise click.ClickException(f"There is no dataset {package_ref}")
    archivals = {each.resource_id: each for each in Archival.get_for_package(package.id)}
    if as_json:
        echo_json([archival.as_dict() for archival in archivals.values()])
        return
    click.echo(f"Package {package.name} {package.id}")
    for resource in package.resources:
        click.echo(f"Resource {resource.id}")
        if resource.id in archivals:
            click.echo(f"* {archivals[resource.id]!r}")


def _echo_summary() -> None:
    found = inventory.summary()
    click.echo(f"Resources: {found.resources} total")
    click.echo(f"Archived resources: {found.archived} total")
    click.echo(f"{'':20}{found.with_cache_url} with cache_url")
    click.echo(f"Latest archival: {found.latest:%Y-%m-%d %H:%M}" if found.latest else "Latest archival: (no)")


@click.command("clean-status", cls=Command)
def clean_status_command() -> None:
    """Forget all verdicts. The copies stay, and nothing is asked again before it is due."""
    click.echo("Before:")
    _echo_summary()
    inventory.forget_archivals()
    click.echo("After:")
    _echo_summary()


@click.command("clean-cached-resources", cls=Command)
def clean_cached_resources_command() -> None:
    """Forget all copies, so that each file is fetched again when its link is checked. The files themselves stay."""
    total, done = inventory.summary().with_cache_url, 0
    for count in with_progress(inventory.forget_copies(), "Forgetting copies", -(-total // inventory.PAGE)):
        done += count
        click.echo(f"Done {done}/{total}")
    click.echo(f"{done} copies are forgotten")


@click.command("size-report", cls=Command)
@as_json
def size_report_command(as_json: bool) -> None:
    """Show how large the copies of live resources are."""
    classes = inventory.size_classes()
    if as_json:
        echo_json([{"class": name, "files": count, "bytes": size} for name, count, size in classes])
        return
    click.echo(f"{'file size':>10}{'no. files':>15}{'files size (bytes)':>22}")
    for name, count, size in classes:
        click.echo(f"{name:>10}{count:>15,}{size:>22,}")
    click.echo(f"Totals: {sum(size for _, _, size in classes):,} bytes")


COMMANDS = (
    *(init_command, migrate_command, view_command),
    *(clean_status_command, clean_cached_resources_command, size_report_command),
)
