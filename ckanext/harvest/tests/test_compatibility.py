"""docs/compatibility.rst lists what portals and third parties use of ckanext-harvest, and the test that holds each."""

from __future__ import annotations

import pytest

from ckanext.relay.tests.compatibility import ROOT, Page, commands, resolve, settings

page = Page("compatibility.rst")
pytestmark = pytest.mark.skipif(not page.is_there, reason="the documentation is in the checkout only")


def test_each_line_names_a_test_that_exists() -> None:
    """A promise without a test, or with one that is gone, is found."""
    assert page.without_test() == []


def test_the_actions(loaded_plugins: None) -> None:
    """Each action of the page is there, and each that is there is on the page; all check who calls."""
    from ckanext.harvest.logic.action import get_actions
    from ckanext.harvest.logic.auth import get_auth_functions

    assert page.names("Actions") == {name for name in get_actions() if name.startswith("harvest")}
    assert page.names("Authorization functions") <= set(get_auth_functions())


def test_the_commands(loaded_plugins: None) -> None:
    """The same for the commands."""
    from ckanext.harvest.cli import harvester

    assert page.names("Commands") == commands(harvester)


def test_the_settings() -> None:
    """The same for the settings."""
    assert page.names("Settings") == settings("harvest")


def test_the_template_helpers(loaded_plugins: None) -> None:
    """The same for the template helpers."""
    from ckanext.harvest.helpers import get_helpers

    assert page.names("Template helpers") == set(get_helpers())


def test_the_routes(loaded_plugins: None) -> None:
    """Each route of the page is there."""
    from ckanext.harvest.tests import conftest

    endpoints = {rule.endpoint for rule in conftest._made["app"].url_map.iter_rules()}
    # CKAN serves those of a type of dataset from the blueprint that it makes for it
    assert page.names("Routes") <= endpoints


def test_the_templates() -> None:
    """Each template that themes override is there, with its blocks."""
    folder = ROOT / "ckanext" / "harvest" / "templates"
    assert [name for name in page.names("Templates") if not (folder / name).is_file()] == []
    blocks = [name.split(": ") for name in page.names("Blocks")]
    for template, block in blocks:
        family = [template, "source/base.html", "source/read_base.html"]
        assert any(f"{{% block {block} " in (folder / each).read_text() for each in family), (template, block)


@pytest.mark.parametrize("path", sorted(page.tables.get("Imports", ())))
def test_an_import(loaded_plugins: None, path: str) -> None:
    """What third-party plugins import is where they look for it."""
    assert resolve(path) is not None
