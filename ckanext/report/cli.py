"""``ckan report``: list the reports and generate them."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import click
import flask

from ckanext.relay import config as relay_config
from ckanext.relay.commands import as_json

from . import model, runner
from .report_registry import Options, Report, ReportRegistry


def get_commands() -> list[click.Command]:
    """Return the commands of the plugin."""
    return [report]


@click.group(short_help="Generate reports.")
def report() -> None:
    """List the reports and generate them."""


@report.command()
def initdb() -> None:
    """Make the table, if migrations were not run."""
    model.init_tables()
    click.secho("Report table is setup", fg="green")


@report.command("list")
def list_reports() -> None:
    """List the reports and when they were generated with their default options."""
    for plugin, name, _title in ReportRegistry.instance().get_names():
        found = ReportRegistry.instance().get_report(name)
        created = found.get_cached_date()
        click.echo(f"{plugin}: {name} {created.strftime('%d/%m/%Y %H:%M') if created else '(not cached)'}")


@report.command()
@click.argument("names", required=False, metavar="[NAME,...]")
@as_json
def generate(names: str | None, as_json: bool) -> None:
    """Generate all reports, or those that are named, with all combinations of their options.

    What goes wrong with one is said, and the others are generated all the same.
    """
    chosen = _chosen(names)
    started = time.monotonic()
    with _request_context():
        jobs, outcomes = runner.combinations(chosen)
        with click.progressbar(jobs, label="Generating", file=sys.stderr, item_show_func=_shown) as bar:
            outcomes += (runner.attempt(each, options) for each, options in bar)
    timings = {each.name: 0.0 for each in chosen}
    for outcome in outcomes:
        timings[outcome.report] += outcome.seconds
    failed = [f"{_described(each)}: {runner.described(each.error)}" for each in outcomes if each.error]
    timings = {name: round(seconds, 2) for name, seconds in timings.items()}
    if as_json:
        click.echo(json.dumps({"timings": timings, "failed": failed}, indent=2))
    else:
        said = timings if names else {"All Reports": round(time.monotonic() - started, 2)}
        click.echo(f"Report generation complete {said}")
    for message in failed:
        click.secho(f"Could not be generated: {message}", fg="red", err=True)
    if failed:
        raise SystemExit(1)


@report.command("generate-for-options")
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
def generate_for_options(name: str, options: tuple[str, ...]) -> None:
    """Generate the report NAME with one combination of options; those that are left out have their defaults."""
    [found] = _chosen(name)
    given: Options = {}
    for argument in options:
        option, sign, value = argument.partition("=")
        if not sign:
            click.secho(f'Option needs an "=" sign in it: "{argument}"', fg="red", err=True)
            raise SystemExit(1)
        given[option] = value or None
    if unknown := sorted(set(given) - set(found.option_defaults)):
        known = ", ".join(found.option_defaults) or "none"
        raise click.ClickException(f"The report {name} has no option {', '.join(unknown)}. It has: {known}")
    complete = Report.add_defaults_to_options({**found.option_defaults, **given}, found.option_defaults)
    with _request_context():
        outcome = runner.attempt(found, complete)
    if outcome.error:
        raise click.ClickException(f"{_described(outcome)} could not be generated: {runner.described(outcome.error)}")
    click.echo(f"Report generation complete { ({name: round(outcome.seconds, 2)}) }")


def _chosen(names: str | None) -> list[Report]:
    registry = ReportRegistry.instance()
    if not names:
        return registry.get_reports()
    there = {name for _plugin, name, _title in registry.get_names()}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in there]:
        known = ", ".join(sorted(there)) or "none; no enabled plugin brings any"
        raise click.ClickException(f"There is no report {', '.join(unknown)}. There are: {known}")
    return [registry.get_report(name) for name in wanted]


def _shown(job: runner.Job | None) -> str | None:
    return job[0].generate_key(job[1]) if job else None


def _described(outcome: runner.Outcome) -> str:
    options = ", ".join(f"{name}={value}" for name, value in outcome.options.items() if value)
    return f"{outcome.report} ({options})" if options else outcome.report


def _request_context() -> Any:
    """Return the context in which third-party code can make URLs and translate, as it does in a page."""
    app = click.get_current_context().meta.get("flask_app")
    if app is None or flask.has_request_context():
        return contextlib.nullcontext()
    return app.test_request_context(base_url=relay_config.site_url() or None)
