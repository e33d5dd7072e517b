"""How many datasets may be taken from a target before a person is asked."""

from __future__ import annotations

import math

#: So many a day are always let through.
ALWAYS = 10
DAY = 24 * 3600


def allowed(number: int, percent: float) -> int:
    """Return how many datasets may be taken from a target in a day.

    :param number: how many were there at the beginning of the day
    :param percent: how many of a hundred of them
    """
    return max(ALWAYS, math.floor(number * percent / 100))
