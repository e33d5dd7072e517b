"""Add the index by which the dashboard finds the jobs of the last days, however many there were before."""

from __future__ import annotations

from alembic import op

revision = "7f20c4b9e1d6"
down_revision = "2c7d91e5a0f3"

INDEX = "harvest_job_finished_idx"


def upgrade() -> None:
    op.create_index(INDEX, "harvest_job", ["finished"])


def downgrade() -> None:
    op.drop_index(INDEX, table_name="harvest_job")
