"""Resources keep their ids."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ckanext.harvest.domain import resource_ids

Resource = dict[str, Any]


def resource(
    resource_id: str | None = None, url: str | None = None, name: str | None = None, form: str = ""
) -> Resource:
    given = {"id": resource_id, "url": url, "name": name, "format": form}
    return {key: value for key, value in given.items() if value}


HERE = [resource("A", "u/a", "Table", "CSV"), resource("B", "u/b", "Map", "JSON"), resource("C", "u/c", "Table", "PDF")]

REMOTE: list[tuple[str, list[Resource], list[Any]]] = [
    ("the same", [resource("A"), resource("B"), resource("C")], ["A", "B", "C"]),
    ("by URL", [resource("x", "u/b"), resource("y", "u/a"), resource("z", " u/c ")], ["B", "A", "C"]),
    ("by a URL without a scheme", [resource("x", "/u/b")], ["B"]),
    ("the id goes before the URL", [resource("A", "u/b"), resource("x", "u/b")], ["A", "B"]),
    ("an id that was given already", [resource("A", "u/new"), resource("x", "u/a")], ["A", "x"]),
    ("by name and format", [resource("x", "new", "table", "pdf"), resource("y", "new2", "TABLE", "csv")], ["C", "A"]),
    ("the same name in another format", [resource("x", "new", "Table", "XLS")], ["x"]),
    (
        "by place",
        [resource("x", "n1", "One", "CSV"), resource("y", "n2", "Two", "json"), resource("C")],
        ["A", "B", "C"],
    ),
    ("by place, in another format", [resource("x", "n1", "One", "XLS"), resource("B"), resource("C")], ["x", "B", "C"]),
    (
        "by place, when one is missing",
        [resource("x", "n1", "One", "CSV"), resource("y", "n2", "Two", "JSON")],
        ["x", "y"],
    ),
    (
        "a new one",
        [resource("A"), resource("new", "u/new", "New"), resource("B"), resource("C")],
        ["A", "new", "B", "C"],
    ),
    ("one that has no id", [resource(None, "u/c"), resource(None, "u/d")], ["C", None]),
    ("the same id twice", [resource("A", "u/a"), resource("A", "u/d")], ["A", None]),
    ("the same new id twice", [resource("x", "u/d"), resource("x", "u/e")], ["x", None]),
    ("the same URL twice", [resource("x", "u/a"), resource("y", "u/a")], ["A", "y"]),
    ("ids that changed places", [resource("B", "u/a"), resource("A", "u/b")], ["B", "A"]),
    ("ids that are no text", [{"id": 7, "url": "u/a"}, {"id": ["x"], "url": 7}], ["A", ["x"]]),
    ("nothing", [], []),
]


@pytest.mark.parametrize(("resources", "ids"), [case[1:] for case in REMOTE], ids=[case[0] for case in REMOTE])
def test_remote_ids(resources: list[Resource], ids: list[Any]) -> None:
    """A remote portal may change its ids; ours stay with what is the same resource, and none is given twice."""
    resources, here = copy.deepcopy(resources), copy.deepcopy(HERE)
    resource_ids.keep(resources, here, are_remote=True)
    assert [each.get("id") for each in resources] == ids
    assert here == HERE


OWN: list[tuple[str, list[Resource], list[str | None]]] = [
    ("by URL", [resource(None, "u/b"), resource(None, "u/a")], ["B", "A"]),
    ("an id that the harvester gives", [resource("new", "u/b"), resource(None, "u/a")], ["new", "A"]),
    ("a known id, and another URL", [resource("B", "u/a"), resource(None, "u/a")], ["B", "A"]),
    (
        "never by name or place",
        [resource(None, "n1", "Table", "CSV"), resource(None), resource(None)],
        [None, None, None],
    ),
    ("the same URL twice", [resource(None, "u/a"), resource(None, "u/a")], ["A", None]),
]


@pytest.mark.parametrize(("resources", "ids"), [case[1:] for case in OWN], ids=[case[0] for case in OWN])
def test_ids_of_the_harvester(resources: list[Resource], ids: list[str | None]) -> None:
    """A harvester that knows no ids keeps those of the same URLs; what it gives is left as it is."""
    resources = copy.deepcopy(resources)
    resource_ids.keep(resources, copy.deepcopy(HERE), are_remote=False)
    assert [each.get("id") for each in resources] == ids


def test_a_dataset_without_resources() -> None:
    """All are new."""
    resources = [resource("x", "u/a")]
    resource_ids.keep(resources, [], are_remote=True)
    assert resources == [resource("x", "u/a")]


@pytest.mark.parametrize(
    ("resource_id", "is_usable"),
    [
        ("7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a01", True),
        ("DE-4711", False),
        ("", False),
        (None, False),
        (7, False),
        (["7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a01"], False),
    ],
)
def test_what_can_be_an_id(resource_id: object, is_usable: bool) -> None:
    """CKAN takes a UUID."""
    assert resource_ids.usable(resource_id) is is_usable


SAID = HERE[0] | {"mimetype": None}
AS_BEFORE: list[tuple[str, Resource, bool]] = [
    (
        "the same, said by another portal",
        SAID | {"metadata_modified": "now", "package_id": "p", "position": 7},
        True,
    ),
    ("without what is empty here", SAID | {"size": None}, True),
    ("as old", SAID | {"created": "once"}, True),
    ("of another age", SAID | {"created": "later"}, False),
    ("another name", SAID | {"name": "New"}, False),
    ("a field more", SAID | {"licence": "CC0"}, False),
    ("a field less", {"id": "A", "url": "u/a", "name": "Table"}, False),
    ("one that is not here", resource("D", "u/a", "Table", "CSV"), False),
    ("without an id", {"url": "u/a", "name": "Table", "format": "CSV"}, False),
    ("without what CKAN guesses", HERE[0], False),
    ("an id that is no text", SAID | {"id": ["A"]}, False),
]


@pytest.mark.parametrize(("given", "is_same"), [case[1:] for case in AS_BEFORE], ids=[case[0] for case in AS_BEFORE])
def test_what_has_not_changed_is_left_as_it_is(given: Resource, is_same: bool) -> None:
    """A resource that differs in nothing but what each portal says for itself is the one that is here."""
    here = [HERE[1], SAID | {"metadata_modified": "then", "position": 0, "created": "once", "hash": ""}]
    assert resource_ids.as_before([given], here) == ([here[1]] if is_same else [given])
