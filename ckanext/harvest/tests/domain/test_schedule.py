"""When a source is due."""

from __future__ import annotations

import datetime

import pytest

from ckanext.harvest.domain.schedule import next_run


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("frequency", "due", "now", "expected"),
    [
        # from when it was due, not from when a worker came to it
        ("DAILY", "2026-03-01T02:00:00", "2026-03-01T02:00:14.5", "2026-03-02T02:00:00"),
        ("WEEKLY", "2026-03-01T02:00:00", "2026-03-01T02:07:00", "2026-03-08T02:00:00"),
        ("BIWEEKLY", "2026-03-01T02:00:00", "2026-03-01T02:07:00", "2026-03-15T02:00:00"),
        ("MONTHLY", "2026-03-01T02:00:00", "2026-03-01T02:07:00", "2026-04-01T02:00:00"),
        # a month is as long as the one in which it begins
        ("MONTHLY", "2026-02-01T00:00:00", "2026-02-01T00:00:01", "2026-03-01T00:00:00"),
        ("MONTHLY", "2028-02-01T00:00:00", "2028-02-01T00:00:01", "2028-03-01T00:00:00"),
        ("MONTHLY", "2026-01-31T00:00:00", "2026-01-31T00:00:01", "2026-03-03T00:00:00"),
        ("MONTHLY", "2026-12-31T23:59:00", "2026-12-31T23:59:30", "2027-01-31T23:59:00"),
        # leap years
        ("DAILY", "2028-02-28T06:00:00", "2028-02-28T06:00:01", "2028-02-29T06:00:00"),
        ("DAILY", "2026-02-28T06:00:00", "2026-02-28T06:00:01", "2026-03-01T06:00:00"),
        ("MONTHLY", "2028-02-29T06:00:00", "2028-02-29T06:00:01", "2028-03-29T06:00:00"),
        # what never ran begins now, and what missed its time keeps it
        ("DAILY", None, "2026-03-05T11:30:00", "2026-03-06T11:30:00"),
        ("DAILY", "2026-03-01T02:00:00", "2026-03-05T11:30:00", "2026-03-06T02:00:00"),
        ("WEEKLY", "2026-01-01T02:00:00", "2026-03-05T11:30:00", "2026-03-12T02:00:00"),
        ("MONTHLY", "2026-01-10T02:00:00", "2026-03-05T11:30:00", "2026-03-10T02:00:00"),
        ("MONTHLY", None, "2026-02-10T00:00:00", "2026-03-10T00:00:00"),
        # exactly at its time, and a whole period late
        ("DAILY", "2026-03-01T02:00:00", "2026-03-01T02:00:00", "2026-03-02T02:00:00"),
        ("DAILY", "2026-03-01T02:00:00", "2026-03-02T02:00:00", "2026-03-03T02:00:00"),
        ("ALWAYS", "2026-03-01T02:00:00", "2026-03-01T02:07:00", "2026-03-01T02:07:00"),
        ("ALWAYS", None, "2026-03-01T02:07:00", "2026-03-01T02:07:00"),
    ],
)
def test_next_run(frequency: str, due: str | None, now: str, expected: str) -> None:
    """A period after the last time that it was due; that is never in the past."""
    assert next_run(frequency, at(due) if due else None, at(now)) == at(expected)


@pytest.mark.parametrize("due", [None, "2026-03-01T02:00:00"])
def test_a_manual_source_is_never_due(due: str | None) -> None:
    """Only a person starts it."""
    assert next_run("MANUAL", at(due) if due else None, at("2026-03-05T11:30:00")) is None


@pytest.mark.parametrize(("frequency", "days"), [("DAILY", 1), ("WEEKLY", 7), ("BIWEEKLY", 14)])
def test_no_drift(frequency: str, days: int) -> None:
    """A source that is always begun a little late keeps its time of day for years."""
    due: datetime.datetime | None = at("2026-01-01T04:00:00")
    for _ in range(400):
        assert due is not None
        due = next_run(frequency, due, due + datetime.timedelta(minutes=9, seconds=59))
    assert due == at("2026-01-01T04:00:00") + datetime.timedelta(days=400 * days)


def test_no_drift_over_months() -> None:
    """A monthly source that begins on a first stays on firsts, over leap years too."""
    due: datetime.datetime | None = at("2026-01-01T04:00:00")
    for _ in range(60):
        assert due is not None
        due = next_run("MONTHLY", due, due + datetime.timedelta(minutes=10))
    assert due == at("2031-01-01T04:00:00")
