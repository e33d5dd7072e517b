"""What is sent of a dataset: what hooks get, what is left of it, and what is put together with the copy."""

from __future__ import annotations

import copy
import datetime
import json
import uuid
from typing import Any

import pytest

from ckanext.syndicate.domain.marker import ORIGIN, PATH, Marker
from ckanext.syndicate.domain.payload import (
    Sealed,
    Vocabulary,
    content_hash,
    onto,
    prepared,
    resource_ids,
    seal,
)

MARKER = Marker("http://here/dataset/1", ("http://here",))
MARKS = [{"key": ORIGIN, "value": "http://here/dataset/1"}, {"key": PATH, "value": "http://here"}]


def dataset(**fields: Any) -> dict[str, Any]:
    """Return a dataset as ``package_show`` of CKAN shows it."""
    return {
        "id": "1",
        "name": "roads",
        "title": "Roads",
        "notes": "All of them.",
        "author": None,
        "license_id": "cc-by",
        "license_title": "Creative Commons Attribution",
        "license_url": "http://creativecommons.org",
        "isopen": True,
        "state": "active",
        "private": False,
        "type": "dataset",
        "owner_org": "o1",
        "organization": {"id": "o1", "name": "city"},
        "creator_user_id": "u1",
        "metadata_created": "2026-01-01T00:00:00",
        "metadata_modified": "2026-01-02T00:00:00",
        "num_resources": 0,
        "num_tags": 0,
        "relationships_as_subject": [],
        "relationships_as_object": [],
        "extras": [],
        "tags": [],
        "groups": [],
        "resources": [],
    } | fields


UPLOAD = {
    "id": "r1",
    "package_id": "1",
    "position": 0,
    "state": "active",
    "name": "Table",
    "description": "One line a road",
    "url": "http://here/dataset/1/resource/r1/download/roads.csv",
    "url_type": "upload",
    "format": "CSV",
    "mimetype": "text/csv",
    "mimetype_inner": None,
    "size": 42,
    "hash": "abc",
    "created": "2026-01-01T00:00:00",
    "last_modified": "2026-01-01T00:00:00",
    "metadata_modified": "2026-01-02T00:00:00",
    "cache_url": "http://here/cache/1",
    "cache_last_updated": "2026-01-02T00:00:00",
    "datastore_active": True,
    "datastore_contains_all_records_of_source_file": True,
    "archiver": {"is_broken": False},
    "coordinate_system": "EPSG:4326",
}


def prepare(package: dict[str, Any], **how: Any) -> dict[str, Any]:
    return prepared(package, **{"name": "roads", "owner_org": "city", "remote_id": None, **how})


def sealed(fields: dict[str, Any], **how: Any) -> Sealed:
    given = {"marker": MARKER, "resource_ids": {}, "groups": (), "vocabularies": {}, "local_vocabularies": {}, **how}
    return seal(fields, **given)


def test_hooks_get_the_whole_dataset() -> None:
    """What hooks get of a plain dataset is what ``package_show`` says, apart from id, organization, name and owner."""
    package = dataset()
    before = copy.deepcopy(package)
    expected = {**package, "owner_org": "remote-org", "name": "city-roads"}
    del expected["id"], expected["organization"]
    assert prepare(package, name="city-roads", owner_org="remote-org") == expected
    assert prepare(package, name="city-roads", owner_org="remote-org", remote_id="9") == {**expected, "id": "9"}
    assert "name" not in prepare(package, name=None)
    assert package == before


def test_hooks_get_no_state_of_the_push() -> None:
    """The extra that held the remote id stays here; the flag goes along."""
    extras = [{"key": "syndicate", "value": "true"}, {"key": "syndicated_id", "value": "9"}]
    assert prepare(dataset(extras=extras), without_extras=["syndicated_id"])["extras"] == extras[:1]


def test_hooks_get_resources_as_links() -> None:
    """A resource goes with all that is known of it, as a link to where its file is: it is no upload at the target."""
    package = dataset(resources=[UPLOAD])
    resource = prepare(package)["resources"][0]
    assert UPLOAD.keys() - resource.keys() == {"url_type", "cache_url", "cache_last_updated"}
    assert resource["url"] == UPLOAD["url"]
    assert package["resources"] == [UPLOAD]


def test_what_the_target_computes_is_not_sent() -> None:
    """Of a dataset and its resources all is sent but what each portal computes for itself."""
    payload = sealed(prepare(dataset(resources=[UPLOAD], tracking_summary={"total": 1})), resource_ids={"r1": "R1"})
    assert payload.payload == {
        "name": "roads",
        "title": "Roads",
        "notes": "All of them.",
        "author": None,
        "license_id": "cc-by",
        "state": "active",
        "private": False,
        "type": "dataset",
        "owner_org": "city",
        "extras": MARKS,
        "tags": [],
        "groups": [],
        "resources": [
            {
                "id": "R1",
                "name": "Table",
                "description": "One line a road",
                "url": UPLOAD["url"],
                "format": "CSV",
                "mimetype": "text/csv",
                "mimetype_inner": None,
                "size": 42,
                "hash": "abc",
                "created": "2026-01-01T00:00:00",
                "last_modified": "2026-01-01T00:00:00",
                "coordinate_system": "EPSG:4326",
            }
        ],
    }
    assert (payload.groups, payload.dropped, payload.asks) == ((), (), False)


@pytest.mark.parametrize(
    ("extras", "kept", "dropped"),
    [
        (None, {}, 0),
        ([{"key": "a", "value": "1", "state": "active", "id": "e1"}], {"a": "1"}, 0),
        ([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}], {"a": "2"}, 0),
        ([{"key": "a", "value": None}], {}, 0),
        ([{"key": "a", "value": ""}], {"a": ""}, 0),
        ([{"key": "", "value": "1"}, {"value": "1"}], {}, 0),
        ([{"key": " a ", "value": "1"}], {"a": "1"}, 0),
        ([{"key": "title", "value": "1"}, {"key": "notes", "value": "x"}], {}, 2),
        ([{"key": "n", "value": 5}, {"key": "l", "value": ["ä", 1]}], {"n": "5", "l": '["ä", 1]'}, 0),
        ([{"key": "k" * 3000, "value": "1"}], {"k" * 3000: "1"}, 0),
        ([{"key": ORIGIN, "value": "elsewhere"}, {"key": PATH, "value": "x"}], {}, 0),
    ],
)
def test_extras_are_what_ckan_takes(extras: Any, kept: dict[str, str], dropped: int) -> None:
    """Of several extras of a key the last counts; one without a value is none; a field of CKAN cannot be one."""
    result = sealed(prepare(dataset(extras=extras)))
    assert result.payload["extras"] == [*({"key": key, "value": value} for key, value in kept.items()), *MARKS]
    assert len(result.dropped) == dropped


@pytest.mark.parametrize(
    ("groups", "sent", "names", "missing"),
    [
        (None, [], (), 0),
        ([{"id": "g1", "name": "transport", "title": "Transport"}], [{"name": "transport"}], ("transport",), 0),
        ([{"name": "transport"}, {"name": "transport"}], [{"name": "transport"}], ("transport",), 0),
        (["transport"], [{"name": "transport"}], ("transport",), 0),
        ([{"name": "secret"}], [], (), 1),
        ([{"id": "of-a-hook"}], [{"id": "of-a-hook"}], (), 0),
        ([{}], [], (), 0),
    ],
)
def test_groups_are_those_of_the_target(groups: Any, sent: Any, names: tuple[str, ...], missing: int) -> None:
    """Groups are sent by name, and only those that our user may use at the target."""
    result = sealed(prepare(dataset(groups=groups)), groups={"transport", "water"})
    assert (result.payload["groups"], result.groups, len(result.dropped)) == (sent, names, missing)


VOCABULARIES = {"themes": Vocabulary("V1", frozenset(("sea", "land")))}


@pytest.mark.parametrize(
    ("tags", "sent", "missing"),
    [
        (None, [], 0),
        ([{"id": "t1", "name": "roads", "vocabulary_id": None, "state": "active"}], [{"name": "roads"}], 0),
        (["roads", {"name": "roads"}, {"name": ""}], [{"name": "roads"}], 0),
        ([{"name": "sea", "vocabulary_id": "v1"}], [{"name": "sea", "vocabulary_id": "V1"}], 0),
        ([{"name": "sky", "vocabulary_id": "v1"}], [], 1),
        ([{"name": "sea", "vocabulary_id": "v2"}], [], 1),
        ([{"name": "sea", "vocabulary_id": "of-a-hook"}], [{"name": "sea", "vocabulary_id": "of-a-hook"}], 0),
    ],
)
def test_tags_are_those_of_the_target(tags: Any, sent: Any, missing: int) -> None:
    """Tags go without ids; those of a vocabulary go into that of the same name, if it has such a tag."""
    local = {"v1": "themes", "v2": "countries"}
    result = sealed(prepare(dataset(tags=tags)), vocabularies=VOCABULARIES, local_vocabularies=local)
    assert (result.payload["tags"], len(result.dropped)) == (sent, missing)
    assert all(sentence.startswith("Tag s") for sentence in result.dropped)


def test_the_hash_is_of_the_wish() -> None:
    """Whether something changed is known without asking the target what it has."""
    package = prepare(dataset(groups=[{"name": "water"}], tags=[{"name": "sea", "vocabulary_id": "v1"}]))
    local = {"v1": "themes"}
    unasked = sealed(package, groups=None, vocabularies=None, local_vocabularies=local)
    with_all = sealed(package, groups={"water"}, vocabularies=VOCABULARIES, local_vocabularies=local)
    with_none = sealed(package, local_vocabularies=local)
    assert unasked.asks
    assert with_all.payload != with_none.payload
    assert unasked.hash == with_all.hash == with_none.hash


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ({}, False),
        ({"tags": [{"name": "roads"}]}, False),
        ({"groups": [{"name": "water"}]}, True),
        ({"tags": [{"name": "roads"}, {"name": "sea", "vocabulary_id": "v1"}]}, True),
    ],
)
def test_who_need_not_ask_does_not(fields: dict[str, Any], asks: bool) -> None:
    """The target is asked for what it has only if the dataset is in a group, or has a tag of a vocabulary."""
    package = prepare(dataset(**fields))
    assert sealed(package, groups=None, vocabularies=None, local_vocabularies={"v1": "themes"}).asks is asks


def test_the_hash_knows_each_field() -> None:
    """It changes with each field that is sent, and with nothing that is not."""
    plain = sealed(prepare(dataset(resources=[UPLOAD]))).hash
    assert sealed(prepare(dataset(resources=[UPLOAD], num_tags=3, metadata_modified="now"))).hash == plain
    assert sealed(prepare(dataset(resources=[UPLOAD]), remote_id="9")).hash == plain
    others = (
        dataset(resources=[UPLOAD], title="Streets"),
        dataset(resources=[{**UPLOAD, "size": 43}]),
        dataset(resources=[UPLOAD], tags=[{"name": "a"}]),
        dataset(resources=[UPLOAD], groups=[{"name": "a"}]),
        dataset(resources=[UPLOAD], extras=[{"key": "a", "value": "1"}]),
        dataset(resources=[UPLOAD, {**UPLOAD, "id": "r2"}]),
    )
    hashes = [sealed(prepare(other)).hash for other in others] + [plain]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_knows_no_order_of_sets() -> None:
    """The order of tags, groups and extras says nothing, that of resources and of list values does."""
    tags, extras = [{"name": "a"}, {"name": "b"}], [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    one = {"tags": tags, "groups": tags, "extras": extras, "id": "1", "resources": [{"id": "1"}, {"id": "2"}]}
    other = {"resources": one["resources"], "extras": extras[::-1], "groups": tags[::-1], "tags": tags[::-1]}
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash({**one, "resources": one["resources"][::-1]})


def test_what_hooks_leave_is_made_json() -> None:
    """Dates, sets and objects that a hook puts into a payload can be sent, and hashed alike each time."""
    odd = prepare(dataset(issued=datetime.date(2026, 1, 2), languages={"de", "cs"}, place=uuid.UUID(int=1)))
    result = sealed(odd)
    assert json.loads(json.dumps(result.payload)) == result.payload
    assert result.payload["issued"] == "2026-01-02"
    assert result.payload["languages"] == ["cs", "de"]
    assert result.hash == sealed(copy.deepcopy(odd)).hash


def test_sealing_changes_nothing_of_what_it_is_given() -> None:
    """What hooks made can be sealed again."""
    package = prepare(dataset(resources=[UPLOAD], groups=[{"name": "a"}], tags=[{"name": "t"}]))
    before = copy.deepcopy(package)
    sealed(package, resource_ids={"r1": "R1"})
    assert package == before


def test_ids_that_a_hook_chose_stay() -> None:
    """Only ids of resources that are here are exchanged."""
    resources = [{"id": "r1", "url": "u"}, {"id": "own", "url": "v"}, {"url": "w"}]
    result = sealed(prepare(dataset(resources=resources)), resource_ids={"r1": "R1"})
    assert [resource.get("id") for resource in result.payload["resources"]] == ["R1", "own", None]


# -- ids of resources


def test_new_resources_get_lasting_ids() -> None:
    """The id at the target of a new resource is a UUID, the same each time, another one for each profile."""
    resources = [{"id": "r1", "url": "u"}, {"id": "r2", "url": "u"}, {"url": "of a hook"}]
    ids = resource_ids(resources, "p", {})
    assert ids == resource_ids(resources[:2], "p", {})
    assert len({str(uuid.UUID(each)) for each in ids.values()}) == 2
    assert set(ids).isdisjoint(ids.values())
    assert set(ids.values()).isdisjoint(resource_ids(resources, "q", {}).values())
    # they are in the data of portals: never change how they are made
    assert resource_ids([{"id": "r1"}], "p", {}) == {"r1": "b66e7fe3-68c6-5eae-84cd-54a6b180d55e"}


R1 = {"id": "r1", "url": "u1", "name": "one"}
R2 = {"id": "r2", "url": "u2", "name": "two"}
D1 = resource_ids([R1], "p", {})["r1"]


@pytest.mark.parametrize(
    ("resources", "known", "remote", "expected"),
    [
        # recorded
        ([R1], {"r1": "R"}, [], {"r1": "R"}),
        ([R1], {"r1": "R"}, [{"id": D1, "url": "u1", "name": "one"}], {"r1": "R"}),
        ([R1], {"gone": "R"}, [], {"r1": D1}),
        # what must be it
        ([R1], {}, [{"id": "X", "url": "u1", "name": "one"}, {"id": D1, "url": "other"}], {"r1": D1}),
        ([R1], {}, [{"id": "X", "url": "u1", "name": "one"}, {"id": "r1", "url": "other"}], {"r1": "r1"}),
        ([R1], {}, [{"id": "Y", "url": "u1"}, {"id": "X", "url": "u1", "name": "one"}], {"r1": "X"}),
        ([R1], {}, [{"id": "Y", "url": "u1", "name": "renamed"}], {"r1": "Y"}),
        ([R1], {}, [{"id": "Y", "url": "other", "name": "one"}], {"r1": D1}),
        # each only once
        ([R1, {**R1, "id": "r0"}], {}, [{"id": "X", "url": "u1", "name": "one"}], {"r1": "X"}),
        ([R1, R2], {"r1": "X"}, [{"id": "X", "url": "u2", "name": "two"}], {"r1": "X"}),
        # the one that fits better comes first, whatever the order here
        (
            [{**R1, "id": "r0", "name": "other"}, R1],
            {},
            [{"id": "X", "url": "u1", "name": "one"}],
            {"r1": "X"},
        ),
    ],
)
def test_resources_keep_their_ids(resources: Any, known: Any, remote: Any, expected: dict[str, str]) -> None:
    """A resource is known again by what was recorded, by its id, by URL and name, by its URL."""
    ids = resource_ids(resources, "p", known, remote)
    assert {key: ids[key] for key in expected} == expected
    assert len(set(ids.values())) == len(resources)


# -- onto the copy


def test_groups_of_others_stay() -> None:
    """An update keeps the groups that others put the copy into, and takes it out of those that we sent before."""
    payload = {"groups": [{"name": "ours"}]}
    remote = {"id": "9", "groups": [{"name": "ours"}, {"name": "was-ours"}, {"name": "theirs", "id": "g"}]}
    result = onto(payload, remote, ["ours", "was-ours"])
    assert result == {"id": "9", "groups": [{"name": "ours"}, {"name": "theirs"}], "resources": []}
    assert payload == {"groups": [{"name": "ours"}]}


def test_what_the_target_noted_of_a_file_stays() -> None:
    """What the target found out of a file stays while it is the same file and we know nothing better."""
    ours = {"id": "R", "url": "u", "hash": "", "size": None, "mimetype": "text/csv", "format": ""}
    there = {"id": "R", "url": "u", "hash": "h", "size": 5, "mimetype": "x", "datastore_active": True, "note": "n"}
    assert onto({"resources": [ours]}, {"id": "9", "resources": [there]}, ())["resources"] == [
        {**ours, "hash": "h", "size": 5, "datastore_active": True}
    ]
    moved = {**there, "url": "another"}
    assert onto({"resources": [ours]}, {"id": "9", "resources": [moved]}, ())["resources"] == [ours]
