"""What the configuration of a CKAN source does: in whose name, who may change the datasets, and whose they are."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob
from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    ckan_source,
    configure,
    counts,
    current,
    errors,
    found,
    gather_errors,
    harvest,
    make_source,
    objects,
    shown,
    start,
    work_off,
)
from ckanext.harvest.tests.logic.people import People
from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset

pytestmark = pytest.mark.usefixtures("portal")

ORGANIZATION_ID = "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a03"


# -- user


def test_datasets_are_saved_in_the_name_of_the_user(remote: RemotePortal) -> None:
    """Creations, updates and deletions are this user's, and so are the organizations that are created; the next source
    without the key is harvested by the portal's own user."""
    user = factories.User(name="clerk")
    organization = {"id": ORGANIZATION_ID, "name": "city", "title": "City"}
    remote.organizations = [organization]
    remote.datasets = [dataset(number, organization=organization, owner_org=ORGANIZATION_ID) for number in range(2)]
    settings: dict[str, Any] = {"remote_orgs": "create", "delete_missing": True, "force_all": True}
    source_id = ckan_source(remote.url, user="clerk", **settings)
    harvest(source_id)
    assert {shown(f"dataset-{number}")["creator_user_id"] for number in range(2)} == {user["id"]}
    remote.change(0, title="Changed")
    remote.datasets.pop()
    assert counts(harvest(source_id)) == {"updated": 1, "deleted": 1}
    activities = act("package_activity_list", id="dataset-0")
    assert {(each["activity_type"], each["user_id"]) for each in activities} == {
        ("new package", user["id"]), ("changed package", user["id"]),
    }  # fmt: skip
    with RemotePortal() as other:
        other.datasets = [dataset("other")]
        harvest(ckan_source(other.url))
    assert shown("dataset-other")["creator_user_id"] != user["id"]


def test_a_user_may_be_named_by_id(remote: RemotePortal) -> None:
    """An id does as well as a name."""
    user = factories.User()
    remote.datasets = [dataset(1)]
    assert counts(harvest(ckan_source(remote.url, user=user["id"]))) == {"added": 1}
    assert shown("dataset-1")["creator_user_id"] == user["id"]


def test_a_user_who_does_not_exist() -> None:
    """The form says so, also of one who was deleted."""
    gone = factories.User(state="deleted")
    for name in ("nobody-of-this-name", gone["name"]):
        with pytest.raises(tk.ValidationError) as caught:
            ckan_source("http://city.example", user=name)
        assert caught.value.error_dict["config"] == ["Error parsing the configuration options: User not found"]


def test_a_user_who_left(remote: RemotePortal) -> None:
    """The job ends with an error that says what to do; the remote portal is not asked, no dataset is changed."""
    user = factories.User(name="clerk")
    remote.datasets = [dataset(1)]
    source_id = ckan_source(remote.url, user="clerk")
    job_id = start(source_id)
    list(runner.gather(job_id))
    act("user_delete", id=user["id"])
    work_off(runner.Next("process", source_id))
    [obj] = objects(HarvestJob.get(job_id))
    assert "The user 'clerk' does not exist or was deleted" in errors(obj)[0][1]
    asked = len(remote.requests)
    job = harvest(source_id)
    [message] = gather_errors(job)
    assert message.startswith("The user 'clerk' does not exist or was deleted; name another one")
    assert (len(remote.requests), found()) == (asked, [])


# -- read_only


def harvested_by(people: People, remote: RemotePortal) -> str:
    """Harvest the datasets of a portal into the organization and return the id of the first."""
    harvest(people.source["id"])
    return str(remote.datasets[0]["id"])


def test_read_only(remote: RemotePortal) -> None:
    """Nobody but sysadmins changes or deletes a dataset of a read-only source, by whatever action; the harvest does."""
    remote.datasets = [dataset(1)]
    people = People(url=remote.url, config='{"read_only": true, "force_all": true}')
    dataset_id = harvested_by(people, remote)
    [resource] = shown(dataset_id)["resources"]
    bulk = {"datasets": [dataset_id], "org_id": people.organization["id"]}
    for kind in ("anonymous", "editor elsewhere", "member", "editor", "admin"):
        assert not people.may(kind, "package_update", id=dataset_id)
        assert not people.may(kind, "package_update", id="dataset-1")
        for action in ("package_patch", "package_delete"):
            assert not people.may(kind, action, id=dataset_id), (kind, action)
        assert not people.may(kind, "resource_create", package_id=dataset_id)
        assert not people.may(kind, "resource_delete", id=resource["id"])
        for action in ("bulk_update_delete", "bulk_update_private", "bulk_update_public"):
            assert not people.may(kind, action, **bulk), (kind, action)
        assert people.may(kind, "package_show", id=dataset_id)
    with pytest.raises(tk.NotAuthorized, match="is harvested from the source 'source-.*, which says read_only"):
        people.call("editor", "package_patch", id=dataset_id, title="Changed here")
    for action in ("package_update", "package_patch", "package_delete"):
        assert people.may("sysadmin", action, id=dataset_id)
    remote.change(0, title="Changed there")
    assert counts(harvest(people.source["id"])) == {"updated": 1}
    assert shown(dataset_id)["title"] == "Changed there"


def test_what_is_not_read_only(remote: RemotePortal) -> None:
    """The source itself, datasets that nobody harvested, those of other sources, and all when the source is gone."""
    remote.datasets = [dataset(1)]
    people = People(url=remote.url, config='{"read_only": true}')
    dataset_id = harvested_by(people, remote)
    own = factories.Dataset(owner_org=people.organization["id"])
    assert people.may("editor", "package_update", id=own["id"])
    assert people.may("editor", "harvest_source_update", id=people.source["id"])
    assert people.may("admin", "bulk_update_delete", datasets=[own["id"]], org_id=people.organization["id"])
    assert not people.may("editor", "package_update", id=dataset_id)
    configure(people.source["id"], read_only=False)
    assert people.may("editor", "package_update", id=dataset_id)
    configure(people.source["id"], read_only=True)
    assert not people.may("editor", "package_update", id=dataset_id)
    act("harvest_source_delete", id=people.source["id"])
    assert people.may("editor", "package_update", id=dataset_id)


# -- what changed


def test_how_far_the_search_for_changes_reaches_back(remote: RemotePortal) -> None:
    """``overlap_hours`` is for portals whose clock is late, or whose index is."""
    remote.datasets = [dataset(1), dataset(2)]
    source_id = ckan_source(remote.url, overlap_hours=30)
    started = harvest(source_id).gather_started
    late = started - datetime.timedelta(hours=29)
    remote.datasets[0] |= {"title": "Changed late", "metadata_modified": late.isoformat()}
    assert counts(harvest(source_id)) == {"updated": 1}
    since = (started - datetime.timedelta(hours=30)).isoformat()
    assert remote.searches()[-1]["fq"] == f"metadata_modified:[{since}Z TO *]"


def test_what_changed_and_did_not(remote: RemotePortal) -> None:
    """What the search for changes finds is compared by content."""
    remote.datasets = [dataset(1), dataset(2)]
    source_id = ckan_source(remote.url)
    harvest(source_id)
    remote.change(0)
    remote.change(1, title="Changed")
    now = remote.datasets[0]["metadata_modified"]
    assert counts(harvest(source_id)) == {"updated": 2}
    remote.datasets[1] |= {"title": "Changed again", "metadata_modified": now}
    assert counts(harvest(source_id)) == {"updated": 1, "not modified": 1}


def test_a_filter_with_a_value_that_is_a_query(remote: RemotePortal) -> None:
    """Whatever a value is, it stays one."""
    remote.datasets = [dataset(1)]
    job = harvest(ckan_source(remote.url, groups_filter_include=["x OR *:*"]))
    assert remote.searches()[0]["fq"] == 'groups:"x OR *:*"'
    assert objects(job) == []


# -- whose datasets are


def test_a_dataset_that_nobody_harvested(remote: RemotePortal) -> None:
    """A remote portal that has, or chooses, the id of a dataset of ours does not change it; the others arrive."""
    local = factories.Dataset(title="Our own")
    remote.datasets = [dataset(1, id=local["id"]), dataset(2)]
    job = harvest(ckan_source(remote.url))
    assert counts(job) == {"added": 1, "errored": 1}
    [(stage, message)] = errors(by_guid(job)[local["id"]])
    assert stage == "Import"
    assert message.startswith(f"Dataset {local['id']} was left as it is: it belongs to this portal")
    assert "adopt_existing" in message
    assert (shown(local["id"])["title"], current(local["id"])) == ("Our own", [])


def test_a_dataset_that_is_adopted(remote: RemotePortal) -> None:
    """Who may edit a dataset may let a source take it over; one of another organization stays out of reach."""
    organization = factories.Organization()["id"]
    ours = factories.Dataset(owner_org=organization, name="ours")
    elsewhere = factories.Dataset(owner_org=factories.Organization()["id"], title="Elsewhere")
    remote.datasets = [dataset(1, id=ours["id"]), dataset(2, id=elsewhere["id"])]
    source = make_source("ckan", url=remote.url, config='{"adopt_existing": true}', owner_org=organization)
    job = harvest(source["id"])
    assert by_guid(job)[ours["id"]].report_status == "added"
    assert (shown("ours")["title"], shown("ours")["id"]) == ("Dataset 1", ours["id"])
    assert counts(job)["errored"] == 1
    assert shown(elsewhere["id"])["title"] == "Elsewhere"
    configure(source["id"])
    remote.change(0, title="Changed")
    assert by_guid(harvest(source["id"]))[ours["id"]].report_status == "updated"


def test_a_harvest_source_is_no_dataset(remote: RemotePortal) -> None:
    """A remote id never leads to a source, whatever the source allows."""
    victim = make_source("ckan", url="http://victim.example")
    remote.datasets = [dataset(1, id=victim["id"])]
    settings = '{"adopt_existing": true}'
    source = make_source("ckan", url=remote.url, config=settings, owner_org=victim["owner_org"])
    job = harvest(source["id"])
    assert "it is a harvest source" in errors(objects(job)[0])[0][1]
    assert act("harvest_source_show", id=victim["id"])["url"] == "http://victim.example"


def test_two_sources_with_the_same_ids(remote: RemotePortal) -> None:
    """The first keeps the datasets, and does not gather them anew; the other has an error that names it."""
    remote.datasets = [dataset(1), dataset(2)]
    first = ckan_source(remote.url, force_all=True)
    harvest(first)
    with RemotePortal() as copy:
        copy.datasets = [dataset(1, title="A copy"), dataset(3)]
        second = ckan_source(copy.url, force_all=True)
        job = harvest(second)
        assert counts(job) == {"added": 1, "errored": 1}
        [(_, message)] = errors(by_guid(job)[copy.datasets[0]["id"]])
        assert first in message and "delete that source" in message
        assert shown("dataset-1")["title"] == "Dataset 1"
        assert counts(harvest(first)) == {"not modified": 2}
        act("harvest_source_delete", id=first)
        assert counts(harvest(second)) == {"updated": 1, "not modified": 1}
    assert shown("dataset-1")["title"] == "A copy"


def test_a_source_that_was_made_anew(remote: RemotePortal) -> None:
    """The datasets of a deleted source go over to the one that takes its place, and are not doubled."""
    remote.datasets = [dataset(1), dataset(2)]
    old = ckan_source(remote.url)
    harvest(old)
    act("harvest_source_delete", id=old)
    new = ckan_source(remote.url)
    assert counts(harvest(new)) == {"updated": 2}
    assert found() == ["dataset-1", "dataset-2"]
    assert [obj.harvest_source_id for obj in current(remote.datasets[0]["id"])] == [new]
    assert {each["name"] for each in act("package_search", fq=f'harvest_source_id:"{new}"')["results"]} == set(found())


def test_datasets_whose_history_was_cleared(remote: RemotePortal) -> None:
    """No object says any more where they come from, but they do; another source does not get them."""
    remote.datasets = [dataset(1)]
    source_id = ckan_source(remote.url)
    harvest(source_id)
    act("harvest_source_job_history_clear", id=source_id)
    assert current(remote.datasets[0]["id"]) == []
    with RemotePortal() as copy:
        copy.datasets = [dataset(1, title="A copy")]
        job = harvest(ckan_source(copy.url))
        assert source_id in errors(objects(job)[0])[0][1]
    assert "plugin_data" not in shown("dataset-1")
    job = harvest(source_id)
    assert (counts(job), gather_errors(job)) == ({"added": 1}, [])
    assert found() == ["dataset-1"]


def test_datasets_whose_history_was_cleared_long_ago(remote: RemotePortal, ckan_config: dict[str, Any]) -> None:
    """What a user has made who does nothing but harvest was harvested, although nothing else says so."""
    factories.Sysadmin(name="robot")
    harvester = p.get_plugin("ckan_harvester")
    remote.datasets = [dataset(1)]
    source_id = ckan_source(remote.url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ckan_config, "ckanext.harvest.user_name", "robot")
        patch.setattr(harvester, "_user_name", None)
        harvest(source_id)
        model.Session.query(HarvestJob).delete()
        model.Session.commit()
        assert counts(harvest(source_id)) == {"added": 1}
    model.Session.query(HarvestJob).delete()
    model.Session.commit()
    assert counts(harvest(source_id)) == {"errored": 1}
