"""The commands that say how pushing goes, and let what failed or is held go on."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from ckanext.relay.celery_app import PRIORITY
from ckanext.relay.commands import Command, as_json, echo_json
from ckanext.syndicate import bulk, status, tasks
from ckanext.syndicate.model import outbox, targets
from ckanext.syndicate.status import DatasetStatus, Entry, TargetStatus

from .chosen import chosen_profiles, profile_option


@click.command("status", cls=Command)
@click.argument("dataset", metavar="[DATASET]", required=False)
@profile_option
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Datasets that are explained.")
@as_json
def status_command(dataset: str | None, profile_id: str | None, limit: int, as_json: bool) -> None:
    """Show how the targets are, what waits for them, and what failed, with what to do; or how a dataset is at them.

    DATASET is a name or id, also of one that was purged.
    """
    chosen = chosen_profiles(profile_id)
    if dataset is not None:
        of_dataset = status.dataset(dataset, profile_id)
        echo_json([asdict(each) for each in of_dataset]) if as_json else _echo("\n".join(map(_of_dataset, of_dataset)))
        return
    ids = {profile.id for profile in chosen}
    found = [
        each for each in status.targets(profile_id, troubles=limit) if profile_id is None or each.profile_id in ids
    ]
    echo_json([asdict(each) for each in found]) if as_json else _echo("\n\n".join(map(_of_target, found)))


def _echo(text: str) -> None:
    click.echo(text)


def _of_target(target: TargetStatus) -> str:
    return "\n".join(_target_lines(target))


def _target_lines(target: TargetStatus) -> Iterator[str]:
    yield f"{target.profile_id}: {target.ckan_url or 'no address'}" + ("" if target.configured else " (not configured)")
    if target.down_since:
        resting = f", left alone until {_time(target.resting_until)}" if target.resting_until else ""
        yield f"  fails since {_time(target.down_since)}{resting}: {target.explanation} {target.error or ''}".rstrip()
        yield f"  to do: {target.advice}"
    known = f"{target.site_url}, asked {_time(target.answered)}" if target.site_url else "it was never asked"
    yield f"  identity: {known}"
    yield "  datasets: " + (
        ", ".join(f"{number} {each}" for each, number in target.numbers.items() if number) or "none"
    )
    for state, since in target.oldest.items():
        yield f"  {state} since {_time(since)}"
    if target.approved_until:
        yield f"  any number of copies may be taken away until {_time(target.approved_until)}"
    for entry in target.troubles:
        yield from _entry_lines(entry)
    left = target.numbers[status.FAILED] + target.numbers[status.HELD] - len(target.troubles)
    if left > 0 and target.troubles:
        yield f"  … and {left} more: --limit {left + len(target.troubles)}"


def _entry_lines(entry: Entry) -> Iterator[str]:
    yield f"  {entry.state}: {entry.name or entry.dataset_id} ({entry.attempts} attempts since {_time(entry.since)})"
    if entry.explanation or entry.error:
        yield f"    {entry.explanation} {entry.error or ''}".rstrip()
    if entry.advice:
        yield f"    to do: {entry.advice}"


def _of_dataset(found: DatasetStatus) -> str:
    entry = found.entry
    lines = [f"{found.profile_id}: {entry.state if entry else 'not there'}"]
    lines.append(f"  not selected: {found.skipped}" if found.skipped else "  selected")
    if entry and entry.target_id:
        lines.append(f"  {entry.target_url or entry.target_id}, written {_time(entry.pushed)}")
    if entry and entry.state in (status.WAITING, status.FAILED, status.HELD):
        due = f", due {_time(entry.due)}" if entry.due else ""
        lines.append(f"  since {_time(entry.since)}, {entry.attempts} attempts failed{due}")
    if entry and (entry.error or entry.explanation):
        lines.append(f"  {entry.explanation} {entry.error or ''}".rstrip())
        lines += [f"  to do: {entry.advice}"] if entry.advice else []
    return "\n".join(lines)


def _time(time: datetime.datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "never"


@click.command("retry", cls=Command)
@click.argument("datasets", metavar="[DATASETS]...", nargs=-1)
@profile_option
@as_json
def retry_command(datasets: tuple[str, ...], profile_id: str | None, as_json: bool) -> None:
    """Let what failed, is held or waits for its next attempt be tried now: all of it, or these datasets."""
    chosen = chosen_profiles(profile_id)
    ids = [status.find(each) for each in datasets] if datasets else None
    number = outbox.retry(profile_id, ids)
    for profile in chosen:
        targets.answered(profile.id)  # somebody says that it is worth a try
    tasks.push_now([profile.id for profile in chosen], PRIORITY)
    _say(f"{number} datasets are tried again", {"retried": number}, as_json)


@click.command("approve", cls=Command)
@click.argument("profile_id", metavar="PROFILE")
@click.option(
    "--hours",
    type=click.FloatRange(min=0.1, max=24 * 365),
    default=bulk.APPROVED_HOURS,
    show_default=True,
    help="For how long.",
)
@as_json
def approve_command(profile_id: str, hours: float, as_json: bool) -> None:
    """Let copies be taken away that are held because they are many. Look at them first: ckan syndicate status"""
    chosen_profiles(profile_id)
    number = bulk.approve(profile_id, hours)
    tasks.push_now([profile_id], PRIORITY)
    said = f"{number} copies are taken away; more may follow for {hours:g} hours"
    _say(said, {"approved": number, "hours": hours}, as_json)


def _say(text: str, value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        echo_json(value)
    else:
        click.echo(text)


COMMANDS = (status_command, retry_command, approve_command)
