"""The command that says what is wrong."""

from __future__ import annotations

import click

from ckanext.relay.commands import Command, as_json, end_with
from ckanext.syndicate import doctor


@click.command("doctor", cls=Command)
@click.option("--fix", is_flag=True, help="Mend what can be mended in this portal; workers may run meanwhile.")
@as_json
def doctor_command(fix: bool, as_json: bool) -> None:
    """Name what is wrong with workers, settings, targets, and what waits for a person.

    Each target is asked whether it is the right one, and what we may do there. Nothing is written without --fix, and
    nothing at a target. Ends with 0 if nothing is wrong or all was mended, otherwise with 1.
    """
    end_with(list(doctor.examine(fix)), fix, as_json)


COMMANDS = (doctor_command,)
