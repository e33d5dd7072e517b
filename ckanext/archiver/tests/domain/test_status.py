"""Numbers and texts that other extensions compare literally."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain import status


def test_texts() -> None:
    """They are what ckanext-qa and old databases have."""
    assert status.TEXTS == {
        0: "Archived successfully",
        1: "Content has not changed",
        10: "URL invalid",
        11: "URL request failed",
        12: "Download error",
        21: "Chose not to download",
        22: "Download failure",
        23: "System error during archival",
    }


@pytest.mark.parametrize(
    ("status_id", "broken", "ok"),
    [
        (0, False, True), (1, False, True), (9, False, False), (10, True, False), (12, True, False), (19, True, False),
        (20, None, False), (21, None, False), (24, None, False), (None, None, False),
    ],
)  # fmt: skip
def test_what_a_status_says(status_id: int | None, broken: bool | None, ok: bool) -> None:
    """Below ten all is well, below twenty it is broken, and beyond nobody knows; numbers of forks included."""
    assert status.is_broken(status_id) is broken
    assert status.is_ok(status_id) is ok
