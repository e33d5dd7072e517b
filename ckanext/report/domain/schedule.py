"""When a stored report is generated again."""

from __future__ import annotations

import datetime

#: Until when a stored report is fresh for those who call :meth:`Report.get_fresh_report`.
FRESH = datetime.timedelta(days=2)

#: What failed is not tried again sooner.
RETRY = datetime.timedelta(hours=6)

#: The hours of the day in which few people wait for pages.
NIGHT = range(0, 6)


def is_due(
    created: datetime.datetime | None,
    failed: datetime.datetime | None,
    now: datetime.datetime,
    hours: int,
    hour_of_day: int,
) -> bool:
    """Tell whether the workers are to generate a report.

    What was never generated is due at once. What is older than ``hours`` is due at night, or when it is a day older
    than that; if ``hours`` is less than a day, at any time.

    :param created: when it was generated, UTC
    :param failed: when it failed the last time, UTC
    :param hours: after how many hours it is to be generated again; 0 for never
    :param hour_of_day: the hour at which people are here, 0 to 23
    """
    if not hours or (failed and now - failed < RETRY):
        return False
    if created is None:
        return True
    age = now - created
    return age >= datetime.timedelta(hours=hours) and (
        hours < 24 or hour_of_day in NIGHT or age >= datetime.timedelta(hours=hours + 24)
    )
