"""Tables as CSV and JSON, a few hundred rows at a time, so that no table is too long."""

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


def csv_lines(columns: Sequence[str], rows: Iterable[Row], missing: str = "") -> Iterator[str]:
    """Yield a CSV file of the rows.

    All values are quoted. A text that a spreadsheet would run as a formula is preceded by an apostrophe.

    :param columns: the keys to write, in this order; they are the first line
    :param missing: what stands where a row does not have a key; nothing stands for None
    """
    yield _written([[_safe(str(name)) for name in columns]])
    for chunk in _chunks(rows):
        yield _written([_cell(row.get(name, missing)) for name in columns] for row in chunk)


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    following = iter(rows)
    while chunk := list(itertools.islice(following, _CHUNK)):
        yield chunk


def _written(lines: Iterable[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, dialect="excel", quoting=csv.QUOTE_NONNUMERIC).writerows(lines)
    return buffer.getvalue()


def _cell(value: Any) -> str:
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
    raise TypeError(f"a table holds {value!r}, which has no form in JSON")


def json_rows(rows: Iterable[Any]) -> Iterator[str]:
    """Yield a JSON array of the rows.

    :raises TypeError: there is something in a row that has no form in JSON
    """
    before = "["
    for chunk in _chunks(rows):
        yield before + to_json(chunk)[1:-1]
        before = ","
    yield "[]" if before == "[" else "]"
