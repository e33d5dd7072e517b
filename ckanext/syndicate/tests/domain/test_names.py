"""What datasets are called at targets."""

from __future__ import annotations

import pytest

from ckanext.syndicate.domain.names import remote_name


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        ("roads", "", "roads"),
        ("roads", "city", "city-roads"),
        ("r" * 100, "", "r" * 100),
        ("r" * 95, "city", "city-" + "r" * 95),
        # first 92 characters, and 8 of the UUID 3 of the whole, as ckanext-syndicate makes them
        ("r" * 96, "city", "city-" + "r" * 87 + "f6ffbea3"),
    ],
)
def test_names_at_a_target(name: str, prefix: str, expected: str) -> None:
    """A prefix is put in front with a dash, no prefix adds none, and what is too long is cut to 100 characters."""
    assert remote_name(name, prefix) == expected
    assert len(expected) <= 100


def test_long_names_stay_different() -> None:
    """Two names that differ in their last character do so when they are cut."""
    assert remote_name("r" * 99 + "1", "p") != remote_name("r" * 99 + "2", "p")
