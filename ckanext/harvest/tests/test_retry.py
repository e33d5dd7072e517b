"""Only the failed records of a job are tried again, as they were gathered."""

from __future__ import annotations

import datetime
import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest.logic import HarvestJobExists, HarvestSourceInactiveError
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestObjectExtra, record
from ckanext.harvest.runner import Next
from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    counts,
    current,
    ended,
    errors,
    found,
    harvest,
    make_source,
    start,
    work_off,
)
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id, save_objects

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")
GUIDS = ("one", "two", "three")
SCRIPT = {"guids": GUIDS}


def fails_for(*guids: str) -> Any:
    """An import stage that fails for some records and saves the others."""

    def imports(obj: HarvestObject) -> Any:
        if obj.guid in guids:
            raise RuntimeError("broken by the test")
        return ScriptedHarvester().save(obj)

    return imports


def retry(reference: str) -> HarvestJob:
    """Retry a job and return the new one, which must have ended."""
    made = act("harvest_job_retry", id=reference)
    assert made["status"] == "Running"
    work_off(Next("process", made["source_id"]))
    return ended(made["id"])


def test_the_failed_records_alone(script: Script, source_id: str) -> None:
    """They are fetched and imported without being gathered, with content and extras; others are not touched."""

    def gather(job: HarvestJob) -> list[str]:
        ids = save_objects(job)
        for object_id in ids:
            obj = HarvestObject.get(object_id)
            obj.content = f"as {obj.guid} was gathered"
            obj.extras.append(HarvestObjectExtra(key="status", value=f"new {obj.guid}"))
            obj.save()
        return ids

    script.gather, script.fetch, script.imports = gather, True, fails_for("three", "one")
    first = harvest(source_id)
    assert counts(first) == {"added": 1, "errored": 2}
    before = current(package_id("two"))[0].id
    seen = {}

    def fetch(obj: HarvestObject) -> bool:
        seen[obj.guid] = (obj.content, {extra.key: extra.value for extra in obj.extras}, obj.retry_times, obj.current)
        return True

    script.fetch, script.imports = fetch, None
    script.calls.clear()
    second = retry(first.id)
    assert script.calls == ["fetch one", "import one", "fetch three", "import three"]
    assert seen == {guid: (f"as {guid} was gathered", {"status": f"new {guid}"}, 1, False) for guid in ("one", "three")}
    assert counts(second) == {"added": 2}
    assert counts(HarvestJob.get(first.id)) == {"added": 1, "errored": 2}
    assert found() == ["record-one", "record-three", "record-two"]
    assert current(package_id("two"))[0].id == before
    for guid in ("one", "three"):
        [obj] = current(package_id(guid))
        assert obj.harvest_job_id == second.id
        shown = act("package_show", id=package_id(guid))
        extras = {extra["key"]: extra["value"] for extra in shown["extras"]}
        assert extras["harvest_object_id"] == obj.id
    assert by_guid(second)["one"].errors == []


def test_a_record_that_fails_again(script: Script, source_id: str) -> None:
    """It can be retried once more, through the newest job of the source, until nothing has failed."""
    script.imports = fails_for("one", "two")
    harvest(source_id)
    script.imports = fails_for("two")
    assert counts(retry(source_id)) == {"added": 1, "errored": 1}
    script.imports = None
    name = act("package_show", id=source_id)["name"]
    assert counts(retry(name)) == {"added": 1}
    with pytest.raises(tk.ValidationError, match="no failed record"):
        act("harvest_job_retry", id=source_id)
    assert HarvestJob.filter(source_id=source_id).count() == 3


def test_an_update_that_failed(script: Script, source_id: str) -> None:
    """A retried update replaces the object that was current."""
    harvest(source_id)
    script.imports = fails_for("one")
    failed = harvest(source_id)
    assert counts(failed) == {"updated": 2, "errored": 1}
    script.imports = None
    assert counts(retry(failed.id)) == {"updated": 1}
    assert len(current(package_id("one"))) == 1


def test_a_record_that_was_gathered_again_is_left_out(script: Script, source_id: str) -> None:
    """What a later job has gathered is newer: it is not overwritten with the older state, nor tried twice."""
    script.imports = fails_for("one", "two")
    first = harvest(source_id)
    script.guids, script.imports = ("one",), None
    harvest(source_id)
    script.calls.clear()
    assert counts(retry(first.id)) == {"added": 1}
    assert script.calls == ["fetch two", "import two"]
    with pytest.raises(tk.ValidationError, match="no failed record"):
        act("harvest_job_retry", id=first.id)


def test_an_aborted_job_goes_on(script: Script, source_id: str) -> None:
    """The records that an abort gave up are failed ones."""
    job_id = start(source_id)
    work_off(Next("gather", job_id))  # and all that follows
    other = start(source_id)

    def gather(job: HarvestJob) -> list[str]:
        ids = save_objects(job)
        record.abort(job)
        return ids

    script.gather = gather
    work_off(Next("gather", other))
    model.Session.remove()
    assert counts(HarvestJob.get(other)) == {"errored": 3}
    script.calls.clear()
    made = act("harvest_job_retry", id=other)
    work_off(Next("process", source_id))
    assert len(script.calls) == 6
    assert counts(HarvestJob.get(made["id"])) == {"updated": 3}


def test_what_later_jobs_may_count_on(script: Script, source_id: str) -> None:
    """A retry that leaves nothing failed stands for the whole gathering, at the time of that: later jobs ask for what
    changed since. If anything was not even gathered, it does not."""
    script.imports = fails_for("one")
    first = harvest(source_id)
    script.imports = None
    second = retry(first.id)
    probe = HarvestJob(source_id=source_id)
    probe.source = second.source
    error_free = ScriptedHarvester.last_error_free_job(probe)
    assert error_free is not None and error_free.id == second.id
    assert second.gather_started == HarvestJob.get(first.id).gather_started
    model.Session.rollback()

    def gather(job: HarvestJob) -> list[str]:
        ScriptedHarvester()._save_gather_error("A page could not be read", job)
        return save_objects(job)

    script.gather, script.imports = gather, fails_for("one")
    third = harvest(source_id)
    script.imports = None
    made = act("harvest_job_retry", id=third.id)
    work_off(Next("process", source_id))
    assert HarvestJob.get(made["id"]).gather_started is None
    assert HarvestJob.get(made["id"]).status == "Finished"


def test_what_is_refused(script: Script, source_id: str) -> None:
    """Jobs that have not ended, sources that have another open job or are inactive, and what is not there."""
    script.imports = fails_for("one")
    first = harvest(source_id)
    with pytest.raises(tk.ObjectNotFound):
        act("harvest_job_retry", id="no such job")
    open_job = start(source_id)
    for reference in (first.id, open_job, source_id):
        with pytest.raises(HarvestJobExists):
            act("harvest_job_retry", id=reference)
    act("harvest_job_abort", id=open_job)
    act("harvest_source_patch", id=source_id, state="inactive")
    with pytest.raises(HarvestSourceInactiveError):
        act("harvest_job_retry", id=first.id)


def test_who_may_retry(script: Script, portal: None) -> None:
    """Those who may create jobs of the source, and nobody else."""
    editor, stranger = factories.User(), factories.User()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    script.imports = fails_for("one")
    job = harvest(str(make_source("scripted", owner_org=organization["id"])["id"]))
    for user in ("", stranger["name"]):
        with pytest.raises(tk.NotAuthorized):
            tk.get_action("harvest_job_retry")({"user": user}, {"id": job.id})
    assert tk.get_action("harvest_job_retry")({"user": editor["name"]}, {"id": job.id})["status"] == "Running"


def test_the_command(script: Script, source_id: str, cli: Any) -> None:
    """``ckan harvester job-retry`` takes a job or a source, says what it made, and what is wrong."""
    from ckanext.harvest.cli import harvester

    script.imports = fails_for("one")
    first = harvest(source_id)
    done = cli.invoke(harvester, ["job-retry", first.id, "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    assert made["source_id"] == source_id and made["status"] == "Running"
    refused = cli.invoke(harvester, ["job-retry", source_id])
    assert refused.exit_code == 1 and "has not ended" in refused.stderr
    work_off(Next("process", source_id))
    assert counts(ended(made["id"])) == {"errored": 1}
    done = cli.invoke(harvester, ["job-retry", source_id])
    assert done.exit_code == 0 and "Job id:" in done.output


def test_records_come_in_the_order_of_their_gathering(script: Script, source_id: str) -> None:
    """Who writes a gather stage decides on the order, of a retry too."""
    script.guids = tuple(f"record-{number}" for number in (5, 3, 9, 1, 7))
    script.imports = fails_for(*script.guids)
    first = harvest(source_id)
    made = act("harvest_job_retry", id=first.id)
    copies = HarvestObject.filter(harvest_job_id=made["id"]).order_by(HarvestObject.gathered).all()
    assert [obj.guid for obj in copies] == list(script.guids)
    assert all(obj.gathered >= made_at(made) - datetime.timedelta(seconds=1) for obj in copies)
    assert errors(copies[0]) == []


def made_at(job: dict[str, Any]) -> datetime.datetime:
    return datetime.datetime.fromisoformat(job["created"])
