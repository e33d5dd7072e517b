"""Create the table, unless the database has it from before there were migrations.

Frozen as databases in the field know it: what came later is in later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8fda3d90a882"
down_revision = None

TABLE = "data_cache"


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table(TABLE):
        op.create_table(
            TABLE,
            sa.Column("id", sa.UnicodeText, primary_key=True),
            sa.Column("object_id", sa.UnicodeText),
            sa.Column("key", sa.UnicodeText, nullable=False),
            sa.Column("value", sa.UnicodeText),
            sa.Column("created", sa.DateTime),
        )
    _index("idx_data_cache_object_id_key", ["object_id"])


def downgrade() -> None:
    op.drop_table(TABLE)


def _index(name: str, columns: list[str]) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}:
        op.create_index(name, TABLE, columns)
