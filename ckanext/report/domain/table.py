"""The rows of a report, as CSV and JSON."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

#: What a spreadsheet takes for the beginning of a formula or of another cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?%?")
#: How many rows are written at a time.
_CHUNK = 500


def percent(numerator: float, denominator: float) -> int:
    """Return the whole percents of a share, rounded down; a share of nothing is 0, or 100 if there is something."""
    if not denominator:
        return 100 if numerator else 0
    return int(100.0 * numerator / denominator)


def ensure_data_is_dicts(data: dict[str, Any]) -> None:
    """Turn rows that are lists, with their names in ``data['columns']``, into dicts, in place."""
    table = data.get("table")
    if table and not isinstance(table[0], Mapping):
        columns = data.pop("columns")
        data["table"] = [dict(zip(columns, row, strict=False)) for row in table]


def column_names(rows: Iterable[Row]) -> list[str]:
    """Return the keys of all rows, in the order in which they are first seen."""
    return list(dict.fromkeys(itertools.chain.from_iterable(rows)))


def csv_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a CSV file of the rows, a few hundred lines at a time.

    All values are quoted. A text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    names = column_names(rows)
    yield from _written([[_safe(str(name)) for name in names]])
    for start in range(0, len(rows), _CHUNK):
        yield from _written([_cell(row, name) for name in names] for row in rows[start : start + _CHUNK])


def _written(lines: Iterable[list[str]]) -> Iterator[str]:
    buffer = io.StringIO()
    csv.writer(buffer, dialect="excel", quoting=csv.QUOTE_NONNUMERIC).writerows(lines)
    yield buffer.getvalue()


def _cell(row: Row, name: str) -> str:
    value = row.get(name, "no record")
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return _safe(value) if isinstance(value, str) else _safe_unless_number(value)


def _safe_unless_number(value: Any) -> str:
    return str(value) if isinstance(value, (int, float, decimal.Decimal)) else _safe(str(value))


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def to_json(value: Any) -> str:
    """Return a value as JSON text; times are in ISO format.

    :raises TypeError: there is something in it that has no form in JSON
    """
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    if hasattr(value, "__html__") or type(value).__name__ == "_LazyString":
        return str(value)
    raise TypeError(f"a report holds {value!r}, which has no form in JSON")


def json_pieces(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield a JSON object, with its ``table`` a few hundred rows at a time."""
    before = "{"
    for key, value in data.items():
        yield f"{before}{json.dumps(key)}:"
        yield from _rows(value) if key == "table" and isinstance(value, list) else [to_json(value)]
        before = ","
    yield "{}" if before == "{" else "}"


def _rows(rows: list[Any]) -> Iterator[str]:
    before = "["
    for start in range(0, len(rows), _CHUNK):
        yield before + to_json(rows[start : start + _CHUNK])[1:-1]
        before = ","
    yield "[]" if before == "[" else "]"
