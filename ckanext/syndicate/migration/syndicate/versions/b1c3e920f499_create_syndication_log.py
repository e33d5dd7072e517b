"""Create the table with the latest state of each dataset at each target, unless it is there.

What ckanext-syndicate 1 and 2 kept in extras of the datasets is read when they are pushed: this needs no search index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b1c3e920f499"
down_revision = "dc12aa918b85"


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("syndication_log"):
        return
    op.create_table(
        "syndication_log",
        sa.Column("local_id", sa.UnicodeText, sa.ForeignKey("package.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("profile_id", sa.String(255), primary_key=True),
        sa.Column("target_id", sa.String(255)),
        sa.Column("state", sa.String(50), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_syndication_log_local_profile", "syndication_log", ["local_id", "profile_id"])


def downgrade() -> None:
    op.drop_table("syndication_log")
