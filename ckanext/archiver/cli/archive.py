"""The commands that have links checked."""

from __future__ import annotations

import logging

import click
from ckan import model

from ckanext.archiver import runner, tasks
from ckanext.archiver.domain import status
from ckanext.archiver.model import requests
from ckanext.archiver.model.resources import Wanted
from ckanext.relay.celery_app import BULK, PRIORITY
from ckanext.relay.commands import Command, as_json, echo_json, with_progress

log = logging.getLogger(__name__)

_queue = click.option(
    "-q", "--queue", type=click.Choice([PRIORITY, BULK]), default=BULK, show_default=True, help="How urgent it is."
)


@click.command("update", cls=Command)
@click.argument("identifiers", nargs=-1)
@_queue
@as_json
def update_command(identifiers: tuple[str, ...], queue: str, as_json: bool) -> None:
    """Let the workers check links: of all active datasets, or of those that are named.

    An identifier is the name or id of an organization, group or dataset, or the id of a resource.
    """
    asked = {}
    for identifier, wanted in _found(identifiers).items():
        asked[identifier] = requests.request(queue, wanted)
        model.Session.commit()
        log.info("Queuing %s (%s links) Q:%s", identifier, asked[identifier], queue)
    tasks.archive_now(queue)
    if as_json:
        echo_json({"queue": queue, "asked": asked})
    else:
        count = sum(asked.values())
        click.echo(f"{count} links are handed to the workers, queue {queue}; the others wait there already")


@click.command("update-test", cls=Command)
@click.argument("identifiers", nargs=-1)
@_queue
@as_json
def update_test_command(identifiers: tuple[str, ...], queue: str, as_json: bool) -> None:
    """Check links in this process, without workers, and show what becomes of each."""
    ids = sorted({each for wanted in _found(identifiers).values() for each in requests.resource_ids(wanted)})
    found = []
    for checked in with_progress(runner.archive_now(ids, queue), "Checking", len(ids)):
        verdict, resource_id = checked.verdict, checked.link.resource_id
        found.append({"resource_id": resource_id, "status_id": verdict.status_id, "reason": verdict.reason})
        if not as_json:
            click.echo(f"{resource_id} {status.TEXTS[verdict.status_id]} {verdict.reason}".rstrip())
    if as_json:
        echo_json(found)


def _found(identifiers: tuple[str, ...]) -> dict[str, Wanted]:
    """Return what identifiers mean; all datasets if there is none."""
    if not identifiers:
        return {"all datasets": Wanted()}
    found = {identifier: _wanted(identifier) for identifier in identifiers}
    unknown = [identifier for identifier, wanted in found.items() if wanted is None]
    if unknown:
        what = "neither an organization or group, nor a dataset, nor the id of a resource"
        raise click.ClickException(f"{', '.join(unknown)}: {what}. Nothing was done.")
    return {identifier: wanted for identifier, wanted in found.items() if wanted is not None}


def _wanted(identifier: str) -> Wanted | None:
    if (group := model.Group.get(identifier)) is not None:
        return Wanted(organization=group.id) if group.is_organization else Wanted(group=group.id)
    if (package := model.Package.get(identifier)) is not None:
        return Wanted(packages=[package.id])
    if (resource := model.Session.get(model.Resource, identifier)) is not None:
        return Wanted(resources=[resource.id])
    return None


COMMANDS = (update_command, update_test_command)
