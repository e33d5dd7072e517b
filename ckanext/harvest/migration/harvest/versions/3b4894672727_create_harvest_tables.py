"""Create the tables, each unless the database has it from before there were migrations.

Frozen as databases in the field know it: what came later is in later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3b4894672727"
down_revision = None

TEXT = sa.UnicodeText


def upgrade() -> None:
    _create(
        "harvest_source",
        sa.Column("url", TEXT, nullable=False),
        sa.Column("title", TEXT),
        sa.Column("description", TEXT),
        sa.Column("config", TEXT),
        sa.Column("created", sa.DateTime),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("active", sa.Boolean),
        sa.Column("user_id", TEXT),
        sa.Column("publisher_id", TEXT),
        sa.Column("frequency", TEXT),
        sa.Column("next_run", sa.DateTime),
    )
    _create(
        "harvest_job",
        sa.Column("created", sa.DateTime),
        sa.Column("gather_started", sa.DateTime),
        sa.Column("gather_finished", sa.DateTime),
        sa.Column("finished", sa.DateTime),
        _reference("harvest_job", "source_id", "harvest_source"),
        sa.Column("status", TEXT, nullable=False),
    )
    _create(
        "harvest_object",
        sa.Column("guid", TEXT),
        sa.Column("current", sa.Boolean),
        sa.Column("gathered", sa.DateTime),
        sa.Column("fetch_started", sa.DateTime),
        sa.Column("content", TEXT),
        sa.Column("fetch_finished", sa.DateTime),
        sa.Column("import_started", sa.DateTime),
        sa.Column("import_finished", sa.DateTime),
        sa.Column("state", TEXT),
        sa.Column("metadata_modified_date", sa.DateTime),
        sa.Column("retry_times", sa.Integer),
        _reference("harvest_object", "harvest_job_id", "harvest_job"),
        _reference("harvest_object", "harvest_source_id", "harvest_source"),
        _reference("harvest_object", "package_id", "package", deferrable=True),
        sa.Column("report_status", TEXT),
    )
    _index("harvest_job_id_idx", "harvest_object", "harvest_job_id")
    _index("harvest_source_id_idx", "harvest_object", "harvest_source_id")
    _index("package_id_idx", "harvest_object", "package_id")
    _index("guid_idx", "harvest_object", "guid")
    _create(
        "harvest_object_extra",
        _reference("harvest_object_extra", "harvest_object_id", "harvest_object"),
        sa.Column("key", TEXT),
        sa.Column("value", TEXT),
    )
    _index("harvest_object_id_idx", "harvest_object_extra", "harvest_object_id")
    _create(
        "harvest_gather_error",
        _reference("harvest_gather_error", "harvest_job_id", "harvest_job"),
        sa.Column("message", TEXT),
        sa.Column("created", sa.DateTime),
    )
    _create(
        "harvest_object_error",
        _reference("harvest_object_error", "harvest_object_id", "harvest_object"),
        sa.Column("message", TEXT),
        sa.Column("stage", TEXT),
        sa.Column("line", sa.Integer),
        sa.Column("created", sa.DateTime),
    )
    _index("harvest_error_harvest_object_id_idx", "harvest_object_error", "harvest_object_id")
    _create(
        "harvest_log",
        sa.Column("content", TEXT, nullable=False),
        sa.Column("level", sa.Enum("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", name="log_level")),
        sa.Column("created", sa.DateTime),
    )


def downgrade() -> None:
    for table in (
        "harvest_log", "harvest_object_error", "harvest_gather_error", "harvest_object_extra", "harvest_object",
        "harvest_job", "harvest_source",
    ):  # fmt: skip
        op.drop_table(table)
    sa.Enum(name="log_level").drop(op.get_bind())


def _create(table: str, *columns: sa.Column) -> None:
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(table, sa.Column("id", TEXT, primary_key=True), *columns)


def _reference(table: str, column: str, target: str, deferrable: bool | None = None) -> sa.Column:
    constraint = sa.ForeignKey(f"{target}.id", name=f"{table}_{column}_fkey", deferrable=deferrable)
    return sa.Column(column, TEXT, constraint)


def _index(name: str, table: str, column: str) -> None:
    existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in existing:
        op.create_index(name, table, [column])
