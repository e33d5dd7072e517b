"""A worker dies in each stage, messages are lost and doubled, a harvester raises: each record is still done once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psutil
import pytest
import redis

from ckanext.harvest.tests.controlled_harvester import Control, plugged_in
from ckanext.harvest.tests.flow import Dict, Site, counts, emptied
from ckanext.relay.devstack.portal import Worker
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

GUIDS = ("one", "two", "three")


@pytest.fixture(scope="module")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """This portal, empty, with the controlled harvester."""
    with plugged_in(stack, tmp_path_factory.mktemp("plugin")):
        yield emptied(stack, "this")


@pytest.fixture(autouse=True)
def all_up(site: Site) -> None:
    """Begin with everything running."""
    site.stack.up(portals=("this",))


@pytest.fixture
def control() -> Iterator[Control]:
    own = uuid.uuid4().hex[:6]
    with Control(*(f"{guid}-{own}" for guid in GUIDS)) as running:
        yield running


@pytest.fixture
def source_id(site: Site, control: Control) -> str:
    name = f"source-{uuid.uuid4().hex[:8]}"
    made = site.call("harvest_source_create", name=name, title=name, url=control.url, source_type="controlled")
    return str(made["id"])


def all_done(site: Site, control: Control, source_id: str, job_id: str) -> Dict:
    """Make sure that a job ends with each record once, and that nothing is left behind."""
    job = site.finish(job_id, seconds=60)
    assert site.report(job_id) == []
    assert job["stats"] == counts(added=len(GUIDS))
    objects = site.rows(
        "SELECT guid, state, current, needs_index, claimed_by FROM harvest_object WHERE harvest_source_id = %s",
        source_id,
    )
    assert sorted(objects) == sorted((guid, "COMPLETE", True, False, None) for guid in control.guids)
    assert len(site.found(source_id)) == len(GUIDS)
    return job


def holder(site: Site, job_id: str, stage: str) -> psutil.Process:
    """Return the worker process that is at the job, or at its objects."""
    of_job = "SELECT claimed_by FROM harvest_job WHERE id = %s"
    of_objects = "SELECT DISTINCT claimed_by FROM harvest_object WHERE harvest_job_id = %s AND claimed_by IS NOT NULL"
    [(lease_id,)] = site.rows(of_job if stage == "gather" else of_objects, job_id)
    return psutil.Process(int(lease_id.split(":")[2]))


@pytest.mark.parametrize("stage", ["gather", "fetch", "import"])
def test_a_worker_process_is_killed_in_a_stage(site: Site, control: Control, source_id: str, stage: str) -> None:
    """What it was at is begun anew by another process, and the rest of its work is not lost."""
    at_hand = stage if stage == "gather" else f"{stage}/{control.guids[0]}"
    control.hold(at_hand)
    job_id = site.start(source_id)
    wait_until(lambda: at_hand in control.asked, seconds=20)
    holder(site, job_id, stage).kill()
    control.release()
    all_done(site, control, source_id, job_id)
    assert control.asked.count(at_hand) == 2
    for guid in control.guids[1:]:
        assert control.asked.count(f"import/{guid}") == 1


@pytest.mark.parametrize("stage", ["gather", "fetch"])
def test_a_message_is_lost(site: Site, control: Control, source_id: str, single: Worker, stage: str) -> None:
    """A job whose message is gone, or whose worker died and took the messages with it, is taken up by the sweep."""
    if stage == "gather":
        job_id = site.start(source_id)
    else:
        single.start()
        control.hold(f"fetch/{control.guids[0]}")
        job_id = site.start(source_id)
        wait_until(lambda: len(control.asked) == 2, seconds=20)
        single.kill()
        control.release()
    assert messages(site) > 0
    site.stack.valkey.flush("this")
    assert messages(site) == 0
    single.start()
    all_done(site, control, source_id, job_id)


def test_all_messages_about_a_source_are_lost(site: Site, control: Control, source_id: str, single: Worker) -> None:
    """As many as may be on their way: that they count does not keep the sweep from sending them once more."""
    failing = f"import/{control.guids[0]}"
    control.errors[failing] = "broken by the test"
    single.start()
    failed = site.harvest(source_id)
    single.stop()
    control.errors.clear()
    job_id = site.call("harvest_job_retry", id=failed["id"])["id"]
    waiting = "SELECT count(*) FROM harvest_lease WHERE task = %s"
    assert site.rows(waiting, f"message process {source_id}") == [(4,)]
    site.stack.valkey.flush("this")
    single.start()
    assert site.finish(job_id, seconds=60)["stats"] == counts(added=1)
    assert control.asked.count(failing) == 2


def test_messages_come_twice(site: Site, control: Control, source_id: str, single: Worker) -> None:
    """Copies of each message, of the gathering as of the processing, do nothing: each stage is run once."""
    site.stack.beat.stop()
    job_id = site.start(source_id)
    assert double(site) >= 1
    control.hold(f"fetch/{control.guids[0]}")
    single.start()
    wait_until(lambda: len(control.asked) == 2, seconds=20)
    assert double(site) >= 1, "the messages of the other processes that may help were to wait"
    control.release()
    all_done(site, control, source_id, job_id)
    wait_until(lambda: messages(site) == 0, seconds=20)
    assert sorted(control.asked) == sorted(
        ["gather", *(f"{stage}/{guid}" for stage in ("fetch", "import") for guid in control.guids)]
    )
    assert len(site.call("harvest_job_list", source_id=source_id)) == 1


def lanes(site: Site) -> tuple[redis.Redis, list[str]]:
    client = redis.Redis.from_url(site.stack.valkey.url("this"))
    return client, [f"ckanext-relay:this:this.harvest.{lane}" for lane in ("priority", "bulk")]


def messages(site: Site) -> int:
    """Return how many messages wait, but for those of beat, which come every few seconds."""
    client, names = lanes(site)
    return sum(b'"harvest.sweep"' not in message for name in names for message in client.lrange(name, 0, -1))


def double(site: Site) -> int:
    """Add two copies of each message that waits, and return how many waited."""
    client, names = lanes(site)
    waiting = [(name, message) for name in names for message in client.lrange(name, 0, -1)]
    for name, message in waiting:
        client.lpush(name, message, message)
    return len(waiting)


@pytest.mark.parametrize("stage", ["gather", "fetch", "import"])
def test_a_raising_harvester(site: Site, control: Control, source_id: str, stage: str) -> None:
    """It costs the job, or the records that it raises for, and no process; the next job is as good as ever."""
    assert site.stack.worker.pid
    before = {child.pid for child in psutil.Process(site.stack.worker.pid).children()}
    at_hand = stage if stage == "gather" else f"{stage}/{control.guids[1]}"
    control.errors[at_hand] = "broken by the test"
    job = site.harvest(source_id)
    assert job["stats"] == (counts(errored=1) if stage == "gather" else counts(added=2, errored=1))
    assert ["broken by the test" in message for message in site.report(job["id"])] == [True]
    assert {child.pid for child in psutil.Process(site.stack.worker.pid).children()} == before
    control.errors.clear()
    again = site.harvest(source_id)["stats"]
    assert again == (counts(added=3) if stage == "gather" else counts(added=1, updated=2))
