"""``SynchronizationClient`` against a real CKAN, over HTTP."""

from __future__ import annotations

import inspect
import logging
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ckanapi
import pytest
import requests

from ckanext.relay.errors import ConfigurationError, RelayError, RemoteStatus, RemoteUnavailable
from ckanext.syndicate.syncing import (
    DEFAULTS,
    HARVEST_SOURCE_ID_FIELD,
    BadSource,
    Failure,
    Forbidden,
    Refused,
    SynchronizationClient,
    SyncResult,
    SyncStopped,
)
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.target_proxy import (
    cut_off,
    hang_after,
    html,
    redirect,
    reset,
    reset_after,
    status,
    too_many,
)

Dict = dict[str, Any]
SIX = ("aa", "bb", "cc", "dd", "ee", "ff")


def dataset(name: str, **fields: Any) -> Dict:
    """Return a dataset as a source gives it."""
    return {
        "name": name,
        "title": f"All about {name}",
        "notes": "What it is about.",
        "license_id": "cc-by",
        "owner_org": "city",
        "groups": [],
        "tags": ["water", "roads"],
        "extras": {"contact": "office@city.example", "rank": 7},
        "resources": [{"name": "Table", "url": f"https://files.city.example/{name}.csv", "format": "csv"}],
        **fields,
    }


def source(*names: str, groups: tuple[str, ...] = (), **datasets: Dict) -> Dict:
    """Return the data of a source: one dataset a name, with the name as its id, and those that are given."""
    return {
        "dataset": {name: dataset(name) for name in names} | datasets,
        "group": {name: {"name": name, "title": name.title()} for name in groups},
        "organization": {"city": {"name": "city", "title": "The City"}},
    }


@pytest.fixture
def client(target: Target) -> Callable[..., SynchronizationClient]:
    """Makes clients of the portal; a request is tried again after a moment."""

    def make(**options: Any) -> SynchronizationClient:
        return SynchronizationClient(target.url, target.token, **{"timeout": 20, **options})

    return make


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckanext.syndicate.remote_portal._FIRST_PAUSE", 0.05)


def there(target: Target) -> dict[str, Dict]:
    """Return all datasets of the portal by name."""
    found = target.call("package_search", rows=1000, include_private=True, include_drafts=True)["results"]
    return {each["name"]: each for each in found}


def somebody(target: Target) -> Dict:
    """Return a new user of the portal."""
    name = f"user-{time.time_ns()}"
    return dict(target.call("user_create", name=name, email=f"{name}@city.example", password="correct horse"))


def marker(shown: Dict) -> str | None:
    return next((each["value"] for each in shown["extras"] if each["key"] == HARVEST_SOURCE_ID_FIELD), None)


def markers(target: Target) -> dict[str, str | None]:
    return {name: marker(each) for name, each in there(target).items()}


# -- the whole of it


def test_everything_arrives(target: Target, client: Any) -> None:
    """Datasets of a source arrive with groups and organization, marked, and the result says so."""
    result = client().sync("src", source("aa", groups=("rivers",), bb=dataset("bb", groups=["rivers"], private=True)))
    assert isinstance(result, SyncResult)
    assert result
    assert set(result.created) == {"aa", "bb"}
    assert result.groups.created == ("rivers",)
    assert result.organizations.created == ("city",)
    shown = there(target)
    assert result.ids == {"aa": shown["aa"]["id"], "bb": shown["bb"]["id"]}
    assert markers(target) == {"aa": "src:aa", "bb": "src:bb"}
    a, b = shown["aa"], shown["bb"]
    assert (a["title"], a["license_id"], a["organization"]["title"]) == ("All about aa", "cc-by", "The City")
    assert {tag["name"] for tag in a["tags"]} == {"water", "roads"}
    assert {"key": "rank", "value": "7"} in a["extras"]
    assert [group["name"] for group in b["groups"]] == ["rivers"]
    assert (a["private"], b["private"]) == (False, True)


def test_a_second_run_changes_nothing(target: Target, client: Any) -> None:
    """What is as it should be costs no request of its own, and the result says so."""
    data = source(*(f"d{number}" for number in range(6)), groups=("rivers",))
    data["dataset"]["d1"]["resources"][0] |= {"size": "12", "last_modified": "2026-01-02"}
    data["dataset"]["d2"] |= {"groups": ["rivers"], "author": None, "url": "", "tags": []}
    data["dataset"]["d3"] |= {"version": "1.2", "isopen": True, "metadata_created": "2001-01-01", "num_resources": 3}
    assert client().sync("src", data).counts["created"] == 6
    before = there(target)
    target.proxy.well()
    result = client().sync("src", data)
    assert result
    assert (len(result.unchanged), result.created, result.updated, result.deleted) == (6, (), (), ())
    assert target.proxy.writes() == []
    assert target.proxy.counts().total() <= 4, target.proxy.counts()
    assert there(target) == before


def test_one_change_is_one_request(target: Target, client: Any) -> None:
    """One field that changed is one request; resources keep their ids, and what the source does not know stays."""
    client().sync("src", source("aa", "bb"))
    before = there(target)["aa"]
    held = dict(before["resources"][0], cache_url="https://cache.example/1", own_field="kept")
    target.call("package_patch", id=before["id"], resources=[held], version="7")
    data = source("aa", "bb")
    data["dataset"]["aa"]["title"] = "Another title"
    data["dataset"]["aa"]["resources"][0]["description"] = "Rows"
    target.proxy.well()
    result = client().sync("src", data)
    assert (result.updated, result.unchanged) == (("aa",), ("bb",))
    assert [call.action for call in target.proxy.writes()] == ["package_patch"]
    after = there(target)["aa"]
    resource = after["resources"][0]
    assert (after["id"], after["title"], after["version"]) == (before["id"], "Another title", "7")
    assert (resource["id"], resource["description"]) == (before["resources"][0]["id"], "Rows")
    assert (resource["cache_url"], resource["own_field"]) == ("https://cache.example/1", "kept")


def test_edits_at_the_portal_are_taken_back(target: Target, client: Any) -> None:
    """The source is right, also against what somebody changed at the portal; what it leaves out is emptied."""
    client().sync("src", source("aa"))
    a = there(target)["aa"]
    extras = [*a["extras"], {"key": "added", "value": "x"}]
    target.call("package_patch", id=a["id"], title="Vandalized", author="Somebody", extras=extras)
    assert client().sync("src", source("aa")).updated == ("aa",)
    after = there(target)["aa"]
    assert (after["title"], after["author"] or "") == ("All about aa", "")
    assert "added" not in {extra["key"] for extra in after["extras"]}


# -- strategies

_GROUPS = {"g1": "G1", "g2": "G2", "g3": "G3"}


@pytest.mark.parametrize(
    ("options", "name", "organization", "groups"),
    [
        ({}, "old-name", "city", {"g1", "g2", "g3"}),
        ({"dataset_preserve_names": False}, "new-name", "city", {"g1", "g2", "g3"}),
        ({"dataset_preserve_organization": False}, "old-name", "state", {"g1", "g2", "g3"}),
        ({"dataset_group_merge_strategy": "replace"}, "old-name", "city", {"g2", "g3"}),
        ({"dataset_group_merge_strategy": "preserve"}, "old-name", "city", {"g1", "g2"}),
    ],
)
def test_merging_of_datasets(
    target: Target, client: Any, options: Dict, name: str, organization: str, groups: set[str]
) -> None:
    """Name, organization and groups of a dataset that is there are merged by the options; a second run is quiet."""
    both = {"city": {"title": "City"}, "state": {"title": "State"}}
    before = {**source(x=dataset("old-name", groups=["g1", "g2"]), groups=tuple(_GROUPS)), "organization": both}
    after = {
        **before,
        "dataset": {"x": dataset("new-name", title="New", owner_org="state", groups=["g2", "g3"])},
    }
    client().sync("src", before)
    assert client(**options).sync("src", after).updated == ("x",)
    (shown,) = there(target).values()
    assert (shown["name"], shown["organization"]["name"], shown["title"]) == (name, organization, "New")
    assert {group["name"] for group in shown["groups"]} == groups
    assert client(**options).sync("src", after).unchanged == ("x",)


@pytest.mark.parametrize("kind", ["group", "organization"])
@pytest.mark.parametrize(
    ("strategy", "state", "expected", "noted"),
    [
        ("create", None, ("New title", "active", {"n": "2"}), "created"),
        ("create", "active", ("Old title", "active", {"o": "1"}), "unchanged"),
        ("create", "deleted", ("Old title", "active", {"o": "1"}), "updated"),
        ("update", None, ("New title", "active", {"n": "2"}), "created"),
        ("update", "active", ("New title", "active", {"n": "2"}), "updated"),
        ("update", "deleted", ("New title", "active", {"n": "2"}), "updated"),
    ],
)
def test_merging_of_groups(
    target: Target,
    client: Any,
    kind: str,
    strategy: str,
    state: str | None,
    expected: tuple[str, str, Dict],
    noted: str,
) -> None:
    """Missing ones are created, deleted ones come back, and only ``update`` changes those that are there; their members
    and what the source leaves out stay."""
    user = somebody(target)
    if state:
        made = target.call(
            f"{kind}_create",
            name="one",
            title="Old title",
            description="Mine",
            extras=[{"key": "o", "value": "1"}],
            users=[{"name": user["name"], "capacity": "editor"}],
        )
        if state == "deleted":
            target.call(f"{kind}_delete", id=made["id"])
    record = {"name": "one", "title": "New title", "extras": {"n": 2}, "users": [], "packages": 3}
    data = {"dataset": {}, "group": {}, "organization": {}, kind: {"one": record}}
    options = {f"{kind}_merge_strategy": strategy}
    result = client(**options).sync("src", data)
    assert getattr(getattr(result, f"{kind}s"), noted) == ("one",)
    shown = target.call(f"{kind}_show", id="one", include_users=True)
    assert (shown["title"], shown["state"], {e["key"]: e["value"] for e in shown["extras"]}) == expected
    if state == "active":
        assert user["name"] in {each["name"] for each in shown["users"]}, "members are the portal's"
    if state:
        assert shown["description"] == "Mine"
    target.proxy.well()
    assert getattr(client(**options).sync("src", data), f"{kind}s").unchanged == ("one",)
    assert target.proxy.writes() == []


def test_options_are_read_in_each_run(target: Target, client: Any) -> None:
    """``_conf`` may be changed between runs, and an option given to a run counts for that run only."""
    syncing = client()
    data = {"dataset": {}, "group": {"gg": {"title": "One"}}, "organization": {}}
    syncing.sync("src", data)
    data["group"]["gg"]["title"] = "Two"
    assert syncing.sync("src", data, group_merge_strategy="update").groups.updated == ("gg",)
    data["group"]["gg"]["title"] = "Three"
    assert syncing.sync("src", data).groups.unchanged == ("gg",)
    syncing._conf["group_merge_strategy"] = "update"
    assert syncing.sync("src", data).groups.updated == ("gg",)
    syncing._conf["group_merge_strategy"] = "upsert"
    with pytest.raises(ValueError, match="group_merge_strategy is 'upsert'; it is one of create, update"):
        syncing.sync("src", data)


# -- whose datasets they are


def test_ids_of_any_kind(target: Target, client: Any) -> None:
    """Ids may have colons, spaces and letters of any language, and may be numbers; they are found again."""
    ids = ["urn:x:1", 7, "a b", "ü/ß?*", '"quoted" \\', "AND OR", "50%"]
    data = source()
    data["dataset"] = {each: dataset(f"d{number}") for number, each in enumerate(ids)}
    assert set(client().sync("src", data).created) == set(map(str, ids))
    result = client().sync("src", data)
    assert set(result.unchanged) == set(map(str, ids)), result
    assert set(client()._find_datasets_by_source("src")) == set(map(str, ids))


def test_other_sources_are_left_alone(target: Target, client: Any) -> None:
    """Neither datasets of sources with similar names nor those with strange markers are touched."""
    names = ["a-b", "a_b", "ä-b", "a-b-c"]
    for number, name in enumerate(names):
        client().sync(name, source(f"d{number}"))
    foreign = [{"key": HARVEST_SOURCE_ID_FIELD, "value": value} for value in ("a-b", ":", "", "a-b:d0:x")]
    for number, extra in enumerate(foreign[:3]):
        target.call("package_create", name=f"foreign-{number}", extras=[extra], owner_org="city")
    result = client().sync("a-b", source(), max_delete="all")
    assert result.deleted == ("d0",)
    assert set(there(target)) == {f"d{number}" for number in range(1, len(names))} | {
        f"foreign-{number}" for number in range(3)
    }


def test_names_of_sources_without_a_colon(client: Any) -> None:
    """A name with a colon would make markers ambiguous."""
    with pytest.raises(ValueError, match="cannot be the name of a source"):
        client().sync("a:b", source("aa"))


# -- deletion


def test_an_empty_source_deletes_nothing(target: Target, client: Any) -> None:
    """A source that has lost everything is more likely to be broken; who means it says so."""
    client().sync("src", source("aa", "bb"))
    result = client().sync("src", source())
    assert not result
    assert (set(result.held), result.deleted) == ({"aa", "bb"}, ())
    assert set(there(target)) == {"aa", "bb"}
    result = client().sync("src", source(), max_delete="all")
    assert result
    assert set(result.deleted) == {"aa", "bb"}
    assert result.ids == {}
    assert there(target) == {}


def test_a_truncated_source_deletes_nothing(target: Target, client: Any) -> None:
    """More than a few deletions are held back, all of them, while everything else is done."""
    client().sync("src", source(*SIX))
    data = source("aa", "fresh")
    data["dataset"]["aa"]["title"] = "Changed"
    result = client().sync("src", data)
    assert (result.created, result.updated, set(result.held)) == (("fresh",), ("aa",), set(SIX[1:]))
    assert set(there(target)) == {*SIX, "fresh"}
    result = client(max_delete=5).sync("src", data)
    assert (set(result.unchanged), set(result.deleted)) == ({"aa", "fresh"}, set(SIX[1:]))
    assert set(there(target)) == {"aa", "fresh"}


def test_a_few_datasets_are_deleted(target: Target, client: Any) -> None:
    """What a source has no more is deleted after the rest is done."""
    client().sync("src", source("aa", "bb", "cc"))
    target.proxy.well()
    result = client().sync("src", source("aa", "bb", "fresh"))
    assert (result.created, result.deleted) == (("fresh",), ("cc",))
    assert [call.action for call in target.proxy.writes()] == ["package_create", "package_delete"]
    assert set(there(target)) == {"aa", "bb", "fresh"}


def test_a_dry_run_writes_nothing(target: Target, client: Any) -> None:
    """A dry run says what would be done, and sends nothing that changes anything."""
    client().sync("src", source("aa", "bb", "cc"))
    before = there(target)
    data = source("aa", "bb", "fresh", groups=("rivers",))
    data["dataset"]["aa"]["title"] = "Changed"
    data["dataset"]["fresh"]["groups"] = ["rivers"]
    target.proxy.well()
    result = client().sync("src", data, dry_run=True)
    assert result.dry_run
    assert (result.created, result.updated, result.unchanged, result.deleted) == (("fresh",), ("aa",), ("bb",), ("cc",))
    assert result.groups.created == ("rivers",)
    assert target.proxy.writes() == []
    assert there(target) == before
    real = client().sync("src", data)
    assert real.counts == result.counts


# -- names


def test_a_name_of_somebody_else(target: Target, client: Any) -> None:
    """A taken name gets digits, once and for all; who has it is left alone."""
    target.call("organization_create", name="city")
    target.call("package_create", name="aa", owner_org="city", title="Foreign")
    for options in ({}, {"dataset_preserve_names": False}):
        client(**options).sync("src", source("aa"))
        names = set(there(target))
        assert len(names) == 2
        (own,) = names - {"aa"}
        assert own.removeprefix("aa-").isdecimal()
        assert len(own) == len("aa-123456")
    assert there(target)["aa"]["title"] == "Foreign"
    target.proxy.well()
    assert client(dataset_preserve_names=False).sync("src", source("aa")).unchanged == ("aa",)
    assert target.proxy.writes() == []


def test_a_private_dataset_has_the_name(target: Target, client: Any) -> None:
    """A name is also taken if our user may not see by whom."""
    target.call("organization_create", name="hidden")
    target.call("package_create", name="aa", owner_org="hidden", private=True)
    user = somebody(target)
    target.call("organization_create", name="city", users=[{"name": user["name"], "capacity": "editor"}])
    token = target.call("api_token_create", user=user["name"], name="sync")["token"]
    result = SynchronizationClient(target.url, token).sync("src", source("aa"))
    assert result.created == ("aa",)
    assert len(there(target)) == 2


def test_long_names(target: Target, client: Any) -> None:
    """New names have eighty characters at most, also where two begin alike."""
    name = "x" * 90
    result = client().sync("src", source(one=dataset(name), two=dataset(name + "y")))
    assert len(result.created) == 2
    lengths = sorted(map(len, there(target)))
    assert lengths == [80, 87]
    assert set(
        client(dataset_preserve_names=False).sync("src", source(one=dataset(name), two=dataset(name + "y"))).unchanged
    ) == {"one", "two"}


def test_a_name_is_freed(target: Target, client: Any) -> None:
    """A new dataset gets the name of one that is deleted in the same run."""
    client().sync("src", source("aa", "bb", old=dataset("wanted")))
    result = client().sync("src", source("aa", "bb", fresh=dataset("wanted")))
    assert (result.created, result.deleted) == (("fresh",), ("old",))
    assert markers(target) == {"aa": "src:aa", "bb": "src:bb", "wanted": "src:fresh"}


def test_a_name_that_is_held(target: Target, client: Any) -> None:
    """If that one may not be deleted, no second copy is made under another name."""
    client().sync("src", source(old=dataset("wanted")))
    result = client().sync("src", source(fresh=dataset("wanted")), max_delete=0)
    assert (result.held, result.untried, result.created) == (("old",), ("fresh",), ())
    assert markers(target) == {"wanted": "src:old"}


def test_names_that_move_on(target: Target, client: Any) -> None:
    """Datasets that take each other's names get them; those that swap them get digits."""
    options = {"dataset_preserve_names": False}
    client().sync("src", source(one=dataset("aa"), two=dataset("bb"), three=dataset("cc")))
    data = source(one=dataset("bb"), two=dataset("cc"), three=dataset("dd"), four=dataset("aa"))
    client(**options).sync("src", data)
    assert markers(target) == {"bb": "src:one", "cc": "src:two", "dd": "src:three", "aa": "src:four"}
    client(**options).sync("src", source(one=dataset("cc"), two=dataset("bb"), three=dataset("dd"), four=dataset("aa")))
    assert set(markers(target).values()) == {"src:one", "src:two", "src:three", "src:four"}


# -- what goes wrong


def test_the_first_error_stops(target: Target, client: Any) -> None:
    """What the portal does not take stops the run, and the error says what was done until then."""
    data = source("aa", bad=dataset("bad", tags=["a/b!"]), cc=dataset("cc"))
    client().sync("src", source("zz"))
    with pytest.raises(SyncStopped) as raised:
        client().sync("src", data)
    result = raised.value.result
    assert isinstance(raised.value.__cause__, Refused)
    assert (result.created, result.untried) == (("aa",), ("cc", "zz"))
    (failure,) = result.failed
    assert (failure.kind, failure.source_id, failure.step) == ("dataset", "bad", "create")
    assert "tags" in failure.reason
    assert set(there(target)) == {"aa", "zz"}, "nothing was deleted"


def test_going_on_after_an_error(target: Target, client: Any) -> None:
    """One bad dataset does not keep the others back; its name gets no digits, for it is not the name."""
    data = source("aa", "cc", bad=dataset("bad", tags=["a/b!"]), worse=dataset("Not a name!"))
    target.proxy.well()
    result = client(on_error="continue").sync("src", data)
    assert not result
    assert {each.source_id for each in result.failed} == {"bad", "worse"}
    assert set(result.created) == {"aa", "cc"}
    assert target.proxy.counts()["package_create"] == 4
    assert result.counts == {
        "created": 2, "updated": 0, "unchanged": 0, "deleted": 0, "held": 0, "untried": 0, "failed": 2,
    }  # fmt: skip


def test_a_group_that_cannot_be_made(target: Target, client: Any) -> None:
    """Datasets that need what could not be made fail with that reason; the others go on."""
    data = source("aa", groups=("Not a name!",), bb=dataset("bb", groups=["Not a name!"]))
    result = client(on_error="continue").sync("src", data)
    assert result.created == ("aa",)
    assert [(each.kind, each.source_id) for each in result.failed] == [("group", "Not a name!"), ("dataset", "bb")]
    assert "group Not a name! could not be written" in result.failed[1].reason
    with pytest.raises(SyncStopped) as raised:
        client().sync("src", data)
    assert set(raised.value.result.untried) == {"aa", "bb"}


@pytest.mark.parametrize("fault", [status(502), status(500), reset, reset_after, cut_off])
def test_a_portal_that_fails_for_a_moment(target: Target, client: Any, fault: Any) -> None:
    """A request that fails is sent again, and what was created all the same is not created twice."""
    for action in ("package_create", "package_search", "organization_create", "organization_list"):
        target.proxy.fail(action, fault)
    result = client().sync("src", source("aa", "bb"))
    assert result
    assert markers(target) == {"aa": "src:aa", "bb": "src:bb"}
    data = source("aa", "bb")
    data["dataset"]["aa"]["title"] = "Changed"
    del data["dataset"]["bb"]
    target.proxy.fail("package_patch", fault)
    target.proxy.fail("package_delete", fault)
    result = client().sync("src", data)
    assert (result.updated, result.deleted) == (("aa",), ("bb",))
    assert there(target)["aa"]["title"] == "Changed"


def test_retry_after_is_honoured(target: Target, client: Any) -> None:
    """A portal that says when to come again is not asked before; too long a time is an error."""
    target.proxy.fail("package_create", too_many(2))
    client().sync("src", source("aa"))
    first, second = (call.at for call in target.proxy.calls if call.action == "package_create")
    assert second - first >= 2
    target.proxy.fail("package_create", too_many(7200), times=9)
    begun = time.monotonic()
    with pytest.raises(SyncStopped) as raised:
        client().sync("src", source("aa", "bb"))
    assert isinstance(raised.value.__cause__, RemoteStatus)
    assert time.monotonic() - begun < 30


def test_a_portal_that_goes_down(target: Target, client: Any) -> None:
    """A portal that fails for good ends the run, whatever is left, and deletes nothing; the next run does it."""
    client().sync("src", source("old"))
    data = source(*(f"d{number}" for number in range(8)))
    target.proxy.fail("package_create", status(503), times=1000, skip=2)
    result = client(on_error="continue", retries=1).sync("src", data, max_delete="all")
    assert not result
    assert result.stopped
    assert "failed 3 times in a row" in result.stopped
    assert (len(result.created), len(result.failed), len(result.untried)) == (2, 3, 4)
    assert "old" in there(target)
    target.proxy.well()
    result = client().sync("src", data, max_delete="all")
    assert result
    assert (len(result.created), len(result.unchanged), result.deleted) == (6, 2, ("old",))


def test_no_answer_to_a_creation(target: Target, client: Any) -> None:
    """A creation whose answer is not waited for any longer is found, not repeated under another name."""
    target.proxy.fail("package_create", hang_after, times=1)
    assert client(timeout=3).sync("src", source("aa", "bb"))
    assert markers(target) == {"aa": "src:aa", "bb": "src:bb"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [(html, RelayError), (redirect, RelayError), (status(404), RemoteStatus), (reset, RemoteUnavailable)],
)
def test_no_portal(target: Target, client: Any, fault: Any, error: type[RelayError]) -> None:
    """Whatever else answers is an error that names the address; nothing is written."""
    target.proxy.fail("*", fault, times=100)
    with pytest.raises(error, match=target.url):
        client(retries=1).sync("src", {"dataset": {}, "group": {}, "organization": {}})
    assert target.proxy.writes() == []


def test_bad_data_writes_nothing(target: Target, client: Any) -> None:
    """What is wrong with the data is found before anything is written."""
    data = source("aa", groups=("gg",), bb=dataset("bb", owner_org="nobody"))
    with pytest.raises(KeyError, match="organization 'nobody' is not among") as raised:
        client().sync("src", data)
    assert isinstance(raised.value, BadSource)
    assert target.proxy.calls == []


def test_a_value_that_is_no_json(client: Any) -> None:
    """A value that cannot be sent fails alone."""
    result = client(on_error="continue").sync("src", source("aa", bb=dataset("bb", version=object())))
    assert result.created == ("aa",)
    assert "cannot be written as JSON" in result.failed[0].reason


def test_fields_that_the_portal_does_not_keep(target: Target, client: Any) -> None:
    """A field that the portal ignores is said, and does not make each run send everything again."""
    data = source(*(f"d{number}" for number in range(6)))
    for each in data["dataset"].values():
        each["spatial_resolution"] = "10 m"
    assert client().sync("src", data).ignored_fields == ("spatial_resolution",)
    target.proxy.well()
    result = client().sync("src", data)
    assert (len(result.unchanged), result.updated) == (6, ())
    assert len(target.proxy.writes()) == 1


# -- how it is done


def test_several_threads(target: Target, client: Any) -> None:
    """Several threads do the same as one, no faster than they may, and report progress in order."""
    seen: list[tuple[int, int]] = []
    options = {"threads": 4, "requests_per_second": 40, "progress": lambda done, of: seen.append((done, of))}
    data = source(*(f"d{number}" for number in range(10)))
    begun = time.monotonic()
    result = client(**options).sync("src", data)
    assert time.monotonic() - begun > 10 / 40
    assert set(result.created) == set(data["dataset"])
    assert seen == [(done, 10) for done in range(1, 11)]
    assert len(there(target)) == 10
    for each in data["dataset"].values():
        each["title"] = "Changed"
    result = client(threads=4).sync("src", data)
    assert set(result.updated) == set(data["dataset"])
    target.proxy.fail("package_patch", status(503), times=1000)
    for each in data["dataset"].values():
        each["title"] = "Changed again"
    result = client(threads=4, retries=0, on_error="continue").sync("src", data)
    assert result.stopped
    assert len(result.failed) + len(result.untried) == 10


def test_more_than_a_page(target: Target, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasets are found page by page, private ones, too."""
    monkeypatch.setattr("ckanext.syndicate.remote.ROWS", 2)
    data = source(*(f"d{number}" for number in range(4)), pp=dataset("pp", private=True))
    client().sync("src", data)
    target.proxy.well()
    assert len(client().sync("src", data).unchanged) == 5
    assert target.proxy.counts()["package_search"] == 3


def test_the_token_is_nowhere(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what is printed of a client nor logs, results and errors show the token."""
    caplog.set_level(logging.DEBUG)
    token = "s3cr3t-t0ken-of-nobody"
    url = target.url.replace("http://", "http://user:pa55w0rd@")
    client = SynchronizationClient(url, token, on_error="continue")
    result = client.sync("src", {"dataset": {}, "group": {"gg": {}}, "organization": {}})
    (failure,) = result.failed
    assert isinstance(failure.error, Forbidden)
    with pytest.raises(SyncStopped) as raised:
        client.sync("src", {"dataset": {}, "group": {"gg": {}}, "organization": {}}, on_error="stop")
    shown = [repr(each) for each in (client, vars(client), client._client.profile, result, raised.value, failure)]
    shown += [str(result.as_dict()), str(raised.value), caplog.text]
    for secret in (token, "pa55w0rd"):
        assert not any(secret in text for text in shown)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"merge": 1}, TypeError, "There is no option merge"),
        ({"group_merge_strategy": "upsert"}, ValueError, "one of create, update"),
        ({"dataset_group_merge_strategy": "merge"}, ValueError, "one of add, replace, preserve"),
        ({"on_error": "ignore"}, ValueError, "one of continue, stop"),
        ({"max_delete": 0.5}, ValueError, "max_delete is 0.5"),
        ({"threads": 0}, ValueError, "threads is 0"),
        ({"progress": "yes"}, ValueError, "progress is no function"),
        ({"requests_per_second": 0}, ConfigurationError, "must be more than 0"),
        ({"timeout": 0}, ConfigurationError, "timeout of 0"),
        ({"retries": -1}, ConfigurationError, "must not be less than 0"),
        ({"session": requests.Session()}, ConfigurationError, "session is no function"),
    ],
)
def test_options_that_there_are_not(options: Dict, error: type[Exception], says: str) -> None:
    """Wrong options are errors at once."""
    with pytest.raises(error, match=says):
        SynchronizationClient("https://portal.example", "token", **options)
    if not issubclass(error, ConfigurationError):
        with pytest.raises(error, match=says):
            SynchronizationClient("https://portal.example").sync("src", source(), **options)


@pytest.mark.parametrize("url", ["", "portal.example", "ftp://portal.example", "http://[", None])
def test_what_is_no_address(url: Any) -> None:
    """An address that is none is an error at once."""
    with pytest.raises((ConfigurationError, AttributeError)):
        SynchronizationClient(url, "token")._client.profile.ckan_url  # noqa: B018


def test_an_own_session(target: Target) -> None:
    """Who wants proxies, headers or limits gives sessions that have them."""
    made: list[requests.Session] = []

    def session() -> requests.Session:
        made.append(requests.Session())
        made[-1].headers["X-Asked-By"] = "a test"
        return made[-1]

    data = source(*(f"d{number}" for number in range(6)))
    assert SynchronizationClient(target.url, target.token, session=session, threads=3).sync("src", data)
    assert len(made) >= 3


def test_another_client_of_the_api(target: Target) -> None:
    """An object that returns clients of ckanapi takes the place of an address."""

    class Profile:
        ckan_url = target.url

        def get_target(self) -> Any:
            return ckanapi.RemoteCKAN(target.url, apikey=target.token)

    assert SynchronizationClient(Profile()).sync("src", source("aa")).created == ("aa",)


def test_the_documented_members(target: Target, client: Any) -> None:
    """Programs written for the older client use some members that begin with an underscore."""
    syncing = client()
    ids = syncing._upsert_groups({"gg": {"title": "G"}}) | syncing._upsert_organizations({"city": {}})
    assert ids == {
        "gg": target.call("group_show", id="gg")["id"],
        "city": target.call("organization_show", id="city")["id"],
    }
    assert syncing._upsert_groups({"gg": {"title": "G"}}) == {"gg": ids["gg"]}
    syncing.sync("src", source("aa", groups=("gg",)))
    found = syncing._find_datasets_by_source("src")
    assert found["aa"]["extras"][HARVEST_SOURCE_ID_FIELD] == "src:aa"
    assert (found["aa"]["tags"], found["aa"]["owner_org"]) == (["roads", "water"], "city")
    assert syncing._compare_collections({1: 1, 2: 2, 3: 3}, {2: 2, 3: 4, 5: 5}) == {
        "common": {2, 3}, "differing": {3}, "left": {1}, "right": {5},
    }  # fmt: skip
    assert syncing._parse_source_id(syncing._join_source_id("src", "a:b")) == ("src", "a:b")
    assert syncing._merge_datasets(found["aa"], dataset("fresh"))["name"] == "aa"
    with pytest.raises(Refused):
        syncing._upsert_groups({"Not a name!": {}})


def test_it_needs_no_ckan() -> None:
    """The client can be imported and made where CKAN is not installed."""
    code = """
import sys
for name in ("ckan", "celery", "flask", "sqlalchemy"):
    sys.modules[name] = None  # as if it were not there
from ckanext.syndicate.syncing import SynchronizationClient
print(SynchronizationClient("https://user:secret@portal.example", "token"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "SynchronizationClient('https://********@portal.example')"


def test_failures_can_be_shown() -> None:
    """A failure says what it is without the error object."""
    failure = Failure("dataset", "1", "create", "no", RelayError("no"))
    assert "RelayError" not in repr(failure)


def test_the_example_of_the_guide(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    """The example in docs/synchronization-client.rst runs, and prints what stands there."""
    guide = Path(__file__, "../../../../docs/synchronization-client.rst").resolve()
    if not guide.exists():
        pytest.skip("the documentation is not installed")
    blocks = re.findall(r"\.\. code-block:: (?:python|text)\n\n((?:   .*\n|\n)+)", guide.read_text())
    example, printed = (textwrap.dedent(block) for block in blocks[:2])
    exec(example.replace("https://portal.example.org", target.url), {"token": target.token})
    assert capsys.readouterr().out.strip() == printed.strip()


def test_the_guide_names_all_options() -> None:
    """Each option and its default stand in docs/synchronization-client.rst."""
    guide = Path(__file__, "../../../../docs/synchronization-client.rst").resolve()
    if not guide.exists():
        pytest.skip("the documentation is not installed")
    documented = dict(re.findall(r"\* - ``(\w+)``\n     - ``(.+)``\n", guide.read_text()))
    own = inspect.signature(SynchronizationClient).parameters.values()
    options = {each.name: each.default for each in own if each.kind is each.KEYWORD_ONLY} | dict(DEFAULTS)
    assert documented == {name: str(default) for name, default in options.items()}
