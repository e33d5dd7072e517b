"""What a source gives, and what becomes of it: markers, names, merging, what may be deleted."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from ckanext.syndicate.domain import synchronization as sync
from ckanext.syndicate.domain.sync_source import BadSource, InvalidData, MissingKey, Source

PRESERVE = {
    "dataset_preserve_names": True,
    "dataset_preserve_organization": True,
    "dataset_group_merge_strategy": "add",
}


def data(*, dataset: Any = None, group: Any = None, organization: Any = None) -> dict[str, Any]:
    return {"dataset": dataset or {}, "group": group or {}, "organization": organization or {}}


ORG = {"city": {"title": "City"}}
GOOD = {"name": "roads", "groups": [], "owner_org": "city"}


@pytest.mark.parametrize(
    ("given", "kind", "key", "says"),
    [
        ([], "", "", "no mapping"),
        ({"dataset": {}, "group": {}}, "organization", "", "no key 'organization'"),
        (data(dataset=[GOOD]), "dataset", "", "no mapping of ids"),
        (data(dataset={"1": "x"}), "dataset", "1", "no mapping"),
        (data(dataset={"1": {"owner_org": "city"}}, organization=ORG), "dataset", "1", "'groups' is missing"),
        (data(dataset={"1": {"groups": []}}), "dataset", "1", "'owner_org' is missing"),
        (data(dataset={"1": GOOD}), "dataset", "1", "organization 'city' is not among"),
        (data(dataset={"1": {**GOOD, "groups": ["x"]}}, organization=ORG), "dataset", "1", "group 'x' is not among"),
        (data(dataset={1: GOOD, "1": GOOD}, organization=ORG), "dataset", "1", "given twice"),
        (data(dataset={"1": {**GOOD, "extras": [1]}}, organization=ORG), "dataset", "1", "'extras' is not a mapping"),
        (data(dataset={"1": {**GOOD, "tags": "a"}}, organization=ORG), "dataset", "1", "'tags' is not a list"),
        (data(dataset={"1": {**GOOD, "tags": [{}]}}, organization=ORG), "dataset", "1", "is no name"),
        (data(dataset={"1": {**GOOD, "resources": ["a"]}}, organization=ORG), "dataset", "1", "list of mappings"),
        (data(group={"a": {"name": "b"}}), "group", "a", "Mismatching group name!"),
        (data(organization={"a": {"name": "b"}}), "organization", "a", "Mismatching org name!"),
    ],
)
def test_bad_data(given: Any, kind: str, key: str, says: str) -> None:
    """What is wrong is said with kind and id, as the errors that the older client raises."""
    with pytest.raises(BadSource) as raised:
        Source(given)
    assert says in str(raised.value)
    assert (raised.value.kind, raised.value.key) == (kind, key)
    missing = any(word in says for word in ("missing", "no key", "not among"))
    assert isinstance(raised.value, KeyError if missing else ValueError)
    assert isinstance(raised.value, MissingKey if missing else InvalidData)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_data_is_read_as_it_is_given() -> None:
    """Ids may be numbers, names of groups are filled in, deleted datasets are none, and nothing is changed."""
    given = data(dataset={7: GOOD, "8": {**GOOD, "state": "deleted"}}, group={"g": {}}, organization=ORG)
    source = Source(given)
    assert set(source.ids) == {"7"}
    assert source.dataset("7") is GOOD
    assert source.groups == {"g": {"name": "g"}}
    assert given["organization"] == {"city": {"title": "City"}}


@pytest.mark.parametrize("source_id", ["1", "a:b:c", "", "ü/ß ?*", "urn:x:50%"])
def test_markers(source_id: str) -> None:
    """Any id comes back out of a marker, also one with colons."""
    assert sync.parse_source_id(sync.join_source_id("city", source_id)) == ("city", source_id)
    dataset = {"extras": [{"key": "_harvest_source", "value": f"city:{source_id}"}]}
    assert sync.source_id_of(dataset, "city") == source_id
    assert sync.source_id_of(dataset, "cit") is None


@pytest.mark.parametrize("bad", ["", "a:b"])
def test_names_of_sources(bad: str) -> None:
    """A name that would make markers ambiguous is refused."""
    with pytest.raises(ValueError, match="cannot be the name of a source"):
        sync.join_source_id(bad, "1")


@pytest.mark.parametrize("bad", ["", "city", ":1"])
def test_what_is_no_marker(bad: str) -> None:
    """Extras of others that only look like markers are none."""
    with pytest.raises(ValueError, match="is not <source name>:<source id>"):
        sync.parse_source_id(bad)
    assert sync.source_id_of({"extras": [{"key": "_harvest_source", "value": bad}]}, "city") is None


@pytest.mark.parametrize(
    ("max_delete", "there", "given", "most"),
    [
        (None, 5, 0, 0),  # an empty source
        (None, 1, 1, 1),
        (None, 3, 2, 2),
        (None, 10, 1, 5),  # a truncated one
        (None, 20, 5, 10),
        (None, 1000, 500, 100),
        ("all", 5, 0, 5),
        (0, 5, 4, 0),
        (3, 5, 0, 3),
        ("20%", 10, 8, 2),
        ("100%", 10, 0, 10),
        ("12.5 %", 80, 1, 10),
    ],
)
def test_how_much_may_be_deleted(max_delete: Any, there: int, given: int, most: int) -> None:
    """A number, a share or all; by default little, and nothing if the source is empty."""
    assert sync.most_deletions(max_delete, there, given) == most


@pytest.mark.parametrize("bad", [-1, True, 0.5, "half", "120%", "", "-5%"])
def test_what_is_no_limit(bad: Any) -> None:
    """Anything else is an error, not a limit of another size: 1.0 may mean one dataset, or all of them."""
    with pytest.raises(ValueError, match="max_delete is"):
        sync.most_deletions(bad, 10, 10)


def test_names_to_try() -> None:
    """The wanted name comes first; then always the same ones for the same dataset."""
    names = list(sync.names_for("roads", "city:1"))
    assert names[0] == "roads"
    assert len(set(names)) == 6
    assert all(name.startswith("roads-") and len(name) == len("roads-123456") for name in names[1:])
    assert names == list(sync.names_for("roads", "city:1")) != list(sync.names_for("roads", "city:2"))


OLD = {"id": "i", "name": "old", "owner_org": "state", "groups": ["a", "b"], "extras": {"x": "1"}, "resources": []}
NEW = {"name": "new", "owner_org": "city", "groups": ["b", "c"], "extras": {"y": "2"}, "title": "T"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"name": "old", "owner_org": "state", "groups": ["a", "b", "c"]}),
        ({"dataset_preserve_names": False}, {"name": "new"}),
        ({"dataset_preserve_organization": False}, {"owner_org": "city"}),
        ({"dataset_group_merge_strategy": "replace"}, {"groups": ["b", "c"]}),
        ({"dataset_group_merge_strategy": "preserve"}, {"groups": ["a", "b"]}),
    ],
)
def test_merging(options: dict[str, Any], expected: dict[str, Any]) -> None:
    """Name, organization and groups by the options; everything else is the source's, and the id the portal's."""
    merged = sync.merged(OLD, NEW, PRESERVE | options)
    assert {field: merged[field] for field in expected} == expected
    assert (merged["id"], merged["title"], merged["extras"], merged["notes"]) == ("i", "T", {"y": "2"}, "")


@pytest.mark.parametrize(("old", "name"), [("new-123456", "new-123456"), ("new-x", "new"), ("new-1234567", "new")])
def test_a_name_that_was_taken_stays(old: str, name: str) -> None:
    """A dataset that got digits behind its name is not renamed in each run."""
    options = PRESERVE | {"dataset_preserve_names": False}
    assert sync.merged({**OLD, "name": old}, NEW, options)["name"] == name


def test_no_organization_to_preserve() -> None:
    """A dataset without an organization gets that of the source."""
    assert sync.merged({**OLD, "owner_org": None}, NEW, PRESERVE)["owner_org"] == "city"


def test_resources_keep_their_ids() -> None:
    """By id, URL and name, URL, or name; each is used once, and what is known of a file goes with the file."""
    old: list[dict[str, Any]] = [
        {"id": "1", "url": "u1", "name": "n1", "format": "CSV", "mine": "x"},
        {"id": "2", "url": "u2", "name": "same"},
        {"id": "3", "url": "u2", "name": "other"},
        {"id": "4", "url": "u4", "name": "n4", "size": 7, "mine": "y", "url_type": "upload"},
        {"id": "5", "url": "u5", "name": "gone"},
    ]
    new: list[dict[str, Any]] = [
        {"url": "u2", "name": "other"},
        {"url": "u2", "name": "renamed"},
        {"id": "1", "url": "u1", "name": "n1", "position": 9},
        {"url": "u9", "name": "n4"},
        {"id": "foreign", "url": "brand-new"},
    ]
    assert sync.merged_resources(old, new) == [
        {"id": "3", "url": "u2", "name": "other", "description": ""},
        {"id": "2", "url": "u2", "name": "renamed", "description": ""},
        {"id": "1", "url": "u1", "name": "n1", "format": "CSV", "mine": "x", "description": ""},
        {"id": "4", "url": "u9", "name": "n4", "mine": "y", "description": ""},
        {"url": "brand-new", "name": "", "description": ""},
    ]


def test_nothing_is_changed_that_is_given() -> None:
    """Neither the data of the source nor what the portal showed."""
    old, new = {**OLD, "groups": ("a",)}, {**NEW, "groups": ("b",), "extras": {"y": [1]}}
    before = (repr(old), repr(new))
    sync.payload(sync.merged(old, sync.prepared(new, "city:1"), PRESERVE))
    assert (repr(old), repr(new)) == before


def test_values_of_extras_are_texts() -> None:
    """Numbers and structures are written as JSON, None is no extra."""
    record = {"extras": {"a": 1, "b": None, "c": {"z": [True]}, "d": "ü"}}
    assert sync.payload(record)["extras"] == [
        {"key": "a", "value": "1"},
        {"key": "c", "value": '{"z": [true]}'},
        {"key": "d", "value": "ü"},
    ]


def test_tags_of_vocabularies_stay() -> None:
    """A source only knows free tags; those of a vocabulary are the portal's."""
    vocabulary_tag = {"name": "de", "vocabulary_id": "v", "id": "t"}
    remote = {"tags": [{"name": "old", "vocabulary_id": None}, vocabulary_tag]}
    assert sync.changes(remote, {"tags": ["new"], **sync._EMPTY} | {"tags": ["new"]})["tags"] == [
        {"name": "new"},
        {"name": "de", "vocabulary_id": "v"},
    ]
    assert sync.from_portal(remote)["tags"] == ["old"]
