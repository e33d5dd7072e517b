"""The rows of a report, as CSV and JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ckanext.relay import export
from ckanext.relay.export import Row, to_json

__all__ = ["Row", "column_names", "csv_lines", "ensure_data_is_dicts", "json_pieces", "percent", "to_json"]


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
    """Yield a CSV file of the rows, a few hundred lines at a time; see :func:`ckanext.relay.export.csv_lines`."""
    return export.csv_lines(column_names(rows), rows, missing="no record")


def json_pieces(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield a JSON object, with its ``table`` a few hundred rows at a time."""
    before = "{"
    for key, value in data.items():
        yield f"{before}{json.dumps(key)}:"
        yield from export.json_rows(value) if key == "table" and isinstance(value, list) else [to_json(value)]
        before = ","
    yield "{}" if before == "{" else "}"
