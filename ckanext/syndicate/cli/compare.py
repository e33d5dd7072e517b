"""The commands that look at the targets: what a push would do, and what is there that should not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import click

from ckanext.relay.commands import Command, as_json, echo_json, progress_bar, with_progress
from ckanext.relay.errors import RelayError
from ckanext.syndicate import comparison, planning, reconcile, status, tasks
from ckanext.syndicate.planning import Planned
from ckanext.syndicate.reconcile import Reconciliation
from ckanext.syndicate.types import Profile

from .chosen import chosen_profiles, profile_option

#: Exit codes besides 0: something went wrong; there is something to do.
_FAILED, _TO_DO = 1, 2
#: What a plan holds that needs nobody.
_NOTHING = (planning.UNCHANGED, planning.SKIPPED)
#: How much of a value is shown.
_SHOWN = 60


@click.command("plan", cls=Command)
@profile_option
@click.option("-d", "--dataset", "datasets", multiple=True, help="Only this dataset, by name or id (repeatable).")
@click.option(
    "--force", is_flag=True, help="Look at the target also for what has not changed since it was pushed last."
)
@as_json
def plan_command(profile_id: str | None, datasets: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Show what a push would do now, dataset by dataset, field by field. Nothing is written, not at the target either.

    Ends with 0 if there is nothing to do, with 2 if there is, and with 1 if a target could not be looked at.
    """
    chosen = chosen_profiles(profile_id)
    ids = [status.find(each) for each in datasets] if datasets else None
    plans: list[Planned] = []
    failed: dict[str, str] = {}
    for profile in chosen:
        try:
            for planned in _planned(profile, ids, force):
                plans.append(planned)
                if not as_json and planned.action not in _NOTHING:
                    _echo_planned(planned)
        except RelayError as error:
            failed[profile.id] = f"{error} {error.hint or ''}".rstrip()
    counts = {profile.id: Counter(each.action for each in plans if each.profile_id == profile.id) for profile in chosen}
    if as_json:
        echo_json({"plans": [asdict(each) for each in plans], "counts": counts, "failed": failed})
    else:
        for each, count in counts.items():
            click.echo(
                f"{each}: {', '.join(f'{count[name]} {name}' for name in planning.ACTIONS if count[name]) or 'nothing'}"
            )
    is_to_do = any(planned.action not in _NOTHING for planned in plans)
    _end(failed, is_to_do)


def _planned(profile: Profile, ids: list[str] | None, force: bool) -> Iterator[Planned]:
    chosen = planning.candidates(profile) if ids is None else ids
    yield from with_progress(planning.plan(profile, chosen, force), f"Planning {profile.id}", len(chosen))


def _echo_planned(planned: Planned) -> None:
    click.echo(f"{planned.profile_id} {planned.action} {planned.name}: {planned.reason}")
    for change in planned.changes:
        click.echo(f"    {change.field}: {_shown(change.old)} -> {_shown(change.new)}")
    for sentence in planned.dropped:
        click.echo(f"    {sentence}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _end(failed: dict[str, str], is_to_do: bool) -> None:
    for profile_id, error in failed.items():
        click.echo(f"{profile_id}: {error}", err=True)
    if failed or is_to_do:
        click.get_current_context().exit(_FAILED if failed else _TO_DO)


@click.command("reconcile", cls=Command)
@click.argument("profile_id", metavar="[PROFILE]", required=False)
@click.option("--fix", is_flag=True, help="Let the workers mend what differs.")
@click.option("--accept-target", is_flag=True, help="The target is right although it is another one, or nearly empty.")
@as_json
def reconcile_command(profile_id: str | None, fix: bool, accept_target: bool, as_json: bool) -> None:
    """Compare a target, or all, with what is recorded, and with the datasets here.

    Finds lost pushes, edits at the target, copies of nothing or made twice, and changes that nobody pushed. Ends with 0
    if nothing differs or all is handed to the workers, with 2 if something differs, and with 1 if a target could not be
    looked at, or is not mended because it has lost too much.
    """
    chosen = chosen_profiles(profile_id)
    if accept_target and profile_id is None:
        raise click.UsageError("--accept-target needs a PROFILE")
    results: list[Reconciliation] = []
    failed: dict[str, str] = {}
    for profile in chosen:
        try:
            results.append(_reconciled(profile, fix, accept_target))
        except RelayError as error:
            failed[profile.id] = f"{error} {error.hint or ''}".rstrip()
    failed |= {each.profile_id: each.refused for each in results if each.refused}
    if any(each.asked for each in results):
        tasks.push_now([each.profile_id for each in results if each.asked])
    if as_json:
        echo_json({"results": [{**asdict(each), "counts": each.counts} for each in results], "failed": failed})
    else:
        _echo_results(results)
    _end(failed, any(each.discrepancies and not each.asked for each in results))


def _reconciled(profile: Profile, fix: bool, accept_target: bool) -> Reconciliation:
    with progress_bar(f"Reading {profile.id}") as progress:
        return reconcile.reconcile(profile, fix, accept_target, progress)


def _echo_results(results: Iterable[Reconciliation]) -> None:
    for result in results:
        for each in result.discrepancies:
            fields = f" ({', '.join(each.fields)})" if each.fields else ""
            click.echo(f"{result.profile_id} {each.kind} {each.name}: {comparison.MEANINGS[each.kind]}{fields}")
        counts = ", ".join(f"{number} {kind}" for kind, number in result.counts.items()) or "nothing differs"
        asked = f"; {result.asked} are handed to the workers" if result.asked else ""
        click.echo(f"{result.profile_id}: {result.recorded} recorded, {result.read} at the target; {counts}{asked}")


COMMANDS = (plan_command, reconcile_command)
