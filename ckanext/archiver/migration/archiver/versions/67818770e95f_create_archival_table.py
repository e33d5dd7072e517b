"""Create the table of archivals, unless the database has it from before there were migrations.

Frozen as databases in the field know it: what came later is in later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "67818770e95f"
down_revision = None

TEXT = sa.UnicodeText


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("archival"):
        return
    op.create_table(
        "archival",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("package_id", TEXT, nullable=False, index=True),
        sa.Column("resource_id", TEXT, nullable=False, index=True),
        sa.Column("resource_timestamp", sa.DateTime),
        sa.Column("status_id", sa.Integer),
        sa.Column("is_broken", sa.Boolean),
        sa.Column("reason", TEXT),
        sa.Column("url_redirected_to", TEXT),
        sa.Column("cache_filepath", TEXT),
        sa.Column("cache_url", TEXT),
        sa.Column("size", sa.BigInteger),
        sa.Column("mimetype", TEXT),
        sa.Column("hash", TEXT),
        sa.Column("etag", TEXT),
        sa.Column("last_modified", TEXT),
        sa.Column("first_failure", sa.DateTime),
        sa.Column("last_success", sa.DateTime),
        sa.Column("failure_count", sa.Integer),
        sa.Column("created", sa.DateTime),
        sa.Column("updated", sa.DateTime),
    )


def downgrade() -> None:
    op.drop_table("archival")
