"""Which mails are to be sent: an outbox among the leases, on connections of its own.

A row says that the mail about a job is due, since when, when it is tried next and when it is given up. Beside it, each
recipient gets a row *before* the mail server is asked, and loses it only if that surely did not take the mail. So a
worker may be killed at any moment, and nobody gets the mail twice; who was being served just then may not get it.
"""

from __future__ import annotations

import datetime
import hashlib

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.relay import lease

from .tables import lease_table

_columns = lease_table.c
_DUE, _TRIED = "mail due", "mail tried"

#: How long the mail server may be away before a mail is given up.
GIVEN_UP_AFTER = datetime.timedelta(days=1)
#: The pause after the first failed try; it grows with the age of the mail, so it doubles from try to try.
FIRST_PAUSE = datetime.timedelta(minutes=1)


def add(job_id: str) -> None:
    """Record that a mail about a job is due. Commits, on a connection of its own."""
    values = {"id": _id(job_id), "task": _DUE, "started": lease.now, "expires": lease.now + GIVEN_UP_AFTER}
    lease.execute(postgresql.insert(lease_table).values(values).on_conflict_do_nothing())


def due() -> list[str]:
    """Return the ids of the jobs of which a mail may be tried now, oldest first."""
    wanted = (_columns.task == _DUE, _columns.started <= lease.now, _columns.expires > lease.now)
    query = sa.select(_columns.id).where(*wanted).order_by(_columns.expires)
    return [row.id.removeprefix(_id("")) for row in lease.rows(query)]


def begin(job_id: str) -> bool:
    """Put the next try off, and tell whether this one may be made: False if the mail was sent, given up, or tried a
    moment ago."""
    age = lease.now - (_columns.expires - GIVEN_UP_AFTER)
    later = lease.now + sa.func.greatest(age, FIRST_PAUSE)
    mine = (_columns.id == _id(job_id), _columns.started <= lease.now, _columns.expires > lease.now)
    return lease.execute(sa.update(lease_table).where(*mine).values(started=later)) == 1


def put_off(job_id: str) -> None:
    """Put the mails about all jobs off at least as long as the one about this job: the mail server is away."""
    other = lease_table.alias()
    until = sa.select(other.c.started).where(other.c.id == _id(job_id)).scalar_subquery()
    later = sa.update(lease_table).where(_columns.task == _DUE, _columns.started < until)
    lease.execute(later.values(started=until))


def begin_recipient(job_id: str, address: str) -> bool:
    """Record that the mail server is about to be asked to serve a recipient; False if it was asked before."""
    values = {"id": _id(job_id, address), "task": _TRIED, "started": lease.now, "expires": lease.now + GIVEN_UP_AFTER}
    return lease.execute(postgresql.insert(lease_table).values(values).on_conflict_do_nothing()) == 1


def refused(job_id: str, address: str) -> None:
    """Record that the mail server surely did not take the mail for a recipient: it may be tried again."""
    lease.execute(sa.delete(lease_table).where(_columns.id == _id(job_id, address)))


def done(job_id: str) -> None:
    """Record that there is nothing left to send about a job. Its recipients stay known for a day, for a message that
    comes late."""
    lease.execute(sa.delete(lease_table).where(_columns.id == _id(job_id)))


def _id(job_id: str, address: str | None = None) -> str:
    # addresses are nobody's business who looks at the leases
    digest = f":{hashlib.sha256(address.lower().encode()).hexdigest()[:32]}" if address else ""
    return f"mail:{job_id}{digest}"
