"""What the commands of all plugins share: messages in place of tracebacks, progress bars, JSON for scripts, and what a
doctor says."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import ckan.plugins.toolkit as tk
import click

from . import redaction
from .diagnosis import Finding
from .errors import RelayError

Item = TypeVar("Item")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class Command(click.Command):
    """A command that ends with a message, not with a traceback, if what it was given is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except tk.ObjectNotFound as error:
            raise click.ClickException(str(error) or "Not found") from None
        except RelayError as error:
            raise click.ClickException(f"{error} {error.hint or ''}".rstrip()) from None


def with_progress(items: Iterable[Item], label: str, length: int | None = None) -> Iterator[Item]:
    """Yield the items, and show on standard error, if that is a terminal, how far we are."""
    if not sys.stderr.isatty():
        yield from items
        return
    if length is None and isinstance(items, Collection):
        length = len(items)
    with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
        yield from bar


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to be called with how much is done, and of how much; it shows that on standard error, if that is
    a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, of: int) -> None:
            bar.length = max(of, done, 1)
            bar.update(done - bar.pos)

        yield show


def echo_json(value: Any) -> None:
    """Print a value as JSON. Secrets are masked: what a command prints ends in mails of cron and in log files."""
    click.echo(json.dumps(redaction.masked(value), indent=2, default=str))


def end_with(findings: Sequence[Finding], fix: bool, as_json: bool) -> None:
    """Print what a doctor has found and end the command: with 0 if nothing is left, otherwise with 1.

    :param fix: whether it was to mend what it can
    """
    healthy = not any(finding.left for finding in findings)
    if as_json:
        echo_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _echo(findings, fix)
    click.get_current_context().exit(0 if healthy else 1)


def _echo(findings: Sequence[Finding], fix: bool) -> None:
    for finding in findings:
        click.echo(f"{finding.code}: {_number(finding)}{finding.what}")
        if finding.samples:
            more = " …" if finding.count > len(finding.samples) else ""
            click.echo(f"    {', '.join(finding.samples)}{more}")
        if fix and finding.mendable:
            click.echo(f"    mended: {finding.remedy}" if not finding.left else f"    {finding.left} are left")
        else:
            click.echo(f"    {'--fix' if finding.mendable else 'to do'}: {finding.remedy}")
    if not findings:
        click.echo("Nothing is wrong")


def _number(finding: Finding) -> str:
    return f"{finding.count} " if finding.mendable or finding.count > 1 else ""
