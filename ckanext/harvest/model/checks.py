"""What a check of the rows is: a query for what is wrong, and what mends it in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease

#: Rows that one transaction mends.
BATCH = 500

Query = Callable[[], sa.sql.Select]


@dataclass(frozen=True)
class Check:
    """One kind of thing that may be wrong.

    :param code: its name, which does not change
    :param what: what is wrong, of several
    :param remedy: what mending does; of what only a person can mend, what that is
    :param wrong: a query for the ids of the rows that are wrong
    :param mend: mends the rows with these ids as far as they are still wrong, and commits; None if a person must
    """

    code: str
    what: str
    remedy: str
    wrong: Query
    mend: Callable[[Sequence[str]], Any] | None = None

    def count(self) -> int:
        return int(_ask(sa.select(sa.func.count()).select_from(self.wrong().subquery()))[0][0])

    def sample(self, size: int) -> list[str]:
        return [row[0] for row in _ask(self.wrong().limit(size))]

    def mend_all(self) -> Iterator[int]:
        """Mend what is wrong now, and yield the size of each batch."""
        assert self.mend
        for ids in _pages(self.wrong()):
            self.mend(ids)
            yield len(ids)


def _ask(query: sa.Select) -> list[Any]:
    return lease.rows(query)


def _pages(query: sa.Select) -> Iterator[list[str]]:
    assert model.meta.engine is not None
    with model.meta.engine.connect() as connection:
        rows = connection.execution_options(stream_results=True, max_row_buffer=BATCH).execute(query)
        for page in rows.partitions(BATCH):
            yield [row[0] for row in page]


def among(wrong: Query, table: sa.Table, ids: Sequence[str]) -> sa.Select:
    """Return a query for those of the rows that are still wrong."""
    # PostgreSQL asks it anew; SQLAlchemy would take the table for the one that is updated around it
    return wrong().where(table.c.id.in_(ids)).correlate(None)


def update(table: sa.Table, wrong: Query, values: Any) -> Callable[[Sequence[str]], int]:
    """Return what sets columns of rows that are still wrong."""

    def mend(ids: Sequence[str]) -> int:
        still = table.c.id.in_(among(wrong, table, ids))
        return lease.execute(sa.update(table).where(table.c.id.in_(ids), still).values(values))

    return mend


def delete(table: sa.Table, wrong: Query) -> Callable[[Sequence[str]], int]:
    """Return what deletes rows that are still wrong."""

    def mend(ids: Sequence[str]) -> int:
        still = table.c.id.in_(among(wrong, table, ids))
        return lease.execute(sa.delete(table).where(table.c.id.in_(ids), still))

    return mend
