"""Let what belongs to a deleted source, job, object or package go with it."""

from __future__ import annotations

from alembic import op

revision = "75d650dfd519"
down_revision = "3b4894672727"

REFERENCES = (
    ("harvest_job", "source_id", "harvest_source", False),
    ("harvest_object", "harvest_job_id", "harvest_job", False),
    ("harvest_object", "harvest_source_id", "harvest_source", False),
    ("harvest_object", "package_id", "package", True),
    ("harvest_object_extra", "harvest_object_id", "harvest_object", False),
    ("harvest_gather_error", "harvest_job_id", "harvest_job", False),
    ("harvest_object_error", "harvest_object_id", "harvest_object", False),
)


def upgrade() -> None:
    _create_again(ondelete="CASCADE")


def downgrade() -> None:
    _create_again(ondelete=None)


def _create_again(ondelete: str | None) -> None:
    for table, column, target, deferrable in REFERENCES:
        name = f"{table}_{column}_fkey"
        op.drop_constraint(name, table, type_="foreignkey")
        op.create_foreign_key(
            name, table, target, [column], ["id"], ondelete=ondelete, deferrable=True if deferrable else None
        )
