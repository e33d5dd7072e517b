"""``ckan archiver`` and ``ckan celeryd2``: a module for each kind of thing that is done."""

from __future__ import annotations

import click

from . import archive, doctor, files, maintenance, workers


def get_commands() -> list[click.Command]:
    """Return the commands of the plugin."""
    return [archiver, workers.celeryd2]


@click.group(short_help="Check the links of resources and keep copies of them.")
def archiver() -> None:
    """Check the links of resources and keep copies of them."""


for module in (archive, maintenance, files, doctor):
    for command in module.COMMANDS:
        archiver.add_command(command)
