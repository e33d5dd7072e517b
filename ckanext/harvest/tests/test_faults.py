"""What breaks while 1,000 datasets are harvested for the first time, and that nobody has to do anything about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from ckanext.harvest.tests.flow import Feed, Site, counts, emptied
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

COUNT = 1000
#: Enough for what breaks in a less usual way.
FEW = 300


@pytest.fixture(scope="module")
def site(stack: Stack) -> Site:
    """This portal, empty, which notices within seconds that a worker died."""
    return emptied(stack, "this")


@pytest.fixture(autouse=True)
def all_up(site: Site) -> Iterator[None]:
    """Leave everything running to the next test, whatever became of this one."""
    yield
    site.stack.up(portals=("this",))


@pytest.fixture
def feed() -> Iterator[Feed]:
    with Feed(COUNT) as running:
        yield running


@pytest.fixture
def short_feed() -> Iterator[Feed]:
    with Feed(FEW) as running:
        yield running


def begin(site: Site, feed: Feed) -> tuple[str, str]:
    """Begin a first harvest and return the ids of its source and its job when a quarter of the datasets is imported."""
    source_id = site.add_source(feed.url, force_all=True)["id"]
    job_id = site.start(source_id)
    quarter = len(feed.ids) // 4
    job = site.wait(job_id, lambda job: job.get("progress", {}).get("done", 0) >= quarter)
    assert job["status"] == "Running" and job["stats"]["added"] < 3 * quarter, "it was too fast to break it"
    return source_id, job_id


def recovers(site: Site, feed: Feed, source_id: str, job_id: str) -> None:
    """Make sure that the job ends by itself with all datasets, each once, and that the next job finds nothing to do."""
    first = site.finish(job_id, seconds=400)
    assert site.report(job_id) == []
    assert first["stats"] == counts(added=len(feed.ids))
    nothing_left(site, source_id)
    assert sorted(found["id"] for found in site.found(source_id)) == feed.ids
    assert once_each(site, feed)
    second = site.harvest(source_id)
    assert second["stats"] == counts(not_modified=len(feed.ids))
    nothing_left(site, source_id)


def nothing_left(site: Site, source_id: str) -> None:
    """Make sure that no object is at work or unindexed, and that nobody claims anything."""
    states = site.rows(
        "SELECT state, needs_index, claimed_by FROM harvest_object WHERE harvest_source_id = %s", source_id
    )
    assert set(states) == {("COMPLETE", False, None)}, Counter(states)


def once_each(site: Site, feed: Feed) -> bool:
    """Tell whether each dataset is there once under its own name, with one current object and its resources."""
    packages = site.rows(
        """
        SELECT p.id, p.name, p.state,
            (SELECT count(*) FROM harvest_object o WHERE o.package_id = p.id AND o.current),
            (SELECT count(*) FROM resource r WHERE r.package_id = p.id AND r.state = 'active')
        FROM package p WHERE p.name LIKE 'generated-%%' AND left(p.name, 46) = ANY(%s) ORDER BY p.id
        """,
        [each["name"] for each in feed.datasets],
    )
    wanted = [(each["id"], each["name"], "active", 1, len(each["resources"])) for each in feed.datasets]
    assert packages == wanted
    return True


def test_a_killed_worker(site: Site, feed: Feed) -> None:
    """The work of a worker that was killed with all its processes is taken up by the next one."""
    source_id, job_id = begin(site, feed)
    site.stack.worker.kill()
    assert claimed(site, source_id), "it had nothing at work"
    site.stack.worker.start()
    recovers(site, feed, source_id, job_id)


def test_a_killed_worker_process(site: Site, short_feed: Feed) -> None:
    """A worker replaces its process that was killed, and what that had begun is done."""
    source_id, job_id = begin(site, short_feed)
    at_work(site, source_id).kill()
    recovers(site, short_feed, source_id, job_id)


def test_a_flushed_broker(site: Site, feed: Feed) -> None:
    """Messages are hints: when all of them are lost, with all that Celery keeps in Redis, the work goes on."""
    source_id, job_id = begin(site, feed)
    site.stack.valkey.flush()
    recovers(site, feed, source_id, job_id)


def test_a_restarted_broker(site: Site, short_feed: Feed) -> None:
    """Workers, beat and the portal connect again to a broker that was restarted."""
    source_id, job_id = begin(site, short_feed)
    site.stack.valkey.kill()
    site.stack.valkey.start()
    recovers(site, short_feed, source_id, job_id)


def test_a_restarted_database(site: Site, feed: Feed) -> None:
    """Workers, beat and the portal connect again to a PostgreSQL that was restarted."""
    source_id, job_id = begin(site, feed)
    site.stack.postgres.restart()
    wait_until(lambda: site.stack.worker.logged("OperationalError"), seconds=20)
    recovers(site, feed, source_id, job_id)


def test_a_killed_search_engine(site: Site, feed: Feed) -> None:
    """What Solr was not told, or lost when it was killed, is indexed when it is back."""
    source_id, job_id = begin(site, feed)
    site.stack.solr.kill()
    wait_until(lambda: site.stack.worker.logged("Solr does not answer"), seconds=20)
    site.stack.solr.start()
    recovers(site, feed, source_id, job_id)


def test_a_worker_killed_while_it_gathers(site: Site) -> None:
    """A job whose gathering was cut off is gathered anew, and what was gathered twice is imported once."""
    with Feed(FEW, seconds=2) as feed:
        source_id = site.add_source(feed.url, force_all=True)["id"]
        job_id = site.start(source_id)
        job = site.wait(job_id, lambda job: job.get("progress", {}).get("gathered", 0) >= 100)
        assert not job["gather_finished"]
        site.stack.worker.kill()
        site.stack.worker.start()
        recovers(site, feed, source_id, job_id)
        assert site.rows("SELECT attempts FROM harvest_job WHERE id = %s", job_id) == [(2,)]


def test_who_is_alive(site: Site) -> None:
    """The dashboard knows within seconds which workers are there: ended, killed, or cut off from the broker."""

    def engine() -> Any:
        return site.call("harvest_dashboard_show")["engine"]

    site.stack.up(portals=("this",))
    wait_until(lambda: engine()["workers"] == 1 and not engine()["sweep_missed"], seconds=30)
    found = engine()
    assert (found["processes"], found["lanes"]) == (2, ["bulk", "priority"])
    assert found["last_sweep"] < 30
    site.stack.worker.stop()
    assert engine()["workers"] == 0, "it said so when it ended"
    site.stack.worker.start()
    wait_until(lambda: engine()["workers"] == 1, seconds=30)
    site.stack.worker.kill()
    wait_until(lambda: engine()["workers"] == 0, seconds=15)
    site.stack.worker.start()
    site.stack.valkey.kill()
    assert engine()["messages"] is None
    site.stack.valkey.start()
    wait_until(lambda: engine()["workers"] == 1 and engine()["messages"] is not None, seconds=60)


def claimed(site: Site, source_id: str) -> list[str]:
    """Return who works on objects of a source, or died while it did."""
    query = "SELECT DISTINCT claimed_by FROM harvest_object WHERE harvest_source_id = %s AND claimed_by IS NOT NULL"
    return [holder for (holder,) in site.rows(query, source_id)]


def at_work(site: Site, source_id: str) -> psutil.Process:
    """Return a process of the worker that has objects of a source, frozen, so that it keeps them."""
    assert site.stack.worker.pid
    children = psutil.Process(site.stack.worker.pid).children()
    frozen: list[psutil.Process] = []

    def is_frozen() -> bool:
        for child in children:
            child.suspend()
            if any(f":{child.pid}:" in claim for claim in claimed(site, source_id)):
                frozen.append(child)
                return True
            child.resume()
        return False

    wait_until(is_frozen, seconds=20)
    return frozen[0]
