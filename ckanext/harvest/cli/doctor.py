"""The command that says what is wrong."""

from __future__ import annotations

import click

from ckanext.harvest import doctor
from ckanext.relay.commands import as_json, end_with

from .calling import ActionCommand, progress_bar


@click.command("doctor", cls=ActionCommand)
@click.option("--fix", is_flag=True, help="Mend what can be mended; workers may run meanwhile.")
@as_json
def doctor_command(fix: bool, as_json: bool) -> None:
    """Name what is wrong with sources, jobs, objects and the search index, and what does not run.

    Ends with 0 if nothing is wrong or all was mended, otherwise with 1. Without --fix nothing is written.
    """
    with progress_bar("Examining"):
        findings = list(doctor.examine(fix))
    end_with(findings, fix, as_json)


COMMANDS = (doctor_command,)
