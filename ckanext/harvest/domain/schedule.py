"""When a source is due."""

from __future__ import annotations

import calendar
import datetime

_DAYS = {"DAILY": 1, "WEEKLY": 7, "BIWEEKLY": 14}


def next_run(frequency: str, due: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime | None:
    """Return when a source that is begun now is due again (naive UTC), or None if only a person starts it.

    The period is counted from when the source was due, not from when a worker came to it, so the time of day does not
    drift, and periods that were missed are skipped. A source that never ran goes on from now.
    """
    if frequency == "MANUAL":
        return None
    if frequency == "ALWAYS":
        return now
    following = due or now
    if frequency == "MONTHLY":
        while following <= now:
            following += datetime.timedelta(days=calendar.monthrange(following.year, following.month)[1])
        return following
    period = datetime.timedelta(days=_DAYS[frequency])
    return following + period * max(0, (now - following) // period + 1)
