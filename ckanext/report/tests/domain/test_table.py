"""Rows as CSV and JSON."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
from collections import OrderedDict
from typing import Any

import pytest

from ckanext.report.domain.table import csv_lines, ensure_data_is_dicts, json_pieces, percent, to_json


def read_csv(rows: list[Any]) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(csv_lines(rows)))))


@pytest.mark.parametrize(("n", "d", "expected"), [(1, 3, 33), (2, 3, 66), (0, 0, 0), (1, 0, 100), (3, 3, 100)])
def test_percent(n: int, d: int, expected: int) -> None:
    """Rounded down; something of nothing is all."""
    assert percent(n, d) == expected


def test_the_columns_are_those_of_all_rows() -> None:
    """In the order in which they are first seen; what a row does not have is said to be no record."""
    rows: list[dict[str, Any]] = [
        OrderedDict([("b", 1), ("a", None)]),
        {"a": True, "c": datetime.datetime(2020, 1, 2, 3, 4, 5)},
    ]
    assert read_csv(rows) == [["b", "a", "c"], ["1", "", "no record"], ["no record", "True", "2020-01-02 03:04"]]
    assert "".join(csv_lines(rows)).startswith('"b","a","c"\r\n"1","","no record"\r\n')


@pytest.mark.parametrize("value", ["=1+1", "+SUM(A1)", "-cmd|'/C calc'!A0", "@x", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_shown_and_not_run(value: str) -> None:
    """An apostrophe makes it text, wherever it comes from."""
    assert read_csv([{value: value, "a": [value]}])[0][0].startswith("'")
    cells = list(csv.reader(io.StringIO("".join(csv_lines([{"a": value}])), newline="")))
    assert cells[1] == [f"'{value}"]


@pytest.mark.parametrize("value", [-1, -1.5, "-1", "-1.5", "+3", "-12%", decimal.Decimal("-2.50")])
def test_a_number_stays_a_number(value: Any) -> None:
    """Whether it is one, or a text that is nothing else."""
    assert read_csv([{"a": value}])[1] == [str(value)]


def test_a_table_without_rows() -> None:
    """An empty line, and no error."""
    assert "".join(csv_lines([])).strip() == ""


def test_many_rows_come_in_pieces() -> None:
    """None is lost or doubled, and no piece is the whole file."""
    rows = [{"number": number} for number in range(1234)]
    assert len(list(csv_lines(rows))) > 2
    assert [int(row[0]) for row in read_csv(rows)[1:]] == list(range(1234))
    pieces = list(json_pieces({"a": 1, "table": rows, "b": None}))
    assert len(pieces) > 5
    assert json.loads("".join(pieces)) == {"a": 1, "table": rows, "b": None}


@pytest.mark.parametrize("data", [{}, {"table": []}, {"table": None}, {"table": {"no": "list"}}, {"a": [1]}])
def test_json_of_odd_data(data: dict[str, Any]) -> None:
    """Whatever a report returns comes out as it went in."""
    assert json.loads("".join(json_pieces(data))) == data


def test_what_has_a_form_in_json() -> None:
    """Times, decimals and sets have one; an object does not, and the error says which."""
    value = {"t": datetime.datetime(2020, 1, 2, 3, 4), "d": datetime.date(2020, 1, 2), "n": decimal.Decimal("1.5")}
    assert json.loads(to_json(value)) == {"t": "2020-01-02T03:04:00", "d": "2020-01-02", "n": 1.5}
    assert json.loads(to_json({"s": {1}, "g": (n for n in (1, 2))})) == {"s": [1], "g": [1, 2]}
    with pytest.raises(TypeError, match="no form in JSON"):
        to_json({"o": object()})


def test_rows_that_are_lists() -> None:
    """They become dicts, in place, by the names in ``columns``; other data stay as they are."""
    data: dict[str, Any] = {"table": [[1, 2], (3, 4)], "columns": ["a", "b"], "n": 1}
    ensure_data_is_dicts(data)
    assert data == {"table": [{"a": 1, "b": 2}, {"a": 3, "b": 4}], "n": 1}
    others: list[dict[str, Any]] = [{"table": [{"a": 1}]}, {"table": []}, {}]
    for same in others:
        before = dict(same)
        ensure_data_is_dicts(same)
        assert same == before
