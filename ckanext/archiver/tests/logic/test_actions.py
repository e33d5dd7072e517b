"""The actions answer what ckanext-archiver's do, to those who may see the resource."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan.tests import factories

from ckanext.archiver.tests.portal import (
    act,
    add_archival,
    add_copy,
    make_dataset,
    make_sysadmin,
    make_user,
    private_dataset,
)
from ckanext.archiver.tests.rows import change, link
from ckanext.relay import clock

pytestmark = pytest.mark.usefixtures("archiver_portal")

CONTRACT = [
    "id", "package_id", "resource_id", "resource_timestamp", "status_id", "is_broken", "reason", "url_redirected_to",
    "cache_filepath", "cache_url", "size", "mimetype", "hash", "etag", "last_modified", "first_failure",
    "last_success", "failure_count", "created", "updated", "status", "is_broken_printable",
]  # fmt: skip


def test_a_resource() -> None:
    """The 22 fields of the contract, then what we add; anybody may ask, by GET too."""
    resource = make_dataset()["resources"][0]
    add_copy(resource)
    shown = act("archiver_resource_show", id=resource["id"])
    assert list(shown)[: len(CONTRACT)] == CONTRACT
    assert set(shown) - set(CONTRACT) == {"cause", "verdict", "suspect_since", "checked_url"}
    assert shown["resource_id"] == resource["id"]
    assert (shown["status"], shown["is_broken_printable"]) == ("Archived successfully", "Downloaded OK")
    assert shown["last_success"] == "2026-03-01T12:00:00"
    assert tk.get_action("archiver_resource_show").side_effect_free
    assert tk.get_action("archiver_dataset_show").side_effect_free


def test_where_the_file_is_is_shown_to_sysadmins() -> None:
    """The path tells others about the server."""
    resource = make_dataset()["resources"][0]
    path = add_copy(resource)
    assert act("archiver_resource_show", id=resource["id"])["cache_filepath"] is None
    assert act("archiver_resource_show", make_user()["name"], id=resource["id"])["cache_filepath"] is None
    assert act("archiver_resource_show", make_sysadmin()["name"], id=resource["id"])["cache_filepath"] == path


def test_what_is_missing() -> None:
    """No id, no such resource, no archival."""
    resource = make_dataset()["resources"][0]
    for action in ("archiver_resource_show", "archiver_dataset_show"):
        with pytest.raises(tk.ValidationError):
            act(action)
        with pytest.raises(tk.ObjectNotFound):
            act(action, id="no such thing")
        with pytest.raises(tk.ObjectNotFound):
            act(action, None, id="no such thing")
    with pytest.raises(tk.ObjectNotFound):
        act("archiver_resource_show", id=resource["id"])


def test_a_dataset() -> None:
    """The four fields of the worst link; by name or id; all None if nothing was checked."""
    dataset = make_dataset(resources=[{"url": f"http://data.example/{number}"} for number in range(3)])
    for reference in (dataset["id"], dataset["name"]):
        found = act("archiver_dataset_show", id=reference)
        assert list(found)[:4] == ["status_id", "status", "reason", "is_broken"]
        assert set(found.values()) == {None}
    add_archival(dataset["resources"][0])
    add_archival(dataset["resources"][1], status_id=12, is_broken=True, reason="Server reported status error: 404")
    found = act("archiver_dataset_show", id=dataset["name"])
    assert [found[key] for key in ("status_id", "status", "reason", "is_broken")] == [
        12, "Download error", "Server reported status error: 404", True,
    ]  # fmt: skip


def test_of_a_private_dataset_only_members_hear() -> None:
    """ckanext-archiver answers anybody who knows an id."""
    member, stranger = make_user(), make_user()
    dataset = private_dataset(member)
    resource = dataset["resources"][0]
    add_archival(resource)
    for action, id in (("archiver_resource_show", resource["id"]), ("archiver_dataset_show", dataset["id"])):
        assert act(action, member["name"], id=id)["status_id"] == 0
        for user in ("", stranger["name"]):
            with pytest.raises(tk.NotAuthorized):
                act(action, user, id=id)


def settle(dataset: dict[str, Any], minutes: float) -> None:
    """Let all links of a dataset be checked so many minutes ago."""
    checked = clock.now() - datetime.timedelta(minutes=minutes)
    for resource in dataset["resources"]:
        change("link", resource["id"], lane=None, due=None, checked=checked)


def three_links(**fields: Any) -> dict[str, Any]:
    return make_dataset(resources=[{"url": f"http://data.example/{number}"} for number in range(3)], **fields)


def test_a_link_is_checked_now() -> None:
    """Before what nobody waits for: one link, or all of a dataset; what is asked for already is not asked for twice."""
    dataset = three_links()
    settle(dataset, minutes=10)
    first, second, _ = (resource["id"] for resource in dataset["resources"])
    change("link", second, lane="bulk", due=clock.now())
    assert act("archiver_check_now", None, id=first) == {"asked": 1, "waiting": 0, "too_soon": 0}
    assert link(first).lane == "priority"
    assert act("archiver_check_now", None, id=first) == {"asked": 0, "waiting": 1, "too_soon": 0}
    assert act("archiver_check_now", None, dataset_id=dataset["name"]) == {"asked": 2, "waiting": 1, "too_soon": 0}
    assert {link(resource["id"]).lane for resource in dataset["resources"]} == {"priority"}


def test_a_link_is_not_checked_again_at_once(ckan_config: Any) -> None:
    """Nobody can have a host asked again and again; a new address is another link."""
    dataset = three_links()
    settle(dataset, minutes=0.5)
    resource = dataset["resources"][0]
    assert act("archiver_check_now", None, id=resource["id"]) == {"asked": 0, "waiting": 0, "too_soon": 1}
    assert link(resource["id"]).lane is None
    change("resource", resource["id"], url="http://data.example/new")
    assert act("archiver_check_now", None, dataset_id=dataset["id"]) == {"asked": 1, "waiting": 0, "too_soon": 2}
    ckan_config["ckanext.archiver.check_now_seconds"] = 20
    assert act("archiver_check_now", None, dataset_id=dataset["id"]) == {"asked": 2, "waiting": 1, "too_soon": 0}


def test_a_link_that_is_put_off_is_tried_now() -> None:
    """What had no result by a fault of our own does not wait for its time if a person asks."""
    resource = make_dataset()["resources"][0]
    change("link", resource["id"], lane="bulk", due=clock.now() + datetime.timedelta(hours=1))
    assert act("archiver_check_now", None, id=resource["id"])["asked"] == 1
    assert link(resource["id"]).due <= clock.now()


def test_who_may_have_a_link_checked() -> None:
    """Whoever may edit it: not visitors, not users, not members who only see it."""
    users = {capacity: make_user()["name"] for capacity in ("member", "editor", "admin")}
    members = [{"name": name, "capacity": capacity} for capacity, name in users.items()]
    dataset = make_dataset(owner_org=factories.Organization(users=members)["id"])
    wanted = [{"id": dataset["resources"][0]["id"]}, {"dataset_id": dataset["name"]}]
    for user in ("", make_user()["name"], users["member"]):
        for data in wanted:
            with pytest.raises(tk.NotAuthorized):
                act("archiver_check_now", user, **data)
    for user in (users["editor"], users["admin"], make_sysadmin()["name"]):
        for data in wanted:
            assert act("archiver_check_now", user, **data)["waiting"] == 1
    assert not getattr(tk.get_action("archiver_check_now"), "side_effect_free", False)


def test_what_cannot_be_checked() -> None:
    """Nothing named, both, what is not there, and what is not published."""
    dataset = make_dataset()
    resource = dataset["resources"][0]["id"]
    for data in ({}, {"id": ""}, {"id": resource, "dataset_id": dataset["id"]}):
        with pytest.raises(tk.ValidationError):
            act("archiver_check_now", None, **data)
    for data in ({"id": "none"}, {"dataset_id": "none"}):
        with pytest.raises(tk.ObjectNotFound):
            act("archiver_check_now", make_sysadmin()["name"], **data)
    for state in ("draft", "deleted"):
        change("package", dataset["id"], state=state)
        for data in ({"id": resource}, {"dataset_id": dataset["id"]}):
            with pytest.raises(tk.ValidationError, match="published"):
                act("archiver_check_now", None, **data)
