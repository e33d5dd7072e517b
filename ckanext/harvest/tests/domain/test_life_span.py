"""How long a job may run."""

from __future__ import annotations

import datetime

import pytest

from ckanext.harvest.domain import life_span


@pytest.mark.parametrize(
    ("frequency", "days"),
    [("DAILY", 1), ("WEEKLY", 7), ("BIWEEKLY", 14), ("MONTHLY", 30), ("MANUAL", 5), ("ALWAYS", 5)],
)
def test_the_limit_of_a_job(frequency: str, days: int) -> None:
    """It is the period of its source, or what was asked for if that has none."""
    assert life_span.limit(frequency, 5) == datetime.timedelta(days=days)


def test_a_frequency_that_there_is_not() -> None:
    """It has no limit that could be guessed."""
    with pytest.raises(ValueError, match="Frequency HOURLY not recognised"):
        life_span.limit("HOURLY", 5)


@pytest.mark.parametrize(("given", "days"), [(3, 3), ("3", 3), (0, 0), (None, 7), ("", 7), ("x", 7), (-1, 7), ([], 7)])
def test_reading_a_number_of_days(given: object, days: int) -> None:
    """What is none is a week."""
    assert life_span.days(given) == days
