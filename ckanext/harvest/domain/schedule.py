"""When a source is due."""

from __future__ import annotations

import calendar
import datetime

_DAYS = {"DAILY": 1, "WEEKLY": 7, "BIWEEKLY": 14}


def next_run(frequency: str, due: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime | None:
    """Return when a source that is begun now is due again (naive UTC), or None if only a person starts it.

    The period is counted from when the source was due, not from when a worker came to it, so the time of day does not
    drift. A source that missed its time, or never ran, goes on from now.
    """
    if frequency == "MANUAL":
        return None
    if frequency == "ALWAYS":
        return now
    base = due or now
    following = _add_period(frequency, base)
    return following if following > now else _add_period(frequency, now)


def _add_period(frequency: str, base: datetime.datetime) -> datetime.datetime:
    days = _DAYS.get(frequency)
    if days is None:  # MONTHLY
        days = calendar.monthrange(base.year, base.month)[1]
    return base + datetime.timedelta(days=days)
