"""Write down what the harvesters make of the remote catalogues on ckanext-harvest 1.6.3.

``python -m ckanext.harvest.tests.third_party.record [FOLDER]`` keeps the environment and the services in the folder,
which is ``.relay/recording`` if none is named, and writes ``recorded/*.json``. Run it when a document or a version in
``dev-requirements.txt`` changes, and read what changed in them before you commit it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import redis
import requests
from ckanapi import RemoteCKAN

import ckanext.relay.devstack
from ckanext.relay.devstack.portal import SYSADMIN, Portal, Services
from ckanext.relay.devstack.processes import Process, run_to_end
from ckanext.relay.devstack.stack import Stack, free_port

from . import portal_plugin
from .harvests import PLUGINS, SETTINGS, harvest_all

REFERENCE = "ckanext-harvest==1.6.3"
HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
_DEVSTACK = Path(ckanext.relay.devstack.__file__).parent
_SERVE = """
import os, sys, waitress
from ckan.cli import load_config
from ckan.config.middleware import make_app
waitress.serve(make_app(load_config(os.environ["CKAN_INI"])), host="127.0.0.1", port=int(sys.argv[1]), threads=8)
"""


class ReferencePortal(Portal):
    """A portal in the environment that has ckanext-harvest, and nothing of ours."""

    def __init__(self, state: Path, port: int, python: Path) -> None:
        super().__init__(state, "recording", "Reference", port, f"activity harvest {PLUGINS}", SETTINGS)
        self.python = python

    def prepare(self) -> None:
        assert self.services
        given = {"name": SYSADMIN, "password": self.services.password, "token_file": str(self.folder / "api-token")}
        # by path: our packages are not installed there
        code = f"import runpy; runpy.run_path({str(_DEVSTACK / 'first_run.py')!r}, run_name='__main__')"
        run_to_end(self, [str(self.python), "-c", code], self.variables(), json.dumps(given))

    def command(self) -> list[str]:
        return [str(self.python), "-c", _SERVE, str(self.port)]

    def variables(self) -> dict[str, str]:
        return super().variables() | portal_plugin.write(self.folder / "plugin")


class Consumer(Process):
    """A gather or fetch consumer of ckanext-harvest."""

    start_timeout = 120.0

    def __init__(self, portal: ReferencePortal, stage: str) -> None:
        super().__init__(portal.state, f"recording-{stage}", f"the {stage} consumer of ckanext-harvest")
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
        clients = redis.Redis.from_url(self.portal.services.redis_url).client_list()
        waiting = {int(client["addr"].rpartition(":")[2]) for client in clients if client["cmd"] == "blpop"}
        return bool(own & waiting)


def prepare_environment(folder: Path) -> Path:
    """Install CKAN, ckanext-harvest and the harvesters, and return the Python that has them."""
    root = HERE.parents[3]
    wanted = [line for line in (root / "dev-requirements.txt").read_text().splitlines() if line.startswith("ckanext-")]
    script = '. "$root/ckanext/relay/devstack/venv.sh"; prepare_venv recording "$@"'
    variables = {"root": str(root), "venv": str(folder / "venv")}
    command = ["sh", "-euc", script, "sh", REFERENCE, "pylibmagic", "waitress", *wanted]
    subprocess.run(command, env=os.environ | variables, check=True)
    return folder / "venv" / "bin" / "python"


def record(folder: Path) -> None:
    python = prepare_environment(folder)
    stack = Stack(folder / "stack", say=print)
    stack.up(portals=(), worker=0, beat=False)
    portal = ReferencePortal(stack.state, free_port(set()), python)
    consumers = [Consumer(portal, stage) for stage in ("gather", "fetch")]
    for part in (*consumers, portal):
        part.stop()  # which a run that was killed has left
    try:
        stack.postgres.drop_database("recording")
        stack.valkey.flush("this")
        core = stack.solr.core("this")
        requests.post(f"{core}/update?commit=true", json={"delete": {"query": "*:*"}}, timeout=60).raise_for_status()
        # without a longer timeout the consumers end when no message comes for 5 seconds
        queue = f"{stack.valkey.url('this')}?socket_timeout=86400"
        portal.configure(Services(stack.postgres.database("recording"), core, queue, "secret", "unused-here"))
        for part in (portal, *consumers):
            part.start()
        # slowly: what ckanext-harvest sees waiting at the wrong moment it sends again
        observed = harvest_all(RemoteCKAN(portal.url, apikey=portal.api_token), pause=3)
    finally:
        for part in (*consumers, portal):
            part.stop()
        stack.down()
    RECORDED.mkdir(exist_ok=True)
    for name, runs in observed.items():
        (RECORDED / f"{name}.json").write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
        print(name, [run["job"]["stats"] for run in runs])


if __name__ == "__main__":
    record(Path(sys.argv[1] if len(sys.argv) > 1 else ".relay/recording").absolute())
