"""Let the counts of many jobs be summed up without reading the JSON of each: PostgreSQL keeps them as numbers, too.

The table of the jobs is written anew, which takes less than a second for 100,000 jobs.
"""

from __future__ import annotations

from alembic import op

revision = "e6b2d94f1c08"
down_revision = "a4e0b7f3c912"

#: As ckanext.harvest.model.tables has it.
COUNTS = ", ".join(
    f"(stats::json ->> '{key}')::integer" for key in ("added", "updated", "not modified", "errored", "deleted")
)


def upgrade() -> None:
    op.execute(f"ALTER TABLE harvest_job ADD COLUMN counts INTEGER[] GENERATED ALWAYS AS (ARRAY[{COUNTS}]) STORED")


def downgrade() -> None:
    op.drop_column("harvest_job", "counts")
