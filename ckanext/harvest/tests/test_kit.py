"""The kit for third-party test suites, used as they use it, on the harvester of the guide."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan import model

from ckanext.harvest import model as harvest_model
from ckanext.harvest import queue
from ckanext.harvest.tests import factories as typed_factories
from ckanext.harvest.tests.example_harvester import ExampleHarvester
from ckanext.harvest.tests.fixtures import clean_queues  # noqa: F401  (a conftest would name it in pytest_plugins)
from ckanext.harvest.tests.lib import run_harvest, run_harvest_job
from ckanext.relay.errors import ConfigurationError
from ckanext.relay.http import BlockedUrl

#: Type checkers take the call of a factory for an instance of it.
factories: Any = typed_factories
PLUGINS = {"example_harvester": ExampleHarvester}
pytestmark = pytest.mark.usefixtures("portal", "clean_queues")

ONE = {"id": "one-id", "title": "One", "link": "http://example.org/one.csv"}
TWO = {"id": "two-id", "title": "Two"}


class Listing(ThreadingHTTPServer):
    """Answers with datasets, to whoever has the token."""

    datasets: list[dict[str, Any]] = []
    token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/list.json"


class Request(BaseHTTPRequestHandler):
    server: Listing

    def do_GET(self) -> None:
        allowed = self.server.token in (None, self.headers.get("Authorization"))
        body = json.dumps({"datasets": self.server.datasets}).encode()
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def listing() -> Iterator[Listing]:
    server = Listing(("127.0.0.1", 0), Request)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def harvester() -> Any:
    return p.get_plugin("example_harvester")


def statuses(results: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {guid: (result["state"], result["report_status"]) for guid, result in results.items()}


def test_a_harvest_from_its_first_record_to_its_last(listing: Listing, harvester: Any) -> None:
    """Records are added, changed and deleted, each with the result that the kit promises; the jobs end."""
    listing.datasets = [ONE, TWO]
    results = run_harvest(listing.url, harvester)
    assert statuses(results) == {"one-id": ("COMPLETE", "added"), "two-id": ("COMPLETE", "added")}
    assert set(results["one-id"]) == {"obj_id", "state", "report_status", "dataset", "errors"}
    assert results["one-id"]["dataset"]["title"] == "One"
    assert results["one-id"]["errors"] == []
    listing.datasets = [ONE | {"title": "New"}]
    results = run_harvest(listing.url, harvester)
    assert statuses(results) == {"one-id": ("COMPLETE", "updated"), "two-id": ("COMPLETE", "deleted")}
    assert results["one-id"]["dataset"]["title"] == "New"
    assert model.Package.get("two-id").state == "deleted"
    [source] = harvest_model.HarvestSource.filter(url=listing.url)
    assert [job.status for job in source.get_jobs()] == ["Finished", "Finished"]
    assert harvest_model.HarvestObject.filter(current=True).count() == 1


def test_errors_of_records_are_rows(listing: Listing, harvester: Any) -> None:
    """A record that cannot be imported has its errors in the result, and no dataset."""
    listing.datasets = [{"id": "nameless"}, TWO]
    results = run_harvest(listing.url, harvester)
    assert statuses(results) == {"nameless": ("ERROR", "errored"), "two-id": ("COMPLETE", "added")}
    assert "dataset" not in results["nameless"]
    [error] = results["nameless"]["errors"]
    assert (error.stage, error.message) == ("Import", "The record has no title")


def test_a_gather_stage_that_fails(listing: Listing, harvester: Any) -> None:
    """There are no results; the job has the reason and is over."""
    listing.token = "some token"
    source = factories.HarvestSourceObj(url=listing.url, source_type="example")
    job = factories.HarvestJobObj(source=source)
    assert run_harvest_job(job, harvester) == {}
    [error] = job.get_gather_errors()
    assert "403" in error.message
    assert harvest_model.HarvestJob.get(job.id).status == "Finished"


def test_secrets_are_resolved_and_stay_out_of_sight(
    listing: Listing, harvester: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A harvester gets what a reference stands for; what it saves or logs of that is masked."""
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_EXAMPLE", "hunter2-from-env")
    listing.token, listing.datasets = "hunter2-from-env", [ONE]
    config = json.dumps({"token": "env:EXAMPLE"})
    assert statuses(run_harvest(listing.url, harvester, config=config)) == {"one-id": ("COMPLETE", "added")}
    job = factories.HarvestJobObj(source=harvest_model.HarvestSource.filter(url=listing.url).first())
    harvester._save_gather_error("Who sent hunter2-from-env?", job)
    assert job.get_gather_errors()[0].message == "Who sent ********?"
    with pytest.raises(ConfigurationError, match="env:MISSING"):
        harvester._resolve_config({"token": "env:MISSING"})


def test_the_session_keeps_to_the_policy(listing: Listing, harvester: Any, ckan_config: Any) -> None:
    """What a third-party harvester fetches goes through the same door as everything else."""
    ckan_config["ckanext.relay.allowed_networks"] = []
    with harvester._guarded_session() as session, pytest.raises(BlockedUrl):
        session.get(listing.url)


def test_dictionaries_and_rows(harvester: Any) -> None:
    """Plain factories return dictionaries, those called Obj rows, and they fit together."""
    source = factories.HarvestSource(source_type="example")
    assert source["url"].endswith(".test.com") and source["name"].startswith("test_source_")
    assert factories.HarvestSource(source_type="example", url=source["url"])["id"] == source["id"]
    row = factories.HarvestSourceObj(source_type="example", url=source["url"])
    assert row.id == source["id"] and isinstance(row, harvest_model.HarvestSource)
    job = factories.HarvestJob(source=row)
    assert (job["source_id"], job["status"]) == (row.id, "New")
    obj = factories.HarvestObject(job=job, guid="g", content="{}", extras={"status": "new"})
    assert (obj["guid"], obj["job"], obj["extras"]) == ("g", job["id"], {"status": "new"})
    own = factories.HarvestObjectObj(job=harvest_model.HarvestJob.get(job["id"]))
    assert own.job.id == job["id"] and own.harvest_source_id == row.id
    other = factories.HarvestJobObj(source_id=factories.HarvestSource(source_type="example")["id"])
    assert other.source.type == "example"


def test_the_queues_are_driven_by_hand(listing: Listing, harvester: Any) -> None:
    """A functional suite takes each message itself, as with ckanext-harvest."""
    listing.datasets = [ONE, TWO]
    source = factories.HarvestSource(url=listing.url, source_type="example")
    job = factories.HarvestJobObj(source=source, run=True)
    gather, fetch = queue.get_gather_consumer(), queue.get_fetch_consumer()
    method, header, body = gather.basic_get(queue=queue.get_gather_queue_name())
    assert json.loads(body) == {"harvest_job_id": job.id}
    queue.gather_callback(gather, method, header, body)
    for _ in listing.datasets:
        queue.fetch_callback(fetch, *fetch.basic_get(queue=queue.get_fetch_queue_name()))
    assert fetch.basic_get()[2] is None
    tk.get_action("harvest_jobs_run")({"ignore_auth": True, "user": ""}, {"source_id": source["id"]})
    assert harvest_model.HarvestJob.get(job.id).status == "Finished"


def test_conftests_of_old_suites(migrate_db_for: Any) -> None:
    """They make the tables themselves, one way or the other; what is there stays."""
    migrate_db_for("harvest")
    harvest_model.setup()
    harvest_model.define_harvester_tables()


def test_production_needs_no_test_tools() -> None:
    """Nothing that a portal loads imports the kit, nor what it needs."""
    modules = ["plugin", "queue", "utils", "log", "cli", "harvesters", "logic.action.get", "logic.action.update"]
    imports = "; ".join(f"import ckanext.harvest.{module}" for module in modules)
    check = "import sys; print([m for m in sys.modules if m in ('factory', 'pytest') or '.harvest.tests' in m])"
    found = subprocess.run([sys.executable, "-c", f"{imports}; {check}"], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


def test_the_guide_shows_the_harvester_that_is_tested() -> None:
    """What the guide prints is this file."""
    guide = Path(__file__).parents[3] / "docs" / "writing-a-harvester.rst"
    if not guide.parent.is_dir():
        pytest.skip("the documentation is in the checkout only")
    assert "literalinclude:: ../ckanext/harvest/tests/example_harvester.py" in guide.read_text()
