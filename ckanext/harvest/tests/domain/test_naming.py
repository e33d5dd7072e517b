"""How a dataset gets a name that no other has."""

from __future__ import annotations

import pytest

from ckanext.harvest.domain import naming

LONG = "x" * 100
NUMBERS = [str(number) for number in range(1, 1000)]


def unique(
    ideal: str, taken: list[str], existing: str | None = None, append_type: str = "number-sequence"
) -> str | None:
    return naming.unique(ideal, existing, taken, append_type, "abcdef012345")


@pytest.mark.parametrize(
    ("ideal", "existing", "taken", "expected"),
    [
        ("water", None, [], "water"),
        ("water", None, ["waterways"], "water"),
        ("water", None, ["water"], "water1"),
        ("water", None, ["water", "water1", "water3"], "water2"),
        ("water", None, ["water1"], "water"),
        # the dataset's own name is not in its way
        ("water", "water", ["water"], "water"),
        ("water", "water1", ["water", "water1"], "water1"),
        ("water", "water1", ["water1"], "water"),
        ("water", "water1", ["water", "water1", "water2"], "water1"),
        ("water", "waterfall", ["water", "waterfall"], "waterfall"),
        ("water", "river", ["water", "river"], "water1"),
        # names differ by more than case
        ("water", None, ["WATER"], "water1"),
        ("water", None, ["water", "Water1"], "water2"),
        # never longer than a name may be: there is room for a number
        (LONG, None, [], LONG),
        (LONG + "y", None, [], LONG),
        (LONG, None, [LONG], "x" * 97 + "1"),
        (LONG, None, [LONG, "x" * 97 + "1"], "x" * 97 + "2"),
        ("y" * 97, None, ["y" * 97], "y" * 97 + "1"),
        ("y" * 98, None, ["y" * 98], "y" * 97 + "1"),
        # 999 is the last number
        ("water", None, ["water", *(f"water{number}" for number in NUMBERS[:-1])], "water999"),
        ("water", None, ["water", *(f"water{number}" for number in NUMBERS)], None),
        (LONG, None, [LONG, *("x" * 97 + number for number in NUMBERS)], None),
    ],
)
def test_a_number_makes_it_unique(ideal: str, existing: str | None, taken: list[str], expected: str | None) -> None:
    """The ideal name, the one that the dataset has if it begins like it, or the first number that is free."""
    assert unique(ideal, taken, existing) == expected


@pytest.mark.parametrize(
    ("ideal", "existing", "taken", "expected"),
    [
        ("water", None, [], "water"),
        ("water", None, ["water"], "waterabcde"),
        ("water", "water9f8e7", ["water", "water9f8e7"], "water9f8e7"),
        (LONG, None, [LONG], "x" * 95 + "abcde"),
        ("z" * 96, None, ["z" * 96], "z" * 95 + "abcde"),
    ],
)
def test_five_random_characters_make_it_unique(
    ideal: str, existing: str | None, taken: list[str], expected: str
) -> None:
    """Five characters are appended, with room made for them."""
    assert unique(ideal, taken, existing, "random-hex") == expected


@pytest.mark.parametrize(
    ("append_type", "ideal", "expected"),
    [
        ("number-sequence", "water", "water"),
        ("number-sequence", LONG, "x" * 97),
        ("random-hex", LONG, "x" * 95),
        ("random-hex", "y" * 95, "y" * 95),
    ],
)
def test_what_names_that_clash_begin_with(append_type: str, ideal: str, expected: str) -> None:
    """All names that may be in the way begin with the ideal name, cut to leave room for what is appended."""
    assert naming.stem(ideal, append_type) == expected


def test_another_way_is_not_implemented() -> None:
    """Who names another way is told which there are."""
    with pytest.raises(NotImplementedError, match=r"'roman'; there are \['number-sequence', 'random-hex'\]"):
        naming.stem("water", "roman")
