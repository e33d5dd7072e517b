"""Which rows are chosen, in which order, and what is drawn of them."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.report.domain.plot import largest
from ckanext.report.domain.rows import Choice

ROWS = [
    {"name": "Oak", "number": 10, "place": "park", "tall": True},
    {"name": "ähre", "number": 9, "place": None, "tall": False},
    {"name": "Birch", "number": None, "place": "PARK by the lake", "tall": True},
    {"name": "apple", "number": 100, "place": "", "tall": True},
]


def names(**choice: str) -> list[str]:
    return [row["name"] for row in Choice(**choice).of({"table": ROWS})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["Oak", "ähre", "Birch", "apple"]),
        ("  ", ["Oak", "ähre", "Birch", "apple"]),
        ("park", ["Oak", "Birch"]),
        ("PARK oak", ["Oak"]),
        ("lake park", ["Birch"]),
        ("ÄHRE", ["ähre"]),
        ("100", ["apple"]),
        ("none", []),
        ("true", []),
        ("oak\nbirch", []),
    ],
)
def test_a_row_holds_all_words(text: str, expected: list[str]) -> None:
    """In any column, in any order, in any case; what is missing is no word."""
    assert names(text=text) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["ähre", "apple", "Birch", "Oak"]),
        ("-name", ["Oak", "Birch", "apple", "ähre"]),
        ("number", ["ähre", "Oak", "apple", "Birch"]),
        ("-number", ["apple", "Oak", "ähre", "Birch"]),
        ("place", ["Oak", "Birch", "ähre", "apple"]),
        ("nowhere", ["Oak", "ähre", "Birch", "apple"]),
        ("-", ["Oak", "ähre", "Birch", "apple"]),
    ],
)
def test_the_order(sort: str, expected: list[str]) -> None:
    """Numbers by size, texts as people look them up, what is missing at the end, whichever way it goes."""
    assert names(sort=sort) == expected


def test_both() -> None:
    """What is chosen is sorted, and the rows that are given stay as they are."""
    before = [*ROWS]
    assert names(text="park", sort="name") == ["Birch", "Oak"]
    assert before == ROWS


def test_numbers_and_texts_in_one_column() -> None:
    """They are sorted all the same, whatever there is."""
    rows: list[dict[str, Any]] = [{"a": "x"}, {"a": 2}, {"a": [1]}, {"b": 1}, {"a": 1.5}, {"a": {"c": 1}}]
    assert [row.get("a") for row in Choice(sort="a").of({"table": rows})] == [1.5, 2, [1], "x", {"c": 1}, None]


def test_rows_that_are_lists() -> None:
    """Their columns have names beside them; without, they stay in their order."""
    data: dict[str, Any] = {"columns": ["name", "number"], "table": [["b", 1], ["a"], ["c", 0]]}
    assert Choice(sort="number").of(data) == [["c", 0], ["b", 1], ["a"]]
    assert Choice(text="A").of(data) == [["a"]]
    assert Choice(sort="number").of({"table": data["table"]}) == data["table"]


@pytest.mark.parametrize("table", [None, [], {"no": "list"}, "text"])
def test_a_table_that_is_none(table: Any) -> None:
    """It is left as it is."""
    assert Choice("a", "a").of({"table": table}) == table
    assert Choice("a", "a").of({}) is None


def test_the_largest() -> None:
    """As many as can be told apart, the largest first; nothing is drawn of nothing."""
    rows = [{"n": str(each), "a": each, "b": None} for each in range(30)]
    assert largest(rows, "n", "a", "b", most=2) == [["29", 29, 0], ["28", 28, 0]]
    assert len(largest(rows, "n", "a")) == 20
    assert largest(rows[:2], "n", "a") == [["1", 1]]
