"""What the doctor finds in a database, what it mends, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest import doctor, runner
from ckanext.harvest.cli import harvester
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource, lease_table, work
from ckanext.harvest.tests.harvesting import (
    act,
    counts,
    current,
    ended,
    found,
    gather_errors,
    harvest,
    make_source,
    sql,
    start,
    sweep,
)
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id
from ckanext.relay import celery_app, diagnosis, lease, search_entries

SCRIPT = {"guids": ("one", "two", "three")}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")
#: What is not there in these tests, and so always found.
AWAY = {"no-worker", "no-beat"}


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is there to answer, and only some tests wait for that."""
    monkeypatch.setattr(diagnosis, "PING_SECONDS", 0.5)
    if "broker" not in request.node.name:
        monkeypatch.setattr(diagnosis, "broker", lambda kind: iter(()))


def examined(fix: bool = False) -> dict[str, doctor.Finding]:
    """Return what the doctor finds, by code, without what is away in these tests."""
    model.Session.remove()
    return {finding.code: finding for finding in doctor.examine(fix) if finding.code not in AWAY}


def gathered(source_id: str) -> str:
    """Start a job, run its gather stage alone, and return the job's id."""
    job_id = start(source_id)
    list(runner.gather(job_id))
    model.Session.remove()
    return job_id


# -- each kind of thing: how it becomes wrong, in a database with a source that was harvested once


def several_open_jobs(source_id: str) -> None:
    start(source_id)
    sql(
        "INSERT INTO harvest_job (id, created, status, source_id) VALUES ('old', '2020-01-01', 'Running', :id)",
        id=source_id,
    )


def gather_lost(source_id: str) -> None:
    job_id = gathered(source_id)
    sql(
        "UPDATE harvest_job SET gather_started = '2020-01-01', gather_finished = NULL, claimed_by = 'dead' "
        "WHERE id = :id",
        id=job_id,
    )


def never_begun(source_id: str) -> None:
    sql("UPDATE harvest_job SET created = '2020-01-01', attempts = NULL WHERE id = :id", id=start(source_id))


def objects_lost(source_id: str) -> None:
    job_id = gathered(source_id)
    sql(
        "UPDATE harvest_object SET state = 'IMPORT', fetch_started = '2020-01-01', import_started = '2020-01-01', "
        "retry_times = 5, gathered = '2020-01-01' WHERE harvest_job_id = :id AND guid <> 'two'",
        id=job_id,
    )


def left_open(source_id: str) -> None:
    job_id = gathered(source_id)
    sql("UPDATE harvest_job SET status = 'Finished', finished = now() WHERE id = :id", id=job_id)


def not_ended(source_id: str) -> None:
    sql(
        "UPDATE harvest_job SET status = 'Running', finished = NULL, stats = NULL, gather_finished = '2020-01-01';"
        "UPDATE harvest_object SET import_finished = '2020-01-01'"
    )


def without_tries(source_id: str) -> None:
    gathered(source_id)
    sql("UPDATE harvest_object SET retry_times = NULL WHERE state = 'WAITING' AND guid = 'one'")


def not_reported(source_id: str) -> None:
    sql("UPDATE harvest_object SET state = 'ERROR', report_status = NULL, current = false WHERE guid = 'one'")


def undated(source_id: str) -> None:
    sql("UPDATE harvest_job SET finished = NULL")


def uncounted(source_id: str) -> None:
    sql("UPDATE harvest_job SET stats = NULL")


def current_twice(source_id: str) -> None:
    harvest(source_id)
    sql("UPDATE harvest_object SET current = true WHERE guid = 'one'")


def current_of_nothing(source_id: str) -> None:
    act("package_delete", id=package_id("one"))


def unclaimed(source_id: str) -> None:
    harvest(source_id)
    sql("UPDATE harvest_object SET current = false WHERE guid = 'one'")


def without_source(source_id: str) -> None:
    sql("UPDATE harvest_object SET harvest_source_id = NULL WHERE guid = 'one'")


def without_job(source_id: str) -> None:
    harvest(source_id)
    sql("UPDATE harvest_object SET harvest_job_id = NULL WHERE guid = 'one'")


def jobs_without_source(source_id: str) -> None:
    sql("INSERT INTO harvest_job (id, created, status, finished) VALUES ('alone', now(), 'Finished', now())")


def sources_without_dataset(source_id: str) -> None:
    sql("INSERT INTO harvest_source (id, url, type, active, frequency) VALUES ('bare', 'x', 'scripted', true, 'DAILY')")


def datasets_without_row(source_id: str) -> None:
    other = make_source("scripted", frequency="WEEKLY", title="Once more")["id"]
    sql("DELETE FROM harvest_source WHERE id = :id", id=other)


def frequency_unknown(source_id: str) -> None:
    sql("UPDATE harvest_source SET frequency = ' daily' WHERE id = :id", id=source_id)


def index_missing(source_id: str) -> None:
    search_entries.remove([package_id("one")])


def index_stale(source_id: str) -> None:
    sql("UPDATE harvest_object SET id = 'another' WHERE guid = 'one'")


def index_gone(source_id: str) -> None:
    sql("DELETE FROM harvest_object WHERE guid = 'one'")
    sql("UPDATE package SET state = 'deleted' WHERE id = :id", id=package_id("one"))


def sources_not_indexed(source_id: str) -> None:
    search_entries.remove([source_id])


WRONG: list[tuple[Callable[[str], None], str, int]] = [
    (several_open_jobs, "several-open-jobs", 1),
    (gather_lost, "gather-lost", 1),
    (never_begun, "gather-lost", 1),
    (objects_lost, "objects-lost", 2),
    (left_open, "objects-left-open", 3),
    (not_ended, "jobs-not-ended", 1),
    (without_tries, "retry-times-missing", 1),
    (not_reported, "errors-not-reported", 1),
    (undated, "jobs-undated", 1),
    (uncounted, "jobs-uncounted", 1),
    (current_twice, "current-twice", 1),
    (current_of_nothing, "current-of-nothing", 1),
    (unclaimed, "datasets-unclaimed", 1),
    (without_source, "objects-without-source", 1),
    (without_job, "objects-without-job", 2),
    (jobs_without_source, "jobs-without-source", 1),
    (sources_without_dataset, "sources-without-dataset", 1),
    (datasets_without_row, "datasets-without-row", 1),
    (frequency_unknown, "frequency-unknown", 1),
    (index_missing, "index-missing", 1),
    (index_stale, "index-stale", 1),
    (index_gone, "index-gone", 1),
    (sources_not_indexed, "sources-not-indexed", 1),
]


@pytest.mark.parametrize(("spoil", "code", "count"), WRONG, ids=[spoil.__name__ for spoil, _, _ in WRONG])
def test_what_is_wrong_is_found_and_mended(source_id: str, spoil: Callable[[str], None], code: str, count: int) -> None:
    """Each kind is counted and sampled without a change, mended when asked to, and gone after that; the source can be
    harvested then as if nothing had been."""
    harvest(source_id)
    assert examined() == {}
    spoil(source_id)
    before = rows()
    finding = examined()[code]
    assert (finding.count, finding.left, finding.mendable) == (count, count, True)
    assert len(finding.samples) == count and all(finding.samples)
    assert rows() == before, "it was changed without being asked to"
    mended = examined(fix=True)
    assert {finding.code: finding.left for finding in mended.values()} == dict.fromkeys(mended, 0)
    assert mended[code].count == count
    assert examined() == {}
    for job in HarvestJob.filter(status="Running").all():
        sweep()
        ended(job.id)
    if code != "current-of-nothing":
        harvest(source_id)
        assert found() == ["record-one", "record-three", "record-two"]
        assert [len(current(package_id(guid))) for guid in ("one", "two", "three")] == [1, 1, 1]
    assert examined() == {}


def rows() -> list[Any]:
    """Return all that the doctor might change."""
    tables = ("harvest_source", "harvest_job", "harvest_object")
    return [sorted(map(str, sql(f"SELECT t::text FROM {table} t"))) for table in tables]


def test_all_at_once(source_id: str) -> None:
    """A database in which much is wrong is mended in one go."""
    harvest(source_id)
    other = str(make_source("scripted")["id"])
    gather_lost(other)
    for spoil in (current_twice, undated, frequency_unknown, index_missing, sources_without_dataset):
        spoil(source_id)
    assert len(examined()) >= 5
    assert all(finding.left == 0 for finding in examined(fix=True).values())
    assert examined() == {}


def test_a_type_that_no_plugin_provides(source_id: str) -> None:
    """It is named, with what a person can do, and not mended."""
    sql("UPDATE harvest_source SET type = 'gone' WHERE id = :id", id=source_id)
    finding = examined(fix=True)["type-missing"]
    assert (finding.count, finding.samples, finding.left, finding.mendable) == (1, [source_id], 1, False)
    assert "ckan.plugins" in finding.remedy


def test_work_in_progress_is_not_wrong(script: Script, source_id: str) -> None:
    """Nothing that waits for its turn, is at work or is put off is touched, and no count is lost."""
    job_id = gathered(source_id)
    start(str(make_source("scripted")["id"]))
    with lease.held(lease_table, f"process {source_id}", longest=60) as worker:
        work.claim_objects(source_id, worker, 2)
        sql(
            "UPDATE harvest_object SET state = 'IMPORT', fetch_started = '2020-01-01', gathered = '2020-01-01' "
            "WHERE claimed_by = :id",
            id=worker,
        )
        before = rows()
        assert examined(fix=True) == {}
        assert rows() == before
    sweep()
    assert sum(counts(ended(job_id)).values()) == 3


def test_a_mended_job_is_gathered_anew(script: Script, source_id: str) -> None:
    """What was gathered before the job was lost is not there twice; what was lost in an import is done."""
    gather_lost(source_id)
    [job_id] = [job.id for job in HarvestJob.filter(status="Running")]
    examined(fix=True)
    assert HarvestObject.filter(harvest_job_id=job_id).count() == 0
    sweep()
    assert counts(ended(job_id)) == {"added": 3}
    objects_lost(source_id)
    [job_id] = [job.id for job in HarvestJob.filter(status="Running")]
    examined(fix=True)
    sweep()
    assert counts(ended(job_id)) == {"updated": 3}


def test_counts_are_kept_as_they_were_shown(
    script: Script, source_id: str, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that ckanext-harvest has ended are counted once, in batches, however many they are, and one says how far
    that is; after that nobody counts their objects any more."""
    from ckanext.harvest.cli import calling
    from ckanext.harvest.model import checks

    monkeypatch.setattr(checks, "BATCH", 2)
    for guids in (("one",), ("one", "two"), ("one", "two", "three"), ("four",), ()):
        script.guids = guids
        script.fetch = (lambda obj: obj.guid != "one") if len(guids) == 3 else None
        harvest(source_id)
    uncounted(source_id)
    model.Session.remove()
    before = {job["id"]: job["stats"] for job in act("harvest_job_list", source_id=source_id)}
    assert {"added": 1, "updated": 1, "errored": 1} in [{k: n for k, n in s.items() if n} for s in before.values()]
    lengths = []

    def note(length: int, **given: Any) -> Any:
        lengths.append(length)
        return progressbar(length=length, **given)

    progressbar = calling.click.progressbar
    monkeypatch.setattr(calling.click, "progressbar", note)
    assert "jobs-uncounted: 5 jobs" in cli.invoke(harvester, ["doctor", "--fix"]).stdout
    assert lengths[0] == 5
    model.Session.remove()
    sql("UPDATE harvest_object SET report_status = 'counted again'")
    assert {job["id"]: job["stats"] for job in act("harvest_job_list", source_id=source_id)} == before


def test_a_job_that_was_never_begun(source_id: str) -> None:
    """When its source is removed it ends with its counts, so that there is nothing to mend."""
    job = act("harvest_job_create", source_id=source_id, run=False)
    act("harvest_source_delete", id=source_id)
    assert examined() == {}
    assert HarvestJob.get(job["id"]).status == "Aborted" and HarvestJob.get(job["id"]).stats


def test_ended_jobs_say_why(source_id: str) -> None:
    """A job that the doctor ended says so, and the newer one goes on."""
    several_open_jobs(source_id)
    examined(fix=True)
    assert ["doctor" in message for message in gather_errors(HarvestJob.get("old"))] == [True]
    assert HarvestJob.get("old").finished
    sweep()
    assert HarvestJob.filter(status="Running").count() == 0


def test_a_created_row_is_what_the_dataset_says(source_id: str) -> None:
    """A source whose row was lost has its type, URL and frequency again."""
    datasets_without_row(source_id)
    examined(fix=True)
    row = HarvestSource.filter(title="Once more").one()
    assert (row.type, row.frequency, row.active) == ("scripted", "WEEKLY", True)
    assert row.url == act("package_show", id=row.id)["url"]


def test_the_mending_of_more_than_a_batch(source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All batches are mended, however small they are."""
    from ckanext.harvest import drift
    from ckanext.harvest.model import checks

    monkeypatch.setattr(checks, "BATCH", 2)
    monkeypatch.setattr(drift, "PAGE", 2)
    harvest(source_id)
    sql(
        "INSERT INTO harvest_object (id, guid, harvest_job_id, harvest_source_id, state, current) SELECT 'x' || n, "
        "'x', (SELECT id FROM harvest_job), :id, 'ERROR', false FROM generate_series(1, 11) n",
        id=source_id,
    )
    search_entries.remove([package_id(guid) for guid in ("one", "two", "three")])
    findings = examined(fix=True)
    assert {code: (finding.count, len(finding.samples), finding.left) for code, finding in findings.items()} == {
        "errors-not-reported": (11, 5, 0),
        "index-missing": (3, 3, 0),
    }
    assert found() == ["record-one", "record-three", "record-two"]


# -- what does not run


def test_who_sweeps(source_id: str) -> None:
    """Each sweep leaves a trace; when the last one is long ago, the doctor says so."""

    def lines() -> list[str]:
        return [finding.what for finding in doctor.examine() if finding.code == "no-beat"]

    assert "never" in lines()[0]
    list(runner.sweep())
    assert lines() == []
    sql("UPDATE harvest_lease SET started = started - interval '50 minutes' WHERE task = 'last harvest sweep'")
    assert "50 minutes ago" in lines()[0]


def test_no_worker_with_a_broker(source_id: str) -> None:
    """Without a worker both lanes are named."""
    [finding] = [finding for finding in doctor.examine() if finding.code == "no-worker"]
    assert "harvest.priority" in finding.what and "harvest.bulk" in finding.what


def test_the_broker_and_others_are_away(ckan_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker, a Solr or tables that are not there are findings, and the rest is looked at all the same."""
    import kombu

    from ckanext.relay import search

    monkeypatch.setattr(
        celery_app.app, "connection_for_write", lambda: kombu.Connection("redis://:secret@127.0.0.1:9/0")
    )

    def away() -> None:
        raise search.SearchUnavailable("Solr does not answer: refused")

    monkeypatch.setattr(search, "require", away)
    sql("INSERT INTO harvest_source (id, url, type, active, frequency) VALUES ('bare', 'x', 'scripted', true, 'DAILY')")
    findings = examined()
    assert set(findings) == {"broker-away", "solr-away", "sources-without-dataset"}
    assert "secret" not in findings["broker-away"].what
    sql("UPDATE harvest_alembic_version SET version_num = '75d650dfd519'")
    try:
        assert set(examined()) == {"broker-away", "migrations-pending"}
    finally:
        sql("UPDATE harvest_alembic_version SET version_num = 'e6b2d94f1c08'")


# -- the command


def test_the_command(source_id: str, cli: Any) -> None:
    """It prints what is wrong for people or as JSON, and its exit code says whether anything is left."""
    list(runner.sweep())
    done = cli.invoke(harvester, ["doctor"])
    assert (done.exit_code, done.stdout) == (0, "Nothing is wrong\n")
    harvest(source_id)
    undated(source_id)
    done = cli.invoke(harvester, ["doctor"])
    assert done.exit_code == 1
    assert "jobs-undated: 1 jobs have ended and do not say when" in done.stdout and "--fix: they get" in done.stdout
    shown = json.loads(cli.invoke(harvester, ["doctor", "--json"]).stdout)
    assert not shown["healthy"]
    [finding] = shown["findings"]
    assert (finding["code"], finding["count"], finding["left"]) == ("jobs-undated", 1, 1)
    assert finding["samples"] == [HarvestJob.filter().one().id]
    done = cli.invoke(harvester, ["doctor", "--fix"])
    assert done.exit_code == 0 and "mended: they get" in done.stdout
    sql("UPDATE harvest_source SET type = 'gone' WHERE id = :id", id=source_id)
    assert cli.invoke(harvester, ["doctor", "--fix", "--json"]).exit_code == 1


def test_a_healthy_portal_with_other_datasets(source_id: str) -> None:
    """Datasets that were not harvested, drafts and deleted sources are none of the doctor's business."""
    harvest(source_id)
    factories.Dataset()
    factories.Dataset(state="draft")
    deleted = make_source("scripted")["id"]
    act("harvest_source_delete", id=deleted)
    script = ScriptedHarvester.script

    def delete(obj: HarvestObject) -> bool:
        HarvestObject.filter(guid=obj.guid).update({"current": False}, False)
        obj.package_id = package_id(obj.guid)
        obj.add()
        act("package_delete", id=obj.package_id)
        return True

    script.guids, script.imports = ("one",), delete
    assert counts(harvest(source_id)) == {"deleted": 1}
    assert examined() == {}


def test_the_documentation_names_each_finding(portal: None) -> None:
    """Every code that the doctor may name is in the table of the documentation, and no other."""
    import inspect
    import re
    from pathlib import Path

    page = (Path(doctor.__file__).parents[2] / "docs" / "operations.rst").read_text()
    section = page.split("\nDoctor\n------\n")[1].split("\nSyndicate\n---------\n")[0]
    documented = set(re.findall(r"^   \* - ``([a-z-]+)``$", section, re.MULTILINE))
    codes = {check.code for check in (*doctor.health.CHECKS, *doctor._own_checks())} | set(doctor.NEEDS_MENDING)
    sources = "".join(inspect.getsource(module) for module in (doctor, diagnosis))
    named = set(re.findall(r'Finding\(\s*"([a-z-]+)"', sources))
    assert documented == codes | named
