"""ckanext-archiver and ours: a portal, its worker, and how either one is told to archive."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ckanext.relay.devstack.processes import Process

from ..sites import Servers
from ..two_sides import JobsWorker, Side

REPLACED = "ckanext-archiver"


class ArchiveBench(Servers):
    """The servers, and a portal of each side.

    :param reference: the Python of the environment with ckanext-archiver
    """

    def __init__(self, state: Path, reference: Path, say: Callable[[str], None]) -> None:
        super().__init__(state, say)
        self.make_portals(
            ("this", Path(sys.executable), "archiver", self._settings("this") | self.loopback),
            ("reference", reference, "archiver", self._settings("reference")),
        )

    def _settings(self, name: str) -> dict[str, str]:
        folder = self.state / "portals" / name / "archive"
        return {"ckanext-archiver.archive_dir": str(folder), "ckanext-archiver.cache_url_root": "http://cache.example/"}


class Portal(Side):
    """One implementation, with an archive."""

    def __init__(self, bench: ArchiveBench) -> None:
        super().__init__(bench)
        self.archive = Path(self.site.portal.settings["ckanext-archiver.archive_dir"])

    def prepare(self) -> None:
        """A new portal without a dataset, saved as ``empty``."""
        self.bench.say(f"making the portal of {self.title} …")
        self.bench.start_site(self.name, serve=False)
        self.site.save("empty")

    def begin(self, **settings: str) -> None:
        """Go back to the portal without a dataset, and configure it anew."""
        self.site.put_back("empty")
        self.bench.valkey.flush(self.name)
        shutil.rmtree(self.archive, ignore_errors=True)
        portal, services = self.site.portal, self.site.portal.services
        assert services
        before, portal.settings = portal.settings, portal.settings | settings
        portal.configure(services)
        portal.settings = before

    def update(self) -> float:
        """Run ``ckan archiver update``; how many seconds it took."""
        begun = time.perf_counter()
        self.site.run("archiver", "update")
        return time.perf_counter() - begun


class Reference(Portal):
    key, title, name = "reference", REPLACED, "reference"

    def __init__(self, bench: ArchiveBench) -> None:
        super().__init__(bench)
        self.worker = JobsWorker(bench.state, self.site.portal, REPLACED, "bulk")

    def left(self) -> bool:
        return bool(self.broker.zcard("rq:wip:ckan:reference:bulk"))


class Ours(Portal):
    key, title, name = "ours", "ckanext-relay", "this"

    def __init__(self, bench: ArchiveBench) -> None:
        super().__init__(bench)
        self.worker = bench.new_worker("archive-worker", 1)

    def processes(self) -> list[Process]:
        return [self.worker, self.bench.beat]

    def left(self) -> bool:
        return bool(self.site.query("SELECT 1 FROM archiver_link WHERE lane IS NOT NULL OR notice IS NOT NULL LIMIT 1"))
