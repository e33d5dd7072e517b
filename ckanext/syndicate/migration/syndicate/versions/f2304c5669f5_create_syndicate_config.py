"""Create the table in which ckanext-syndicate once kept its targets, unless it is there. The next revision drops it.

Frozen as databases in the field know it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "f2304c5669f5"
down_revision = None

TEXT = sa.UnicodeText


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("syndicate_config"):
        return
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


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS syndicate_config")
