"""The actions answer what ckanext-archiver's do, to those who may see the resource."""

from __future__ import annotations

import ckan.plugins.toolkit as tk
import pytest

from ckanext.archiver.tests.portal import (
    act,
    add_archival,
    add_copy,
    make_dataset,
    make_sysadmin,
    make_user,
    private_dataset,
)

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
