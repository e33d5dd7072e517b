"""What breaks while 3,000 links are checked for the first time, and that nobody has to do anything about it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckanext.archiver.tests.flow import (
    archive_dir,
    archiving,
    assert_one_verdict_each,
    checked,
    insert_links,
    left,
    through,
)
from ckanext.archiver.tests.web import Web
from ckanext.harvest.tests.flow import Site
from ckanext.relay.devstack.portal import Worker
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

COUNT = 3000
HOSTS = 25


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(latency=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def portal(stack: Stack) -> Iterator[Site]:
    """A portal that archives, and notices within seconds that a worker died."""
    with archiving(stack) as site:
        yield site


@pytest.fixture
def site(portal: Site) -> Iterator[Site]:
    """The portal without any dataset or copy."""
    for left_over in archive_dir(portal.stack).glob("*"):
        shutil.rmtree(left_over)
    everything = "archival, archiver_link, archiver_host, archiver_removal, archiver_lease, resource, package"
    portal.execute(f"TRUNCATE {everything} CASCADE")
    yield portal
    portal.stack.up(portals=("this",))


def begin(site: Site, web: Web, count: int = COUNT) -> dict[str, int]:
    """Ask for links, and return when a fifth of them is checked; returns the status that each is to have."""
    paths = [f"/missing/{number}.csv" if number % 10 == 0 else f"/{number}.csv" for number in range(count)]
    urls = [web.url(path, number % HOSTS + 1) for number, path in enumerate(paths)]
    insert_links(site, urls)
    done = site.ckan("archiver", "update")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: checked(site) >= count // 5, 60, every=0.05)
    assert left(site) > count // 4, "it was too fast to break it"
    return {url: 12 if "/missing/" in url else 0 for url in urls}


def recovers(site: Site, web: Web, expected: dict[str, int]) -> None:
    """Make sure that all ends well, and that hardly anything was asked for twice."""
    through(site)
    assert_one_verdict_each(site, web, expected)
    assert web.count() < len(expected) * 1.2


def test_a_killed_worker(site: Site, web: Web) -> None:
    """The links of a worker that was killed with all its processes are checked by the next one."""
    expected = begin(site, web)
    site.stack.worker.kill()
    assert site.rows("SELECT 1 FROM archiver_host WHERE claimed_by IS NOT NULL LIMIT 1"), "it had nothing at work"
    assert list((archive_dir(site.stack) / ".tmp").iterdir()), "it left nothing behind"
    site.stack.worker.start()
    recovers(site, web, expected)


def test_a_flushed_broker(site: Site, web: Web) -> None:
    """Messages are hints: when all of them are lost, with all that Celery keeps in Redis, the work goes on."""
    expected = begin(site, web)
    site.stack.valkey.flush()
    recovers(site, web, expected)


def test_a_restarted_database(site: Site, web: Web) -> None:
    """Workers and beat connect again to a PostgreSQL that was restarted; what was fetched meanwhile is recorded."""
    expected = begin(site, web)
    site.stack.postgres.restart()
    recovers(site, web, expected)


class OnSmallDisk(Worker):
    """A worker whose archive is on a disk of 700 KB, which only it sees: no rights are needed to mount one so."""

    mount = "mount -t tmpfs -o size=700k none"
    namespaces = ("--user", "--mount")

    def command(self) -> list[str]:
        script = f'{self.mount} "$0" && exec "$@"'
        unshare = ["unshare", *self.namespaces, "--map-root-user", "sh", "-c", script, self.folder]
        return [*unshare, *super().command()]

    @property
    def folder(self) -> str:
        return self.portal.settings["ckanext-archiver.archive_dir"]

    def grow(self) -> None:
        """Make the disk larger."""
        enter = ["nsenter", "--target", str(self.pid), *self.namespaces, "--preserve-credentials"]
        # named in full: else its other options would be set again, among them users whom the namespace does not know
        subprocess.run([*enter, "mount", "-t", "tmpfs", "-o", "remount,size=64m", "none", self.folder], check=True)


@pytest.fixture
def on_small_disk(site: Site) -> Iterator[OnSmallDisk]:
    """Such a worker in place of the usual one."""
    worker = OnSmallDisk(site.stack.state, site.stack.this, "small-disk", 2)
    Path(worker.folder).mkdir(exist_ok=True)
    trial = [*worker.command()[: -len(Worker.command(worker))], "true"]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("user namespaces are switched off here; test_runner.py has the same on /dev/full")
    site.stack.worker.stop()
    worker.start()
    yield worker
    worker.stop()


def test_a_full_disk(site: Site, web: Web, on_small_disk: OnSmallDisk) -> None:
    """While the disk is full nothing is judged and no half file appears; when there is room again the work goes on."""
    paths = [f"/missing/{number}.csv" if number % 10 == 0 else f"/{number}.csv" for number in range(400)]
    urls = [web.url(path, number % HOSTS + 1) for number, path in enumerate(paths)]
    insert_links(site, urls)
    assert site.ckan("archiver", "update").returncode == 0
    wait_until(lambda: site.rows("SELECT 1 FROM archival WHERE cause = 'disk'"), 60)
    time.sleep(3)
    assert left(site) > 0 and not site.rows("SELECT 1 FROM archival WHERE cause = 'disk' AND is_broken IS NOT NULL")
    on_small_disk.grow()
    through(site, seconds=200)
    expected = {url: 12 if "/missing/" in url else 0 for url in urls}
    assert_one_verdict_each(site, web, expected, f"/proc/{on_small_disk.pid}/root")
