"""How a dataset of a remote CKAN becomes one of ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ckanext.harvest.domain import ckan_mapping as mapping

RECORD: dict[str, Any] = {
    "id": "1",
    "title": "Wasserstände",
    "tags": [{"name": "a"}, {"name": "b"}],
    "extras": [{"key": "k", "value": "v"}],
    "tracking_summary": {"total": 1},
}


def changed(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | fields


@pytest.mark.parametrize(
    ("record", "same"),
    [
        (dict(reversed(RECORD.items())), True),
        (changed(tracking_summary={"total": 2}), True),
        ({key: value for key, value in RECORD.items() if key != "tracking_summary"}, True),
        (changed(title="Wasserstand"), False),
        (changed(tags=[{"name": "b"}, {"name": "a"}]), False),
        (changed(extras=[{"key": "k", "value": "w"}]), False),
        (changed(extras=[{"key": "k", "value": None}]), False),
        (changed(notes=""), False),
        (changed(private=0), False),
    ],
)
def test_the_hash_of_a_record(record: dict[str, Any], same: bool) -> None:
    """Two records have the same hash if they would be imported alike; visitors are no change."""
    assert (mapping.content_hash(record, {}) == mapping.content_hash(RECORD, {})) is same


@pytest.mark.parametrize(
    ("config", "same"),
    [
        ({}, True),
        ({"force_all": True, "api_key": "x", "organizations_filter_include": ["a"], "user_agent": "b"}, True),
        ({"default_tags": [], "override_extras": False, "remote_groups": ""}, True),
        ({"default_tags": [{"name": "c"}]}, False),
        ({"default_extras": {"a": "b"}}, False),
        ({"default_groups": ["a"]}, False),
        ({"override_extras": True}, False),
        ({"remote_groups": "create"}, False),
        ({"remote_orgs": "only_local"}, False),
        ({"clean_tags": True}, False),
    ],
)
def test_the_hash_of_a_configuration(config: dict[str, Any], same: bool) -> None:
    """What the configuration makes of a record counts, what it says about gathering does not."""
    assert (mapping.content_hash(RECORD, config) == mapping.content_hash(RECORD, {})) is same


def test_half_a_character_has_a_hash() -> None:
    """JSON may hold a lone surrogate, and nobody falls over it."""
    assert mapping.content_hash({"title": "\ud800"}, {}) != mapping.content_hash({"title": "\ud801"}, {})


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, None),
        ({"tags": None, "groups": [], "organization": None, "title": None}, None),
        ({"tags": [{"name": 7}], "notes": 7}, None),
        ({"tags": ["water"]}, "tags is no list of objects"),
        ({"resources": {"url": "u"}}, "resources is no list of objects"),
        ({"groups": "water"}, "groups is no list of objects"),
        ({"extras": {"a": "b"}}, "extras is no list of objects"),
        ({"extras": [{"value": "b"}]}, "an extra has no key"),
        ({"name": 7}, "name is no text"),
        ({"title": ["a"]}, "title is no text"),
        ({"organization": "city"}, "organization is no object"),
    ],
)
def test_a_record_of_another_shape(fields: dict[str, Any], wrong: str | None) -> None:
    """What CKAN would never show is named, so that nobody falls over it."""
    assert mapping.malformed(changed(**fields)) == wrong


@pytest.mark.parametrize(
    ("tags", "default", "expected"),
    [
        (None, [{"name": "a"}], [{"name": "a"}]),
        ([{"name": "b"}], [{"name": "a"}], [{"name": "b"}, {"name": "a"}]),
        ([{"name": "a"}], [{"name": "a"}], [{"name": "a"}]),
        ([{"name": "a"}], [], [{"name": "a"}]),
    ],
)
def test_tags_are_added(tags: Any, default: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Tags that the dataset has not are appended."""
    package = {} if tags is None else {"tags": tags}
    mapping.add_tags(package, default)
    assert package["tags"] == expected


def test_defaults_are_copies() -> None:
    """What is done to one dataset does not reach the configuration, which the next one uses."""
    default = {"name": "a"}
    package: dict[str, Any] = {}
    mapping.add_tags(package, [default])
    package["tags"][0]["name"] = "b"
    assert default == {"name": "a"}


def test_groups_are_added_by_id() -> None:
    """A group that the dataset is in already is not added again, and only id and name are taken."""
    package = {"groups": [{"id": "1", "name": "one"}]}
    mapping.add_groups(package, [{"id": "1", "name": "renamed"}, {"id": "2", "name": "two", "title": "Two"}])
    assert package["groups"] == [{"id": "1", "name": "one"}, {"id": "2", "name": "two"}]


@pytest.mark.parametrize(
    ("extras", "default", "override", "expected"),
    [
        ([], {"a": "1"}, False, [("a", "1")]),
        ([("a", "0")], {"a": "1"}, False, [("a", "0")]),
        ([("a", "0")], {"a": "1"}, True, [("a", "1")]),
        ([("a", "0"), ("b", "2")], {"a": "1", "c": "3"}, True, [("b", "2"), ("a", "1"), ("c", "3")]),
        ([], {"url": "{harvest_source_url}/dataset/{dataset_id}"}, False, [("url", "http://city/dataset/7")]),
        ([], {"number": 5, "list": ["{dataset_id}"]}, False, [("number", 5), ("list", ["{dataset_id}"])]),
        ([], {"braces": "{{literally}}"}, False, [("braces", "{literally}")]),
    ],
)
def test_extras_are_added(
    extras: list[tuple[str, str]], default: dict[str, Any], override: bool, expected: list[tuple[str, Any]]
) -> None:
    """What the dataset has wins unless told otherwise; texts are filled in."""
    package = {"extras": [{"key": key, "value": value} for key, value in extras]}
    mapping.add_extras(package, default, override, {"harvest_source_url": "http://city", "dataset_id": "7"})
    assert [(extra["key"], extra["value"]) for extra in package["extras"]] == expected


@pytest.mark.parametrize("value", ["{dataset_id:>30}", "{dataset_id!r}", "{dataset_id.__class__}", "{nothing}"])
def test_an_extra_of_a_configuration_that_no_form_has_checked(value: str) -> None:
    """Nothing is formatted; the error names the extra."""
    with pytest.raises(ValueError, match="default_extras: link "):
        mapping.add_extras({}, {"link": value}, False, {"dataset_id": "7"})


def test_resources_are_links_here() -> None:
    """What ties a resource to the remote portal is dropped."""
    package = {"resources": [{"url": "u", "url_type": "upload", "revision_id": "r", "name": "n"}]}
    mapping.clean_resources(package)
    assert package["resources"] == [{"url": "u", "name": "n"}]
    empties: list[dict[str, Any]] = [{}, {"resources": None}, {"resources": []}]
    for empty in empties:
        mapping.clean_resources(empty)


def test_what_of_a_remote_group_makes_one_of_ours() -> None:
    """Counts, members and whatever else lives there stay there."""
    group = {"id": "1", "name": "a", "title": "A", "description": "b", "image_url": "c", "type": "group"}
    remote = group | {
        "packages": [], "package_count": 3, "created": "x", "users": [], "groups": [], "tags": [], "extras": [],
        "display_name": "A", "num_followers": 1, "image_display_url": "c",
    }  # fmt: skip
    assert mapping.clean_group(remote) == group


def test_references() -> None:
    """All by which groups and the organization may be found here, and nothing that is no text."""
    package = {
        "groups": [{"id": "1", "name": "water"}, {"name": "air"}, {"id": 7}, {"id": "\x00", "name": "half \ud800"}],
        "organization": {"id": "2", "name": "city"},
        "owner_org": "2",
    }
    assert mapping.references(package) == {"1", "water", "air", "2", "city"}
    assert mapping.references({"groups": None, "organization": None, "owner_org": None}) == set()


def test_resource_ids_that_are_taken() -> None:
    """What belongs to another dataset, or is no UUID, gets an id of this portal; the rest keeps what it has."""
    mine, taken, free = (f"7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a0{number}" for number in range(3))
    unheard = [{"id": f"{mine}\x00"}, {"id": "\ud800"}]  # PostgreSQL cannot be asked for these
    package = {"id": "p", "resources": [{"id": mine}, {"id": taken}, {"id": free}, {"id": "DE-1"}, {}, *unheard]}
    assert mapping.ids_of_resources(package) == {mine, taken, free}
    mapping.drop_resource_ids(package, {mine: "p", taken: "q"})
    assert package["resources"] == [{"id": mine}, {}, {"id": free}, {}, {}, {}, {}]
