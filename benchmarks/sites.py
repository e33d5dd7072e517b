"""The stack of the benchmark: a source portal, our portal, one with ckanext-harvest, and the workers of both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import redis
import requests
from ckanapi import RemoteCKAN

import ckanext.relay.devstack
from ckanext.relay.devstack.load import REFUSALS, explain
from ckanext.relay.devstack.portal import SYSADMIN, Beat, Portal
from ckanext.relay.devstack.portal import Services as PortalServices
from ckanext.relay.devstack.processes import Process, environment, run_to_end
from ckanext.relay.devstack.stack import Stack, free_port

from .services import Postgres, Solr, Valkey

HERE = Path(__file__).parent
DEVSTACK = Path(ckanext.relay.devstack.__file__).parent
PLUGINS = "activity harvest ckan_harvester"
PLUGINS_OF_FLOOR = "activity"
SETTINGS = {"ckan.harvest.mq.type": "redis"}
SOURCE = "benchmark-source"


class QuietPortal(Portal):
    """A portal of either environment, that logs warnings only."""

    def __init__(self, python: Path, state: Path, name: str, port: int, plugins: str, settings: dict[str, str]) -> None:
        super().__init__(state, name, f"Benchmark {name}", port, plugins, {"ckan.views.default_views": "", **settings})
        self.python = python

    def configure(self, services: PortalServices) -> None:
        super().configure(services)
        self.ini.write_text(self.ini.read_text().replace("level = INFO", "level = WARNING"))

    def prepare(self) -> None:
        assert self.services
        given = {"name": SYSADMIN, "password": self.services.password, "token_file": str(self.folder / "api-token")}
        # By path and without its folder on the search path: ckanext.relay is not installed beside ckanext-harvest.
        code = f"import runpy; runpy.run_path({str(DEVSTACK / 'first_run.py')!r}, run_name='__main__')"
        run_to_end(self, [str(self.python), "-c", code], self.variables(), json.dumps(given))

    def command(self) -> list[str]:
        return [str(self.python), str(HERE / "serve.py"), str(self.port)]


class Consumer(Process):
    """A gather or fetch consumer of ckanext-harvest."""

    start_timeout = 120.0

    def __init__(self, state: Path, portal: QuietPortal, stage: str) -> None:
        super().__init__(state, f"reference-{stage}", f"the {stage} consumer of ckanext-harvest")
        self.portal, self.stage = portal, stage

    def command(self) -> list[str]:
        return [str(self.portal.python.with_name("ckan")), "harvester", f"{self.stage}-consumer"]

    def variables(self) -> dict[str, str]:
        return self.portal.variables()

    def is_ready(self) -> bool:
        """Whether it waits for a message: one of its connections is a client of Redis that blocks."""
        if self.pid is None or self.portal.services is None:
            return False
        own = {link.laddr.port for link in psutil.Process(self.pid).net_connections() if link.laddr}
        clients: Any = redis.Redis.from_url(self.portal.services.redis_url).client_list()
        waiting = {int(client["addr"].rpartition(":")[2]) for client in clients if client["cmd"] == "blpop"}
        return bool(own & waiting)


class Servers(Stack):
    """PostgreSQL, Valkey and Solr of a benchmark, with the sites of either environment, over one state folder."""

    postgres: Postgres
    valkey: Valkey
    solr: Solr

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        super().__init__(state, say=say)
        self.ports: dict[str, int] = json.loads((self.state / "stack.json").read_text())["ports"]
        self.postgres = Postgres(self.state, self.ports["postgres"], self._secrets["postgres"])
        self.valkey = Valkey(self.state, self.ports["valkey"])
        self.solr = Solr(self.state, self.ports["solr"])
        self.loopback = self.this.settings

    def make_portals(self, *portals: tuple[str, Path, str, dict[str, str]]) -> None:
        """Name the sites: name, Python, plugins, settings of each. One of them is ``this``, ours."""
        spare = free_port(set(self.ports.values()))
        self.portals: dict[str, Portal] = {
            name: QuietPortal(python, self.state, name, self.ports.get(name, spare), plugins, settings)
            for name, python, plugins, settings in portals
        }
        for name in self.portals:
            self._secrets.setdefault(f"key-{name}", self._secrets["key-this"])
        self.this = self.portals["this"]
        self.beat = Beat(self.state, self.this)

    def start_servers(self) -> None:
        with self._only_one():
            self._start(self.postgres, self.valkey, self.solr)
            self.postgres.make_observer()

    def start_site(self, name: str, serve: bool = True, anew: bool = True) -> None:
        """Make a site's database, with its tables and sysadmin, and serve it if asked to."""
        portal = self.portals[name]
        if anew:
            portal.stop()
            self.postgres.drop_database(name)
            self.solr.empty(name)
        portal.configure(self._services(name))
        if serve:
            self._start(portal)
        else:
            portal.log.parent.mkdir(exist_ok=True)
            portal.prepare()

    def start(self, *parts: Process) -> None:
        """Start workers, of which there are many in turn, without a word."""
        said, self.say = self.say, lambda line: None
        try:
            self._start(*parts)
        finally:
            self.say = said

    @contextmanager
    def running(self, *parts: Process) -> Iterator[None]:
        """Start workers, and stop them after the block."""
        try:
            self.start(*parts)
            yield
        finally:
            self.stop(*parts)

    def stop(self, *parts: Process) -> None:
        for part in parts:
            part.stop()
        self.started = [part for part in self.started if part not in parts]


class Bench(Servers):
    """All servers and sites of the benchmark of harvesting.

    :param reference: the Python of the environment with ckanext-harvest; ours is the one that runs this
    """

    def __init__(self, state: Path, reference: Path, say: Callable[[str], None]) -> None:
        super().__init__(state, say)
        ours = Path(sys.executable)
        self.make_portals(
            ("source", ours, "activity", {}),
            ("this", ours, PLUGINS, SETTINGS | self.loopback),
            ("reference", reference, PLUGINS, SETTINGS),
            ("floor", ours, PLUGINS_OF_FLOOR, {}),
        )
        self.source = self.portals["source"]


@dataclass
class Site:
    """A portal's database and Solr core, which are saved and put back together, and its API."""

    bench: Servers
    name: str

    @property
    def portal(self) -> QuietPortal:
        portal = self.bench.portals[self.name]
        assert isinstance(portal, QuietPortal)
        return portal

    @cached_property
    def api(self) -> RemoteCKAN:
        return RemoteCKAN(self.portal.url, apikey=self.portal.api_token, session=requests.Session())

    def call(self, action: str, **data: Any) -> Any:
        try:
            return self.api.call_action(action, data)
        except REFUSALS as error:
            raise self.portal.failed(f"refuses {action}: {explain(error)}") from error

    def save(self, label: str) -> None:
        self.bench.postgres.copy(self.name, f"{self.name}-{label}")
        self.bench.solr.back_up(self.name, label)

    def put_back(self, label: str) -> None:
        self.bench.postgres.copy(f"{self.name}-{label}", self.name)
        self.bench.solr.put_back(self.name, label)

    def has(self, label: str) -> bool:
        return self.bench.postgres.has(f"{self.name}-{label}")

    def query(self, statement: str, *given: Any) -> list[tuple[Any, ...]]:
        return self.bench.postgres.query(self.name, statement, given)

    def run(self, *arguments: str) -> None:
        """Run a command of ``ckan``, such as ``search-index rebuild``."""
        run_to_end(self.portal, [str(self.portal.python.with_name("ckan")), *arguments], self.portal.variables())


def create(site: Site, file: Path, processes: int, solr_commit: bool) -> list[dict[str, float]]:
    """Run ``create_datasets`` in so many processes at once; what each of them says."""
    command = [str(site.portal.python), "-m", "benchmarks.create_datasets", str(file), "--user", SYSADMIN]
    command += ["--parts", str(processes), *["--solr-commit"] * solr_commit]
    running: list[subprocess.Popen[str]] = []
    with site.portal.log.open("ab") as log:
        try:
            for part in range(processes):
                running.append(
                    subprocess.Popen(
                        [*command, "--part", str(part)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        cwd=HERE.parent,
                        env=environment(site.portal.variables()),
                        text=True,
                    )
                )
                _expect_ready(running[-1], site)
            for process in running:
                print("go", file=process.stdin, flush=True)
            return [json.loads(process.communicate()[0]) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()


def _expect_ready(process: subprocess.Popen[str], site: Site) -> None:
    assert process.stdout
    said = process.stdout.readline()
    if said.strip() != "ready":
        raise site.portal.failed(f"does not take the datasets: {said or 'see its log'}")
