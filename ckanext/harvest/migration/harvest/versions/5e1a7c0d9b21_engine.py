"""Add what the engine keeps with jobs and objects, the leases, and the indexes that its queries use.

Only additions, without a default that would rewrite a table: whoever goes back to what was there before can.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5e1a7c0d9b21"
down_revision = "75d650dfd519"

TEXT = sa.UnicodeText
OPEN = "state IN ('FETCH', 'IMPORT', 'WAITING')"

COLUMNS = (
    ("harvest_job", sa.Column("claimed_by", TEXT)),
    ("harvest_job", sa.Column("attempts", sa.Integer)),
    ("harvest_job", sa.Column("stats", TEXT)),
    ("harvest_job", sa.Column("lane", TEXT)),
    ("harvest_object", sa.Column("claimed_by", TEXT)),
    ("harvest_object", sa.Column("published", sa.Boolean)),
    ("harvest_object", sa.Column("content_hash", TEXT)),
    ("harvest_object", sa.Column("needs_index", sa.Boolean)),
)
INDEXES = (
    ("harvest_job_source_id_created_idx", "harvest_job", ["source_id", "created"], None),
    ("harvest_job_open_idx", "harvest_job", ["status"], "status IN ('New', 'Running')"),
    ("harvest_object_job_report_idx", "harvest_object", ["harvest_job_id", "report_status", "state"], None),
    ("harvest_object_open_idx", "harvest_object", ["harvest_source_id", "gathered", "id"], OPEN),
    ("harvest_object_needs_index_idx", "harvest_object", ["harvest_source_id"], "needs_index"),
    ("harvest_object_current_guid_idx", "harvest_object", ["harvest_source_id", "guid"], "current"),
    ("harvest_object_current_package_idx", "harvest_object", ["package_id"], "current"),
    ("harvest_gather_error_job_id_idx", "harvest_gather_error", ["harvest_job_id"], None),
    ("harvest_log_created_idx", "harvest_log", ["created"], None),
)
#: more columns of an index, so that counting the datasets of a source does not read the table
INCLUDED = {"harvest_object_current_guid_idx": ["package_id"]}


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column.copy() if hasattr(column, "copy") else column)
    op.create_table(
        "harvest_lease",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("task", TEXT, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
    )
    for name, table, columns, where in INDEXES:
        condition = sa.text(where) if where else None
        op.create_index(name, table, columns, postgresql_where=condition, postgresql_include=INCLUDED.get(name, []))


def downgrade() -> None:
    for name, table, _columns, _where in INDEXES:
        op.drop_index(name, table_name=table)
    op.drop_table("harvest_lease")
    for table, column in COLUMNS:
        op.drop_column(table, column.name)
