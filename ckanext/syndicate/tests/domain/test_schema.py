"""Extras that are fields at a target: how they are recognised, and sent as what they are there."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.syndicate.domain.schema import fields_of, fitted

PAYLOAD = {
    "title": "Roads",
    "extras": [
        {"key": "language", "value": '["de", "cs"]'},
        {"key": "theme", "value": "traffic"},
        {"key": "odd", "value": "[so it goes"},
    ],
}


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({}, set()),
        ({"name": ["That URL is already in use."]}, set()),
        ({"extras": [{"key": ["There is a schema field with the same name"]}, {}, {}]}, {"language"}),
        ({"extras": [{}, {"value": ["Missing value"]}, {}]}, set()),
        ({"theme": ["Missing value"], "publisher": ["Missing value"]}, {"theme"}),
        ({"extras": [{}, {}, {"key": ["x"]}], "theme": ["Missing value"]}, {"theme", "odd"}),
        ({"extras": "x"}, set()),
        ({"extras": ["x", None, {"key": 1}, {"key": 2}, {}]}, {"odd"}),
    ],
)
def test_what_a_refusal_says(errors: dict[str, Any], expected: set[str]) -> None:
    """An extra is a field if the target does not take its key, or misses a field of its name, in whatever language."""
    assert fields_of(PAYLOAD, errors) == expected


def test_extras_become_fields() -> None:
    """Those that are named move, lists as lists; the others stay, and so does what it is made of."""
    assert fitted(PAYLOAD, {"language", "odd", "unknown"}) == {
        "title": "Roads",
        "language": ["de", "cs"],
        "odd": "[so it goes",
        "extras": [{"key": "theme", "value": "traffic"}],
    }
    assert fitted(PAYLOAD, ()) == PAYLOAD
    assert len(PAYLOAD["extras"]) == 3


def test_what_a_hook_made_a_field_of_counts() -> None:
    """A field that is already there is not replaced."""
    assert fitted({**PAYLOAD, "theme": "roads"}, {"theme"})["theme"] == "roads"
