"""The commands that push, and say what would be pushed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import click
from ckan import model

from ckanext.relay.commands import Command, with_progress
from ckanext.syndicate import bulk, runner, selection, status, tasks
from ckanext.syndicate.model import init_tables, outbox
from ckanext.syndicate.types import Profile

from .chosen import chosen_profiles, dataset_id

#: How many datasets are read at a time.
_PAGE = 500
#: States of an outcome that nobody needs to look at.
_WELL = ("synced", "stopped")

_foreground = click.option("-f", "--foreground", is_flag=True, help="Push in this process, without workers.")
_force = click.option("--force", is_flag=True, help="Push also what has not changed since it was pushed last.")
_timeout = click.option(
    "-t", "--timeout", type=click.FloatRange(min=0), default=0, metavar="SECONDS", help="Wait after each dataset."
)


@click.command("sync", cls=Command)
@click.argument("dataset", metavar="[ID]", required=False)
@_timeout
@_foreground
@_force
@click.option("-v", "verbose", is_flag=True, hidden=True)  # as ckanext-syndicate 2.0 took it
def sync_command(dataset: str | None, timeout: float, foreground: bool, force: bool, verbose: bool) -> None:
    """Push a dataset (name or id), or all, to each target that it is selected for.

    With --foreground the command ends with 1 if a push failed.
    """
    chosen = chosen_profiles()
    if dataset is None and not timeout:
        _sync_all(chosen, foreground, force)
        return
    if dataset is None:
        pairs = [(each, profile) for profile in chosen for each in _candidates(profile)]
    else:
        pairs = [(dataset_id(dataset), profile) for profile in chosen]
    _sync_each(pairs, timeout, foreground, force)


@click.command("sync-profile", cls=Command)
@click.argument("profile_id")
@_foreground
@_force
def sync_profile_command(profile_id: str, foreground: bool, force: bool) -> None:
    """Push all datasets that are selected for a target.

    With --foreground the command ends with 1 if any of them is not there in the end.
    """
    _sync_all(chosen_profiles(profile_id), foreground, force)


def _candidates(profile: Profile) -> list[str]:
    return [row[0] for row in model.Session.execute(bulk.candidates(profile))]


def _sync_all(chosen: list[Profile], foreground: bool, force: bool) -> None:
    for profile_id, number in bulk.ask(chosen, force).items():
        click.echo(f"{profile_id}: {number} datasets are {'pushed' if foreground else 'handed to the workers'}")
    if not foreground:
        tasks.push_now(profile.id for profile in chosen)
        return
    for profile in chosen:
        _push_here(profile.id)
    left = 0
    for target in (each for profile in chosen for each in status.targets(profile.id)):
        numbers = {state: number for state, number in target.numbers.items() if number}
        click.echo(
            f"{target.profile_id}: {', '.join(f'{number} {state}' for state, number in numbers.items()) or 'nothing'}"
        )
        left += sum(numbers.get(state, 0) for state in (status.FAILED, status.HELD, status.WAITING))
    if left:
        raise click.ClickException(f"{left} datasets are not as they should be; ckan syndicate status says why")


def _push_here(profile_id: str) -> None:
    counts = outbox.counts().get(profile_id)
    total = counts.waiting if counts else 0
    rounds = bulk.push_here(profile_id)

    def done() -> Iterator[int]:
        before = total
        for waiting in rounds:
            yield from range(max(0, before - waiting))
            before = waiting

    for _ in with_progress(done(), profile_id, total):
        pass


def _sync_each(pairs: list[tuple[str, Profile]], timeout: float, foreground: bool, force: bool) -> None:
    sync: Callable[[str, str], str] = (
        (lambda each, profile_id: _pushed(each, profile_id, force))
        if foreground
        else (lambda each, profile_id: _asked(each, profile_id, force))
    )
    came_to: Counter[str] = Counter()
    for number, (each, profile) in enumerate(with_progress(pairs, "Datasets")):
        if number and timeout:
            time.sleep(timeout)
        came_to[sync(each, profile.id)] += 1
    click.echo(", ".join(f"{number} {state}" for state, number in came_to.items()) or "Nothing is to be pushed")
    if any(state not in (*_WELL, _ASKED) for state in came_to):
        click.get_current_context().exit(1)


_ASKED = "handed to the workers"


def _asked(each: str, profile_id: str, force: bool) -> str:
    outbox.ask([each], [profile_id], outbox.PERSON, force)
    tasks.push_after_commit([profile_id])
    model.Session.commit()
    return _ASKED


def _pushed(each: str, profile_id: str, force: bool) -> str:
    outcome = runner.push_now(each, profile_id, force)
    if outcome.error or outcome.state not in _WELL:
        click.echo(
            f"{each} {profile_id}: {outcome.state}: {outcome.error or outcome.reason or ''}".rstrip(": "), err=True
        )
    return outcome.state


@click.command("check", cls=Command)
@click.argument("datasets", metavar="[IDS]...", nargs=-1)
def check_command(datasets: tuple[str, ...]) -> None:
    """Show which datasets (names or ids; default all) are selected for which targets, and how many for each."""
    chosen = chosen_profiles()
    totals: Counter[str] = Counter({profile.id: 0 for profile in chosen})
    ids = [dataset_id(each) for each in datasets] or _all_ids()
    for package in with_progress(_packages(ids), "Checking", len(ids)):
        selected = [profile.id for profile in chosen if selection.skips(package, profile) is None]
        totals.update(selected)
        if selected:
            click.echo(f"{package.id}: {', '.join(selected)}")
    for profile_id, number in totals.items():
        click.echo(f"{profile_id}: {number} datasets")


def _all_ids() -> list[str]:
    table = model.Package.__table__
    return [row[0] for row in model.Session.execute(model.Session.query(table.c.id).order_by(table.c.id).statement)]


def _packages(ids: list[str]) -> Iterator[Any]:
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        yield from model.Session.query(model.Package).filter(model.Package.id.in_(page)).order_by(model.Package.id)
        model.Session.expunge_all()


@click.command("init", cls=Command)
def init_command() -> None:
    """Make the tables, or bring them up to date; the same as ckan db upgrade -p syndicate."""
    assert model.meta.engine is not None
    init_tables(model.meta.engine)
    click.secho("Syndicate tables are initialized", fg="green")


COMMANDS = (sync_command, sync_profile_command, check_command, init_command)
