"""The marker: what a copy says of where it came from, and how copies are searched for."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.syndicate.domain.marker import (
    ORIGIN,
    PATH,
    Marker,
    is_returned,
    marker_for,
    marker_of,
    normalised,
    origin_query,
    pusher_query,
)


def marked(origin: Any, path: Any) -> dict[str, Any]:
    return {"id": "x", "extras": [{"key": ORIGIN, "value": origin}, {"key": PATH, "value": path}]}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://data.example", "https://data.example"),
        ("https://data.example/", "https://data.example"),
        (" HTTPS://Data.Example:443/ ", "https://data.example"),
        ("http://data.example:80", "http://data.example"),
        ("http://data.example:8080/", "http://data.example:8080"),
        ("http://data.example:443", "http://data.example:443"),
        ("https://data.example/CKAN/", "https://data.example/CKAN"),
        ("https://me:secret@data.example/?a=1#b", "https://data.example"),
        ("https://data.example./", "https://data.example"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]"),
        ("http://data.example/a b", "http://data.example/a%20b"),
        ("http://data.example:notaport/", "http://data.example:notaport"),
        ("http://[broken/", "http://[broken"),
        ("no url", "no%20url"),
        ("http:///a b", "http:///a%20b"),
        ("//data.example/a/", "//data.example/a"),
        ("", ""),
    ],
)
def test_a_portal_has_one_address(url: str, expected: str) -> None:
    """Spellings of one site URL are the same text, which has no space in it; what is no URL does no harm."""
    assert normalised(url) == expected
    assert normalised(expected) == expected


def test_what_begins_here_says_so() -> None:
    """A dataset without a marker gets one with this portal as its origin and on its path."""
    marker = marker_for({"id": "1", "extras": []}, "https://A.example/", "1")
    assert marker == Marker("https://a.example/dataset/1", ("https://a.example",))
    assert marker.pusher == "https://a.example"


def test_what_came_here_keeps_its_origin() -> None:
    """A dataset that was pushed here goes on with its origin, and with this portal in front of its path."""
    before = marked("https://a.example/dataset/1", "https://a.example")
    marker = marker_for(before, "https://b.example", "2")
    assert marker == Marker("https://a.example/dataset/1", ("https://b.example", "https://a.example"))
    assert marker_of({"extras": [{"key": key, "value": text} for key, text in marker.extras().items()]}) == marker


def test_a_marker_that_names_another_dataset_of_this_portal() -> None:
    """Whether it came back or somebody typed it: the dataset never goes by the name of the other one."""
    typed = marked("https://a.example/dataset/victim", "https://b.example")
    marker = marker_of(typed)
    assert marker is not None and is_returned(marker, "https://A.example/", "x")
    assert not is_returned(marker, "https://a.example", "victim")
    assert not is_returned(marker, "https://b.example", "x")
    assert marker_for(typed, "https://a.example", "x").origin == "https://a.example/dataset/x"


def test_a_path_does_not_grow_in_a_circle() -> None:
    """A portal is on the path of a dataset once, however often it pushes it."""
    before = marked("https://a.example/dataset/1", "https://b.example https://a.example")
    assert marker_for(before, "https://a.example", "1").path == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ({}, None),
        ({"extras": None}, None),
        ({"extras": [{"key": ORIGIN, "value": "o"}]}, None),
        ({"extras": [{"key": PATH, "value": "http://a"}]}, None),
        (marked("o", "  "), None),
        (marked(" ", "http://a"), None),
        (marked(7, ["x"]), None),
        ({"extras": ["text", {"value": "x"}]}, None),
        (marked(" o ", "HTTP://A/  http://b"), Marker("o", ("http://a", "http://b"))),
        ({ORIGIN: "o", PATH: "http://a"}, Marker("o", ("http://a",))),
        ({"extras": [], ORIGIN: "o", PATH: "http://a"}, Marker("o", ("http://a",))),
    ],
)
def test_what_a_dataset_says(dataset: dict[str, Any], expected: Marker | None) -> None:
    """Both extras make a marker, also as fields of a schema; half of one, and nonsense, is none."""
    assert marker_of(dataset) == expected


def test_queries_are_about_the_text_itself() -> None:
    """What stands in an address means nothing to Solr but itself."""
    assert origin_query('http://a/dataset/"1"\\') == '+syndication_origin:"http://a/dataset/\\"1\\"\\\\"'
    assert pusher_query("http://B-1.example:80/x*") == (
        '+(syndication_path:"http://b-1.example/x*" OR syndication_path:http\\:\\/\\/b\\-1.example\\/x\\*\\ *)'
    )
