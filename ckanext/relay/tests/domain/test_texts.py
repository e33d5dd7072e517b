"""Texts that come from elsewhere."""

from __future__ import annotations

import pytest

from ckanext.relay.texts import storable


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("Bürger\n😀", "Bürger\n😀"),
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ("half \ud83d of it", "half ? of it"),
        ("\udcff\x00\udcff", "?\N{REPLACEMENT CHARACTER}?"),
    ],
)
def test_what_cannot_be_stored_is_replaced(text: str, stored: str) -> None:
    """All else stays as it is."""
    assert storable(text) == stored
    storable(text).encode()
