"""The index is over what is asked for: object and key, of which databases from ckanext-report may have one only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c27e5b1f4d06"
down_revision = "8fda3d90a882"

TABLE = "data_cache"
INDEX = "idx_data_cache_object_id_key"


def upgrade() -> None:
    found = {index["name"]: index["column_names"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}
    if found.get(INDEX) != ["object_id", "key"]:
        if INDEX in found:
            op.drop_index(INDEX, TABLE)
        op.create_index(INDEX, TABLE, ["object_id", "key"])
    if "ix_data_cache_object_id" not in found:
        op.create_index("ix_data_cache_object_id", TABLE, ["object_id"])


def downgrade() -> None:
    op.drop_index(INDEX, TABLE)
    op.create_index(INDEX, TABLE, ["object_id"])
