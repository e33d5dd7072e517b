"""What the commands of all plugins share: JSON for scripts, and what a doctor says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from . import redaction
from .diagnosis import Finding

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


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
