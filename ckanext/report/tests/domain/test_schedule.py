"""When the workers generate a report again."""

from __future__ import annotations

import datetime

import pytest

from ckanext.report.domain.schedule import is_due

NOW = datetime.datetime(2026, 1, 10, 12)


def ago(hours: float | None) -> datetime.datetime | None:
    return None if hours is None else NOW - datetime.timedelta(hours=hours)


@pytest.mark.parametrize(
    ("created", "failed", "hours", "hour_of_day", "expected"),
    [
        (None, None, 24, 12, True),
        (1, None, 24, 3, False),
        (25, None, 24, 12, False),
        (25, None, 24, 3, True),
        (25, None, 24, 6, False),
        (49, None, 24, 12, True),
        (5, None, 4, 12, True),
        (3, None, 4, 3, False),
        (None, 1, 24, 3, False),
        (None, 7, 24, 12, True),
        (100, 1, 24, 3, False),
        (None, None, 0, 3, False),
        (1000, None, 0, 3, False),
    ],
)
def test_is_due(created: float | None, failed: float | None, hours: int, hour_of_day: int, expected: bool) -> None:
    """At once if never, at night if old, by day if very old, not soon after a failure, not at all if so set."""
    assert is_due(ago(created), ago(failed), NOW, hours, hour_of_day) is expected
