"""The actions on objects."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan.tests import factories

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestObjectError, HarvestObjectExtra
from ckanext.harvest.tests.harvesting import act, harvest, make_source, objects, start, work_off
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_by_hand

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


def test_showing_an_object() -> None:
    """An object has its columns, what it belongs to, its errors and its extras, and nothing of the engine."""
    source_id = make_source("scripted")["id"]
    job = harvest(source_id)
    [obj] = objects(job)
    HarvestObjectExtra(object=obj, key="format", value="xml").save()
    HarvestObjectError.create("A resource is gone", obj, "Import", 3)
    shown = act("harvest_object_show", id=obj.id)
    assert set(shown) == {
        "id", "guid", "current", "gathered", "fetch_started", "content", "fetch_finished", "import_started",
        "import_finished", "state", "metadata_modified_date", "retry_times", "harvest_job_id", "harvest_source_id",
        "package_id", "report_status", "source", "job", "package", "errors", "extras",
    }  # fmt: skip
    assert (shown["source"], shown["job"], shown["package"]) == (source_id, job.id, obj.package_id)
    assert (shown["guid"], shown["current"], shown["state"], shown["report_status"]) == (
        "one",
        True,
        "COMPLETE",
        "added",
    )
    assert shown["extras"] == {"format": "xml"}
    [error] = shown["errors"]
    assert (error["message"], error["stage"], error["line"]) == ("A resource is gone", "Import", 3)
    assert error["harvest_object_id"] == obj.id


def test_an_object_without_a_dataset(script: Script) -> None:
    """It has no key for one."""
    script.imports = lambda obj: "unchanged"
    [obj] = objects(harvest(make_source("scripted")["id"]))
    assert "package" not in act("harvest_object_show", id=obj.id)


def test_finding_an_object_by_another_column() -> None:
    """``attr`` names the column."""
    [obj] = objects(harvest(make_source("scripted")["id"]))
    assert act("harvest_object_show", id="one", attr="guid")["id"] == obj.id
    with pytest.raises(tk.ObjectNotFound):
        act("harvest_object_show", id="two", attr="guid")
    for column in ("no_such_column", "__class__", "job"):
        with pytest.raises(tk.ValidationError):
            act("harvest_object_show", id="one", attr=column)


def test_finding_the_object_of_a_dataset() -> None:
    """By id or name of the dataset; it is the current one."""
    source_id = make_source("scripted")["id"]
    harvest(source_id)
    [obj] = objects(harvest(source_id))
    for reference in (obj.package_id, "by-hand-one"):
        assert act("harvest_object_show", dataset_id=reference)["id"] == obj.id
    for reference in ("no-such-dataset", source_id):
        with pytest.raises(tk.ObjectNotFound):
            act("harvest_object_show", dataset_id=reference)
    with pytest.raises(tk.ValidationError, match='Please provide either an "id" or a "dataset_id" parameter'):
        act("harvest_object_show")


def test_listing_objects(script: Script) -> None:
    """The current ones, or all; those of one source, or of all."""
    first, second = make_source("scripted")["id"], make_source("scripted")["id"]
    old = objects(harvest(first))[0].id
    new = objects(harvest(first))[0].id
    script.guids = ("other",)
    other = objects(harvest(second))[0].id
    assert set(act("harvest_object_list")) == {new, other}
    assert set(act("harvest_object_list", source_id=first)) == {new}
    assert set(act("harvest_object_list", source_id=first, only_current=False)) == {old, new}
    assert set(act("harvest_object_list", only_current="false")) == {old, new, other}
    assert act("harvest_object_list", source_id="no-such-source") == []


def test_creating_an_object(script: Script) -> None:
    """As a gather stage does: with content and extras, for a job, whose source it gets; workers take it up."""
    source_id = make_source("scripted")["id"]
    job_id = start(source_id)
    script.gather = lambda job: []
    given = {"guid": "made", "content": "<a/>", "job_id": job_id, "extras": {"status": "new", "format": "xml"}}
    shown = act("harvest_object_create", **given)
    assert (shown["guid"], shown["content"], shown["extras"]) == ("made", "<a/>", given["extras"])
    assert (shown["job"], shown["source"], shown["state"], shown["current"]) == (job_id, source_id, "WAITING", False)
    assert act("harvest_object_show", id=shown["id"]) == shown
    work_off(runner.Next("gather", job_id))
    assert act("harvest_object_show", id=shown["id"])["report_status"] == "added"


def test_creating_an_object_that_is_done(script: Script) -> None:
    """Its state and its dataset may be given."""
    package = factories.Dataset()
    job_id = start(make_source("scripted")["id"])
    source_id = HarvestJob.get(job_id).source_id
    given = {"job_id": job_id, "source_id": source_id, "state": "COMPLETE", "package_id": package["id"]}
    shown = act("harvest_object_create", **given)
    assert {key: shown[{"job_id": "job", "source_id": "source"}.get(key, key)] for key in given} == given
    assert (shown["package"], shown["extras"]) == (package["id"], {})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"job_id": "none"}, "Harvest Job with id 'none' does not exist."),
        ({"source_id": "none"}, "Harvest Source with id 'none' does not exist."),
        ({"package_id": "none"}, "ot found"),
        ({"state": "DONE"}, "Must be one of COMPLETE, ERROR, FETCH, IMPORT, WAITING"),
        ({"extras": ["a"]}, "extras must be a dict"),
        ({"extras": {"a": 1}}, "extras must be a dict of strings"),
    ],
)
def test_an_object_that_cannot_be_created(wrong: dict[str, Any], message: str) -> None:
    """Who creates it is told what is wrong, and nothing is saved."""
    job_id = start(make_source("scripted")["id"])
    with pytest.raises(tk.ValidationError) as caught:
        act("harvest_object_create", **({"job_id": job_id, "guid": "made"} | wrong))
    [field] = wrong
    assert list(caught.value.error_dict) == [field]
    assert message in caught.value.error_dict[field][0]
    assert HarvestObject.filter().count() == 0
