"""The command that says what is wrong."""

from __future__ import annotations

import click

from ckanext.archiver import doctor
from ckanext.relay.commands import Command, as_json, end_with


@click.command("doctor", cls=Command)
@click.option("--fix", is_flag=True, help="Mend what can be mended; workers may run meanwhile.")
@as_json
def doctor_command(fix: bool, as_json: bool) -> None:
    """Name what is wrong with workers, archive, disk, public address of the copies, and tables.

    Ends with 0 if nothing is wrong or all was mended, otherwise with 1. Without --fix nothing is written.
    """
    findings = list(doctor.examine(fix))
    end_with(findings, fix, as_json)


COMMANDS = (doctor_command,)
