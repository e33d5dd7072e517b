"""The commands that look after the files of the archive."""

from __future__ import annotations

import csv
from collections import Counter
from typing import Any

import click

from ckanext.archiver import config, inventory
from ckanext.archiver.storage import store
from ckanext.relay.commands import Command, as_json, echo_json, with_progress


@click.command("migrate-archive-dirs", cls=Command)
def migrate_archive_dirs_command() -> None:
    """Move copies that the first release stored, in folders by id, to where they are expected now."""
    moved = 0
    for old, new in inventory.migrate_folders(store()):
        click.echo(f"{old} -> {new}")
        moved += 1
    click.echo(f"{moved} folders moved")


@click.command("delete-files-larger-than-max-content-length", cls=Command)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete_large_command(yes: bool) -> None:
    """Delete the copies that would be refused today for their size. The file of an upload is never touched."""
    limit, archive = config.max_content_length(), store()
    large = inventory.larger_than(limit, archive)
    total = sum(each.size for each in large)
    click.echo(f"{len(large)} archived files are of {limit:,} bytes or more, together {total:,} bytes")
    if not yes:
        click.confirm("Delete them, and the archivals of resources that are deleted?", default=True, abort=True)
    pages = [large[start : start + inventory.PAGE] for start in range(0, len(large), inventory.PAGE)]
    for page in with_progress(pages, "Deleting files"):
        inventory.delete(page, archive)
    gone = inventory.forget_deleted()
    click.echo(f"{len(large)} files and {gone} archivals of deleted resources are deleted")


@click.command("report", cls=Command)
@click.argument("outputfile", type=click.Path(dir_okay=False, writable=True))
@as_json
def report_command(outputfile: str, as_json: bool) -> None:
    """Write to OUTPUTFILE, as CSV, which files no archival names, and which copies are not there."""
    _write(outputfile, as_json, delete=False)


@click.command("delete-orphans", cls=Command)
@click.argument("outputfile", type=click.Path(dir_okay=False, writable=True))
@as_json
def delete_orphans_command(outputfile: str, as_json: bool) -> None:
    """Delete the files that no archival names, and write to OUTPUTFILE what report would."""
    _write(outputfile, as_json, delete=True)


def _write(path: str, as_json: bool, delete: bool) -> None:
    archive = store()
    found: Counter[str] = Counter()
    with open(path, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Resource ID", "Filepath", "Problem"])
        for problem in inventory.problems(archive):
            rows.writerow([problem.resource_id, _text(problem.path), problem.what])
            found[problem.what] += 1
            if delete and problem.orphan and archive.remove(problem.path):
                found["deleted"] += 1
    _echo(found, as_json)


def _text(path: str) -> str:
    # names that are no UTF-8, as other programs may have written them
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _echo(found: Counter[str], as_json: bool) -> None:
    counts: dict[str, Any] = dict(sorted(found.items()))
    if as_json:
        echo_json(counts)
        return
    for what, count in counts.items():
        click.echo(f"{count:>8} {what}")
    if not counts:
        click.echo("No problem was found")


COMMANDS = (migrate_archive_dirs_command, delete_large_command, report_command, delete_orphans_command)
