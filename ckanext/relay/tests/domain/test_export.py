"""Tables as CSV and JSON; what the reports of the report plugin add to it is tested there."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ckanext.relay.export import csv_lines, json_rows


def test_the_columns_that_are_named() -> None:
    """They are written in their order, whatever else is in a row; what a row lacks is empty."""
    text = "".join(csv_lines(["b", "a"], [{"a": 1, "b": "x", "c": 2}, {"a": None}]))
    assert list(csv.reader(io.StringIO(text))) == [["b", "a"], ["x", "1"], ["", ""]]


@pytest.mark.parametrize("value", ["=1+1", "+SUM(A1)", "-cmd|'/C calc'!A0", "@x", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_text(value: str) -> None:
    """Nothing that comes from another portal runs in a spreadsheet, not as a heading either."""
    text = "".join(csv_lines([value], [{value: value}]))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[f"'{value}"], [f"'{value}"]]


def test_rows_are_read_as_they_are_written() -> None:
    """A table without end is no trouble: the first pieces are there before the rest is read."""

    def endless() -> Iterator[dict[str, Any]]:
        yield from ({"n": number} for number in itertools.count())

    for pieces in (csv_lines(["n"], endless()), json_rows(endless())):
        assert "499" in "".join(itertools.islice(pieces, 2))


@pytest.mark.parametrize("count", [0, 1, 500, 501])
def test_json_is_whole(count: int) -> None:
    """However many rows there are."""
    rows = [{"n": number} for number in range(count)]
    assert json.loads("".join(json_rows(iter(rows)))) == rows
