"""Nobody waits for somebody else's large source: real workers, several sources, and people who start jobs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ckanext.harvest.tests.controlled_harvester import Control, plugged_in
from ckanext.harvest.tests.flow import Feed, Site, counts, emptied
from ckanext.relay.devstack.portal import Worker
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

LARGE = 5000


@pytest.fixture(scope="module")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """This portal, empty, with the controlled harvester."""
    with plugged_in(stack, tmp_path_factory.mktemp("plugin")):
        yield emptied(stack, "this")


@pytest.fixture(autouse=True)
def all_up(site: Site) -> Iterator[None]:
    """Leave everything running, and nothing to do, to the next test."""
    site.stack.up(portals=("this",))
    yield
    for (job_id,) in site.rows("SELECT id FROM harvest_job WHERE status = 'Running'"):
        site.call("harvest_job_abort", id=job_id)


def add_source(site: Site, control: Control, **fields: Any) -> str:
    name = f"source-{uuid.uuid4().hex[:8]}"
    made = site.call(
        "harvest_source_create", name=name, title=name, url=control.url, source_type="controlled", **fields
    )
    return str(made["id"])


def test_a_small_source_is_done_while_a_large_one_runs(site: Site, single: Worker) -> None:
    """A source of 10 records ends while one of 5,000 is at work, though there is but one process and the large one came
    first, which loses nothing."""
    single.start()
    with Feed(LARGE) as large, Feed(10) as small:
        large_job = site.start(site.add_source(large.url)["id"])
        site.wait(large_job, lambda job: job["gather_finished"] and job.get("progress", {}).get("done", 0) > 50)
        assert site.harvest(site.add_source(small.url)["id"])["stats"] == counts(added=10)
        job = site.job(large_job)
        assert job["status"] == "Running", "the small source waited until the large one was done"
        assert job["progress"]["done"] < LARGE // 2
        assert job["stats"]["errored"] == 0


def test_a_person_does_not_wait_for_scheduled_jobs(site: Site, single: Worker) -> None:
    """What a person starts when the queue is full is done before it."""
    scheduled = [Control(*(f"{number}-{record}" for record in range(30))) for number in range(6)]
    mine = Control(*(f"mine-{record}" for record in range(30)))
    try:
        for control in [*scheduled, mine]:
            control.__enter__()
        for control in scheduled:
            add_source(site, control)
        jobs = [job["id"] for job in site.call("harvest_job_create_all")]
        assert len(jobs) >= len(scheduled)
        my_job = site.start(add_source(site, mine))
        single.start()
        assert site.finish(my_job)["stats"] == counts(added=30)
        mine_ended = "(SELECT finished FROM harvest_job WHERE id = %s)"
        before = f"SELECT count(*) FROM harvest_job WHERE id = ANY(%s) AND finished < {mine_ended}"
        assert site.rows(before, jobs, my_job) <= [(2,)]
        lanes = site.rows("SELECT lane FROM harvest_job WHERE id = %s OR id = %s ORDER BY lane", my_job, jobs[0])
        assert lanes == [("bulk",), ("priority",)] or lanes == [("priority",), (None,)]
    finally:
        for control in [*scheduled, mine]:
            control.__exit__()


def test_scheduled_gatherings_do_not_take_all_processes(site: Site) -> None:
    """However long the gather stages of scheduled jobs take, one process of a worker stays free for everything else."""
    with Control("a") as first, Control("b") as second, Control("c1", "c2") as mine:
        for control in (first, second):
            control.hold("gather")
            site.call("harvest_source_patch", id=add_source(site, control), frequency="DAILY")
        assert site.ckan("harvester", "run").returncode == 0
        wait_until(lambda: first.asked or second.asked, seconds=20)
        assert site.harvest(add_source(site, mine))["stats"] == counts(added=2)
        assert len(first.asked) + len(second.asked) == 1
        first.release()
        second.release()
        wait_until(lambda: "import/a" in first.asked and "import/b" in second.asked, seconds=40)


def test_only_so_many_processes_are_at_a_source(site: Site) -> None:
    """With ``workers_per_source`` at 1 the second process is free for others, even while the first one hangs."""
    few = {"ckan.harvest.workers_per_source": "1", "ckan.harvest.batch_size": "1"}
    site.stack.this.settings.update(few)
    try:
        site.stack.up(portals=("this",))
        with Control("held", "other") as slow, Control("quick") as quick:
            slow.hold("fetch/held")
            slow_job = site.start(add_source(site, slow))
            wait_until(lambda: "fetch/held" in slow.asked, seconds=20)
            site.call("harvest_jobs_run")  # finds that the other record waits
            assert site.harvest(add_source(site, quick))["stats"] == counts(added=1)
            assert "fetch/other" not in slow.asked
            slow.release()
            assert site.finish(slow_job)["stats"] == counts(added=2)
    finally:
        for name in few:
            del site.stack.this.settings[name]


# -- abort


class Counted(Feed):
    """A feed that counts what it is asked, and is at the second page until it is told to go on."""

    requests = 0

    def answer(self, request: Any) -> None:
        self.requests += 1
        if self.requests == 2:
            self.goes_on.wait(60)
        super().answer(request)

    def __enter__(self) -> Counted:
        self.goes_on = threading.Event()
        super().__enter__()
        return self


def test_an_aborted_job_asks_for_no_further_page(site: Site) -> None:
    """An abort while a slow remote portal is read ends the reading after the page at hand, and nothing is imported."""
    with Counted(2000, rows=100) as feed:
        source_id = site.add_source(feed.url)["id"]
        job_id = site.start(source_id)
        wait_until(lambda: feed.requests == 2, seconds=30)
        ended = site.call("harvest_job_abort", id=job_id)
        feed.goes_on.set()
        assert ended["status"] == "Finished" and ended["finished"]
        wait_until(lambda: site.job(job_id)["gather_finished"], seconds=20)
        time.sleep(3)
        assert feed.requests == 2
        before = site.job(job_id)["stats"]
        open_objects = (
            "SELECT count(*) FROM harvest_object WHERE harvest_job_id = %s AND state NOT IN ('COMPLETE', 'ERROR')"
        )
        assert site.rows(open_objects, job_id) == [(0,)]
        assert site.job(job_id)["stats"] == before
        assert site.start(source_id) != job_id


def test_an_aborted_job_stops_between_records(site: Site) -> None:
    """The record at hand is the last one that is begun, and it is thrown away."""
    with Control("one", "two", "three") as control:
        control.hold("import/one")
        source_id = add_source(site, control)
        job_id = site.start(source_id)
        wait_until(lambda: "import/one" in control.asked, seconds=20)
        begun = list(control.asked)
        assert site.call("harvest_job_abort", id=job_id)["stats"] == counts(errored=3)
        control.release()
        wait_until(lambda: not site.rows("SELECT 1 FROM harvest_lease WHERE task = %s", f"process {source_id}"), 20)
        assert control.asked == begun
        assert site.job(job_id)["stats"] == counts(errored=3)
        assert site.found(source_id) == []
        assert site.call("harvest_job_retry", id=job_id)["status"] == "Running"
        wait_until(lambda: len(site.found(source_id)) == 3, seconds=30)
        assert control.asked.count("gather") == 1
