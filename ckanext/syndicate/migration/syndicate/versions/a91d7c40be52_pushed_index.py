"""Add the index by which the pages list and count the copies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a91d7c40be52"
down_revision = "6c1f0e83d7a4"

NAME, TABLE = "syndication_copy_pushed_idx", "syndication_copy"


def upgrade() -> None:
    # an old test suite may have made it with metadata.create_all
    if NAME not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(TABLE)}:
        op.create_index(NAME, TABLE, ["profile_id", "pushed"], postgresql_include=["presence", "local_id"])


def downgrade() -> None:
    op.drop_index(NAME, TABLE)
