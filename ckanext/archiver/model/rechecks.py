"""Checking links again because of their age, so many a day."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.relay import clock, lease
from ckanext.relay.celery_app import BULK

from . import requests
from .resources import Wanted, among
from .tables import day_table, link_table

_day = day_table
_link = link_table

#: How many links are asked for in one transaction.
BATCH = 2000


def request(budget: int, batch: int = BATCH) -> int:
    """Ask for links whose age asks for it, as many as the day's budget leaves; return how many.

    Those that failed lately come first, for it is still to be confirmed that they are broken.

    :param budget: of a day, in UTC
    """
    if budget <= 0:
        return 0
    asked = 0
    while taken := _request(budget, batch):
        asked += taken
    return asked


def _request(budget: int, batch: int) -> int:
    today = clock.now().date()
    with lease.transaction() as connection:
        made = postgresql.insert(_day).values(day=today, rechecks=0)
        connection.execute(made.on_conflict_do_nothing())
        this_day = sa.select(_day.c.rechecks).where(_day.c.day == today)
        # who has the row has the budget
        used = connection.scalar(this_day.with_for_update())
        query = (
            sa.select(_link.c.resource_id)
            .where(_link.c.lane.is_(None), _link.c.recheck_at <= lease.now)
            .order_by(_link.c.suspect.desc(), _link.c.recheck_at, _link.c.resource_id)
            .limit(min(batch, max(0, budget - used)))
            .with_for_update(skip_locked=True)
        )
        ids = [row.resource_id for row in connection.execute(query)]
        if ids:
            requests.request(BULK, Wanted(resources=ids), connection)
            # those of resources that are no more
            unasked = sa.and_(among(_link.c.resource_id, ids), _link.c.lane.is_(None))
            connection.execute(sa.delete(_link).where(unasked))
            connection.execute(sa.update(_day).where(_day.c.day == today).values(rechecks=used + len(ids)))
        else:
            connection.execute(sa.delete(_day).where(_day.c.day < today - datetime.timedelta(days=30)))
    return len(ids)
