"""How a source is doing, in one word."""

from __future__ import annotations

import datetime

from . import job_state

INACTIVE, NEVER_RUN, RUNNING, LATE, ERRORS, OK = "inactive", "never run", "running", "late", "errors", "ok"

#: How late a job may begin before somebody should look after the workers.
GRACE = datetime.timedelta(hours=6)


def of(
    active: bool, next_run: datetime.datetime | None, last_status: str | None, errors: int, now: datetime.datetime
) -> str:
    """Return the state of a source.

    :param next_run: when it is due, None if only a person starts it; naive UTC, as ``now``
    :param last_status: of its newest job, None if it has none
    :param errors: of its newest job
    """
    if not active:
        return INACTIVE
    if last_status in job_state.lifecycle.open:
        return RUNNING
    if next_run is not None and now - next_run > GRACE:
        return LATE
    if last_status is None:
        return NEVER_RUN
    return ERRORS if errors else OK
