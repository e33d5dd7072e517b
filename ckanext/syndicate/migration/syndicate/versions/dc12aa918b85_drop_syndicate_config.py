"""Drop the table of targets, with their keys in plain text. Nothing has read it since they are profiles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "dc12aa918b85"
down_revision = "f2304c5669f5"

TEXT = sa.UnicodeText


def upgrade() -> None:
    op.execute("DROP TABLE IF EXISTS syndicate_config")


def downgrade() -> None:
    op.create_table(
        "syndicate_config",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("syndicate_url", TEXT, unique=True),
        sa.Column("syndicate_api_key", TEXT),
        sa.Column("syndicate_organization", TEXT),
        sa.Column("syndicate_replicate_organization", sa.Boolean),
        sa.Column("syndicate_author", TEXT),
        sa.Column("predicate", TEXT),
        sa.Column("syndicate_field_id", TEXT),
        sa.Column("syndicate_flag", TEXT),
        sa.Column("syndicate_prefix", TEXT),
    )
