"""What the doctors of all plugins look for: do broker, workers and beat run, and are the tables up to date?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from ckan.model import meta
from kombu.exceptions import OperationalError

from . import config, lease
from .celery_app import BULK, PRIORITY, app, queue
from .errors import redact
from .migrations import version_table

#: How many ids a finding names.
SAMPLE = 5
#: Seconds after which a sweep is missed; a crontab that stands in for beat often runs each quarter of an hour.
SWEEP_MISSED = 20 * 60
#: Seconds that workers have to answer.
PING_SECONDS = 3.0


@dataclass
class Finding:
    """One kind of thing that is wrong.

    :param code: its name, which does not change
    :param what: what is wrong
    :param count: how many
    :param samples: ids of up to five
    :param remedy: what mending does, or what a person must do
    :param mendable: whether mending does it
    :param left: how many are left after mending
    """

    code: str
    what: str
    remedy: str
    count: int = 1
    samples: list[str] = field(default_factory=list)
    mendable: bool = False
    left: int = 1


def broker(kind: str) -> Iterator[Finding]:
    """Yield whether the broker is away, or no worker serves the lanes of a kind of work."""
    # a new connection: one that was used before may be to a broker that has restarted since
    connection = app.connection_for_write()
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PING_SECONDS)
            served = app.control.inspect(timeout=PING_SECONDS, connection=connection).active_queues() or {}
    except (OperationalError, *connection.connection_errors) as error:
        remedy = "start it, or correct ckanext.relay.broker_url or ckan.redis.url; nothing is lost meanwhile"
        yield Finding("broker-away", redact(f"the message broker cannot be reached: {error}"), remedy)
        return
    names = {each["name"] for queues in served.values() for each in queues or ()}
    lacking = [name for lane in (PRIORITY, BULK) if (name := queue(kind, lane)) not in names]
    if lacking:
        what = f"no worker serves the queue {' and '.join(lacking)}"
        yield Finding("no-worker", what, "start one: ckan relay worker", samples=sorted(served)[:SAMPLE])


def sweep(lease_table: sa.Table, name: str, looks_for: str, remedy: str) -> Iterator[Finding]:
    """Yield whether nobody has swept for long.

    :param name: under which a sweep notes that it ran, see :func:`ckanext.relay.lease.note`
    :param looks_for: what it looks for, besides lost work
    :param remedy: how it is started
    """
    age = lease.noted(lease_table, name)
    if not is_missed(age):
        return
    last = "never" if age is None else f"{age / 60:.0f} minutes ago"
    what = f"nothing looks for {looks_for} and for work that was lost (last: {last})"
    yield Finding("no-beat", what, remedy)


def is_missed(age: float | None) -> bool:
    """Tell whether too long ago, in seconds, somebody has swept; None: nobody ever has."""
    return age is None or age >= max(SWEEP_MISSED, 10 * config.sweep_seconds())


def tables(plugin: str, folder: str) -> Finding | None:
    """Return what there is to say about tables that are not at the newest revision, or None.

    :param folder: of the plugin's migrations, with ``versions`` in it
    """
    head = ScriptDirectory(folder).get_current_head()
    assert meta.engine is not None
    current = None
    if sa.inspect(meta.engine).has_table(versions := version_table(plugin)):
        rows = lease.rows(sa.select(sa.column("version_num")).select_from(sa.table(versions)))
        current = rows[0][0] if rows else None
    if current == head:
        return None
    what = f"the tables are at revision {current or 'none'}, this version needs {head}; nothing else was looked at"
    return Finding("migrations-pending", what, "run ckan db pending-migrations --apply")
