"""The time, as tables keep it."""

from __future__ import annotations

import datetime


def now() -> datetime.datetime:
    """Return the time in UTC, naive."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
