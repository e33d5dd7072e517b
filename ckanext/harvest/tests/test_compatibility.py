"""docs/compatibility.rst lists what portals and third parties use of ckanext-harvest, and the test that holds each."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import Any

import click
import docutils.core
import docutils.nodes
import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/compatibility.rst"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is in the checkout only")


@functools.cache
def page() -> dict[str, dict[str, str]]:
    """Return the page's tables by the title of their section: the test of each name."""
    document = docutils.core.publish_doctree(PAGE.read_text())
    tables = {}
    for section in document.findall(docutils.nodes.section):
        rows = {}
        for row in section.next_node(docutils.nodes.tbody).findall(docutils.nodes.row):
            cells = [cell.astext() for cell in row.findall(docutils.nodes.entry)]
            rows[cells[0]] = cells[-1]
        tables[section.next_node(docutils.nodes.title).astext()] = rows
    return tables


def names(title: str) -> set[str]:
    return set(page()[title])


@functools.cache
def functions_of(file: Path) -> set[str]:
    """Return the tests of a file; those of a class as ``Class::test``."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        functions = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{each.name}" for each in functions if isinstance(each, ast.FunctionDef)}
    return found


def every_test() -> list[tuple[str, str]]:
    return [(name, test) for rows in page().values() for name, test in rows.items()] if PAGE.is_file() else []


def test_each_line_names_a_test_that_exists() -> None:
    """A promise without a test, or with one that is gone, is found."""
    gone = []
    for name, test in every_test():
        file, _, function = test.partition("::")
        path = ROOT / "ckanext" / file
        if not path.is_file() or not function.startswith("test_") or function not in functions_of(path):
            gone.append(f"{name}: {test}")
    assert gone == []


def test_the_actions(loaded_plugins: None) -> None:
    """Each action of the page is there, and each that is there is on the page; all check who calls."""
    from ckanext.harvest.logic.action import get_actions
    from ckanext.harvest.logic.auth import get_auth_functions

    assert names("Actions") == {name for name in get_actions() if name.startswith("harvest")}
    assert names("Authorization functions") <= set(get_auth_functions())


def test_the_commands(loaded_plugins: None) -> None:
    """The same for the commands."""
    from ckanext.harvest.cli import harvester

    def walk(command: click.Command, path: str) -> set[str]:
        if not isinstance(command, click.Group):
            return {path}
        return {each for name, sub in command.commands.items() for each in walk(sub, f"{path} {name}".strip())}

    assert names("Commands") == walk(harvester, "")


def test_the_settings() -> None:
    """The same for the settings."""
    declared = yaml.safe_load((ROOT / "ckanext/harvest/config_declaration.yaml").read_text())
    assert names("Settings") == {option["key"] for group in declared["groups"] for option in group["options"]}


def test_the_template_helpers(loaded_plugins: None) -> None:
    """The same for the template helpers."""
    from ckanext.harvest.helpers import get_helpers

    assert names("Template helpers") == set(get_helpers())


def resolve(path: str) -> Any:
    """Return what a dotted path names: a module, or something in one."""
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", sorted(page().get("Imports", ()) if PAGE.is_file() else ()))
def test_an_import(loaded_plugins: None, path: str) -> None:
    """What third-party plugins import is where they look for it."""
    assert resolve(path) is not None
