"""The whole stack over one state folder: up, down, status. Tests and benchmarks drive it as a person does."""

from __future__ import annotations

import fcntl
import json
import random
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from .portal import SYSADMIN, Beat, Portal, Services, Worker
from .postgres import Postgres
from .processes import Process, Record, end
from .solr import Solr
from .valkey import Valkey

PORTS = range(20000, 30000)  # Below the range from which systems take the ports of outgoing connections.
LOOPBACK = "127.0.0.0/8 ::1/128"


class Stack:
    """``Stack(folder).up()`` starts what does not run yet, ``.down()`` ends exactly what was started.

    ``services`` are the environment variables that may name services which already run (``CKAN_SQLALCHEMY_URL``,
    ``CKAN_REDIS_URL``, ``CKAN_SOLR_URL``); by default none is used. ``port`` is this portal's.
    ``allowed_networks`` are admitted by the harvesting portal besides the loopback, where the source portal is.
    """

    def __init__(
        self,
        state: Path | str,
        *,
        services: Mapping[str, str] | None = None,
        port: int | None = None,
        plugins: str = "activity harvest ckan_harvester",
        allowed_networks: str = "",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.state = Path(state).resolve()
        self.state.mkdir(parents=True, exist_ok=True)
        self.say = say
        with self._only_one():
            kept = _Kept(self.state / "stack.json", {"this": port} if port else {})
        ports, self._secrets = kept.ports, kept.secrets
        named = services or {}
        password = self._secrets["postgres"]
        self.postgres = Postgres(self.state, ports["postgres"], password, named.get("CKAN_SQLALCHEMY_URL", ""))
        self.valkey = Valkey(self.state, ports["valkey"], named.get("CKAN_REDIS_URL", ""))
        solr, source_solr = named.get("CKAN_SOLR_URL", ""), named.get("CKAN_SOURCE_SOLR_URL", "")
        self.solr = Solr(self.state, ports["solr"], solr, source_solr)
        networks = {"ckanext.relay.allowed_networks": f"{LOOPBACK} {allowed_networks}".strip()}
        self.source = Portal(self.state, "source", "Source portal", ports["source"], "activity", {})
        self.this = Portal(self.state, "this", "This portal", ports["this"], plugins, networks)
        self.portals = {"source": self.source, "this": self.this}
        self.worker = self.new_worker("worker")
        self.beat = Beat(self.state, self.this)
        self.started: list[Process] = []

    @property
    def login(self) -> tuple[str, str]:
        """Name and password of the sysadmin of both portals."""
        return SYSADMIN, self._secrets["sysadmin"]

    def new_worker(self, name: str, concurrency: int = 2) -> Worker:
        """One more worker of this portal, not yet started."""
        return Worker(self.state, self.this, name, concurrency)

    def up(self, portals: Sequence[str] = ("source", "this"), worker: int = 2, beat: bool = True) -> None:
        """Start what does not run yet. ``worker`` is the number of its processes, 0 for no worker."""
        with self._only_one():
            self._start(self.postgres, self.valkey, self.solr)
            for name in portals:
                self.portals[name].configure(self._services(name))
            self._start(*(self.portals[name] for name in portals))
            self.worker.concurrency = worker or self.worker.concurrency
            self._start(*[self.worker] * bool(worker), *[self.beat] * beat)

    def down(self) -> list[str]:
        """End everything that was started over this state folder, the last one first; their names.

        Data, ports and passwords stay.
        """
        with self._only_one():
            pidfiles = sorted(
                (self.state / "run").glob("*.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True
            )
            for pidfile in pidfiles:
                self.say(f"ending {pidfile.stem} …")
                end(pidfile)
            return [pidfile.stem for pidfile in pidfiles]

    def stop_started(self) -> None:
        """End what this object started, and leave what ran before."""
        with self._only_one():
            for part in reversed(self.started):
                part.stop()
            self.started.clear()

    def check(self) -> None:
        """Raise when a part that this object started has died."""
        for part in self.started:
            if part.pid is None:
                raise part.failed("died")

    def status(self) -> list[dict[str, Any]]:
        parts = []
        for pidfile in sorted((self.state / "run").glob("*.json")):
            record = Record.read(pidfile)
            running = record is not None and record.find() is not None
            parts.append(
                {
                    "name": pidfile.stem,
                    "running": running,
                    "pid": record.pid if record and running else None,
                    "url": self._urls().get(pidfile.stem),
                    "log": str(self.state / "log" / f"{pidfile.stem}.log"),
                }
            )
        return parts

    def test_environment(self) -> dict[str, str]:
        """Variables that give CKAN's test fixtures a database, core and number of their own; with the services only."""
        return {
            "CKAN_SQLALCHEMY_URL": self.postgres.database("test"),
            "CKAN_SOLR_URL": self.solr.core("test"),
            "CKAN_REDIS_URL": self.valkey.url("test"),
            "RELAY_STATE": str(self.state),
        }

    def _urls(self) -> dict[str, str]:
        own = {part.name: f"127.0.0.1:{part.port}" for part in (self.postgres, self.valkey, self.solr)}
        return {**own, **{portal.name: portal.url for portal in self.portals.values()}}

    def _start(self, *parts: Process) -> None:
        """Launch all, then wait for each: they start side by side."""
        begun = monotonic()
        launched = []
        for part in parts:
            if not part.external and part.pid is None:
                self.say(f"starting {part.title}{f' ({part.note})' if part.note else ''} …")
            if part.launch():
                self.started.append(part)
                launched.append(part)
        for part in parts:
            part.wait_ready()
            if part in launched:
                self.say(f"{part.title} is up after {monotonic() - begun:.1f} s")

    def _services(self, name: str) -> Services:
        return Services(
            sqlalchemy_url=self.postgres.database(name),
            solr_url=self.solr.core(name),
            redis_url=self.valkey.url(name),
            secret_key=self._secrets[f"key-{name}"],
            password=self._secrets["sysadmin"],
        )

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Two "up" at once would start everything twice: the second waits for the first."""
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Kept:
    """Ports and passwords, chosen once and kept in a file that only its owner can read."""

    def __init__(self, path: Path, wanted_ports: Mapping[str, int]) -> None:
        before = json.loads(path.read_text()) if path.exists() else {"ports": {}, "secrets": {}}
        self.ports: dict[str, int] = {**before["ports"], **wanted_ports}
        for name in ("postgres", "valkey", "solr", "source", "this"):
            if name not in self.ports:
                self.ports[name] = free_port(taken=set(self.ports.values()))
        made = {name: secrets.token_urlsafe(18) for name in ("postgres", "sysadmin", "key-source", "key-this")}
        self.secrets: dict[str, str] = {**made, **before["secrets"]}
        after = {"ports": self.ports, "secrets": self.secrets}
        if after != before:
            path.touch(mode=0o600)
            path.write_text(json.dumps(after, indent=1))


def free_port(taken: set[int]) -> int:
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError(f"found no free port between {PORTS.start} and {PORTS.stop}: name one with --port")
