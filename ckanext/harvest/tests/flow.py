"""A harvesting portal as it runs: real processes, driven through the HTTP API, the shell and signals."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg2
import requests
from ckanapi import RemoteCKAN
from ckanapi.errors import CKANAPIError

from ckanext.relay.devstack.processes import Process, environment
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

Dict = dict[str, Any]

#: What tests would otherwise wait a minute for: the work of a worker that died is free again after a few seconds.
QUICK = {"ckanext.relay.sweep_seconds": "2", "ckanext.relay.lease_seconds": "6"}

#: What the API of a portal may answer for a moment while something that it needs is away.
AWAY = (CKANAPIError, requests.RequestException)


def emptied(stack: Stack, *portals: str) -> Site:
    """Start portals, worker and beat without anything that other tests, or an earlier run, have left in them."""
    stack.beat.stop()
    stack.worker.stop()
    for name in portals:
        stack.portals[name].stop()
        stack.postgres.drop_database(name)
        everything = {"delete": {"query": "*:*"}}
        requests.post(f"{stack.solr.core(name)}/update?commit=true", json=everything, timeout=60).raise_for_status()
        stack.valkey.flush(name)
    stack.this.settings.update(QUICK | stack.this.settings)
    stack.up(portals=portals)
    return Site(stack)


@contextmanager
def restored(stack: Stack, *portals: str) -> Iterator[None]:
    """Stop worker, beat and portals after the block, and give the portals the plugins and settings of before."""
    before = [(each, each.plugins, dict(each.settings)) for each in (stack.portals[name] for name in portals)]
    try:
        yield
    finally:
        stack.beat.stop()
        stack.worker.stop()
        for portal, plugins, settings in before:
            portal.stop()
            portal.plugins = plugins
            portal.settings.clear()
            portal.settings.update(settings)


class Site:
    """A portal, this one unless named, as whoever runs it sees it."""

    def __init__(self, stack: Stack, name: str = "this") -> None:
        self.stack, self.name = stack, name
        self.portal = stack.portals[name]
        self.api = RemoteCKAN(self.portal.url, apikey=self.portal.api_token, session=requests.Session())

    def call(self, action: str, **data: Any) -> Any:
        return self.api.call_action(action, data)

    # -- harvesting

    def add_source(self, url: str, **config: Any) -> Dict:
        """Register a source through the API."""
        name = f"source-{uuid.uuid4().hex[:8]}"
        fields = {"name": name, "title": f"Source {name}", "url": url, "source_type": "ckan"}
        return self.call("harvest_source_create", **fields, config=json.dumps(config))

    def start(self, source_id: str) -> str:
        return self.call("harvest_job_create", source_id=source_id)["id"]

    def job(self, job_id: str) -> Dict:
        return self.call("harvest_job_show", id=job_id)

    def wait(self, job_id: str, reached: Callable[[Dict], Any], seconds: float = 120) -> Dict:
        """Ask for a job until it has reached something. A portal that does not answer for a while is asked again."""
        job: Dict = {}

        def ask() -> bool:
            nonlocal job
            try:
                job = self.job(job_id)
            except AWAY:
                return False
            return bool(reached(job))

        try:
            wait_until(ask, seconds)
        except AssertionError as error:
            raise AssertionError(f"the job got no further than {json.dumps(job)}") from error
        return job

    def finish(self, job_id: str, seconds: float = 120) -> Dict:
        """Wait until a job has ended by itself and return it."""
        job = self.wait(job_id, lambda job: job["status"] not in ("New", "Running"), seconds)
        assert job["status"] == "Finished"
        return job

    def harvest(self, source_id: str) -> Dict:
        """Harvest a source and return the job, which must have ended."""
        return self.finish(self.start(source_id))

    def found(self, source_id: str) -> list[Dict]:
        """Return the datasets of a source that a search finds, by its id as contract and links have it."""
        answer = self.call("package_search", q=f'harvest_source_id:"{source_id}"', rows=1000, sort="name asc")
        assert len(answer["results"]) == answer["count"]
        return answer["results"]

    def report(self, job_id: str) -> list[str]:
        """Return all that a job says went wrong."""
        report = self.call("harvest_job_report", id=job_id)
        of_objects = [error for each in report["object_errors"].values() for error in each["errors"]]
        return [error["message"] for error in report["gather_errors"] + of_objects]

    # -- under the hood

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what the database of the portal answers to a query."""
        with self._cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def execute(self, statement: str, *values: Any) -> None:
        """Change the database of the portal."""
        with self._cursor() as cursor:
            cursor.execute(statement, values)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.stack.postgres.database(self.name))
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def ckan(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ckan command as a person in a shell or cron does."""
        return subprocess.run(
            ckan_command(self.portal.ini, *arguments),
            capture_output=True,
            text=True,
            timeout=120,
            env=environment({}),
        )


class Command(Process):
    """A ckan command that runs until it is ended, as under supervisor. It becomes a Celery worker."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        super().__init__(stack.state, "-".join(arguments), f"ckan {' '.join(arguments)}")
        self.ini, self.arguments = stack.this.ini, arguments

    def command(self) -> list[str]:
        return ckan_command(self.ini, *self.arguments)

    def is_ready(self) -> bool:
        return self.logged("[queues]")

    def ended_with(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._child.poll() if self._child else None


def ckan_command(ini: Path, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("ckan")), "-c", str(ini), *arguments]


class Feed:
    """A remote portal of generated datasets: what its package_search answers, and nothing else.

    :param seconds: that it takes for a page
    :param rows: that it answers with at most
    """

    def __init__(self, count: int, seconds: float = 0, port: int = 0, rows: int = 1000) -> None:
        self.seconds, self.rows = seconds, rows
        self.asked, self._may_answer = threading.Event(), threading.Event()
        self._may_answer.set()
        self.datasets = sorted((small_dataset(number) for number in range(count)), key=lambda each: each["id"])
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                feed.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.set()
        time.sleep(self.seconds)
        self._may_answer.wait()
        address = urlsplit(request.path)
        query = dict(parse_qsl(address.query))
        start = int(query["start"])
        page = self.datasets[start : start + min(int(query["rows"]), self.rows)]
        found = address.path == "/api/3/action/package_search"
        body = json.dumps({"success": True, "result": {"count": len(self.datasets), "results": page}}).encode()
        request.send_response(200 if found else 404)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answer nobody until the block ends; ``asked`` is set when somebody has asked."""
        self.asked.clear()
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.datasets]

    def __enter__(self) -> Feed:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def small_dataset(number: int, resources: int | None = None) -> Dict:
    """Make a dataset with an id and a name of its own, and one to three resources unless told."""
    own = str(uuid.uuid4())
    count = number % 3 + 1 if resources is None else resources
    links = [{"id": str(uuid.uuid4()), "url": f"https://files.example.org/{own}/{n}.csv"} for n in range(count)]
    return {
        "id": own,
        "name": f"generated-{own}",
        "title": f"Generated dataset {number}",
        "notes": "Made for a test.",
        "type": "dataset",
        "state": "active",
        "metadata_modified": "2026-01-02T03:04:05.678901",
        "tags": [{"name": f"tag {number % 7}"}, {"name": "generated"}],
        "extras": [{"key": "number", "value": str(number)}],
        "resources": [link | {"name": f"Part {n}", "format": "CSV"} for n, link in enumerate(links)],
    }


def counts(**given: int) -> dict[str, int]:
    """Return the statistics of a job that did this and nothing else."""
    zero = dict.fromkeys(("added", "updated", "not modified", "errored", "deleted"), 0)
    return zero | {key.replace("_", " "): count for key, count in given.items()}
