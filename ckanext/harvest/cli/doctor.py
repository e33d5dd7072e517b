"""The command that says what is wrong."""

from __future__ import annotations

from dataclasses import asdict

import click

from ckanext.harvest import doctor

from .calling import ActionCommand, as_json, echo_json, progress_bar


@click.command("doctor", cls=ActionCommand)
@click.option("--fix", is_flag=True, help="Mend what can be mended; workers may run meanwhile.")
@as_json
@click.pass_context
def doctor_command(ctx: click.Context, fix: bool, as_json: bool) -> None:
    """Name what is wrong with sources, jobs, objects and the search index, and what does not run.

    Ends with 0 if nothing is wrong or all was mended, otherwise with 1. Without --fix nothing is written.
    """
    with progress_bar("Examining"):
        findings = list(doctor.examine(fix))
    healthy = not any(finding.left for finding in findings)
    if as_json:
        echo_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        _echo(findings, fix)
    ctx.exit(0 if healthy else 1)


def _echo(findings: list[doctor.Finding], fix: bool) -> None:
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


def _number(finding: doctor.Finding) -> str:
    return f"{finding.count} " if finding.mendable or finding.count > 1 else ""


COMMANDS = (doctor_command,)
