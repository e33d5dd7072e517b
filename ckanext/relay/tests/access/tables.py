"""What is in the tables of a database: whether it changed, and back to what it was."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

_KEPT = "access_tests"
#: CKAN writes down when somebody was last seen, whatever they do.
_SEEN = {("api_token", "last_access"), ("user", "last_active")}


class Tables:
    """The tables of a database as they were when this was made, which are kept in a schema of their own."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        with engine.begin() as connection:
            inspector = sa.inspect(connection)
            names = [name for name in inspector.get_table_names() if not name.endswith("alembic_version")]
            connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {_KEPT} CASCADE"))
            connection.execute(sa.text(f"CREATE SCHEMA {_KEPT}"))
            for name in names:
                connection.execute(sa.text(f'CREATE TABLE {_KEPT}."{name}" AS TABLE public."{name}"'))
            self._columns = {name: _columns(inspector, name) for name in names}
        self._sums = sa.text(" UNION ALL ".join(_sum_of(name, columns) for name, columns in self._columns.items()))
        self._before = self._sums_now()

    def _sums_now(self) -> dict[str, str]:
        with self._engine.begin() as connection:
            return dict(connection.execute(self._sums).all())

    def changed(self) -> list[str]:
        """Return the names of the tables that hold something else than when they were kept."""
        now = self._sums_now()
        return sorted(name for name, total in self._before.items() if now[name] != total)

    def restore(self) -> list[str]:
        """Put back what was in them; return the names of those that had changed."""
        changed = self.changed()
        with self._engine.begin() as connection:
            # no trigger, and so no foreign key, stands in the way of the order
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            for name in changed:
                connection.execute(sa.text(f'DELETE FROM public."{name}"'))
                columns = _listed(self._columns[name])
                copied = f'INSERT INTO public."{name}" ({columns}) SELECT {columns} FROM {_KEPT}."{name}"'
                connection.execute(sa.text(copied))
        return changed

    def forget(self) -> None:
        """Drop what is kept."""
        with self._engine.begin() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {_KEPT} CASCADE"))


def _columns(inspector: Any, name: str) -> list[str]:
    """Return the columns that can be written; PostgreSQL computes the others."""
    return [each["name"] for each in inspector.get_columns(name) if "computed" not in each]


def _listed(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _sum_of(name: str, columns: list[str]) -> str:
    counted = _listed([column for column in columns if (name, column) not in _SEEN])
    row = f"md5(ROW({counted})::text)"
    return f"""SELECT '{name}', md5(coalesce(string_agg({row}, '' ORDER BY {row}), '')) FROM public."{name}\""""


def empty(engine: Any) -> None:
    """Empty all tables, those of plugins too, which CKAN leaves as they are when it resets its own."""
    with engine.begin() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if not name.endswith("alembic_version")]
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for name in names:
            connection.execute(sa.text(f'DELETE FROM public."{name}"'))
