"""Pages of the documentation that list what portals and third parties use, and the test that holds each."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import Any

import click
import docutils.core
import docutils.nodes
import yaml

ROOT = Path(__file__).parents[3]


class Page:
    """A page with a table in each section: what it names in the first column, the test in the last one.

    :param name: of the file in ``docs``, which is in a checkout only
    """

    def __init__(self, name: str) -> None:
        self.path = ROOT / "docs" / name

    @property
    def is_there(self) -> bool:
        return self.path.is_file()

    @functools.cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """The tables by the title of their section: the test of each name."""
        if not self.is_there:
            return {}
        document = docutils.core.publish_doctree(self.path.read_text())
        tables = {}
        for section in document.findall(docutils.nodes.section):
            rows = {}
            for row in section.next_node(docutils.nodes.tbody).findall(docutils.nodes.row):
                cells = [cell.astext() for cell in row.findall(docutils.nodes.entry)]
                rows[cells[0]] = cells[-1]
            tables[section.next_node(docutils.nodes.title).astext()] = rows
        return tables

    def names(self, title: str) -> set[str]:
        return set(self.tables[title])

    def without_test(self) -> list[str]:
        """Return the lines that name no test, or one that is gone."""
        every = [(name, test) for rows in self.tables.values() for name, test in rows.items()]
        return [f"{name}: {test}" for name, test in every if not _exists(test)]


def _exists(test: str) -> bool:
    file, _, function = test.partition("::")
    path = ROOT / "ckanext" / file
    return path.is_file() and function.rpartition("::")[2].startswith("test_") and function in functions_of(path)


@functools.cache
def functions_of(file: Path) -> set[str]:
    """Return the tests of a file; those of a class as ``Class::test``."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        functions = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{each.name}" for each in functions if isinstance(each, ast.FunctionDef)}
    return found


def commands(command: click.Command, path: str = "") -> set[str]:
    """Return the commands of a group, as they are typed after its name."""
    if not isinstance(command, click.Group):
        return {path}
    return {each for name, sub in command.commands.items() for each in commands(sub, f"{path} {name}".strip())}


def settings(plugin: str) -> set[str]:
    """Return the keys that a plugin declares."""
    declared = yaml.safe_load((ROOT / "ckanext" / plugin / "config_declaration.yaml").read_text())
    return {option["key"] for group in declared["groups"] for option in group["options"]}


def resolve(path: str) -> Any:
    """Return what a dotted path names: a module, or something in one."""
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)
