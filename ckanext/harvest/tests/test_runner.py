"""Who works on what, and what becomes of work when a worker, the database or Solr fails in the middle of it."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ckan.plugins.toolkit as tk
import psycopg2
import pytest
import requests
import sqlalchemy as sa
from ckan import model
from ckan.lib.search import SearchIndexError

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource, jobs, lease_table, record, work
from ckanext.harvest.runner import Next
from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    counts,
    current,
    elsewhere,
    ended,
    errors,
    found,
    gather_errors,
    harvest,
    make_source,
    objects,
    start,
    stats,
    sweep,
    work_off,
)
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id, save_by_hand, save_objects
from ckanext.relay import clock, lease, search
from ckanext.relay.errors import AnswerInvalid, RemoteUnavailable
from ckanext.relay.tests.solr import solr_at

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harvester leaves commit and index to the runner, as the CKAN harvester does."""
    monkeypatch.setattr(ScriptedHarvester, "batched_writes", True)


def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function as another worker would: with a session of its own."""

    def run() -> Any:
        try:
            return function()
        finally:
            model.Session.remove()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(timeout=30)


def gathered(source_id: str) -> str:
    """Gather a job and return its id; its objects wait."""
    job_id = start(source_id)
    list(runner.gather(job_id))
    model.Session.remove()
    return job_id


def dead_worker(job_id: str, **columns: Any) -> None:
    """Leave the objects of a job as a worker does that was killed while it had them."""
    with lease.held(lease_table, "killed", longest=60) as lease_id:
        assignments = "".join(f", {column} = :{column}" for column in columns)
        elsewhere(
            f"UPDATE harvest_object SET claimed_by = :lease{assignments} WHERE harvest_job_id = :job",
            lease=lease_id, job=job_id, **columns,
        )  # fmt: skip
    elsewhere(
        "INSERT INTO harvest_lease VALUES (:id, 'killed', now(), now() at time zone 'utc' - interval '1 second')",
        id=lease_id,
    )


# -- claims


def test_claimers_at_the_same_time_share_the_objects(script: Script, source_id: str) -> None:
    """No object is claimed twice, and none is left over."""
    script.guids = tuple(f"r{number}" for number in range(60))
    job_id = gathered(source_id)

    def claim(worker: int) -> list[str]:
        taken: list[str] = []
        with lease.held(lease_table, "process", longest=60) as lease_id:
            while ids := work.claim_objects(source_id, lease_id, 4):
                taken += ids
            barrier.wait(30)  # what a worker has is free once it ends
        return taken

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        taken = [object_id for ids in pool.map(claim, range(4)) for object_id in ids]
    assert sorted(taken) == sorted(obj.id for obj in HarvestObject.filter(harvest_job_id=job_id))


def test_a_row_that_somebody_locks_is_passed_over(script: Script, source_id: str) -> None:
    """A claim never waits for a transaction that holds one of the rows."""
    script.guids = ("one", "two")
    job_id = gathered(source_id)
    one = HarvestObject.filter(harvest_job_id=job_id, guid="one").one().id
    model.Session.remove()
    with model.meta.engine.begin() as other:
        other.execute(sa.text("SELECT 1 FROM harvest_object WHERE id = :id FOR UPDATE"), {"id": one})
        begun = time.monotonic()
        assert one not in work.claim_objects(source_id, "me", 10)
        assert time.monotonic() - begun < 5
    assert work.claim_objects(source_id, "me", 10) == [one]


def test_objects_come_in_the_order_in_which_they_were_gathered(script: Script, source_id: str) -> None:
    """Who writes a gather stage decides on the order."""
    script.guids = ("c", "a", "b")
    job = HarvestJob.get(gathered(source_id))
    ids = work.claim_objects(source_id, "me", 2) + work.claim_objects(source_id, "me", 2)
    assert [HarvestObject.get(object_id).guid for object_id in ids] == ["c", "a", "b"]
    assert ids == [obj.id for obj in objects(job)]


def test_a_live_lease_keeps_its_objects(source_id: str) -> None:
    """While a worker lives, nobody else gets what it has, and no sweep names it."""
    gathered(source_id)
    with lease.held(lease_table, f"process {source_id}", longest=60) as lease_id:
        assert len(work.claim_objects(source_id, lease_id, 10)) == 1
        assert work.claim_objects(source_id, "me", 10) == []
        assert runner.process_batch(source_id) == []
        assert list(runner.sweep()) == []
    assert len(work.claim_objects(source_id, "me", 10)) == 1


def test_the_work_of_a_dead_worker_is_done_by_another(script: Script, source_id: str) -> None:
    """When a lease has run out, the next sweep hands its objects on, wherever they were left."""
    script.guids = ("one", "two", "three")
    job_id = gathered(source_id)
    dead_worker(job_id, state="IMPORT", retry_times=1)
    assert [step.task for step in runner.sweep()] == ["process"]
    work_off(Next("process", source_id))
    assert counts(ended(job_id)) == {"added": 3}
    assert elsewhere("SELECT id FROM harvest_lease WHERE task <> 'last harvest sweep'") == []


def test_what_a_dead_worker_saved_is_not_saved_twice(script: Script, source_id: str) -> None:
    """A worker that died after it had saved the dataset, and before it could say so, cost nothing."""
    job_id = gathered(source_id)
    obj = HarvestObject.filter(harvest_job_id=job_id).one()
    obj.batch = None
    obj.job.source  # noqa: B018  loaded, so that the harvester has what it has in a worker
    ScriptedHarvester().save(obj)
    model.Session.remove()
    dead_worker(job_id, state="IMPORT", retry_times=1)
    sweep()
    assert counts(ended(job_id)) == {"added": 1}
    assert found() == ["record-one"]
    assert len(current(package_id("one"))) == 1


def test_an_object_that_was_begun_before_comes_alone(script: Script, source_id: str) -> None:
    """Fresh objects come in batches; one that may have killed its worker takes no other with it."""
    script.guids = ("bad-1", "good-1", "bad-2", "good-2")
    job_id = gathered(source_id)
    elsewhere("UPDATE harvest_object SET retry_times = 1, state = 'IMPORT' WHERE guid LIKE 'bad%'")
    guid_of = {obj.id: obj.guid for obj in HarvestObject.filter(harvest_job_id=job_id)}
    with lease.held(lease_table, "process", longest=60) as lease_id:
        claims = [[guid_of[each] for each in work.claim_objects(source_id, lease_id, 10)] for _ in range(4)]
    assert claims == [["good-1", "good-2"], ["bad-1"], ["bad-2"], []]


def test_an_object_that_kills_its_workers_is_given_up(script: Script, source_id: str) -> None:
    """After five tries an object ends as errored and says why, and the others of its job are there."""
    script.guids = ("good", "bad")
    job_id = gathered(source_id)
    elsewhere("UPDATE harvest_object SET retry_times = 5, state = 'IMPORT' WHERE guid = 'bad'")
    sweep()
    job = ended(job_id)
    assert counts(job) == {"added": 1, "errored": 1}
    [(_, message)] = errors(by_guid(job)["bad"])
    assert "5 tries" in message
    assert "import bad" not in script.calls


def test_objects_that_are_handed_back_lose_no_try(
    script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes long hands back what it did not begin, as if it had never been claimed."""
    monkeypatch.setattr(runner, "BATCH_SECONDS", 0.05)
    script.guids = ("one", "two", "three")

    def slow(obj: HarvestObject) -> bool:
        time.sleep(0.1)
        return save_by_hand(obj)

    script.imports = slow
    job_id = gathered(source_id)
    assert runner.process_batch(source_id) == [Next("process", source_id)]
    left = elsewhere("SELECT guid, retry_times, claimed_by FROM harvest_object WHERE state = 'WAITING' ORDER BY guid")
    assert [tuple(row) for row in left] == [("three", 0, None), ("two", 0, None)]
    work_off(Next("process", source_id))
    assert counts(ended(job_id)) == {"added": 3}


def test_only_so_many_workers_are_at_a_source(source_id: str, ckan_config: dict[str, Any]) -> None:
    """A source has a limited number of workers, so that others have their turn."""
    ckan_config["ckan.harvest.workers_per_source"] = 1
    gathered(source_id)
    with lease.held(lease_table, f"process {source_id}", longest=60):
        assert runner.process_batch(source_id) == []
    assert runner.process_batch(source_id) != []


def test_a_small_job_is_shared(script: Script, source_id: str) -> None:
    """Each process takes its part at once, and not many small ones: each of them ends with a commit of Solr."""
    script.guids = tuple(f"r{number}" for number in range(13))
    script.imports = True
    gathered(source_id)
    for left in ("wait", "end"):
        with lease.held(lease_table, f"process {source_id if left == 'end' else 'another'}", longest=60):
            runner.process_batch(source_id, processes=2)
        done = len([call for call in script.calls if call.startswith("import ")])
        assert done == {"wait": 10, "end": 13}[left]


def test_who_has_only_begun_gets_a_share(script: Script, source_id: str) -> None:
    """A process that has claimed nothing yet is left its part; one that has is at work."""
    script.guids = tuple(f"r{number}" for number in range(60))
    script.imports = True
    gathered(source_id)

    def done_now() -> int:
        runner.process_batch(source_id, processes=2)
        done = len([call for call in script.calls if call.startswith("import ")])
        script.calls.clear()
        return done

    with lease.held(lease_table, f"process {source_id}", longest=60) as other:
        assert done_now() == 30
        assert len(work.claim_objects(source_id, other, 2)) == 2
        assert done_now() == 28


def test_a_message_about_nothing(script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds nothing to do does not even ask whether Solr is there, and ends the job that is done."""
    job_id = gathered(source_id)
    assert runner.process_batch(source_id) == [runner.Next("finish", job_id)]
    monkeypatch.setattr(search, "require", pytest.fail)
    assert runner.process_batch(source_id) == [runner.Next("finish", job_id)]
    assert runner.process_batch("another") == []


def test_a_result_is_thrown_away_if_another_worker_took_over(script: Script, source_id: str, batched: None) -> None:
    """A worker that was taken for dead and comes back changes nothing that another one has in hand."""

    def overtaken(obj: HarvestObject) -> Any:
        elsewhere("UPDATE harvest_object SET claimed_by = 'another worker' WHERE id = :id", id=obj.id)
        return ScriptedHarvester().save(obj)

    script.imports = overtaken
    job_id = gathered(source_id)
    runner.process_batch(source_id)
    model.Session.remove()
    [obj] = objects(HarvestJob.get(job_id))
    assert (obj.claimed_by, obj.report_status, obj.package_id) == ("another worker", None, None)
    assert model.Package.get(package_id("one")) is None
    script.imports = None
    sweep()
    assert counts(ended(job_id)) == {"added": 1}


def test_a_passing_error_does_not_take_an_object_from_another_worker(script: Script, source_id: str) -> None:
    """Nor does a worker that was taken for dead put off what another one has in hand."""

    def overtaken(obj: HarvestObject) -> Any:
        elsewhere("UPDATE harvest_object SET claimed_by = 'another worker' WHERE id = :id", id=obj.id)
        raise RemoteUnavailable("http://remote.example", "Away")

    script.imports = overtaken
    gathered(source_id)
    runner.process_batch(source_id)
    assert elsewhere("SELECT claimed_by FROM harvest_object")[0].claimed_by == "another worker"


# -- errors that pass

PASSING = [
    pytest.param(RemoteUnavailable("http://remote.example", "No connection"), id="remote"),
    pytest.param(sa.exc.OperationalError("SELECT 1", {}, psycopg2.OperationalError("gone")), id="database"),
    pytest.param(SearchIndexError("Solr is away"), id="solr"),
]


def pause() -> int:
    """Return for how many seconds the only object is put off, and end the pause."""
    row = elsewhere(
        "SELECT lease.id, extract(epoch from expires - started) AS seconds FROM harvest_lease lease"
        " JOIN harvest_object ON claimed_by = lease.id"
    )[0]
    elsewhere("UPDATE harvest_lease SET expires = expires - interval '1 day' WHERE id = :id", id=row.id)
    return round(row.seconds)


@pytest.mark.parametrize("error", PASSING)
def test_an_error_that_passes_costs_a_pause(script: Script, source_id: str, error: Exception) -> None:
    """The object is tried again, after a pause that grows, and nothing is reported if it arrives at last."""

    def failing(obj: HarvestObject) -> Any:
        raise error

    script.imports = failing
    job_id = gathered(source_id)
    pauses = []
    for _ in range(4):
        work_off(Next("process", source_id))
        assert work.claim_objects(source_id, "me", 10) == []
        assert runner.finish(job_id) == []
        pauses.append(pause())
    assert pauses == [15, 30, 60, 120]
    script.imports = None
    sweep()
    job = ended(job_id)
    assert counts(job) == {"added": 1}
    assert errors(objects(job)[0]) == []


def test_an_error_that_does_not_pass_ends_the_object(script: Script, source_id: str) -> None:
    """After five tries the error counts."""

    def failing(obj: HarvestObject) -> Any:
        raise RemoteUnavailable("http://user:hidden@remote.example/one", "No connection")

    script.fetch = failing
    job_id = gathered(source_id)
    for _ in range(4):
        work_off(Next("process", source_id))
        pause()
    sweep()
    job = ended(job_id)
    assert counts(job) == {"errored": 1}
    [(stage, message)] = errors(objects(job)[0])
    assert stage == "Fetch" and "No connection" in message and "hidden" not in message


def test_a_permanent_error_is_not_tried_again(script: Script, source_id: str) -> None:
    """What cannot get better ends the object at once."""

    def failing(obj: HarvestObject) -> Any:
        raise AnswerInvalid("http://remote.example/one", "No XML")

    script.fetch = failing
    job = harvest(source_id)
    assert errors(objects(job)[0]) == [("Fetch", "No XML (http://remote.example/one)")]


def test_other_objects_do_not_wait_for_one_that_is_put_off(script: Script, source_id: str) -> None:
    """A passing error holds up its own object alone."""
    script.guids = ("one", "two", "three")

    def failing(obj: HarvestObject) -> Any:
        if obj.guid == "two":
            raise RemoteUnavailable("http://remote.example", "Away")
        return save_by_hand(obj)

    script.imports = failing
    job_id = gathered(source_id)
    work_off(Next("process", source_id))
    assert [obj.state for obj in objects(HarvestJob.get(job_id)) if obj.guid != "two"] == ["COMPLETE", "COMPLETE"]


# -- aborted in the middle


def abort_elsewhere(job_id: str) -> None:
    in_thread(lambda: record.abort(HarvestJob.get(job_id)))


@pytest.mark.parametrize("stage", ["fetch", "imports"])
@pytest.mark.parametrize("answer", ["the dataset", False, RuntimeError("too late"), "saves its object"])
def test_an_abort_in_the_middle_of_a_batch(
    script: Script, source_id: str, batched: None, stage: str, answer: Any
) -> None:
    """What was at work when the job was aborted is thrown away, and nothing comes back to life."""
    script.guids = ("one", "two")

    def aborted(obj: HarvestObject) -> Any:
        abort_elsewhere(obj.harvest_job_id)
        if isinstance(answer, Exception):
            raise answer
        if answer == "saves its object":
            obj.content = "fetched all the same"
            obj.save()
            return True
        return (ScriptedHarvester().save(obj) if stage == "imports" else True) if answer else False

    setattr(script, stage, aborted)
    job_id = gathered(source_id)
    work_off(Next("process", source_id))
    sweep()
    job = ended(job_id)
    assert counts(job) == {"errored": 2}
    assert [obj.report_status for obj in objects(job)] == ["errored", "errored"]
    assert not [call for call in script.calls if call.endswith("two")]
    assert found() == []
    script.fetch = script.imports = None
    assert counts(harvest(source_id)) == {"added": 2}


def test_what_was_aborted_is_not_saved_one_by_one(script: Script, source_id: str) -> None:
    """A harvester that commits each dataset by itself saves nothing of a job that was aborted meanwhile."""

    def aborted(obj: HarvestObject) -> Any:
        abort_elsewhere(obj.harvest_job_id)
        return ScriptedHarvester().save(obj)

    script.imports = aborted
    job_id = gathered(source_id)
    work_off(Next("process", source_id))
    assert counts(ended(job_id)) == {"errored": 1}
    assert elsewhere("SELECT 1 FROM package WHERE id = :id", id=package_id(script.guids[0])) == []
    assert [obj.current for obj in objects(HarvestJob.get(job_id))] == [False]


def test_an_abort_through_the_api(script: Script, source_id: str) -> None:
    """An aborted job is finished at once, its open objects are errors, and the source is free for the next job."""
    script.guids = ("one", "two")
    job_id = gathered(source_id)
    shown = act("harvest_job_abort", id=job_id)
    assert (shown["status"], shown["stats"]["errored"]) == ("Finished", 2)
    assert shown["finished"]
    assert work.claim_objects(source_id, "me", 10) == []
    assert counts(ended(job_id)) == {"errored": 2}
    assert counts(harvest(source_id)) == {"added": 2}


# -- Solr


def test_while_solr_is_away_the_batch_waits(source_id: str) -> None:
    """Nothing is begun, nothing is lost, no try is used up."""
    job_id = gathered(source_id)
    with solr_at():
        [later] = runner.process_batch(source_id)
        assert (later.task, later.countdown > 0) == ("process", True)
        assert elsewhere("SELECT retry_times FROM harvest_object")[0].retry_times == 0
    sweep()
    assert counts(ended(job_id)) == {"added": 1}


def test_solr_goes_away_in_the_middle_of_a_batch(script: Script, source_id: str, batched: None) -> None:
    """Datasets that are saved are marked, and indexed when Solr is back; the job waits for it."""
    script.guids = ("one", "two")
    job_id = gathered(source_id)
    with contextlib.ExitStack() as stack:

        def goes_away(obj: HarvestObject) -> Any:
            if obj.guid == "two":
                stack.enter_context(solr_at())
            return ScriptedHarvester().save(obj)

        script.imports = goes_away
        work_off(Next("process", source_id))
        marked = elsewhere("SELECT guid FROM harvest_object WHERE needs_index ORDER BY guid")
        assert [row.guid for row in marked] == ["one", "two"]
        assert runner.finish(job_id) == []
    sweep()
    assert counts(ended(job_id)) == {"added": 2}
    assert found() == ["record-one", "record-two"]


def test_solr_is_away_when_a_harvester_saves_by_itself(script: Script, source_id: str) -> None:
    """A harvester that has CKAN index its dataset at once waits for Solr as well, and nothing is lost."""
    job_id = gathered(source_id)
    with contextlib.ExitStack() as stack:

        def goes_away(obj: HarvestObject) -> bool:
            if len(script.calls) < 4:
                stack.enter_context(solr_at())
            return save_by_hand(obj)

        script.imports = goes_away
        work_off(Next("process", source_id))
        assert HarvestJob.get(job_id).status == "Running"
        pause()
    sweep()
    assert ended(job_id)
    assert found() == ["by-hand-one"]


def test_a_document_that_solr_refuses(script: Script, source_id: str, batched: None) -> None:
    """The dataset is saved, its object says that it is not found by searches, the others are, and the job ends."""
    script.guids = ("one", "two", "three")

    def save(obj: HarvestObject) -> Any:
        package: dict[str, Any] = {"id": package_id(obj.guid), "title": f"Record {obj.guid}"}
        if obj.guid == "two":  # longer than any term that Lucene takes
            package["extras"] = [{"key": "immense", "value": "x" * 40_000}]
        return ScriptedHarvester()._create_or_update_package(package, obj, package_dict_form="package_show")

    script.imports = save
    job = harvest(source_id)
    assert found() == ["record-one", "record-three"]
    assert counts(job) == {"added": 3, "errored": 1}
    [(stage, message)] = errors(by_guid(job)["two"])
    assert stage == "Index" and "immense" in message
    assert act("package_show", id=package_id("two"))["title"] == "Record two"


def test_the_status_of_a_source_waits_for_solr(source_id: str) -> None:
    """The search document of the source, with its status, is brought up to date when Solr is back."""
    job_id = gathered(source_id)
    runner.process_batch(source_id)
    runner.process_batch(source_id)
    [reindex] = runner.finish(job_id)
    assert (reindex.task, reindex.id) == ("reindex", source_id)
    with solr_at():
        [later] = runner.reindex(source_id)
        assert (later.task, later.countdown > 0) == ("reindex", True)
    assert runner.reindex(source_id) == []
    [document] = act("package_search", fq="dataset_type:harvest")["results"]
    assert document["status"]["last_job"]["status"] == "Finished"


# -- a batch costs little


def test_a_batch_costs_one_solr_commit(script: Script, source_id: str, batched: None) -> None:
    """However many datasets a batch has, Solr commits once for it."""
    script.guids = tuple(f"r{number}" for number in range(5))
    gathered(source_id)
    before = solr_commits()
    runner.process_batch(source_id)
    assert solr_commits() - before == 1
    assert len(found()) == 5


def solr_commits() -> int:
    """Return how often Solr's core has committed."""
    base, _, core = tk.config["solr_url"].rpartition("/")
    url = f"{base}/admin/metrics"
    given = {"group": "core", "prefix": "UPDATE.updateHandler.commits", "wt": "json"}
    metrics = requests.get(url, params=given, timeout=10).json()["metrics"]
    return int(metrics[f"solr.core.{core}"]["UPDATE.updateHandler.commits"]["count"])


# -- gathering


def test_a_gather_stage_is_run_by_one_worker(script: Script, source_id: str) -> None:
    """A doubled message finds nothing to claim, while the stage runs and after it."""
    job_id = start(source_id)
    seen: list[Any] = []

    def gather(job: HarvestJob) -> list[str]:
        seen.extend(in_thread(lambda: list(runner.gather(job_id))))
        return save_objects(job)

    script.gather = gather
    work_off(Next("gather", job_id))
    assert script.calls.count("gather") == 1
    assert not any(step.task == "gather" for step in seen)
    assert counts(ended(job_id)) == {"added": 1}
    assert list(runner.gather(job_id)) == []


def test_a_gather_stage_that_died_is_begun_anew(script: Script, source_id: str) -> None:
    """What the worker that died had saved is dropped, and the sweep gathers the job once more."""
    job_id = start(source_id)
    elsewhere(
        "UPDATE harvest_job SET claimed_by = 'dead', attempts = 1, gather_started = now() WHERE id = :id", id=job_id
    )
    save_objects(HarvestJob.get(job_id))
    model.Session.remove()
    assert [step.task for step in runner.sweep()] == ["gather"]
    work_off(Next("gather", job_id))
    job = ended(job_id)
    assert len(objects(job)) == 1
    assert counts(job) == {"added": 1}


def test_a_gather_stage_that_kills_its_workers_is_given_up(script: Script, source_id: str) -> None:
    """After five tries the job ends with an error that says so, and the next job may run."""
    job_id = start(source_id)
    elsewhere("UPDATE harvest_job SET claimed_by = 'dead', attempts = 5 WHERE id = :id", id=job_id)
    sweep()
    model.Session.remove()
    job = HarvestJob.get(job_id)
    assert job.status == "Finished"
    assert script.calls == []
    assert "5 tries" in gather_errors(job)[0]
    assert stats(job)["errored"] == 1
    assert counts(harvest(source_id)) == {"added": 1}


def test_a_gather_stage_that_fails_for_a_while_is_tried_again(script: Script, source_id: str) -> None:
    """An error that passes costs a pause, longer after each try, in which no sweep begins the job again."""
    script.gather = lambda job: (_ for _ in ()).throw(RemoteUnavailable("http://remote.example", "Away"))
    job_id = start(source_id)
    pauses = []
    for _ in range(3):
        assert all(step.task != "gather" for step in runner.gather(job_id))
        assert list(runner.sweep()) == []
        assert HarvestJob.get(job_id).status == "Running"
        pauses.append(round(pause_is_over(job_id)))
    assert pauses == [15, 30, 60]
    assert script.calls == ["gather"] * 3
    script.gather = None
    sweep()
    job = ended(job_id)
    assert counts(job) == {"added": 1}
    assert gather_errors(job) == []


def test_a_gather_stage_that_fails_for_good_says_why(script: Script, source_id: str) -> None:
    """If the passing error does not pass, the job ends with it, not with a guess."""
    script.gather = lambda job: (_ for _ in ()).throw(RemoteUnavailable("http://remote.example", "Away"))
    job_id = start(source_id)
    for _ in range(4):
        sweep()
        assert HarvestJob.get(job_id).status == "Running"
        pause_is_over(job_id)
    sweep()
    job = HarvestJob.get(job_id)
    assert job.status == "Finished"
    assert script.calls == ["gather"] * 5
    assert [message for message in gather_errors(job) if "Away" in message] == gather_errors(job) != []


def pause_is_over(job_id: str) -> float:
    """Let the pause of a job end now and return how many seconds it was to last."""
    query = "SELECT l.id, extract(epoch FROM l.expires - l.started) FROM harvest_lease l JOIN harvest_job j"
    [(lease_id, seconds)] = elsewhere(f"{query} ON l.id = j.claimed_by WHERE j.id = :id", id=job_id)
    elsewhere("UPDATE harvest_lease SET expires = started WHERE id = :id", id=lease_id)
    return float(seconds)


# -- the sweep


def due(source_id: str, frequency: str = "DAILY", **interval: int) -> datetime.datetime:
    """Make a source due since a while and return since when."""
    since = clock.now() - datetime.timedelta(**interval or {"minutes": 5})
    elsewhere(
        "UPDATE harvest_source SET frequency = :frequency, next_run = :since WHERE id = :id",
        frequency=frequency, since=since, id=source_id,
    )  # fmt: skip
    model.Session.remove()
    return since


def test_a_due_source_is_started_once(source_id: str) -> None:
    """Sweeps at the same time start a due source once, and it is due again a period later, on the dot."""
    since = due(source_id)
    with ThreadPoolExecutor(3) as pool:

        def run(_: int) -> list[Next]:
            try:
                return list(runner.sweep())
            finally:
                model.Session.remove()

        steps = [step for each in pool.map(run, range(3)) for step in each]
    assert HarvestJob.filter(source_id=source_id).count() == 1
    assert {step.task for step in steps} == {"gather"}
    assert HarvestSource.get(source_id).next_run == since + datetime.timedelta(days=1)
    sweep()
    assert HarvestJob.filter(source_id=source_id).count() == 1
    assert counts(ended(HarvestJob.filter(source_id=source_id).one().id)) == {"added": 1}


def test_two_who_start_a_source_get_one_job(source_id: str) -> None:
    """The row of the source is locked while a job is made, so that there is never a second open one."""

    def create(_: int) -> str | None:
        try:
            job_id = jobs.create(source_id, run=True).id
            time.sleep(0.2)
            model.Session.commit()
            return job_id
        except jobs.JobOpen:
            return None
        finally:
            model.Session.remove()

    with ThreadPoolExecutor(3) as pool:
        made = [job_id for job_id in pool.map(create, range(3)) if job_id]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("frequency = 'MANUAL'", {}),
        ("active = false", {}),
        ("next_run = :later", {"later": datetime.datetime(2100, 1, 1)}),
    ],
)
def test_a_source_that_is_not_due_is_not_started(source_id: str, change: str, values: dict[str, Any]) -> None:
    """Manual, inactive and later sources are left alone."""
    due(source_id)
    elsewhere(f"UPDATE harvest_source SET {change} WHERE id = :id", id=source_id, **values)
    assert list(runner.sweep()) == []


def test_a_source_at_work_is_not_started_again(source_id: str) -> None:
    """A source that is due while its last job runs waits for that."""
    start(source_id)
    due(source_id, "ALWAYS")
    list(runner.sweep())
    assert HarvestJob.filter(source_id=source_id).count() == 1


def test_a_sweep_does_nothing_while_another_runs(source_id: str) -> None:
    """The advisory lock lets one sweep through."""
    due(source_id)
    with lease.only_one("harvest sweep") as mine:
        assert mine
        assert in_thread(lambda: list(runner.sweep())) == []
    assert len(list(runner.sweep())) == 1


def test_the_sweep_ends_jobs_whose_last_message_was_lost(source_id: str) -> None:
    """A job that has nothing left to do is ended by the sweep, once."""
    job_id = gathered(source_id)
    while runner.process_batch(source_id) == [Next("process", source_id)]:
        pass
    assert [step.task for step in runner.sweep()] == ["reindex"]
    ended(job_id)
    assert runner.finish(job_id) == []
    assert list(runner.sweep()) == []


def test_a_job_without_any_activity_times_out(script: Script, source_id: str, ckan_config: dict[str, Any]) -> None:
    """With ``ckan.harvest.timeout`` a job that nothing happens to is ended, with an error that says so."""
    script.guids = ("one", "two")
    job_id = gathered(source_id)
    ckan_config["ckan.harvest.timeout"] = 5
    assert "process" in [step.task for step in runner.sweep()]
    elsewhere("UPDATE harvest_job SET gather_finished = gather_finished - interval '6 minutes'")
    model.Session.remove()
    sweep()
    job = ended(job_id)
    assert ["timeout" in message for message in gather_errors(job)] == [True]
    assert counts(job) == {"errored": 3}


def test_a_job_that_is_at_work_does_not_time_out(source_id: str, ckan_config: dict[str, Any]) -> None:
    """What was imported lately is activity, however old the job is."""
    job_id = gathered(source_id)
    runner.process_batch(source_id)
    ckan_config["ckan.harvest.timeout"] = 5
    elsewhere("UPDATE harvest_job SET gather_finished = gather_finished - interval '1 day'")
    model.Session.remove()
    sweep()
    assert gather_errors(ended(job_id)) == []


def test_the_sweep_of_one_source_leaves_the_others(source_id: str) -> None:
    """``harvest_jobs_run`` with a source looks after this one only, and starts nothing."""
    other = str(make_source("scripted")["id"])
    for each in (source_id, other):
        start(each)
    third = str(make_source("scripted")["id"])
    due(third)
    assert [step.id for step in runner.tick(source_id)] == [HarvestJob.filter(source_id=source_id).one().id]
    assert HarvestJob.filter(source_id=third).count() == 0


def test_a_job_is_finished_once(source_id: str) -> None:
    """Of several who would end a job at the same time one does."""
    job_id = gathered(source_id)
    while runner.process_batch(source_id) == [Next("process", source_id)]:
        pass
    with ThreadPoolExecutor(3) as pool:

        def finish(_: int) -> list[Next]:
            try:
                return runner.finish(job_id)
            finally:
                model.Session.remove()

        steps = [step for each in pool.map(finish, range(3)) for step in each]
    assert steps == [Next("reindex", source_id)]
