"""``ckan harvester``: what it does and what it prints."""

from __future__ import annotations

import ast
import base64
import datetime
import json
import sys
from types import SimpleNamespace
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import kombu
import pytest
import redis
import sqlalchemy as sa
from ckan import model
from click.testing import Result

from ckanext.harvest.cli import calling, harvester, workers
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestLog, HarvestSource
from ckanext.harvest.tests.harvesting import act, counts, found, gather_errors, harvest, make_source, objects, start
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, fetch, save_by_hand, save_objects
from ckanext.relay import clock
from ckanext.relay.celery_app import app

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


class Command:
    """Runs ``ckan harvester …`` in this process."""

    def __init__(self, cli: Any) -> None:
        self.cli = cli

    def __call__(self, *arguments: str, **options: Any) -> str:
        """Run a command that must succeed and return what it prints."""
        result = self.run(*arguments, **options)
        if result.exception:
            raise result.exception
        assert result.exit_code == 0
        return str(result.stdout)

    def run(self, *arguments: str, **options: Any) -> Result:
        result: Result = self.cli.invoke(harvester, list(arguments), **options)
        return result

    def fails(self, *arguments: str, **options: Any) -> str:
        """Run a command that must fail and return what it says."""
        result = self.run(*arguments, **options)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        return str(result.stderr)


@pytest.fixture
def ckan(cli: Any) -> Command:
    return Command(cli)


def lines(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip()]


# -- sources


def test_creating_a_source(ckan: Command) -> None:
    """It says what was created and how many there are now."""
    make_source("ckan")
    output = lines(ckan("source", "create", "the-city", "http://city.example", "ckan", "The city", "true"))
    source = act("harvest_source_show", id="the-city")
    assert output == [
        "Created new harvest source:",
        f"Source id: {source['id']}",
        "name: the-city",
        "url: http://city.example",
        "type: ckan",
        "active: True",
        "frequency: MANUAL",
        "jobs: 0",
        "There are 2 harvest sources",
    ]
    assert source["title"] == "The city"


def test_creating_a_source_with_everything(ckan: Command) -> None:
    """All arguments of the contract, in their order; an inactive source; JSON for scripts."""
    organization = act("organization_create", name="city")["id"]
    arguments = ["The city", "false", organization, "weekly", '{"force_all": true}']
    output = ckan("source", "create", "the-city", "http://city.example", "ckan", *arguments, "--json")
    shown = json.loads(output)
    assert (shown["owner_org"], shown["config"]) == (organization, '{"force_all": true}')
    source = HarvestSource.get(shown["id"])
    assert (source.active, source.frequency) == (False, "WEEKLY")


def test_creating_a_source_with_a_job(ckan: Command) -> None:
    """With an empty frequency a job is made as well."""
    ckan("source", "create", "the-city", "http://city.example", "ckan", "The city", "true", "", "")
    assert HarvestJob.filter(source_id=act("harvest_source_show", id="the-city")["id"]).count() == 1


def test_a_source_that_cannot_be_created(ckan: Command) -> None:
    """What is wrong goes to standard error, field by field, and nothing is created."""
    said = ckan.fails("source", "create", "No Name", "http://city.example", "oai")
    assert "An error occurred:" in said
    assert "name: Must be purely lowercase" in said
    assert "source_type: Unknown harvester type: oai" in said
    assert HarvestSource.filter().count() == 0


def test_showing_a_source(ckan: Command) -> None:
    """By id or name."""
    source = make_source("ckan")
    for reference in (source["id"], source["name"]):
        output = lines(ckan("source", "show", reference))
        assert output[:2] == [f"Source id: {source['id']}", f"name: {source['name']}"]
    assert json.loads(ckan("source", "show", source["name"], "--json"))["id"] == source["id"]


def test_removing_a_source(ckan: Command) -> None:
    """The removal is soft."""
    source = make_source("ckan")
    assert lines(ckan("source", "remove", source["name"])) == [f"Removed harvest source: {source['name']}"]
    model.Session.expire_all()
    assert HarvestSource.get(source["id"]).active is False


def test_listing_sources(ckan: Command) -> None:
    """Active ones, or all if any word follows; as text, or as JSON in which secrets are masked."""
    make_source("ckan", title="a", config='{"api_key": "hidden"}')
    act("harvest_source_delete", id=make_source("ckan", title="b")["id"])
    output = ckan("sources")
    assert output.count("Source id:") == 1
    assert lines(output)[-1] == "There are 1 active harvest sources"
    assert lines(ckan("sources", "all"))[-1] == "There are 2 harvest sources"
    listed = json.loads(ckan("sources", "all", "--json"))
    assert [each["title"] for each in listed] == ["b", "a"]
    assert "hidden" not in json.dumps(listed) + output


# -- jobs


def test_creating_a_job(ckan: Command) -> None:
    """It is handed to the workers; a second one is refused."""
    source = make_source("scripted")
    output = lines(ckan("job", source["name"]))
    [job] = HarvestJob.filter(source_id=source["id"])
    assert output[:4] == [
        f"Job id: {job.id}",
        "status: Running",
        f"source: {source['id']}",
        "objects: 0",
    ]
    assert "There already is an unrun job" in ckan.fails("job", source["name"])
    act("harvest_job_abort", id=job.id)
    assert json.loads(ckan("job", source["id"], "--json"))["status"] == "Running"


def test_a_job_that_cannot_be_created(ckan: Command) -> None:
    """An inactive source says so, to workers as in the foreground."""
    source = make_source("scripted")
    act("harvest_source_patch", id=source["id"], state="inactive")
    assert "Can not create jobs on inactive sources" in ckan.fails("job", source["name"])
    assert f"Source {source['name']} is inactive" in ckan.fails("run-test", source["name"])


def test_listing_jobs(ckan: Command) -> None:
    """Newest first, with their gather errors."""
    source_id = make_source("scripted")["id"]
    first = harvest(source_id)
    HarvestGatherError.create("Page 2 is gone", first)
    second = start(source_id)
    output = lines(ckan("jobs"))
    assert [line.split()[-1] for line in output if line.startswith("Job id:")] == [second, first.id]
    assert "gather_error: Page 2 is gone" in output
    assert output[-1] == "There are 2 harvest jobs"
    assert ckan("jobs", "--limit", "1").count("Job id:") == 1
    assert [job["id"] for job in json.loads(ckan("jobs", "--json"))] == [second, first.id]


def test_aborting_a_job(ckan: Command) -> None:
    """By its id, or by its source."""
    source = make_source("scripted")
    assert lines(ckan("job-abort", start(source["id"]))) == ["Job status: Finished"]
    start(source["id"])
    assert lines(ckan("job-abort", source["name"])) == ["Job status: Finished"]


def test_the_tick(ckan: Command) -> None:
    """``run`` starts what is due."""
    source_id = make_source("scripted", frequency="ALWAYS")["id"]
    assert lines(ckan("run")) == ["1 harvest jobs are running"]
    assert HarvestJob.filter(source_id=source_id, status="Running").count() == 1


# -- run-test


def test_harvesting_in_the_foreground(ckan: Command, script: Script) -> None:
    """A whole harvest without a worker, with the counts at its end."""
    script.guids = ("one", "two")
    source = make_source("scripted")
    output = ckan("run-test", source["name"])
    assert json.loads(lines(output)[-1]) == {"added": 2, "updated": 0, "not modified": 0, "errored": 0, "deleted": 0}
    [job] = HarvestJob.filter(source_id=source["id"])
    assert (job.status, counts(job)) == ("Finished", {"added": 2})
    assert found() == ["by-hand-one", "by-hand-two"]


def test_importing_one_record_by_force(ckan: Command, script: Script) -> None:
    """``force-import=GUID`` gathers all, says so to the harvester, and imports this record alone."""
    script.guids = ("one", "two")
    forced = []

    def gather(job: HarvestJob) -> list[str]:
        forced.append(job.force_import)
        return save_objects(job)

    def note(obj: Any) -> bool:
        forced.append((obj.guid, obj.force_import))
        return fetch(obj)

    script.gather, script.fetch = gather, note
    source = make_source("scripted")
    ckan("run-test", source["id"], "force-import=two")
    assert forced == ["two", ("two", True)]
    assert found() == ["by-hand-two"]
    assert ckan.run("run-test", source["id"], "two").exit_code == 2


@pytest.mark.parametrize("stage", ["gather", "imports"])
@pytest.mark.parametrize("breaks", [False, True])
def test_what_a_stage_raises_is_shown(ckan: Command, script: Script, stage: str, breaks: bool) -> None:
    """Exceptions reach the developer as they are, and the source is free for the next run."""

    def failing(_: Any) -> Any:
        if breaks:
            model.Session.execute(sa.text("SELECT no_such_column"))
        raise LookupError("line 3")

    setattr(script, stage, failing)
    source = make_source("scripted")
    result = ckan.run("run-test", source["name"])
    assert isinstance(result.exception, sa.exc.ProgrammingError if breaks else LookupError)
    model.Session.remove()
    assert [job.status for job in HarvestJob.filter(source_id=source["id"])] == ["Finished"]
    script.gather, script.imports = None, save_by_hand
    ckan("run-test", source["name"])


def test_what_a_run_in_the_foreground_stands_for(ckan: Command, script: Script) -> None:
    """Later jobs ask only for what changed since one that went well, not since one whose gather stage raised."""
    source = make_source("scripted")
    ckan("run-test", source["name"])
    [job] = HarvestJob.filter(source_id=source["id"])

    def failing(_: Any) -> Any:
        raise LookupError("line 3")

    script.gather = failing
    ckan.run("run-test", source["name"])
    probe: Any = SimpleNamespace(id="next", source=HarvestSource.get(source["id"]))
    error_free = ScriptedHarvester.last_error_free_job(probe)
    assert error_free is not None and error_free.id == job.id


@pytest.mark.parametrize(("reply", "aborted"), [("y", True), ("n", False)])
def test_a_source_that_is_at_work(ckan: Command, reply: str, aborted: bool) -> None:
    """The developer is asked whether to abort the job that runs."""
    source = make_source("scripted")
    job_id = start(source["id"])
    result = ckan.run("run-test", source["name"], input=f"{reply}\n")
    assert "Abort it? (y/n)" in result.output
    model.Session.remove()
    assert (HarvestJob.get(job_id).status == "Finished") is aborted
    assert (found() == ["by-hand-one"]) is aborted


def test_a_type_that_no_plugin_provides(ckan: Command) -> None:
    """It says which there are."""
    source = make_source("scripted")
    HarvestSource.get(source["id"]).type = "vanished"
    model.Session.commit()
    assert "No harvester for type vanished. Enabled types:" in ckan.fails("run-test", source["name"])


def test_a_job_that_was_not_begun_is_ended(ckan: Command) -> None:
    """A new job does not keep a developer waiting."""
    source = make_source("scripted")
    act("harvest_job_create", source_id=source["id"], run=False)
    ckan("run-test", source["name"])
    jobs = HarvestJob.filter(source_id=source["id"]).all()
    assert [job.status for job in jobs] == ["Finished", "Finished"]
    assert sorted(len(objects(job)) for job in jobs) == [0, 1]
    assert gather_errors(jobs[0]) == []


# -- looking after what is there


def test_jobs_for_all(ckan: Command) -> None:
    """For each active source that has no open job; as text, or as JSON."""
    source_id = make_source("scripted")["id"]
    make_source("scripted")
    start(source_id)
    assert lines(ckan("job-all")) == ["Created 1 new harvest jobs"]
    act("harvest_job_abort", id=source_id)
    assert [job["source_id"] for job in json.loads(ckan("job-all", "--json"))] == [source_id]


def test_ending_jobs_that_run_for_too_long(ckan: Command) -> None:
    """With a number of days, and with sources included or excluded."""
    sources = [make_source("scripted")["id"] for _ in range(3)]
    for source_id in sources:
        HarvestJob.get(start(source_id)).created -= datetime.timedelta(days=3.5)
    model.Session.commit()
    assert lines(ckan("abort-failed-jobs")) == ["Done. Aborted jobs: 0"]
    name = act("harvest_source_show", id=sources[0])["name"]
    assert lines(ckan("abort-failed-jobs", "3", "-i", f"{name}, ")) == ["Done. Aborted jobs: 1"]
    assert lines(ckan("abort-failed-jobs", "3", "--exclude", f"{sources[1]},{sources[0]}")) == ["Done. Aborted jobs: 1"]
    assert lines(ckan("abort-failed-jobs", "4")) == ["Done. Aborted jobs: 0"]
    assert lines(ckan("abort-failed-jobs", "2")) == ["Done. Aborted jobs: 1"]
    assert lines(ckan("abort-failed-jobs", "2")) == ["There is no jobs to abort"]
    assert ckan.run("abort-failed-jobs", "soon").exit_code == 2


def test_clearing_a_source(ckan: Command) -> None:
    """By id or name; the source stays."""
    source = make_source("scripted")
    for reference in (source["id"], source["name"]):
        harvest(source["id"])
        assert lines(ckan("source", "clear", reference)) == [f"Cleared harvest source: {reference}"]
        assert (found(), HarvestJob.filter().count()) == ([], 0)
    assert HarvestSource.get(source["id"]).active


def test_clearing_the_history(ckan: Command) -> None:
    """Of one source, or of all; the datasets stay, and current objects if that is asked for."""
    first, second = make_source("scripted"), make_source("scripted")
    harvest(first["id"])
    for _ in range(2):
        harvest(second["id"])
    output = lines(ckan("source", "clear-history", "-k", "true"))
    assert (output, HarvestJob.filter().count()) == (["Cleared job history of 2 harvest sources"], 1)
    harvest(first["id"])
    output = lines(ckan("source", "clear-history", second["name"]))
    assert output == [f"Cleared job history of harvest source: {second['name']}"]
    assert HarvestJob.filter(source_id=second["id"]).count() == 0
    assert lines(ckan("source", "clear-history")) == ["Cleared job history of 2 harvest sources"]
    assert (HarvestJob.filter().count(), found()) == (0, ["by-hand-one"])


def test_importing_again(ckan: Command, script: Script) -> None:
    """All, one source, one record, one dataset, one object; also without a dataset, and in segments."""
    source = make_source("scripted")
    script.guids = ("one", "two")
    ids = [obj.id for obj in objects(harvest(source["id"]))]

    def imported(*arguments: str) -> int:
        [said] = lines(ckan("import", *arguments))
        assert said.endswith(" objects reimported")
        return int(said.split()[0])

    assert imported() == imported(source["name"]) == 2
    assert imported("-g", "one") == imported("--guid", "two") == 1
    assert imported("-p", "by-hand-one") == imported("--package-id", "by-hand-two") == 1
    assert imported("-o", ids[0]) == imported("--harvest-object-id", ids[1]) == 1
    assert imported("--segments", "01234567") + imported("--segments", "89abcdef") == 2
    act("package_delete", id="by-hand-one")
    assert imported() == 1
    assert imported("-j") == imported(source["id"], "--no-join-datasets") == 2
    assert imported("-j", "--segments", "01234567") + imported("-j", "--segments", "89ABCDEF") == 2


@pytest.mark.parametrize("segments", ["zz", "0-7", "01234567 89abcdef"])
def test_segments_that_are_none(ckan: Command, segments: str) -> None:
    """Nothing is imported, and it says what is expected."""
    assert f"segments: Must be hex digits, such as 01234567, not {segments}" in ckan.fails(
        "import", "--segments", segments
    )


NO_SOURCE = "There is no harvest source nosuch. ckan harvester sources all lists them"
NEITHER = "There is no harvest job or source nosuch. ckan harvester jobs and ckan harvester sources all list them"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("source show nosuch", NO_SOURCE),
        ("source show nosuch --json", NO_SOURCE),
        ("source remove nosuch", NO_SOURCE),
        ("source clear nosuch", NO_SOURCE),
        ("source clear-history nosuch", NO_SOURCE),
        ("job nosuch", NO_SOURCE),
        ("job nosuch --json", NO_SOURCE),
        ("run-test nosuch", NO_SOURCE),
        ("abort-failed-jobs 3 -i nosuch", NO_SOURCE),
        ("abort-failed-jobs 3 --exclude nosuch", NO_SOURCE),
        ("job-abort nosuch", NEITHER),
        ("job-retry nosuch", NEITHER),
        ("job-retry nosuch --json", NEITHER),
        ("import nosuch", NO_SOURCE),
        ("import -o nosuch", "There is no harvest object nosuch"),
        ("import -g nosuch", "There is no record with the GUID nosuch"),
        ("import -p nosuch", "There is no dataset nosuch"),
    ],
)
def test_what_there_is_not(ckan: Command, arguments: str, said: str) -> None:
    """A command that is given the name of nothing repeats it, says where to look, and ends with 1."""
    make_source("scripted")
    assert lines(ckan.fails(*arguments.split()))[-1] == f"Error: {said}"


def test_a_dataset_is_no_source(ckan: Command) -> None:
    """The name of a dataset of another type is not taken for that of a source."""
    harvest(make_source("scripted")["id"])
    assert "There is no harvest source by-hand-one" in ckan.fails("source", "clear", "by-hand-one")
    assert found() == ["by-hand-one"]


def test_reindexing(ckan: Command) -> None:
    """All sources that are active."""
    make_source("ckan"), make_source("ckan")
    act("harvest_source_delete", id=make_source("ckan")["id"])
    assert lines(ckan("reindex")) == ["2 harvest sources reindexed"]


def test_purging_the_queues(ckan: Command) -> None:
    """Messages go; the work stays, and the next sweep sends it again."""
    job_id = start(make_source("scripted")["id"])
    assert waiting(job_id) == 1
    assert "The queues are empty" in ckan("purge-queues")
    assert waiting(job_id) == 0
    assert HarvestJob.get(job_id).status == "Running"
    ckan("run")
    assert waiting(job_id) == 1


@pytest.mark.parametrize("command", ["purge-queues", "source clear-history"])
def test_a_broker_that_is_away(ckan: Command, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, without the password, and nothing is removed."""
    away = kombu.Connection("redis://:hunter2@127.0.0.1:9/0", transport_options=app.conf.broker_transport_options)
    monkeypatch.setattr(app, "connection_for_write", lambda: away)
    harvest(make_source("scripted")["id"])
    said = ckan.fails(*command.split())
    assert "The message broker cannot be reached" in said and "hunter2" not in said
    assert HarvestJob.filter().count() == 1


def waiting(text: str) -> int:
    """Return how many messages with this text wait in the broker."""
    broker = redis.Redis.from_url(tk.config["ckan.redis.url"])
    lists = [key for key in broker.scan_iter() if broker.type(key) == b"list"]
    bodies = [json.loads(message)["body"] for key in lists for message in broker.lrange(key, 0, -1)]
    return sum(text in base64.b64decode(body).decode() for body in bodies)


def test_cleaning_the_log(ckan: Command, ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than the settings say goes."""
    HarvestLog.filter().delete()
    for days in (1, 3, 29, 31):
        HarvestLog(content=f"{days} days", level="INFO", created=clock.now() - datetime.timedelta(days=days)).save()
    assert lines(ckan("clean-harvest-log")) == ["Deleted log messages that are older than 30 days"]
    assert HarvestLog.filter().count() == 3
    monkeypatch.setitem(ckan_config, "ckan.harvest.log_timeframe", "2")
    ckan("clean-harvest-log")
    assert [entry.content for entry in HarvestLog.filter()] == ["1 days"]


def test_which_harvesters_there_are(ckan: Command) -> None:
    """As a Python list, which scripts have read so far, or as JSON."""
    listed = ast.literal_eval(ckan("harvesters_info"))
    assert {info["name"] for info in listed} == {"ckan", "scripted"}
    assert json.loads(ckan("harvesters_info", "--json")) == listed


def test_a_bar_for_long_work(cli: Any, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, so that what a command prints stays as it is; it is there as soon as there is something."""
    shown: list[tuple[str, int]] = []

    def note(length: int, label: str, file: Any) -> Any:
        bar = progressbar(length=length, label=label, file=file)
        shown.append((label, length))
        assert file is sys.stderr
        return bar

    progressbar = calling.click.progressbar
    monkeypatch.setattr(calling.click, "progressbar", note)
    script.guids = ("one", "two", "three")
    source = make_source("scripted")
    harvest(source["id"])
    ckan = Command(cli)
    assert lines(ckan("import")) == ["3 objects reimported"]
    ckan("reindex")
    ckan("source", "clear-history", "-k", "true")
    ckan("source", "clear", source["name"])
    assert shown == [("Importing", 3), ("Indexing", 1), ("Removing", 1), ("Removing", 3)]


@pytest.mark.parametrize(("command", "beat"), [("gather-consumer", True), ("fetch-consumer", False)])
def test_the_commands_of_supervisors(ckan: Command, command: str, beat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They become Celery workers; the one for gathering sweeps as well. (tests/test_flow.py runs real ones.)"""
    started: list[list[str]] = []
    monkeypatch.setattr(workers, "run_worker", lambda *arguments: started.append([str(each) for each in arguments]))
    ckan(command)
    [[concurrency, kinds, options]] = started
    assert (concurrency, kinds, "--beat" in options) == ("1", "['harvest']", beat)


def test_the_commands_are_ckans() -> None:
    """CKAN is given the group, and it has all commands of this version."""
    commands = [command for plugin in p.PluginImplementations(p.IClick) for command in plugin.get_commands()]
    assert harvester in commands
    names = {
        "source", "sources", "job", "jobs", "job-abort", "abort-failed-jobs", "job-all", "run", "run-test", "import",
        "gather-consumer", "fetch-consumer", "purge-queues", "clean-harvest-log", "reindex", "harvesters_info",
    }  # fmt: skip
    assert names <= set(harvester.commands)
    assert {"create", "show", "remove", "clear", "clear-history"} == set(harvester.commands["source"].commands)  # type: ignore[attr-defined]
