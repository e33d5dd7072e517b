"""Tickets: how many messages about one piece of work are on their way.

A message is a hint that there is work, and who follows it sends the next one. Nothing would end these chains as long
as there is work, and every page of a gathering and every sweep begins another: one large source would fill the queue,
and all others wait behind it. So a message carries a ticket, a row of the lease table. There are only so many for a
piece of work, those who work on it counted in, and whoever gives the ticket back first may work: copies of a message,
which the sweep sends because it cannot know whether the first was lost, cost a statement and do nothing.
"""

from __future__ import annotations

import datetime
import uuid

import sqlalchemy as sa

from . import lease

#: How long a message may wait in a queue. Longer than any does; after it a ticket is a leftover.
LIFE = datetime.timedelta(days=1)


def draw(lease_table: sa.Table, task: str, at_most: int) -> str | None:
    """Return a ticket for a new message, or None if enough messages about this task are on their way.

    :param task: as in its leases
    :param at_most: how many may work on it or be on their way
    """
    ticket = f"message:{uuid.uuid4().hex}"
    columns = lease_table.c
    under_way = columns.task.in_((task, _waiting(task)))
    count = sa.select(sa.func.count()).where(under_way, columns.expires > lease.now).scalar_subquery()
    values = (sa.literal(ticket), sa.literal(_waiting(task)), lease.now, lease.now + LIFE)
    made = sa.insert(lease_table).from_select(
        ["id", "task", "started", "expires"], sa.select(*values).where(count < at_most)
    )
    return ticket if lease.execute(made) else None


def drawn(lease_table: sa.Table, task: str) -> list[str]:
    """Return the tickets of the messages that are on their way, or lost."""
    query = sa.select(lease_table.c.id).where(lease_table.c.task == _waiting(task), lease_table.c.expires > lease.now)
    return [row.id for row in lease.rows(query)]


def give_back(lease_table: sa.Table, ticket: str) -> bool:
    """Give a ticket back; False if that was done before, by another copy of the message."""
    return lease.execute(sa.delete(lease_table).where(lease_table.c.id == ticket)) == 1


def _waiting(task: str) -> str:
    return f"message {task}"
