"""``ckan harvester``: sources, jobs and the processes that harvest. A module for each kind of thing that is managed."""

from __future__ import annotations

import click

from . import doctor, jobs, maintenance, sources, workers


def get_commands() -> list[click.Command]:
    """Return the commands of the plugin."""
    return [harvester]


@click.group(short_help="Harvest the metadata of other portals.")
def harvester() -> None:
    """Harvest the metadata of other portals."""


for module in (sources, jobs, workers, maintenance, doctor):
    for command in module.COMMANDS:
        harvester.add_command(command)
