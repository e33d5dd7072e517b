"""``ckan syndicate``: a module for each kind of thing that is done."""

from __future__ import annotations

import click
import flask

from . import compare, doctor, imports, state, sync


def get_commands() -> list[click.Command]:
    """Return the commands of the plugin."""
    return [syndicate]


@click.group(short_help="Keep copies of datasets on other portals.")
@click.pass_context
def syndicate(context: click.Context) -> None:
    """Keep copies of datasets on other portals."""
    if not flask.has_app_context():
        # hooks and predicates of other extensions expect what they have in a request
        context.with_resource(context.meta["flask_app"].test_request_context())
    flask.g.syndication = True


for module in (sync, state, compare, doctor, imports):
    for command in module.COMMANDS:
        syndicate.add_command(command)
