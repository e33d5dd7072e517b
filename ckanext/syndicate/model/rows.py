"""What the statements of all our tables share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

#: The type of a parameter that is a list of texts.
TEXTS = ARRAY(sa.UnicodeText)


def among(column: Any, values: Collection[str]) -> Any:
    """Return the condition that a column has one of these values, however many there are."""
    return column == sa.any_(sa.literal(list(values), TEXTS))


def same(table: sa.Table, local_id: Any, profile_id: Any) -> Any:
    """Return the condition that a row is about this dataset and profile."""
    return sa.and_(table.c.local_id == local_id, table.c.profile_id == profile_id)


def as_text(statement: Any) -> tuple[str, dict[str, Any]]:
    """Return a statement as the driver takes it, and its constant parameters, for ``exec_driver_sql``.

    To build a statement with SQLAlchemy, and to find it among those that were compiled, takes as long as to run it; and
    what has an ON CONFLICT is compiled anew each time.
    """
    compiled = statement.compile(dialect=postgresql.dialect())
    return str(compiled), dict(compiled.params)


def upsert(table: sa.Table, key: Mapping[str, Any], columns: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """Return the statement that writes these columns of a row.

    :param key: the columns of the primary key; values may also be parameters, as in the others
    :param new: what a row gets instead, or beside, that is not there yet
    """
    made = postgresql.insert(table).values(**{**key, **columns, **new})
    if not columns:
        return made.on_conflict_do_nothing()
    return made.on_conflict_do_update(index_elements=[table.c[name] for name in key], set_=dict(columns))
