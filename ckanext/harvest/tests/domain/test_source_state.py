"""How a source is said to be doing."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ckanext.harvest.domain import source_state

NOW = datetime.datetime(2026, 1, 2)
LATE = NOW - source_state.GRACE - datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"active": False, "errors": 3}, "inactive"),
        ({"last_status": None}, "never run"),
        ({"last_status": "New"}, "running"),
        ({"last_status": "Running", "next_run": LATE}, "running"),
        ({"next_run": LATE, "last_status": "Finished"}, "late"),
        ({"next_run": LATE, "last_status": None}, "late"),
        ({"next_run": NOW - source_state.GRACE}, "ok"),
        ({"errors": 1}, "errors"),
        ({"last_status": "Aborted"}, "ok"),
        ({}, "ok"),
    ],
)
def test_in_one_word(fields: dict[str, Any], state: str) -> None:
    """What needs somebody is told apart from what does not."""
    given: dict[str, Any] = {"active": True, "next_run": None, "last_status": "Finished", "errors": 0, **fields}
    assert source_state.of(now=NOW, **given) == state
