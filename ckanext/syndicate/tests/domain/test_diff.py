"""What counts as a difference between a copy and what is sent."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.syndicate.domain.diff import Difference, differences


def found(remote: dict[str, Any], payload: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {each.field: (each.old, each.new) for each in differences(remote, payload)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a", "a"),
        (None, ""),
        ("", None),
        ([], None),
        ("a ", "a"),
        (5, "5"),
        (False, None),
        (True, "True"),
        (" true", True),
        ("false", False),
        ("2026-01-01T00:00:00.000000", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00", "2026-01-01T01:00:00+01:00"),
        ("2026-01-01T00:00:00", "2026-01-01"),
        (["a", {"b": 1}], '["a", {"b": 1}]'),
    ],
)
def test_what_is_the_same(old: Any, new: Any) -> None:
    """Nothing in whatever form, numbers and dates as they are written, and lists as text are no differences."""
    assert found({"field": old}, {"field": new}) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a", "b"),
        ("a", "A"),
        ("a", ""),
        (None, "a"),
        (True, False),
        (True, None),
        (0, None),
        ("5", "6"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:01"),
        ("[", ["["]),
        ("2026-01-01 or so", "2026-01-02 or so"),
    ],
)
def test_what_is_different(old: Any, new: Any) -> None:
    """Any other change is a difference, with what is there and what is sent."""
    assert differences({"field": old}, {"field": new}) == (Difference("field", old, new),)


def test_only_what_is_sent_counts() -> None:
    """What the target has besides is none of our business, nor are its id and its type."""
    remote = {"id": "9", "title": "T", "type": "dataset", "num_tags": 3, "extras": [{"key": "a", "value": "1"}]}
    assert found(remote, {"title": "T", "type": "other"}) == {}


def test_a_title_may_be_the_name() -> None:
    """CKAN calls a dataset without a title by its name."""
    assert found({"name": "roads", "title": "roads"}, {"name": "roads", "title": ""}) == {}
    assert "title" in found({"name": "roads", "title": "Roads"}, {"name": "roads", "title": ""})


@pytest.mark.parametrize(
    ("owner_org", "differs"),
    [("o1", False), ("city", False), ("o2", True), (None, False), ("", False)],
)
def test_an_organization_has_a_name_and_an_id(owner_org: str | None, differs: bool) -> None:
    """The owner may be sent by either of them; if none is sent, the target keeps its own."""
    remote = {"owner_org": "o1", "organization": {"id": "o1", "name": "city"}}
    assert bool(found(remote, {"owner_org": owner_org})) is differs
    assert found({"owner_org": None, "organization": None}, {"owner_org": "city"}) == {"owner_org": (None, "city")}


def test_extras() -> None:
    """Extras are compared by key; one that is not sent will be gone."""
    remote = {"extras": [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}], "language": ["de"]}
    same = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}, {"key": "language", "value": '["de"]'}]
    assert found(remote, {"extras": same}) == {}
    assert found(remote, {"extras": [{"key": "a", "value": "3"}, {"key": "c", "value": "4"}]}) == {
        "extras.a": ("1", "3"),
        "extras.b": ("2", None),
        "extras.c": (None, "4"),
    }
    assert found(remote, {"a": "1", "b": "5"}) == {"b": ("2", "5")}


def test_tags_and_groups_are_sets() -> None:
    """Tags and groups are compared by name, tags also by their vocabulary, in any order."""
    remote = {"tags": [{"name": "b", "vocabulary_id": None}, {"name": "a", "id": "t1"}], "groups": [{"name": "g"}]}
    assert found(remote, {"tags": [{"name": "b"}, {"name": "a"}], "groups": [{"name": "g"}]}) == {}
    assert found(remote, {"tags": [{"name": "a"}, {"name": "b", "vocabulary_id": "v"}], "groups": []}) == {
        "tags": (["a", "b"], ["a", "b"]),
        "groups": (["g"], []),
    }


R1 = {"id": "1", "name": "one", "url": "u1", "format": "CSV", "size": 5, "position": 0}
R2 = {"id": "2", "name": "", "url": "u2", "format": "", "datastore_active": False}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([R1, R2], {}),
        ([{"id": "1", "format": "csv", "size": "5"}, {"id": "2"}], {}),
        ([{**R1, "format": "text/csv"}, R2], {}),
        ([{**R1, "format": ""}, R2], {}),
        ([{**R1, "format": "TSV"}, R2], {"resources.1.format": ("CSV", "TSV")}),
        ([{**R1, "url": "u3"}, R2], {"resources.1.url": ("u1", "u3")}),
        ([R2, R1], {"resources": (["1", "2"], ["2", "1"])}),
        ([R1], {"resources.2": ("u2", None)}),
        ([R1, R2, {"id": "3", "name": "three"}], {"resources.3": (None, "three")}),
        ([R1, R2, {"url": "u4"}], {"resources.3": (None, "u4")}),
        ([], {"resources.1": ("one", None), "resources.2": ("u2", None)}),
    ],
)
def test_resources(resources: Any, expected: dict[str, Any]) -> None:
    """Resources are compared by id, field by field; new ones, lost ones and another order are differences."""
    assert found({"resources": [R1, R2]}, {"resources": resources}) == expected
