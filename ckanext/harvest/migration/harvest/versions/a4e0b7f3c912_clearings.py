"""Add the table of the sources that are to be cleared by the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a4e0b7f3c912"
down_revision = "7f20c4b9e1d6"


def upgrade() -> None:
    source = sa.ForeignKey("harvest_source.id", ondelete="CASCADE", name="harvest_clearing_source_id_fkey")
    op.create_table(
        "harvest_clearing",
        sa.Column("source_id", sa.UnicodeText, source, primary_key=True),
        sa.Column("user_name", sa.UnicodeText, nullable=False),
        sa.Column("asked", sa.DateTime, nullable=False),
        sa.Column("done", sa.Integer),
        sa.Column("total", sa.Integer),
        sa.Column("error", sa.UnicodeText),
    )


def downgrade() -> None:
    op.drop_table("harvest_clearing")
