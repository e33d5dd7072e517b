"""What a report draws beside its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: More bars than these cannot be told apart.
MOST_BARS = 20


@dataclass(frozen=True)
class Plot:
    """A plot, which is a small table, too.

    :param title: what it shows
    :param columns: what the first column names, then the name of each series
    :param rows: a name, then a number for each series
    :param kind: ``bar``, ``horizontal`` (bars that lie, which leaves room for names) or ``line``
    :param stacked: whether the series are put on each other
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    kind: str = "horizontal"
    stacked: bool = False


def largest(rows: Iterable[Mapping[str, Any]], name: str, *series: str, most: int = MOST_BARS) -> list[list[Any]]:
    """Return the rows of a plot: those in which the first series is largest, without those where it is nothing.

    :param rows: of a report
    :param name: the column that names a row
    :param series: the columns of numbers
    """
    found = [[row[name], *(row[each] or 0 for each in series)] for row in rows if row[series[0]]]
    return sorted(found, key=lambda row: -row[1])[:most]
