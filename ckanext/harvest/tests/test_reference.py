"""The reference in the documentation names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import ckanext.harvest
from ckanext.harvest.cli import harvester
from ckanext.harvest.logic.action import get_actions

PAGE = Path(ckanext.harvest.__file__).parents[2] / "docs/harvest.rst"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is in the checkout only")


def first_cells() -> str:
    """Return the first column of all tables."""
    return "\n".join(re.findall(r"^   \* - (.*(?:\n       .*)*)", PAGE.read_text(), re.MULTILINE))


def test_each_action_is_documented_and_no_other() -> None:
    """Who reads the page knows every action."""
    assert set(re.findall(r"``(harvest\w*_\w+)``", first_cells())) - {"harvesters_info"} == set(get_actions())


def test_each_command_is_documented() -> None:
    """And every command, with its options."""
    cells = first_cells()
    for words, command in commands(harvester):
        assert re.search(rf"``{re.escape(words)}[ `]", cells), words
        for option in (each for each in command.params if isinstance(each, click.Option)):
            assert any(name in cells for name in option.opts), (words, option.opts)


def commands(group: click.Group, before: str = "") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        words = f"{before}{name}"
        found += commands(command, f"{words} ") if isinstance(command, click.Group) else [(words, command)]
    return found
