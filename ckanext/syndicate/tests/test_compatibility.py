"""docs/compatibility-syndicate.rst lists what portals and third parties use of ckanext-syndicate, and of
``SynchronizationClient``, and the test that holds each."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ckanext.relay.tests.compatibility import ROOT, Page, commands, resolve, settings

page = Page("compatibility-syndicate.rst")
pytestmark = pytest.mark.skipif(not page.is_there, reason="the documentation is in the checkout only")

#: Actions of other extensions, which we call.
OLDER_ACTIONS = {"update_dataset_for_syndication", "before_syndication_action", "after_syndication_action"}


def test_each_line_names_a_test_that_exists() -> None:
    """A promise without a test, or with one that is gone, is found."""
    assert page.without_test() == []


def test_the_actions(syndicate_plugins: Any) -> None:
    """Each action of the page is there, and each that is there is on the page; all check who calls."""
    from ckanext.syndicate.logic import action, auth

    assert page.names("Actions") == {name for name in action.get_actions() if name.startswith("syndicate")}
    assert page.names("Authorization functions") == {*auth.get_auth_functions()} == page.names("Actions")


def test_the_commands(syndicate_plugins: Any) -> None:
    """The same for the commands."""
    from ckanext.syndicate import cli

    found = {f"{group.name} {each}".strip() for group in cli.get_commands() for each in commands(group)}
    assert page.names("Commands") == found


def test_the_settings() -> None:
    """The same for the settings."""
    assert page.names("Settings") == settings("syndicate")


def test_the_hooks(syndicate_plugins: Any) -> None:
    """The same for the methods of the interface."""
    from ckanext.syndicate.interfaces import ISyndicate

    methods = {name for name, _ in inspect.getmembers(ISyndicate, inspect.isfunction) if name in vars(ISyndicate)}
    assert page.names("Hooks") == methods | OLDER_ACTIONS


def test_the_signals(syndicate_plugins: Any) -> None:
    """The same for the signals."""
    from ckanext.syndicate import signals

    assert page.names("Signals") == {name for name in vars(signals) if name.endswith("_syndication")}


def test_the_columns_and_revisions(syndicate_plugins: Any) -> None:
    """The same for the columns of the table that others read, and for the migrations."""
    from ckanext.syndicate.model import SyndicationLog
    from ckanext.syndicate.model.setup import MIGRATIONS

    table = SyndicationLog.__table__
    assert page.names("Columns") == {f"{table.name}.{column.name}" for column in table.columns}
    revisions = {file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("*.py")}
    assert page.names("Revisions") == revisions


def test_the_routes(syndicate_plugins: Any) -> None:
    """The same for the routes, by the names that ``url_for`` takes."""
    endpoints = {rule.endpoint for rule in syndicate_plugins.flask_app.url_map.iter_rules()}
    assert page.names("Routes") == {each for each in endpoints if each.partition(".")[0].startswith("syndicate")}


def test_the_templates() -> None:
    """Each template that themes override is there."""
    folder = ROOT / "ckanext" / "syndicate" / "templates"
    assert [name for name in page.names("Templates") if not (folder / name).is_file()] == []


def test_the_plugins() -> None:
    """The plugin is there under its name."""
    from importlib.metadata import entry_points

    ours = {each.name for each in entry_points(group="ckan.plugins") if each.dist and each.dist.name == "ckanext-relay"}
    assert page.names("Plugins") <= ours


@pytest.mark.parametrize("path", sorted(page.tables.get("Imports", ())))
def test_an_import(syndicate_plugins: Any, path: str) -> None:
    """What third-party plugins import is where they look for it."""
    assert resolve(path) is not None


def test_each_name_of_the_facades_is_on_the_page() -> None:
    """What is kept for others is promised."""
    from ckanext.syndicate import plugin, utils

    promised = page.names("Imports")
    kept = {f"{module.__name__}.{name}" for module in (plugin, utils) for name in module.__all__}
    assert kept - promised == set()


def test_the_synchronization_client() -> None:
    """Its options and members are there."""
    from ckanext.syndicate.syncing import DEFAULTS, SynchronizationClient

    assert page.names("Options of SynchronizationClient") <= {*DEFAULTS}
    client = SynchronizationClient("https://portal.example")
    assert [name for name in page.names("Members of SynchronizationClient") if not hasattr(client, name)] == []
