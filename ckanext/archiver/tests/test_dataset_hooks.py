"""What is known of links is in each dataset that is shown, and in none that is saved."""

from __future__ import annotations

import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.lib import search
from ckan.tests import factories, helpers
from ckanext.activity.model import Activity

from ckanext.archiver.model import Archival
from ckanext.archiver.tests.portal import (
    act,
    add_archival,
    add_copy,
    make_dataset,
    make_sysadmin,
    make_user,
)
from ckanext.relay.search import index

pytestmark = pytest.mark.usefixtures("archiver_portal")

CONTRACT = [
    "resource_timestamp", "status_id", "is_broken", "reason", "url_redirected_to", "cache_filepath", "cache_url",
    "size", "mimetype", "hash", "etag", "last_modified", "first_failure", "last_success", "failure_count", "created",
    "updated", "status", "is_broken_printable",
]  # fmt: skip


@pytest.fixture
def dataset() -> dict[str, Any]:
    return make_dataset(resources=[{"url": f"http://data.example/{number}", "format": "CSV"} for number in range(2)])


def saved_extras(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    model.Session.expire_all()
    package = model.Package.get(dataset["id"])
    return [*(resource.extras for resource in package.resources_all), package.extras]


def test_a_dataset_that_was_not_checked_says_nothing(dataset: dict[str, Any]) -> None:
    """Neither it nor its resources."""
    shown = act("package_show", id=dataset["id"])
    assert "archiver" not in shown
    assert not any("archiver" in resource for resource in shown["resources"])


def test_a_dataset_and_its_resources_say_what_is_known(dataset: dict[str, Any]) -> None:
    """The dataset in short, each checked resource the 19 fields of the contract and what we add, as it is now."""
    first, second = dataset["resources"]
    add_copy(first)
    shown = act("package_show", id=dataset["name"])
    assert list(shown["archiver"])[:4] == ["status_id", "status", "reason", "is_broken"]
    assert (shown["archiver"]["status_id"], shown["archiver"]["is_broken"]) == (0, False)
    of_first = shown["resources"][0]["archiver"]
    assert list(of_first)[:19] == CONTRACT
    assert set(of_first) - set(CONTRACT) == {"cause", "verdict", "suspect_since", "checked_url"}
    assert "archiver" not in shown["resources"][1]
    assert act("resource_show", id=first["id"])["archiver"] == of_first
    add_archival(second, status_id=12, is_broken=True, reason="Connection timed out after 30s")
    shown = act("package_show", id=dataset["id"])
    assert (shown["archiver"]["status"], shown["archiver"]["reason"]) == (
        "Download error", "Connection timed out after 30s",
    )  # fmt: skip
    assert json.dumps(shown)


def test_it_is_read_from_the_database_not_from_the_index(dataset: dict[str, Any]) -> None:
    """CKAN answers from Solr, which may be older; what is no more is not shown."""
    resource = dataset["resources"][0]
    archival = add_archival(resource)
    index([dataset["id"]])
    archival.status_id, archival.is_broken = 12, True
    model.Session.commit()
    assert act("package_show", id=dataset["id"])["resources"][0]["archiver"]["status_id"] == 12
    model.Session.query(Archival).delete()
    model.Session.commit()
    shown = act("package_show", id=dataset["id"])
    assert "archiver" not in shown
    assert "archiver" not in shown["resources"][0]


def test_the_activity_stream_keeps_nothing_of_checks(dataset: dict[str, Any]) -> None:
    """What it keeps of a dataset is the same before and after a check, or each one would be shown as a change."""
    add_archival(dataset["resources"][0])
    act("package_patch", None, id=dataset["id"], title="New")
    kept = model.Session.query(Activity).filter_by(object_id=dataset["id"])
    activity = kept.order_by(Activity.timestamp.desc()).first()
    assert activity.data["package"]["title"] == "New"
    assert '"archiver"' not in json.dumps(activity.data)


def test_searches_find_what_was_indexed(dataset: dict[str, Any]) -> None:
    """The resources in the results carry it; Solr gets no field of that name."""
    add_archival(dataset["resources"][0], status_id=12, is_broken=True)
    index([dataset["id"]])
    found = act("package_search", q="*:*")["results"][0]
    assert found["resources"][0]["archiver"]["status_id"] == 12
    assert found["resources"][0]["archiver"]["is_broken"] is True
    document = search.query_for(model.Package).get_index(dataset["id"])
    assert "archiver" not in document


def test_no_path_gets_into_the_index(dataset: dict[str, Any], archive_dir: Any) -> None:
    """Not even when a sysadmin saves the dataset."""
    add_copy(dataset["resources"][0])
    sysadmin = make_sysadmin()["name"]
    act("package_patch", sysadmin, id=dataset["id"], notes="new")
    assert str(archive_dir) not in json.dumps(search.query_for(model.Package).get_index(dataset["id"]))
    search.rebuild(dataset["id"])
    document = search.query_for(model.Package).get_index(dataset["id"])
    assert str(archive_dir) not in json.dumps(document)
    assert "cache_filepath" in document["validated_data_dict"]
    shown = act("package_show", sysadmin, id=dataset["id"])
    assert shown["resources"][0]["archiver"]["cache_filepath"].startswith(str(archive_dir))
    if tk.check_ckan_version(min_version="2.12"):
        shown = {**shown, "with_custom_schema": shown}
    search.index_for("Package").index_package(shown)
    assert str(archive_dir) not in json.dumps(search.query_for(model.Package).get_index(dataset["id"]))


def test_paths_are_shown_to_sysadmins_only(dataset: dict[str, Any]) -> None:
    """Others, and whatever runs with all rights, get None."""
    path = add_copy(dataset["resources"][0])

    def shown(user: str | None) -> Any:
        return act("package_show", user, id=dataset["id"])["resources"][0]["archiver"]["cache_filepath"]

    assert shown(make_sysadmin()["name"]) == path
    assert shown(make_user()["name"]) is shown("") is shown(None) is None


def test_what_is_shown_can_be_saved_and_stores_nothing(dataset: dict[str, Any]) -> None:
    """``package_show``, then ``package_update`` with the answer: how most clients of the API edit."""
    add_copy(dataset["resources"][0])
    user = make_sysadmin()["name"]
    shown = act("package_show", user, id=dataset["id"])
    updated = act("package_update", user, **{**shown, "notes": "new"})
    assert updated["notes"] == "new"
    assert not any("archiver" in extras for extras in saved_extras(dataset))
    shown = act("package_show", user, id=dataset["id"])
    resources = [{key: each[key] for key in each if key != "id"} for each in shown["resources"]]
    created = act("package_create", user, **{**shown, "id": None, "name": "two", "resources": resources})
    assert "archiver" not in created
    assert not any("archiver" in extras for extras in saved_extras(created))


@pytest.mark.parametrize("action", ["package_patch", "resource_patch", "resource_create", "resource_update"])
def test_other_ways_to_save_store_nothing(dataset: dict[str, Any], action: str) -> None:
    """They all read the dataset, and save what they read."""
    resource = dataset["resources"][0]
    add_copy(resource)
    index([dataset["id"]])
    user = make_sysadmin()["name"]
    data = {
        "package_patch": {"id": dataset["id"], "notes": "new"},
        "resource_patch": {"id": resource["id"], "name": "new"},
        "resource_create": {"package_id": dataset["id"], "url": "http://data.example/new"},
        "resource_update": {**act("resource_show", user, id=resource["id"]), "name": "new"},
    }[action]
    act(action, user, **data)
    assert not any("archiver" in extras for extras in saved_extras(dataset))
    assert act("package_show", id=dataset["id"])["resources"][0]["archiver"]["status_id"] == 0


def test_what_ckanext_archiver_let_be_saved_goes(dataset: dict[str, Any]) -> None:
    """It stored its own output as an extra of the resource; it is not shown, and gone with the next save."""
    resource = model.Session.get(model.Resource, dataset["resources"][0]["id"])
    resource.extras = {"archiver": {"status_id": 12}}
    model.Session.commit()
    search.rebuild(dataset["id"])
    assert "archiver" not in act("package_show", id=dataset["id"])["resources"][0]
    act("package_patch", None, id=dataset["id"], notes="new")
    act("resource_patch", None, id=resource.id, name="new")
    assert not any("archiver" in extras for extras in saved_extras(dataset))


def test_saving_what_is_there_changes_nothing(dataset: dict[str, Any]) -> None:
    """CKAN 2.12 sees that a dataset is the same; what we add to what it shows must not hide that."""
    if not tk.check_ckan_version(min_version="2.12"):
        pytest.skip("CKAN 2.11 writes each update")
    add_copy(dataset["resources"][0])
    user = make_sysadmin()["name"]
    index([dataset["id"]])
    before = model.Package.get(dataset["id"]).metadata_modified
    shown = act("package_show", user, id=dataset["id"])
    act("package_update", user, **shown)
    act("package_update", None, **{key: value for key, value in shown.items() if key != "archiver"})
    act("package_patch", user, id=dataset["id"])
    model.Session.expire_all()
    assert model.Package.get(dataset["id"]).metadata_modified == before


def test_one_context_for_two_updates(dataset: dict[str, Any]) -> None:
    """There and back again with the same context, as harvesters do: the second update is not lost."""
    add_copy(dataset["resources"][0])
    context = {"ignore_auth": True, "user": make_sysadmin()["name"]}
    shown = act("package_show", id=dataset["id"])
    tk.get_action("package_update")(context, {**shown, "notes": "new"})
    assert "original_package" not in context
    tk.get_action("package_update")(context, {**shown, "notes": shown["notes"]})
    assert act("package_show", id=dataset["id"])["notes"] == shown["notes"]


def test_what_is_saved_may_be_anything(dataset: dict[str, Any]) -> None:
    """CKAN answers what is wrong with it, we do not stumble."""
    for resources in ("text", [1, "two"], {"a": 1}, None):
        with pytest.raises((tk.ValidationError, AttributeError, TypeError)) as raised:
            act("package_update", None, id=dataset["id"], name=dataset["name"], resources=resources)
        assert not any("ckanext/archiver/datasets.py" in str(entry.path) for entry in raised.traceback[-1:])
    with pytest.raises(tk.ObjectNotFound):
        act("package_update", None, id="none")
    with pytest.raises(tk.ValidationError):
        act("package_update", None)


def test_who_may_not_update_may_not(dataset: dict[str, Any]) -> None:
    """CKAN still decides."""
    owned = make_dataset(owner_org=factories.Organization()["id"])
    with pytest.raises(tk.NotAuthorized):
        act("package_update", make_user()["name"], id=owned["id"], name=owned["name"])
    with pytest.raises(tk.NotAuthorized):
        helpers.call_action("package_create", {"user": "", "ignore_auth": False}, name="mine")
