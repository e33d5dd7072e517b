"""docs/compatibility-archiver.rst lists what portals and third parties use of ckanext-archiver and ckanext-report, and
the test that holds each."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.relay.tests.compatibility import ROOT, Page, commands, resolve, settings

PLUGINS = "report tagless_report"
page = Page("compatibility-archiver.rst")
pytestmark = pytest.mark.skipif(not page.is_there, reason="the documentation is in the checkout only")


def test_each_line_names_a_test_that_exists() -> None:
    """A promise without a test, or with one that is gone, is found."""
    assert page.without_test() == []


def test_the_actions(archiver_plugins: Any) -> None:
    """Each action of the page is there, and each that is there is on the page; all check who calls."""
    from ckanext.archiver.logic import action, auth
    from ckanext.report.logic.action import get_actions
    from ckanext.report.logic.auth import get_auth_functions

    ours = {name for name in (*action.get_actions(), *get_actions()) if name.startswith(("archiver", "report"))}
    assert page.names("Actions") == ours
    assert page.names("Authorization functions") == {*auth.get_auth_functions(), *get_auth_functions()}


def test_the_commands(archiver_plugins: Any) -> None:
    """The same for the commands."""
    from ckanext.archiver import cli
    from ckanext.report import cli as report_cli

    groups = [*cli.get_commands(), *report_cli.get_commands()]
    found = {f"{group.name} {each}".strip() for group in groups for each in commands(group)}
    assert page.names("Commands") == found


def test_the_settings() -> None:
    """The same for the settings."""
    assert page.names("Settings") == settings("archiver") | settings("report")


def test_the_template_helpers(archiver_plugins: Any) -> None:
    """The same for the template helpers."""
    from ckanext.archiver import helpers
    from ckanext.report import helpers as report_helpers

    assert page.names("Template helpers") == {*helpers.get_helpers(), *report_helpers.get_helpers()}


def test_the_routes(archiver_plugins: Any) -> None:
    """The same for the routes, by the names that ``url_for`` takes."""
    rules = archiver_plugins.flask_app.url_map.iter_rules()
    endpoints = {rule.endpoint for rule in rules}
    ours = {each for each in endpoints if each.partition(".")[0] in ("archiver", "report")}
    assert page.names("Routes") == ours


def test_the_columns(archiver_plugins: Any) -> None:
    """The same for the columns of the two tables that others read."""
    from ckanext.archiver.model import Archival
    from ckanext.report.model import DataCache

    tables = [model.__table__ for model in (Archival, DataCache)]
    assert page.names("Columns") == {f"{table.name}.{column.name}" for table in tables for column in table.columns}


def test_the_templates() -> None:
    """Each template that themes override is there."""
    folders = [ROOT / "ckanext" / plugin / "templates" for plugin in ("archiver", "report")]
    for name in page.names("Templates"):
        assert any((folder / name).is_file() for folder in folders), name


def test_the_plugins(archiver_plugins: Any) -> None:
    """Each plugin is there under its name."""
    from importlib.metadata import entry_points

    ours = {each.name for each in entry_points(group="ckan.plugins") if each.dist and each.dist.name == "ckanext-relay"}
    assert page.names("Plugins") <= ours


def test_the_reports(archiver_plugins: Any) -> None:
    """Each report of these plugins is on the page, and no other."""
    from ckanext.report.report_registry import ReportRegistry

    assert page.names("Reports") == {name for _plugin, name, _title in ReportRegistry.instance().get_names()}


@pytest.mark.parametrize("path", sorted(page.tables.get("Imports", ())))
def test_an_import(archiver_plugins: Any, path: str) -> None:
    """What third-party plugins import is where they look for it."""
    assert resolve(path) is not None
