"""The actions on jobs."""

from __future__ import annotations

import base64
import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import redis
from ckan import model

from ckanext.harvest import runner
from ckanext.harvest.logic import HarvestJobExists, HarvestSourceInactiveError
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObjectError
from ckanext.harvest.tests.harvesting import STATS, act, harvest, make_source, objects, start, sweep
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_by_hand, save_objects

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal")

COLUMNS = {"id", "created", "gather_started", "gather_finished", "finished", "source_id", "status"}


@pytest.fixture(autouse=True)
def script() -> Script:
    ScriptedHarvester.script = Script(imports=save_by_hand)
    return ScriptedHarvester.script


@pytest.fixture
def source_id(portal: None) -> str:
    return str(make_source("scripted")["id"])


def in_the_queue(text: str) -> bool:
    """Tell whether a message with this text waits in the broker."""
    broker = redis.Redis.from_url(tk.config["ckan.redis.url"])
    lists = [key for key in broker.scan_iter() if broker.type(key) == b"list"]
    bodies = [json.loads(message)["body"] for key in lists for message in broker.lrange(key, 0, -1)]
    return any(text.encode() in base64.b64decode(body) for body in bodies)


# -- creating and sending


def test_creating_a_job(source_id: str) -> None:
    """A job runs at once, its message is in the queue, and it is shown with its counts."""
    job = act("harvest_job_create", source_id=source_id)
    assert set(job) == COLUMNS | {"stats", "object_error_summary", "gather_error_summary", "progress"}
    assert (job["status"], job["source_id"], job["gather_started"]) == ("Running", source_id, None)
    assert job["stats"] == dict.fromkeys(STATS, 0)
    assert in_the_queue(job["id"])


def test_creating_a_job_that_does_not_run(source_id: str) -> None:
    """A job may be made now and sent later."""
    job = act("harvest_job_create", source_id=source_id, run=False)
    assert (job["status"], "progress" in job) == ("New", False)
    assert not in_the_queue(job["id"])
    assert list(sweep()) == []
    assert HarvestJob.get(job["id"]).status == "New"
    sent = act("harvest_send_job_to_gather_queue", id=job["id"])
    assert sent["status"] == "Running"
    assert in_the_queue(job["id"])
    act("harvest_send_job_to_gather_queue", id=job["id"])  # once more does no harm


@pytest.mark.parametrize("run", [True, False])
def test_one_open_job_at_a_time(source_id: str, run: bool) -> None:
    """A source has at most one job that has not ended."""
    act("harvest_job_create", source_id=source_id, run=run)
    with pytest.raises(HarvestJobExists):
        act("harvest_job_create", source_id=source_id, run=not run)
    assert HarvestJob.filter(source_id=source_id).count() == 1
    act("harvest_job_abort", source_id=source_id)
    act("harvest_job_create", source_id=source_id)


def test_a_job_of_an_inactive_source(source_id: str) -> None:
    """It cannot be made, nor can one that was made before be sent."""
    job = act("harvest_job_create", source_id=source_id, run=False)
    act("harvest_source_patch", id=source_id, state="inactive")
    with pytest.raises(HarvestSourceInactiveError, match="Can not create jobs on inactive sources"):
        act("harvest_job_create", source_id=source_id)
    with pytest.raises(tk.ValidationError) as caught:
        act("harvest_send_job_to_gather_queue", id=job["id"])
    assert "Source is not active" in str(caught.value.error_dict)


def test_a_job_of_no_source() -> None:
    """There is nothing to make it for."""
    with pytest.raises(tk.ObjectNotFound):
        act("harvest_job_create", source_id="no-such-source")


def test_a_job_that_has_ended_is_not_sent_again(source_id: str) -> None:
    """What is finished stays so."""
    job = harvest(source_id)
    with pytest.raises(Exception, match=r"'Finished' to 'Running'|Finished"):
        act("harvest_send_job_to_gather_queue", id=job.id)
    model.Session.rollback()
    assert HarvestJob.get(job.id).status == "Finished"


# -- showing


def with_errors(script: Script) -> None:
    """Let the harvester find much to complain about."""
    script.guids = ("one", "two", "three", "four")

    def gather(job: HarvestJob) -> list[str]:
        HarvestGatherError.create("Page 2 is gone", job)
        return save_objects(job)

    def imports(obj: Any) -> bool:
        if obj.guid == "one":
            return save_by_hand(obj)
        HarvestObjectError.create("No title", obj, "Import", line=7)
        if obj.guid == "two":
            HarvestObjectError.create("No licence", obj, "Validation")
        return False

    script.gather, script.imports = gather, imports


def test_showing_a_job(script: Script, source_id: str) -> None:
    """A finished job has its counts, and its errors by how often they came."""
    with_errors(script)
    job = act("harvest_job_show", id=harvest(source_id).id)
    assert set(job) == COLUMNS | {"stats", "object_error_summary", "gather_error_summary"}
    assert job["stats"] == {"added": 1, "updated": 0, "not modified": 0, "errored": 4, "deleted": 0}
    assert job["object_error_summary"] == [
        {"message": "No title", "error_count": 3},
        {"message": "No licence", "error_count": 1},
    ]
    assert job["gather_error_summary"] == [{"message": "Page 2 is gone", "error_count": 1}]
    assert " " in job["created"] and "T" not in job["created"]


def test_what_the_context_asks_for(script: Script, source_id: str) -> None:
    """Callers may leave out counts and summaries, and limit these."""
    with_errors(script)
    job_id = harvest(source_id).id

    def show(**context: Any) -> dict[str, Any]:
        return tk.get_action("harvest_job_show")({"ignore_auth": True, "user": ""} | context, {"id": job_id})

    assert len(show(error_summmary_limit=1)["object_error_summary"]) == 1
    assert set(show(return_stats=False, return_error_summary=False)) == COLUMNS
    assert "stats" in show(return_error_summary=False)


def test_the_progress_of_a_job(script: Script, source_id: str) -> None:
    """A job at work says how many objects it has, and how many are done."""
    script.guids = ("one", "two", "three")
    job_id = start(source_id)
    assert act("harvest_job_show", id=job_id)["progress"] == {"gathered": 0, "done": 0}
    list(runner.gather(job_id))
    assert act("harvest_job_show", id=job_id)["progress"] == {"gathered": 3, "done": 0}
    script.imports = lambda obj: False
    runner.process_batch(source_id)
    assert act("harvest_job_show", id=job_id)["progress"] == {"gathered": 3, "done": 3}
    assert set(act("harvest_job_show", id=job_id)["stats"]) == set(STATS)


def test_the_report_of_a_job(script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All errors: of the gather stage, and of each object with where it comes from."""
    with_errors(script)
    monkeypatch.setattr(
        ScriptedHarvester, "get_original_url", lambda self, object_id: f"http://city/{object_id}", False
    )
    job = harvest(source_id)
    report = act("harvest_job_report", id=job.id)
    by_guid = {obj.guid: obj.id for obj in objects(job)}
    assert report["gather_errors"] == [{"message": "Page 2 is gone"}]
    assert set(report["object_errors"]) == {by_guid[guid] for guid in ("two", "three", "four")}
    assert report["object_errors"][by_guid["two"]] == {
        "guid": "two",
        "original_url": f"http://city/{by_guid['two']}",
        "errors": [
            {"message": "No title", "line": 7, "type": "Import"},
            {"message": "No licence", "line": None, "type": "Validation"},
        ],
    }


def test_listing_jobs(source_id: str) -> None:
    """Newest first, with counts and without error summaries; of one source, and in one status."""
    first, second = harvest(source_id), start(source_id)
    other = start(make_source("scripted")["id"])
    assert [job["id"] for job in act("harvest_job_list", source_id=source_id)] == [second, first.id]
    assert [job["id"] for job in act("harvest_job_list")] == [other, second, first.id]
    assert [job["id"] for job in act("harvest_job_list", source_id=source_id, status="Finished")] == [first.id]
    job = act("harvest_job_list", source_id=source_id, status="Finished")[0]
    assert set(job) == COLUMNS | {"stats"}
    assert job["stats"] == {"added": 1, "updated": 0, "not modified": 0, "errored": 0, "deleted": 0}


# -- ending


@pytest.mark.parametrize("reference", ["job", "source id", "source name", "source_id", "source_id is a name"])
def test_aborting_a_job(source_id: str, reference: str) -> None:
    """A job is named by its id or by its source, whose newest job is meant."""
    harvest(source_id)
    job_id = start(source_id)
    name = act("harvest_source_show", id=source_id)["name"]
    given = {
        "job": {"id": job_id},
        "source id": {"id": source_id},
        "source name": {"id": name},
        "source_id": {"source_id": source_id},
        "source_id is a name": {"source_id": name},
    }[reference]
    job = act("harvest_job_abort", **given)
    assert (job["id"], job["status"], bool(job["finished"])) == (job_id, "Finished", True)


def test_aborting_a_job_that_was_not_begun(source_id: str) -> None:
    """It is finished, too."""
    job = act("harvest_job_create", source_id=source_id, run=False)
    assert act("harvest_job_abort", id=job["id"])["status"] == "Finished"


def test_aborting_a_job_that_has_ended(source_id: str) -> None:
    """Nothing of it changes."""
    job = harvest(source_id)
    before = act("harvest_job_show", id=job.id)
    assert act("harvest_job_abort", id=job.id) == before


def test_aborting_where_there_is_no_job(source_id: str) -> None:
    """Who aborts is told that there is none."""
    with pytest.raises(tk.ObjectNotFound, match="has no job"):
        act("harvest_job_abort", source_id=source_id)


def test_the_tick(script: Script, source_id: str) -> None:
    """``harvest_jobs_run`` starts what is due, ends what is done, does no work itself, and returns nothing."""
    daily = make_source("scripted", frequency="DAILY")["id"]
    assert act("harvest_jobs_run") == []
    [job] = HarvestJob.filter(source_id=daily)
    assert (job.status, job.gather_started) == ("Running", None)
    assert in_the_queue(job.id)
    assert script.calls == []
    script.gather = lambda job: []
    list(runner.gather(job.id))
    model.Session.remove()
    assert act("harvest_jobs_run", source_id=source_id) == []
    assert HarvestJob.get(job.id).status == "Running"
    model.Session.remove()
    assert act("harvest_jobs_run", source_id=daily) == []
    model.Session.remove()
    assert HarvestJob.get(job.id).status == "Finished"
