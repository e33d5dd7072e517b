"""Whether all of a search was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ckanext.harvest.domain.paging import Paging

Page = tuple[Sequence[Any], object]


def records(ids: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"id": each} for each in ids]


def read(*pages: Page) -> tuple[Paging, list[list[Any]]]:
    """Take pages as long as one asks for them, and return what was new on each."""
    paging, new = Paging(), []
    for ids, count in pages:
        assert not paging.over, "one page too many"
        new.append([each["id"] for each in paging.take(records(ids), count)])
    return paging, new


COMPLETE: list[tuple[str, list[Page]]] = [
    ("nothing", [("", 0)]),
    ("one page", [("ab", 2)]),
    ("two pages", [("ab", 3), ("c", 3)]),
    ("all at once, whatever was asked for", [("abcdef", 6)]),
    ("a double, and the rest", [("ab", 3), ("bc", 3)]),
]
INCOMPLETE: list[tuple[str, list[Page]]] = [
    ("no count", [("ab", None), ("", None)]),
    ("a count that is none", [("ab", "2"), ("", True)]),
    ("fewer than the count", [("ab", 3), ("", 3)]),
    ("it shrinks, and what moved up slipped through", [("ab", 4), ("d", 3)]),
    ("it grows", [("ab", 3), ("bc", 4)]),
    ("it grows and shrinks", [("ab", 3), ("c", 4), ("", 3)]),
    ("more than the count", [("abc", 2)]),
    ("one without an id", [(["a", None], 2)]),
    ("the same page again and again", [("ab", 6), ("ab", 6), ("ab", 6), ("ab", 6)]),
]


@pytest.mark.parametrize("pages", [pages for _, pages in COMPLETE], ids=[name for name, _ in COMPLETE])
def test_complete(pages: list[Page]) -> None:
    """All was read if as many different datasets came as the portal said, and it said the same all the time."""
    paging, _ = read(*pages)
    assert (paging.over, paging.complete, paging.stuck) == (True, True, False)


@pytest.mark.parametrize("pages", [pages for _, pages in INCOMPLETE], ids=[name for name, _ in INCOMPLETE])
def test_incomplete(pages: list[Page]) -> None:
    """In doubt not all was read."""
    paging, _ = read(*pages)
    assert (paging.over, paging.complete) == (True, False)


def test_half_way() -> None:
    """What is not over is not complete."""
    paging, _ = read(("ab", 3))
    assert (paging.over, paging.complete, paging.start) == (False, False, 2)


def test_each_dataset_is_new_once() -> None:
    """What came before is left out; what has no id cannot be told, and comes each time."""
    paging, new = read((["a", "a", None, 7, ""], 8), (["b", "a", None], 8))
    assert new == [["a", None, 7, ""], ["b", None]]
    assert (paging.ids, paging.start) == ({"a", "b"}, 8)


@pytest.mark.parametrize(
    ("counts", "shrank"), [([3, 3], False), ([3, 4], False), ([3, 2], True), ([3, 4, 3], True), ([3, None], False)]
)
def test_something_may_have_slipped_through(counts: list[int | None], shrank: bool) -> None:
    """Only a removal moves a dataset to a page that was read already."""
    paging = Paging()
    for number, count in enumerate(counts):
        paging.take(records([str(number)]), count)
    assert paging.shrank is shrank


def test_a_portal_that_ignores_the_start() -> None:
    """The same page for the third time again is an error, if the portal says that there is more."""
    paging, new = read(("ab", 6), ("ab", 6), ("ab", 6))
    assert (paging.stuck, paging.over, new[1:]) == (False, False, [[], []])
    paging.take(records("ab"), 6)
    assert (paging.stuck, paging.over) == (True, True)


def test_the_same_page_where_no_count_is_told() -> None:
    """It is taken for the end, as harvesters always did."""
    paging, _ = read(("ab", None), ("ab", None))
    assert (paging.stuck, paging.over) == (False, True)


def test_many_new_ones_move_the_rest_on() -> None:
    """A page of nothing new is passed over, and what comes after it is read."""
    paging, new = read(("ab", 3), ("ab", 5), ("c", 5))
    assert (new, paging.stuck, paging.over) == ([["a", "b"], [], ["c"]], False, True)


def test_pages_without_any_id_end() -> None:
    """Nameless datasets are read as far as the count goes; without a count the first page of them is the last."""
    paging, _ = read(([None, None], 4), ([None, None], 4))
    assert (paging.over, paging.stuck) == (True, False)
    assert read(([None], None))[0].over
