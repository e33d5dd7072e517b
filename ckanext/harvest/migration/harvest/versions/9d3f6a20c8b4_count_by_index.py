"""Add the indexes by which the datasets of a source are counted.

One holds the datasets of each source in order, so that none is counted twice and the table is not read. The other is on
a table of CKAN: it holds the few datasets that are not public, which are taken off.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9d3f6a20c8b4"
down_revision = "5e1a7c0d9b21"

INDEXES = (
    ("harvest_object_current_source_idx", "harvest_object", ["harvest_source_id", "package_id"], "current"),
    ("harvest_package_hidden_idx", "package", ["id"], "state != 'active' OR private"),
)


def upgrade() -> None:
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, postgresql_where=sa.text(where))


def downgrade() -> None:
    for name, table, _columns, _where in INDEXES:
        op.drop_index(name, table_name=table)
