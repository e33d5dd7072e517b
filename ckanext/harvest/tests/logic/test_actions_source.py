"""The actions on sources."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest.model import HarvestJob, HarvestSource
from ckanext.harvest.tests.harvesting import act, found, harvest, make_source, names, sql
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_by_hand
from ckanext.relay import clock

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


def row(source_id: str) -> HarvestSource:
    model.Session.expire_all()
    return HarvestSource.get(source_id)


def test_creating_a_source() -> None:
    """What was given comes back unchanged, and stands in the dataset and in the row, which share an id."""
    organization = factories.Organization()
    given = {
        "url": "http://city.example/data",
        "name": "the-city",
        "title": "The city",
        "notes": "All that the city has",
        "source_type": "ckan",
        "frequency": "WEEKLY",
        "config": '{"force_all": true,  "user_agent": "Us"}',
        "owner_org": organization["id"],
    }
    source = act("harvest_source_create", **given)
    assert {key: source[key] for key in given} == given
    assert (source["type"], source["active"], source["state"]) == ("harvest", True, "active")
    assert source["status"] == {"job_count": 0, "last_job": None, "total_datasets": 0}
    kept = row(source["id"])
    assert (kept.url, kept.title, kept.description) == (given["url"], given["title"], given["notes"])
    assert (kept.type, kept.frequency, kept.config, kept.active) == ("ckan", "WEEKLY", given["config"], True)
    assert model.Package.get("the-city").id == kept.id


def test_the_least_that_a_source_needs() -> None:
    """Name, URL and type; the title is the name, and nothing happens by itself."""
    source = act("harvest_source_create", name="least", url="basic_test", source_type="ckan")
    assert source["title"] == "least"
    kept = row(source["id"])
    assert (kept.frequency, kept.config or "", kept.next_run) == ("MANUAL", "", None)
    assert HarvestJob.filter(source_id=source["id"]).count() == 0


def test_a_source_that_is_created_inactive() -> None:
    """State says whether a source is active."""
    assert row(make_source("ckan", state="inactive")["id"]).active is False


def test_updating_a_source() -> None:
    """An update replaces what it names in the row, too."""
    source = make_source("ckan", frequency="DAILY", config='{"force_all": true}', notes="Old")
    updated = act(
        "harvest_source_update",
        id=source["id"], name="renamed", url="http://new.example", title="New", notes="Words",
        source_type="scripted", frequency="monthly", config="", owner_org=source["owner_org"],
    )  # fmt: skip
    kept = row(source["id"])
    assert (updated["name"], updated["url"]) == ("renamed", "http://new.example")
    assert (kept.url, kept.title, kept.description) == ("http://new.example", "New", "Words")
    assert (kept.type, kept.frequency, kept.config or "") == ("scripted", "MONTHLY", "")


def test_patching_a_source() -> None:
    """A patch changes what it names and nothing else."""
    source = make_source("ckan", frequency="DAILY", config='{"force_all": true}', title="Old", notes="Words")
    patched = act("harvest_source_patch", id=source["name"], title="New")
    kept = row(source["id"])
    assert (patched["title"], kept.title) == ("New", "New")
    assert (kept.frequency, kept.config, kept.description) == ("DAILY", '{"force_all": true}', "Words")
    assert (kept.url, kept.type, kept.active) == (source["url"], "ckan", True)
    assert patched["config"] == '{"force_all": true}'


def test_deactivating_a_source() -> None:
    """Jobs that were not begun are aborted, others go on; the source can be activated again."""
    source = make_source("ckan")
    job = act("harvest_job_create", source_id=source["id"], run=False)
    act("harvest_source_patch", id=source["id"], state="inactive")
    assert row(source["id"]).active is False
    assert HarvestJob.get(job["id"]).status == "Aborted"
    act("harvest_source_patch", id=source["id"], state="active")
    assert row(source["id"]).active is True


def test_deleting_a_source() -> None:
    """A deletion is soft: the row stays and is inactive, the datasets stay, jobs that were not begun are aborted."""
    source = make_source("scripted")
    harvest(source["id"])
    new, running = make_source("ckan"), make_source("ckan")
    jobs = [
        act("harvest_job_create", source_id=new["id"], run=False),
        act("harvest_job_create", source_id=running["id"], run=True),
    ]
    for each in (source, new, running):
        assert act("harvest_source_delete", id=each["id"]) is None
        assert (model.Package.get(each["id"]).state, row(each["id"]).active) == ("deleted", False)
    assert [HarvestJob.get(job["id"]).status for job in jobs] == ["Aborted", "Running"]
    assert found() == ["by-hand-one"]
    assert HarvestJob.filter(source_id=source["id"]).count() == 1


def test_showing_a_source() -> None:
    """By id, by name, or by URL."""
    source = make_source("ckan", url="http://city.example/data")
    for given in ({"id": source["id"]}, {"id": source["name"]}, {"url": "http://city.example/data"}):
        shown = act("harvest_source_show", **given)
        assert (shown["id"], shown["active"], shown["source_type"]) == (source["id"], True, "ckan")
    with pytest.raises(tk.ObjectNotFound):
        act("harvest_source_show", url="http://other.example")


def test_what_a_source_counts(script: Script) -> None:
    """Each public dataset that comes from it now, once: whatever became of them since, and whoever wrote the rows."""
    script.guids = ("one", "two", "three", "four")
    source = make_source("scripted")

    def counted() -> int:
        return int(act("harvest_source_show_status", id=source["id"])["total_datasets"])

    harvest(source["id"])
    harvest(source["id"])
    assert counted() == 4
    sql("UPDATE harvest_object SET current = true")  # as it may be after ckanext-harvest
    sql("INSERT INTO harvest_object (id, current, harvest_source_id) VALUES ('bare', true, :id)", id=source["id"])
    assert counted() == 4
    act("package_delete", id="by-hand-one")
    act("package_patch", id="by-hand-two", private=True, owner_org=source["owner_org"])
    assert counted() == 2
    act("package_patch", id="by-hand-two", private=False)
    act("dataset_purge", id="by-hand-one")
    act("dataset_purge", id="by-hand-three")
    assert counted() == 2
    act("harvest_objects_import", source_id=source["id"])
    assert counted() == 2
    harvest(source["id"])
    assert counted() == 4
    act("harvest_source_job_history_clear", id=source["id"], keep_current=True)
    assert counted() == 4
    act("harvest_source_clear", id=source["id"])
    assert counted() == 0


def test_the_status_of_a_source(script: Script) -> None:
    """It counts jobs and public datasets, and has the last job with its counts and errors."""
    script.guids = ("one", "two", "three")
    script.imports = lambda obj: save_by_hand(obj) if obj.guid != "three" else False
    source = make_source("scripted")
    first, second = harvest(source["id"]), harvest(source["id"])
    act("package_patch", id="by-hand-two", private=True, owner_org=source["owner_org"])
    status = act("harvest_source_show_status", id=source["name"])
    assert (status["job_count"], status["total_datasets"]) == (2, 1)
    assert status["last_job"]["id"] == second.id != first.id
    assert status["last_job"]["stats"] == {"added": 0, "updated": 2, "not modified": 0, "errored": 1, "deleted": 0}
    assert (status["last_job"]["object_error_summary"], status["last_job"]["gather_error_summary"]) == ([], [])
    assert act("harvest_source_show", id=source["id"])["status"] == status
    assert act("package_show", id=source["id"])["status"] == status


def test_sources_are_not_among_the_datasets() -> None:
    """A search finds no source, unless it asks for sources."""
    source = make_source("ckan", title="Rivers")
    dataset = factories.Dataset(title="Rivers")
    assert names(act("package_search", q="rivers")["results"]) == [dataset["name"]]
    assert names(act("package_search", q="rivers", fq="dataset_type:harvest")["results"]) == [source["name"]]
    assert names(act("package_search", fq="+state:active")["results"]) == [dataset["name"]]
    assert act("package_search")["count"] == 1


# -- lists


def listed(**data: Any) -> list[str]:
    return [each["title"] for each in act("harvest_source_list", **data)]


def test_the_list_of_sources() -> None:
    """Newest first, each with the keys of the contract."""
    for title in ("first", "second", "third"):
        make_source("ckan", title=title)
    assert listed() == ["third", "second", "first"]
    each = act("harvest_source_list")[0]
    assert set(each) == {
        "id", "url", "title", "description", "config", "created", "type", "active", "user_id", "publisher_id",
        "frequency", "next_run", "publisher_title", "status",
    }  # fmt: skip
    assert each["status"] == {"job_count": 0, "next_harvest": "", "last_harvest_request": "", "msg": "No jobs yet"}


def test_the_list_says_how_sources_do() -> None:
    """Whether a job is waiting, when one was gathered last, and how the last one does, if asked."""
    waiting, done = make_source("scripted", title="waiting"), make_source("scripted", title="done")
    act("harvest_job_create", source_id=waiting["id"], run=False)
    job = harvest(done["id"])
    make_source("scripted", title="idle")
    shown = {each["title"]: each for each in act("harvest_source_list", return_last_job_status=True)}
    assert {title: each["last_job_status"] for title, each in shown.items()} == {
        "waiting": "New",
        "done": "Finished",
        "idle": "Not yet harvested",
    }
    assert shown["waiting"]["status"] == {
        "job_count": 1,
        "next_harvest": "Scheduled",
        "last_harvest_request": "Not yet harvested",
    }
    assert shown["done"]["status"] == {
        "job_count": 1,
        "next_harvest": "Not yet scheduled",
        "last_harvest_request": str(job.gather_finished),
    }
    assert "last_job_status" not in act("harvest_source_list")[0]


def test_choosing_from_the_list(ckan_config: dict[str, Any]) -> None:
    """Active ones, those that are due, those of an organization, and never more than the limit."""
    active = make_source("ckan", title="active")
    act("harvest_source_delete", id=make_source("ckan", title="deleted")["id"])
    make_source("ckan", title="due", frequency="DAILY")
    later = make_source("ckan", title="later", frequency="DAILY")
    HarvestSource.get(later["id"]).next_run = clock.now() + datetime.timedelta(hours=1)
    model.Session.commit()
    assert listed() == ["later", "due", "deleted", "active"]
    assert listed(only_active=True) == ["later", "due", "active"]
    assert listed(only_to_run="true") == ["due"]
    assert listed(organization_id=active["owner_org"]) == ["active"]
    ckan_config["ckan.harvest.harvest_source_limit"] = "2"
    assert listed() == ["later", "due"]
