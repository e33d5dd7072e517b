"""A third-party harvester in real workers, whose stages ask the test over HTTP what to do.

``plugged_in`` makes a portal and its workers find it, as if it had been installed with pip.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from ckanext.harvest.harvesters.base import HarvesterBase
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.harvest.tests.scripted_harvester import package_id
from ckanext.relay.devstack.stack import Stack

PLUGIN = "controlled_harvester"
ENTRY_POINTS = f"[ckan.plugins]\n{PLUGIN} = ckanext.harvest.tests.controlled_harvester:ControlledHarvester\n"


class ControlledHarvester(HarvesterBase):
    """Asks at the URL of its source in each stage; what it hears may be long in coming, or an error.

    It saves its object before it asks, as many harvesters do, so that the table says in which stage that is.
    """

    def info(self) -> dict[str, Any]:
        return {"name": "controlled", "title": "Controlled", "description": "Asks a test what to do"}

    def gather_stage(self, harvest_job: HarvestJob) -> Any:
        return self._create_harvest_objects(ask(harvest_job.source.url, "gather"), harvest_job)

    def fetch_stage(self, harvest_object: HarvestObject) -> Any:
        harvest_object.content = f"Record {harvest_object.guid}"
        harvest_object.save()
        ask(harvest_object.source.url, f"fetch/{harvest_object.guid}")
        return True

    def import_stage(self, harvest_object: HarvestObject) -> Any:
        harvest_object.save()
        ask(harvest_object.source.url, f"import/{harvest_object.guid}")
        package = {"id": package_id(harvest_object.guid), "title": f"Record {harvest_object.guid}"}
        return self._create_or_update_package(package, harvest_object, package_dict_form="package_show")


def ask(url: str, what: str) -> list[str]:
    """Ask the test, and raise if it says so."""
    with urlopen(f"{url}/{what}", timeout=120) as response:
        answer = json.load(response)
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return answer


class Control:
    """What the test answers. Each source that is to be harvested has one.

    :param guids: that its source has
    """

    def __init__(self, *guids: str) -> None:
        self.guids = guids
        self.asked: list[str] = []
        #: what is asked → the error that the stage raises
        self.errors: dict[str, str] = {}
        self._held: dict[str, threading.Event] = {}
        control = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(control.answer(self.path.strip("/"))).encode()
                with contextlib.suppress(OSError):  # who asked was killed
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, what: str) -> Any:
        self.asked.append(what)
        if held := self._held.get(what):
            held.wait(120)
        return self.errors.get(what, list(self.guids))

    def hold(self, what: str) -> None:
        """Let who asks this wait until it is released."""
        self._held[what] = threading.Event()

    def release(self) -> None:
        """Answer all who wait, and hold nobody any more."""
        held, self._held = self._held, {}
        for event in held.values():
            event.set()

    def __enter__(self) -> Control:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def plugged_in(stack: Stack, folder: Path) -> Iterator[None]:
    """Let the processes of the stack that start inside the block find the plugin, and enable it on this portal."""
    installed = folder / f"{PLUGIN}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PLUGIN}\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    before, plugins = os.environ.get("PYTHONPATH"), stack.this.plugins
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
    stack.this.plugins = f"{plugins} {PLUGIN}"
    try:
        yield
    finally:
        stack.beat.stop()
        stack.worker.stop()
        stack.this.stop()
        stack.this.plugins = plugins
        os.environ.pop("PYTHONPATH")
        if before:
            os.environ["PYTHONPATH"] = before
