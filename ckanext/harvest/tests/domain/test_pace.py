"""How fast a job gets on."""

from __future__ import annotations

import datetime

import pytest

from ckanext.harvest.domain import pace

START = datetime.datetime(2026, 1, 2, 3, 0)


def point(second: float, done: int) -> pace.Point:
    return pace.Point(START + datetime.timedelta(seconds=second), done)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], (10, 100), None),
        ([(0, 0)], (10, 100), 10),
        ([(0, 0), (10, 0)], (20, 100), 10),
        ([(0, 50), (10, 100)], (20, 250), 10),
        ([(0, 50), (200, 100)], (400, 300), 1),
        ([(0, 0)], (0.5, 100), None),
        ([(0, 100)], (10, 100), None),
        ([(0, 200)], (10, 100), None),
        ([(0, 0), (5, 200), (10, 0)], (20, 100), 10),
    ],
    ids=[
        "nothing known", "since it began", "since it began to do anything", "over the last minutes",
        "what is long ago does not count", "too short to tell", "nothing done since", "begun anew",
        "begun anew, after nothing",
    ],
)  # fmt: skip
def test_pace(before: list[tuple[float, int]], now: tuple[float, int], expected: float | None) -> None:
    """Records a second, by what was counted before."""
    assert pace.per_second([point(*each) for each in before], point(*now)) == expected


def test_what_is_kept() -> None:
    """The points of the last five minutes, twenty of them at most."""
    track: list[pace.Point] = []
    for number in range(100):
        track = pace.kept(track, point(number * 10, number))
    assert len(track) == pace.KEPT
    assert pace.kept(track, point(5000, 100)) == [point(5000, 100)]


@pytest.mark.parametrize(("remaining", "rate", "expected"), [(100, 10, 10), (1, 3, 0), (0, 5, 0), (5, None, None)])
def test_the_rest(remaining: int, rate: float | None, expected: int | None) -> None:
    """Seconds until all is done, if that can be told."""
    assert pace.seconds_left(remaining, rate) == expected
