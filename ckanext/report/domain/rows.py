"""Which rows of a table somebody wants to see, and in which order."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Nobody types a longer one.
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Choice:
    """What is asked for of a table; nothing at all means all rows, as they are.

    :param text: words that a row must hold, each of them, in whatever column; upper and lower case are the same
    :param sort: name of the column to sort by, with ``-`` before it for the other way round
    """

    text: str = ""
    sort: str = ""

    def of(self, data: Mapping[str, Any]) -> Any:
        """Return the rows of a report that are chosen. A table that is none, and a column that is none, are left as
        they are. The data that are given stay as they are.

        :param data: ``table`` in it holds rows that are dicts, or lists whose names are in ``columns``
        """
        rows = data.get("table")
        if not isinstance(rows, list) or not rows:
            return rows
        if words := self.text[:LONGEST_TEXT].casefold().split():
            rows = [row for row in rows if _holds(row, words)]
        return self._sorted(rows, list(data.get("columns") or ()))

    def _sorted(self, rows: list[Any], names: list[str]) -> list[Any]:
        descending = self.sort.startswith("-")
        column: Any = self.sort.removeprefix("-")
        if not rows or not column:
            return rows
        if not isinstance(rows[0], Mapping):
            if column not in names:
                return rows
            column = names.index(column)
        elif column not in rows[0]:
            return rows
        with_keys = [(_key(value), row) for row in rows if (value := _value(row, column)) not in (None, "")]
        # what is missing stands at the end, whichever way it goes
        without = [row for row in rows if _value(row, column) in (None, "")] if len(with_keys) < len(rows) else []
        with_keys.sort(key=lambda pair: pair[0], reverse=descending)
        return [row for _, row in with_keys] + without


def _holds(row: Any, words: Sequence[str]) -> bool:
    values = row.values() if isinstance(row, Mapping) else row
    shown = [each if isinstance(each, str) else str(each) for each in values if each is not None and each is not True]
    text = "\n".join(shown).casefold()
    return all(word in text for word in words)


def _value(row: Any, column: Any) -> Any:
    if isinstance(row, Mapping):
        return row.get(column)
    return row[column] if column < len(row) else None


def _key(value: Any) -> tuple[int, Any]:
    """Numbers come before texts; a letter with an accent stands beside the one without."""
    if isinstance(value, (int, float)):
        return 0, value
    text = str(value).casefold()
    if not text.isascii():
        text = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return 1, text
