"""How long a job may run before it is taken for failed."""

from __future__ import annotations

import datetime

DEFAULT_DAYS = 7
_DAYS = {"DAILY": 1, "WEEKLY": 7, "BIWEEKLY": 14, "MONTHLY": 30}


def days(given: object) -> int:
    """Return a number of days that somebody gave, or a week if that is none."""
    try:
        number = int(given)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return DEFAULT_DAYS
    return number if number >= 0 else DEFAULT_DAYS


def limit(frequency: str, life_span: int) -> datetime.timedelta:
    """Return how long a job of a source may run: until the next one is due.

    :param life_span: days for sources that are not harvested at fixed times
    :raises ValueError: there is no such frequency
    """
    if frequency in ("MANUAL", "ALWAYS"):
        return datetime.timedelta(days=life_span)
    if frequency not in _DAYS:
        raise ValueError(f"Frequency {frequency} not recognised")
    return datetime.timedelta(days=_DAYS[frequency])
