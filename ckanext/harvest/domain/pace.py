"""How fast a job gets on, and how long the rest of it takes, from what was counted of it before."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

#: Over how many seconds the pace is taken, and how many counts of that time are kept.
WINDOW, KEPT = 300, 20


@dataclass(frozen=True)
class Point:
    """How many records were done at a time (naive UTC)."""

    at: datetime.datetime
    done: int


def kept(track: Sequence[Point], point: Point) -> list[Point]:
    """Return the track with one more point, without those that no pace will be taken from any more."""
    recent = [each for each in track if _seconds(each.at, point.at) <= WINDOW]
    return [*recent, point][-KEPT:]


def per_second(track: Sequence[Point], point: Point) -> float | None:
    """Return how many records are done in a second, None as long as that cannot be told.

    It is taken from the last time at which nothing was done yet, or over the last minutes.
    """
    before = [each for each in kept(track, point)[:-1] if each.done <= point.done]
    idle = [each for each in before if not each.done]
    start = idle[-1] if idle else before[0] if before else None
    if start is None or point.done == start.done:
        return None
    seconds = _seconds(start.at, point.at)
    return (point.done - start.done) / seconds if seconds >= 1 else None


def seconds_left(remaining: int, pace: float | None) -> int | None:
    """Return how long the rest takes, None if that cannot be told."""
    return round(remaining / pace) if pace else None


def _seconds(earlier: datetime.datetime, later: datetime.datetime) -> float:
    return (later - earlier).total_seconds()
