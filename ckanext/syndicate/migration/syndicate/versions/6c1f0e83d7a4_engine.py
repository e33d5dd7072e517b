"""Add the outbox, what is at the targets, and what is known of these.

The log that ckanext-syndicate 3 left says which copies there are; it stays as it is. Whoever goes back finds its table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "6c1f0e83d7a4"
down_revision = "b1c3e920f499"

TEXT = sa.UnicodeText

INDEXES = (
    ("syndication_outbox_waiting_idx", "syndication_outbox", ["profile_id", "rank", "asked"], "state = 'waiting'"),
    ("syndication_copy_target_idx", "syndication_copy", ["profile_id", "target_id"], None),
)
TABLES = (
    "syndication_outbox", "syndication_copy", "syndication_target", "syndication_organization", "syndicate_lease",
)  # fmt: skip

#: What was pushed is at the target; nobody knows what of, so the first push sends it again. That it was deleted
#: there with the dataset nobody knows either.
TAKE_OVER = """
    INSERT INTO syndication_copy (local_id, profile_id, name, target_id, presence, pushed)
    SELECT log.local_id, log.profile_id, package.name, btrim(log.target_id),
        CASE WHEN package.state = 'deleted' THEN NULL ELSE 'active' END,
        CASE WHEN log.state = 'synced' THEN log.timestamp AT TIME ZONE 'UTC' END
    FROM syndication_log AS log JOIN package ON package.id = log.local_id
    WHERE btrim(log.target_id) NOT IN ('', '-')
    ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    _create_tables()
    for name, table, columns, where in INDEXES:
        if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(name, table, columns, postgresql_where=sa.text(where) if where else None)
    op.execute(TAKE_OVER)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _create_tables() -> None:
    _create(
        "syndication_outbox",
        sa.Column("local_id", TEXT, primary_key=True),
        sa.Column("profile_id", TEXT, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("asked", sa.DateTime, nullable=False),
        sa.Column("due", sa.DateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claimed_by", TEXT),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("retracts", sa.Boolean),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("cause", TEXT),
        sa.Column("error", TEXT),
        sa.Column("failing_since", sa.DateTime),
    )
    _create(
        "syndication_copy",
        sa.Column("local_id", TEXT, primary_key=True),
        sa.Column("profile_id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("target_id", TEXT),
        sa.Column("target_name", TEXT),
        sa.Column("intent", sa.DateTime),
        sa.Column("payload_hash", TEXT),
        sa.Column("target_modified", TEXT),
        sa.Column("resources", TEXT),
        sa.Column("groups", TEXT),
        sa.Column("presence", TEXT),
        sa.Column("pushed", sa.DateTime),
        sa.Column("retracted", sa.DateTime),
    )
    _create(
        "syndication_target",
        sa.Column("profile_id", TEXT, primary_key=True),
        sa.Column("ckan_url", TEXT),
        sa.Column("site_url", TEXT),
        sa.Column("checked", sa.DateTime),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("not_before", sa.DateTime),
        sa.Column("cause", TEXT),
        sa.Column("error", TEXT),
        sa.Column("down_since", sa.DateTime),
        sa.Column("approved", sa.DateTime),
    )
    _create(
        "syndication_organization",
        sa.Column("profile_id", TEXT, primary_key=True),
        sa.Column("organization_id", TEXT, primary_key=True),
        sa.Column("remote_id", TEXT, nullable=False),
        sa.Column("picture", TEXT),
    )
    _create(
        "syndicate_lease",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("task", TEXT, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
    )


# An old test suite may have made any of it with metadata.create_all.


def _create(table: str, *columns: sa.Column[Any]) -> None:
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(table, *columns)
