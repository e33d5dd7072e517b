"""A portal that runs ckanext-harvest 1.6.3 changes to this project in place."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
import requests

from ckanext.harvest.tests.flow import Feed
from ckanext.relay.devstack.portal import Portal, Services
from ckanext.relay.tests.waiting import wait_until

from .test_packaging import ROOT, built, run  # noqa: F401  (built is a fixture)

if TYPE_CHECKING:
    from ckanext.relay.devstack.stack import Stack

TABLES = (
    "harvest_source", "harvest_job", "harvest_object", "harvest_object_extra", "harvest_gather_error",
    "harvest_object_error", "harvest_log",
)  # fmt: skip

FILL = """
import ckan.plugins.toolkit as tk
from ckan import model
from ckanext.harvest.model import *
tk.get_action("get_site_user")({"ignore_auth": True}, {})
user = {"ignore_auth": True, "user": "ckan.site_user" if model.User.get("ckan.site_user") else "wheel"}
source = tk.get_action("harvest_source_create")(dict(user), {
    "name": "old-source", "url": "http://old.example/", "source_type": "ckan", "title": "Old", "frequency": "DAILY",
    "config": '{"force_all": true}'})
dataset = tk.get_action("package_create")(dict(user), {"name": "old-dataset"})
job = HarvestJob(source=HarvestSource.get(source["id"]), status="Finished")
job.save()
for number in range(20):
    obj = HarvestObject(guid=f"guid-{number}", job=job, content='{"id": 1}', state="COMPLETE", current=number == 0,
                        package_id=dataset["id"] if number == 0 else None, report_status="added",
                        extras=[HarvestObjectExtra(key="k", value="v")])
    obj.save()
HarvestGatherError.create("old gather error", job)
HarvestObjectError.create("old object error", obj, "Import", 7)
HarvestLog(content="old", level="INFO").save()
"""

BEGIN = """
import ckan.plugins.toolkit as tk
import ckanext.harvest.queue as queue
from ckan import model
tk.get_action("get_site_user")({"ignore_auth": True}, {})
user = {"ignore_auth": True, "user": "ckan.site_user" if model.User.get("ckan.site_user") else "wheel"}

def begin(name, url):
    source = tk.get_action("harvest_source_create")(dict(user), {
        "name": name, "url": url, "source_type": "ckan", "title": name, "config": '{"force_all": true}'})
    tk.get_action("harvest_job_create")(dict(user), {"source_id": source["id"]})
"""

#: A consumer is killed in the third import: two datasets are there, one object is lost, and two wait.
KILLED = (
    BEGIN
    + """
import os
from ckanext.harvest.harvesters import CKANHarvester
begin("killed", "{killed}")
consumer = queue.get_gather_consumer()
queue.gather_callback(consumer, *consumer.basic_get(queue="gather"))
consumer = queue.get_fetch_consumer()
for number in range(3):
    if number == 2:
        CKANHarvester.import_stage = lambda self, obj: os._exit(9)
    queue.fetch_callback(consumer, *consumer.basic_get(queue="fetch"))
"""
)
FLUSHED = BEGIN + 'begin("flushed", "{flushed}")'

CHECK = """
import ckan.plugins.toolkit as tk
from ckanext.harvest.model import HarvestObject
context = {"ignore_auth": True, "user": ""}
source = tk.get_action("harvest_source_show")(dict(context), {"id": "old-source"})
assert source["status"]["total_datasets"] == 1, source
assert source["config"] == '{"force_all": true}', source
stats = source["status"]["last_job"]["stats"]
assert stats == {"added": 20, "updated": 0, "not modified": 0, "errored": 2, "deleted": 0}, stats
shown = tk.get_action("harvest_object_show")(dict(context), {"dataset_id": "old-dataset"})
assert shown["guid"] == "guid-0" and shown["extras"] == {"k": "v"}, shown
job = tk.get_action("harvest_job_create")(dict(context), {"source_id": source["id"]})
assert job["status"] == "Running", job
print("taken over")
"""


STATS = """
import json
import ckan.plugins.toolkit as tk
context = {"ignore_auth": True, "user": ""}
sources = {name: tk.get_action("harvest_source_show")(dict(context), {"id": name}) for name in ("killed", "flushed")}
print(json.dumps({name: source["status"]["last_job"] for name, source in sources.items()}))
"""

#: What is there to mend in the end, by code: how many, and the rest of what the doctor says is about what runs.
WRONG = {"gather-lost": 1, "objects-lost": 1, "jobs-undated": 1, "jobs-uncounted": 1, "index-stale": 1}


@dataclass
class TakenOver:
    """A portal of ckanext-harvest 1.6.3 on which this project was installed.

    :param before: its rows before that, with those that were in the tables after the migration in ``after``
    """

    ckan: list[str]
    folder: Path
    before: dict[str, list[dict[str, Any]]]
    after: dict[str, list[dict[str, Any]]]
    feeds: dict[str, Feed]

    def script(self, script: str) -> str:
        """Run Python inside the portal's application."""
        done = self.start(script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, script: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "script.py").write_text(script)
        program = (
            "import sys; from ckan.cli import load_config; from ckan.config.middleware import make_app\n"
            "app = make_app(load_config(sys.argv[1]))._wsgi_app\n"
            "with app.test_request_context(): exec(open(sys.argv[2]).read())"
        )
        python = str(Path(self.ckan[0]).with_name("python"))
        return outside([python, "-c", program, self.ckan[2], str(self.folder / "script.py")])

    def doctor(self, *options: str) -> tuple[int, dict[str, int], dict[str, int]]:
        """Return exit code, and how many the doctor found and left of each kind that it mends."""
        done = outside([*self.ckan, "harvester", "doctor", "--json", *options])
        assert done.stdout, done.stderr
        findings = [each for each in json.loads(done.stdout)["findings"] if each["mendable"]]
        found, left = ({each["code"]: each[key] for each in findings} for key in ("count", "left"))
        return done.returncode, found, left

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker with a beat, as an old supervisor file starts it."""
        with (self.folder / "worker.log").open("w") as log:
            command = [*self.ckan, "harvester", "gather-consumer"]
            process = subprocess.Popen(command, env=own_environment(), cwd="/", stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def finished(self) -> dict[str, dict[str, Any]]:
        """Return the newest jobs of the two sources when both have ended."""
        jobs: dict[str, dict[str, Any]] = {}

        def ask() -> bool:
            jobs.update(json.loads(self.script(STATS).splitlines()[-1]))
            return all(job["status"] == "Finished" for job in jobs.values())

        wait_until(ask, seconds=90, every=1)
        return jobs


def outside(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=own_environment(), cwd="/", text=True, capture_output=True, timeout=120)


def own_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("CKAN_", "PYTHON"))}


@pytest.fixture(scope="module")
def taken_over(
    built: Path,  # noqa: F811
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TakenOver]:
    """Fill a database with ckanext-harvest 1.6.3, let it lose its work, uninstall it, install ours, and migrate."""
    folder = tmp_path_factory.mktemp("takeover")
    prepare = '. "$root/ckanext/relay/devstack/venv.sh"; prepare_venv old ckanext-harvest==1.6.3 pylibmagic'
    run("sh", "-euc", prepare, root=str(ROOT), venv=str(folder / "venv"), ckan_version=version("ckan"))
    stack.postgres.drop_database("takeover")
    everything = {"delete": {"query": "site_id:takeover"}}  # of an earlier run
    requests.post(f"{stack.solr.core('test')}/update?commit=true", json=everything, timeout=60).raise_for_status()
    url = stack.postgres.database("takeover")
    quick = {"ckanext.relay.sweep_seconds": "2", "ckanext.relay.allowed_networks": "127.0.0.0/8"}
    portal = Portal(folder, "takeover", "Takeover", 0, "harvest ckan_harvester", quick)
    portal.configure(Services(url, stack.solr.core("test"), stack.valkey.url("test"), "secret", "unused"))
    programs = folder / "venv" / "bin"
    ckan = [str(programs / "ckan"), "--config", str(portal.ini)]
    run(*ckan, "db", "upgrade", "--skip-plugins")
    run(*ckan, "db", "pending-migrations", "--apply")
    with Feed(5) as killed, Feed(5) as flushed:
        old = TakenOver(ckan, folder, {}, {}, {"killed": killed, "flushed": flushed})
        old.script(FILL)
        assert old.start(KILLED.replace("{killed}", killed.url)).returncode == 9
        old.script(FLUSHED.replace("{flushed}", flushed.url))
        stack.valkey.flush("test")
        old.before = contents(url)

        run(str(programs / "pip"), "uninstall", "--yes", "ckanext-harvest")
        extra = "[ckan211]" if version("ckan").startswith("2.11.") else ""
        run(str(programs / "pip"), "install", "--quiet", f"{next(built.glob('*.whl'))}{extra}")
        assert "unapplied migrations for harvest" in run(*ckan, "db", "pending-migrations")
        run(*ckan, "db", "pending-migrations", "--apply")
        old.after = contents(url, old.before)
        yield old


@pytest.mark.timeout(900)
def test_a_database_of_ckanext_harvest_is_taken_over_with_all_its_rows(taken_over: TakenOver) -> None:
    """Every row is as it was, and the next job can be made."""
    assert [len(taken_over.before[table]) for table in TABLES] == [3, 3, 25, 20, 1, 1, 1]
    assert taken_over.after == taken_over.before
    assert "taken over" in taken_over.script(CHECK)
    assert "old-source" in run(*taken_over.ckan, "harvester", "sources")
    run(*taken_over.ckan, "harvester", "job-abort", "old-source")


@pytest.mark.timeout(900)
def test_what_ckanext_harvest_lost_is_mended(taken_over: TakenOver) -> None:
    """A job whose message a flushed Redis took, and one whose consumer was killed in an import, have all their records
    in the end, each once; the next run finds nothing to do, and the doctor nothing wrong."""
    assert states(taken_over.before) == {"killed": ("Running", ["COMPLETE"] * 2 + ["IMPORT"] + ["WAITING"] * 2),
                                         "flushed": ("Running", [])}  # fmt: skip
    assert taken_over.doctor() == (1, WRONG, WRONG)
    code, found, left = taken_over.doctor("--fix")
    assert (code, found, left) == (1, WRONG, dict.fromkeys(WRONG, 0))  # 1, since no worker runs
    with taken_over.worker():
        jobs = taken_over.finished()
        assert {job["stats"]["added"] for job in jobs.values()} == {5}
        assert [sum(job["stats"].values()) for job in jobs.values()] == [5, 5]
        for name in taken_over.feeds:
            run(*taken_over.ckan, "harvester", "job", name)
        jobs = taken_over.finished()
        assert [job["stats"]["not modified"] for job in jobs.values()] == [5, 5]
        assert [sum(job["stats"].values()) for job in jobs.values()] == [5, 5]
        assert taken_over.doctor() == (0, {}, {})


def states(rows: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[str, list[str]]]:
    """Return the status of the job of each of the two sources, and the states of its objects."""
    names = {row["id"]: row["title"] for row in rows["harvest_source"] if row["title"] != "Old"}
    found = {}
    for job in rows["harvest_job"]:
        if job["source_id"] in names:
            objects = [row["state"] for row in rows["harvest_object"] if row["harvest_job_id"] == job["id"]]
            found[names[job["source_id"]]] = (job["status"], sorted(objects))
    return found


def contents(url: str, like: dict[str, list[dict[str, Any]]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows of the harvest tables, by table; of the columns of ``like`` only, if it is given."""
    found = {}
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for table in TABLES:
            columns = ", ".join(like[table][0]) if like else "*"
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY id")
            names = [column.name for column in cursor.description or ()]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor]
    return found
