"""Which changes of a dataset ask for a check."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain.changes import Changes, compare


@pytest.mark.parametrize(
    ("known", "current", "asks", "gone"),
    [
        ({}, {}, False, ""),
        ({"a": "1"}, {"a": "1"}, False, ""),
        ({}, {"a": "1"}, True, ""),
        ({"a": "1"}, {"a": "2"}, True, ""),
        ({"a": "1", "b": "1"}, {"a": "1"}, True, "b"),
        ({"a": "1"}, {"b": "1"}, True, "a"),
        ({"a": "1", "b": "1"}, {}, False, "ab"),
    ],
    ids=["nothing", "the same", "new", "changed", "one removed", "one replaced", "all gone"],
)
def test_compare(known: dict[str, str], current: dict[str, str], asks: bool, gone: str) -> None:
    """A difference asks for a check as long as there is something to check; what is not there any more is gone."""
    assert compare(known, current) == Changes(asks, frozenset(gone))
