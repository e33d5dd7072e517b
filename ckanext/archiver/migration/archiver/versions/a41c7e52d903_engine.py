"""Add the confirmed verdict, the links that are to be checked, and what the engine knows of hosts.

Databases that ckanext-archiver left are mended on the way: columns that it added later, or as varchar, and resources
that have several rows. What its first version kept in ``task_status`` becomes archivals. Everything that it recorded
stays; whoever goes back to it finds its table as it was.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "a41c7e52d903"
down_revision = "67818770e95f"

TEXT = sa.UnicodeText
OPEN = "lane IS NOT NULL"

COLUMNS = (
    ("cause", TEXT),
    ("verdict", TEXT),
    ("suspect_since", sa.DateTime),
    ("suspect_count", sa.Integer),
    ("checked_url", TEXT),
    ("sha256", TEXT),
    ("redirects", TEXT),
)
INDEXES = (
    ("archiver_link_due_idx", "archiver_link", "lane, host, due", OPEN),
    ("archiver_link_recheck_idx", "archiver_link", "suspect DESC, recheck_at, resource_id", "lane IS NULL"),
    ("archiver_link_package_idx", "archiver_link", "package_id", None),
    ("archiver_link_open_package_idx", "archiver_link", "package_id", OPEN),
    ("archiver_link_notice_idx", "archiver_link", "package_id", "notice IS NOT NULL"),
    ("archiver_link_url_idx", "archiver_link", "host, url_hash", None),
    ("archiver_removal_due_idx", "archiver_removal", "due", None),
)
#: texts of the first version, as its task_status rows have them
STATUS_IDS = {
    "Archived successfully": 0,
    "Content has not changed": 1,
    "URL invalid": 10,
    "URL request failed": 11,
    "Download error": 12,
    "Chose not to download": 21,
    "Download failure": 22,
    "System error during archival": 23,
}


def upgrade() -> None:
    _mend_archival()
    _take_over_first_version()
    for name, kind in COLUMNS:
        if name not in _columns("archival"):
            op.add_column("archival", sa.Column(name, kind))
    # that a link was broken is left open: who recorded it took one failed try, or an escaped URL, for it
    op.execute("UPDATE archival SET verdict = 'ok' WHERE is_broken IS FALSE")
    _create_tables()
    for name, table, columns, where in INDEXES:
        if name in _indexes(table):
            continue
        condition = sa.text(where) if where else None
        op.create_index(name, table, [sa.text(each) for each in columns.split(", ")], postgresql_where=condition)


def downgrade() -> None:
    for table in ("archiver_link", "archiver_host", "archiver_removal", "archiver_day", "archiver_lease"):
        op.drop_table(table)
    op.drop_index("ix_archival_resource_id", table_name="archival")
    op.create_index("ix_archival_resource_id", "archival", ["resource_id"])
    for name, _kind in COLUMNS:
        op.drop_column("archival", name)


def _create_tables() -> None:
    _create(
        "archiver_link",
        sa.Column("resource_id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("url_hash", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("lane", TEXT),
        sa.Column("due", sa.DateTime),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("checked", sa.DateTime),
        sa.Column("recheck_at", sa.DateTime),
        sa.Column("suspect", sa.Boolean, nullable=False),
        sa.Column("notice", TEXT),
        sa.Column("notice_by", TEXT),
        sa.Column("succeeded", sa.Boolean, nullable=False),
        sa.Column("shows", sa.Boolean, nullable=False),
    )
    _create(
        "archiver_host",
        sa.Column("host", TEXT, primary_key=True),
        sa.Column("due", sa.DateTime),
        sa.Column("priority_due", sa.DateTime),
        sa.Column("claimed_by", TEXT),
        sa.Column("last_claim", sa.DateTime),
        sa.Column("not_before", sa.DateTime),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_answer", sa.DateTime),
    )
    _create(
        "archiver_removal",
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("resource_id", TEXT, nullable=False),
        sa.Column("due", sa.DateTime, nullable=False),
    )
    _create(
        "archiver_day",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("rechecks", sa.Integer, nullable=False),
    )
    _create(
        "archiver_lease",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("task", TEXT, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
    )


# An old test suite may have made any of it with metadata.create_all.


def _create(table: str, *columns: sa.Column) -> None:
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(table, *columns)


def _columns(table: str) -> dict[str, Any]:
    return {each["name"]: each["type"] for each in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes(table: str) -> set[str]:
    return {str(each["name"]) for each in sa.inspect(op.get_bind()).get_indexes(table)}


# -- the table as ckanext-archiver left it


def _mend_archival() -> None:
    found = _columns("archival")
    for name in ("etag", "last_modified"):
        if name not in found:
            op.add_column("archival", sa.Column(name, TEXT))
        elif not isinstance(found[name], sa.Text):
            op.alter_column("archival", name, type_=TEXT)
    op.execute(
        "DELETE FROM archival USING (SELECT id, row_number() OVER (PARTITION BY resource_id"
        " ORDER BY updated DESC NULLS LAST, created DESC NULLS LAST, id) AS place FROM archival) AS ranked"
        " WHERE ranked.id = archival.id AND ranked.place > 1"
    )
    indexes = _indexes("archival")
    if "ix_archival_resource_id" in indexes:
        op.drop_index("ix_archival_resource_id", table_name="archival")
    op.create_index("ix_archival_resource_id", "archival", ["resource_id"], unique=True)
    if "ix_archival_package_id" not in indexes:
        op.create_index("ix_archival_package_id", "archival", ["package_id"])


# -- what its first version left


def _take_over_first_version() -> None:
    """Make archivals of the rows of ``task_status`` about resources that have none. The rows stay."""
    connection = op.get_bind()
    if not sa.inspect(connection).has_table("task_status"):
        return
    names = (
        "id", "package_id", "resource_id", "status_id", "is_broken", "reason", "url_redirected_to", "cache_filepath",
        "cache_url", "size", "mimetype", "hash", "first_failure", "last_success", "failure_count", "created", "updated",
    )  # fmt: skip
    archival = sa.table("archival", *(sa.column(name) for name in names))
    for rows in _batches(connection, 1000):
        connection.execute(sa.insert(archival), [_archival(row) for row in rows])


def _batches(connection: Any, size: int) -> Iterator[list[Any]]:
    result = connection.execute(
        sa.text(
            "SELECT resource.id, resource.package_id, resource.cache_url, resource.size, resource.mimetype,"
            " resource.hash, resource.extras, task_status.value, task_status.error, task_status.last_updated"
            " FROM task_status JOIN resource ON resource.id = task_status.entity_id"
            " WHERE task_status.entity_type = 'resource' AND task_status.task_type = 'archiver'"
            " AND task_status.key = 'status'"
            " AND NOT EXISTS (SELECT 1 FROM archival WHERE archival.resource_id = resource.id)"
        )
    )
    rows = result.fetchall()
    for at in range(0, len(rows), size):
        yield rows[at : at + size]


def _archival(row: Any) -> dict[str, Any]:
    said = _object(row.error)
    status_id = STATUS_IDS.get(row.value)
    success, failure = _time(said.get("last_success")), _time(said.get("first_failure"))
    return {
        "id": str(uuid.uuid4()),
        "package_id": row.package_id,
        "resource_id": row.id,
        "status_id": status_id,
        "is_broken": None if status_id is None or status_id >= 20 else status_id >= 10,
        "reason": _text(said.get("reason")) or "",
        "url_redirected_to": _text(said.get("url_redirected_to")),
        "cache_filepath": _text(_object(row.extras).get("cache_filepath")),
        "cache_url": row.cache_url,
        "size": row.size,
        "mimetype": row.mimetype,
        "hash": row.hash,
        "first_failure": failure,
        "last_success": success,
        "failure_count": _count(said.get("failure_count")),
        "created": min(filter(None, (row.last_updated, success, failure)), default=None),
        "updated": row.last_updated,
    }


def _object(text: str | None) -> dict[str, Any]:
    """Return what a text says in JSON; nothing, if it is no object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value.replace("\x00", "") if isinstance(value, str) and value else None


def _time(value: Any) -> datetime.datetime | None:
    try:
        time = datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time.astimezone(datetime.timezone.utc).replace(tzinfo=None) if time.tzinfo else time


def _count(value: Any) -> int:
    try:
        return min(max(0, int(value)), 2**31 - 1)
    except (TypeError, ValueError, OverflowError):
        return 0
