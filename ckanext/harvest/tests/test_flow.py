"""One portal harvests another, through a real worker and a real beat, as people, cron and supervisor see it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
from ckanapi import RemoteCKAN
from ckanapi.errors import ValidationError

import ckanext.relay.devstack
from ckanext.harvest.tests.flow import Command, Dict, Feed, Site, counts, emptied, small_dataset
from ckanext.relay.devstack.load import load
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

SAMPLE = Path(ckanext.relay.devstack.__file__).with_name("sample.jsonl")
COUNT_OF_LARGE = 1000
PROVENANCE = ("harvest_object_id", "harvest_source_id", "harvest_source_title")


@dataclass
class Harvested:
    """A source, the datasets that were loaded into the portal behind it, and its first job."""

    source: Dict
    datasets: dict[str, Dict]
    first: Dict


@pytest.fixture(scope="module")
def site(stack: Stack) -> Site:
    """This portal, which notices within seconds what is left to do, and a source portal; both are empty."""
    return emptied(stack, "source", "this")


@pytest.fixture(autouse=True)
def all_up(site: Site) -> Iterator[None]:
    """Leave everything running to the next test."""
    yield
    site.stack.up()


@pytest.fixture(scope="module")
def remote(site: Site) -> RemoteCKAN:
    """The API of the source portal."""
    return RemoteCKAN(site.stack.source.url, apikey=site.stack.source.api_token)


@pytest.fixture(scope="module")
def harvested(site: Site) -> Harvested:
    """The source portal with our sample and with datasets of many resources, harvested once."""
    lines = SAMPLE.read_bytes().splitlines()
    rich = [small_dataset(number, resources=8 + number) for number in range(10)]
    lines += [json.dumps(dataset).encode() for dataset in rich]
    source = site.stack.source
    loaded = load(lines, partial(RemoteCKAN, source.url, apikey=source.api_token))
    assert loaded.errors == []
    registered = site.add_source(source.url, force_all=True, remote_orgs="create", remote_groups="create")
    datasets = {dataset["name"]: dataset for dataset in map(json.loads, lines)}
    return Harvested(registered, datasets, site.harvest(registered["id"]))


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A remote portal of a few datasets."""
    with Feed(40) as running:
        yield running


@pytest.fixture
def long_feed() -> Iterator[Feed]:
    """A remote portal of so many datasets that something can happen meanwhile."""
    with Feed(400) as running:
        yield running


def modified(site: Site, source_id: str) -> dict[str, str]:
    return {found["name"]: found["metadata_modified"] for found in site.found(source_id)}


def activities(site: Site) -> int:
    return site.rows("SELECT count(*) FROM activity")[0][0]


# -- what is harvested


def test_all_datasets_arrive_as_they_are_at_the_source(site: Site, harvested: Harvested) -> None:
    """A search finds every dataset of the source, with its titles, tags, extras and resources as they are there."""
    assert harvested.first["stats"] == counts(added=len(harvested.datasets))
    answer = site.call("package_search", rows=1000, include_private=True)
    found = {dataset["name"]: dataset for dataset in answer["results"]}
    assert found.keys() == harvested.datasets.keys()
    for name, given in harvested.datasets.items():
        assert content(found[name]) == content(given), name


def content(dataset: Dict) -> Dict:
    """Return what a person wrote into a dataset, however it is shown."""
    extras = {extra["key"]: extra["value"] for extra in dataset.get("extras", ()) if extra["key"] not in PROVENANCE}
    resources = dataset.get("resources", ())
    return {
        "title": dataset["title"],
        "notes": dataset.get("notes"),
        "license_id": dataset.get("license_id"),
        "organization": (dataset.get("organization") or {}).get("title"),
        "groups": sorted(group["title"] for group in dataset.get("groups", ())),
        "tags": sorted(tag["name"] for tag in dataset.get("tags", ())),
        "extras": extras,
        "resources": [(each["url"], each["name"], each["format"], each.get("description") or "") for each in resources],
    }


def test_datasets_say_where_they_come_from(site: Site, harvested: Harvested) -> None:
    """A search by the source's id finds its datasets, and each shows its object and its source among its extras."""
    found = site.found(harvested.source["id"])
    assert {dataset["name"] for dataset in found} == harvested.datasets.keys()
    for dataset in found:
        # not asked of package_show, which knows nothing of them if Solr spells the time of the last change with fewer
        # digits than CKAN expects: then CKAN does not answer from the index
        extras = {extra["key"]: extra["value"] for extra in dataset["extras"]}
        assert extras["harvest_source_id"] == harvested.source["id"]
        assert extras["harvest_source_title"] == harvested.source["title"]
        harvest_object = site.call("harvest_object_show", id=extras["harvest_object_id"])
        assert harvest_object["package_id"] == dataset["id"] and harvest_object["current"]


@pytest.mark.parametrize("force_all", [True, False])
def test_an_unchanged_source_changes_nothing(site: Site, harvested: Harvested, force_all: bool) -> None:
    """Harvested again, be it all or what changed lately, no dataset is touched and no activity is recorded."""
    source_id = harvested.source["id"]
    configure(site, harvested, force_all)
    before, recorded = modified(site, source_id), activities(site)
    for _ in range(2):
        job = site.harvest(source_id)
        assert job["stats"] == counts(not_modified=len(harvested.datasets))
        assert site.report(job["id"]) == []
    assert modified(site, source_id) == before
    assert activities(site) == recorded


@pytest.mark.parametrize("force_all", [True, False])
def test_one_change_at_the_source_is_one_update(
    site: Site, harvested: Harvested, remote: RemoteCKAN, force_all: bool
) -> None:
    """Of a source in which one dataset changed, this one is updated and no other is touched."""
    source_id = harvested.source["id"]
    configure(site, harvested, force_all)
    site.harvest(source_id)
    before = modified(site, source_id)
    name = sorted(harvested.datasets)[3]
    title = f"Changed with force_all {force_all}"
    remote.call_action("package_patch", {"id": name, "title": title})
    job = site.harvest(source_id)
    assert job["stats"] == counts(updated=1, not_modified=len(harvested.datasets) - 1)
    assert site.call("package_show", id=name)["title"] == title
    assert [dataset["name"] for dataset in site.found(source_id) if dataset["title"] == title] == [name]
    after = modified(site, source_id)
    assert [each for each in after if after[each] != before[each]] == [name]


def test_an_incremental_run_asks_for_what_changed(site: Site, harvested: Harvested, remote: RemoteCKAN) -> None:
    """Without force_all only what changed since the last run is gathered."""
    source_id = harvested.source["id"]
    configure(site, harvested, force_all=False)
    last = site.harvest(source_id)
    # The harvester asks for an hour more than it must: as if the last run had been an hour later.
    site.execute("UPDATE harvest_job SET gather_started = gather_finished + interval '1 h' WHERE id = %s", last["id"])
    name = sorted(harvested.datasets)[5]
    remote.call_action("package_patch", {"id": name, "notes": "Changed since."})
    assert site.harvest(source_id)["stats"] == counts(updated=1)
    assert site.call("package_show", id=name)["notes"] == "Changed since."


def configure(site: Site, harvested: Harvested, force_all: bool) -> None:
    config = {"force_all": force_all, "remote_orgs": "create", "remote_groups": "create"}
    site.call("harvest_source_patch", id=harvested.source["id"], config=json.dumps(config))


# -- who starts jobs, and who works on them


def test_a_job_started_in_the_shell(site: Site, feed: Feed) -> None:
    """``ckan harvester job`` hands a job to the workers and says its id."""
    source = site.add_source(feed.url)
    done = site.ckan("harvester", "job", source["name"])
    assert done.returncode == 0, done.stderr
    job_id = site.rows("SELECT id FROM harvest_job WHERE source_id = %s", source["id"])[0][0]
    assert f"Job id: {job_id}" in done.stdout
    assert site.finish(job_id)["stats"] == counts(added=len(feed.ids))


def test_cron_does_what_beat_does(site: Site, feed: Feed) -> None:
    """Without beat, ``ckan harvester run`` starts what is due, and sends again what was lost."""
    site.stack.beat.stop()
    source = site.add_source(feed.url)
    site.call("harvest_source_patch", id=source["id"], frequency="DAILY")
    assert site.ckan("harvester", "run").returncode == 0
    [(job_id,)] = site.rows("SELECT id FROM harvest_job WHERE source_id = %s", source["id"])
    assert site.finish(job_id)["stats"] == counts(added=len(feed.ids))

    site.stack.worker.stop()
    lost = site.start(source["id"])
    site.stack.valkey.flush()
    site.stack.worker.start()
    with pytest.raises(AssertionError, match="no further"):
        site.wait(lost, lambda job: job["gather_started"], seconds=5)
    assert site.ckan("harvester", "run").returncode == 0
    assert site.finish(lost)["stats"] == counts(not_modified=len(feed.ids))
    site.call("harvest_source_delete", id=source["id"])


def test_the_consumers_of_old_supervisor_files(site: Site, long_feed: Feed) -> None:
    """``gather-consumer`` and ``fetch-consumer`` alone harvest; told to end, each ends without losing anything."""
    site.stack.worker.stop()
    site.stack.beat.stop()
    gather, fetch = (Command(site.stack, "harvester", f"{kind}-consumer") for kind in ("gather", "fetch"))
    try:
        gather.start()
        fetch.start()
        source = site.add_source(long_feed.url, force_all=True)
        job_id = site.start(source["id"])
        both_work(site, gather, fetch)
        ends(fetch)
        assert site.finish(job_id)["stats"] == counts(added=len(long_feed.ids))
        assert site.harvest(source["id"])["stats"] == counts(not_modified=len(long_feed.ids))
        ends(gather)
        leases = site.rows("SELECT task FROM harvest_lease WHERE task NOT LIKE 'message %%'")
        assert leases == [("last harvest sweep",)]
    finally:
        gather.stop()
        fetch.stop()


def both_work(site: Site, *commands: Command) -> None:
    """Wait until the database has seen a process of each at work."""
    seen: set[str] = set()

    def look() -> bool:
        working = site.rows("SELECT id FROM harvest_lease WHERE task LIKE 'process %%'")
        pids = {int(lease_id.split(":")[2]) for (lease_id,) in working}
        family = {command.name: psutil.Process(command.pid).children(recursive=True) for command in commands}
        seen.update(name for name, children in family.items() if pids & {child.pid for child in children})
        return len(seen) == len(commands)

    wait_until(look, seconds=60, every=0.05)


def ends(command: Command) -> None:
    """Tell a command to end, as supervisor does, and make sure that it does so by itself, with all its children."""
    assert command.pid
    main = psutil.Process(command.pid)
    family = [main, *main.children(recursive=True)]
    main.send_signal(signal.SIGTERM)
    wait_until(lambda: command.pid is None, seconds=40)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert command.ended_with() == 0
    assert not command.logged("Traceback"), command.log_end()


# -- what goes wrong


def test_a_small_source_does_not_wait_for_a_large_one(site: Site) -> None:
    """However many pages a source has, and however long it takes, another source has its turn."""
    with Feed(COUNT_OF_LARGE, rows=20) as large, Feed(5) as small:
        large_job = site.start(site.add_source(large.url)["id"])
        site.wait(large_job, lambda job: job.get("progress", {}).get("gathered", 0) > COUNT_OF_LARGE // 2)
        assert site.harvest(site.add_source(small.url)["id"])["stats"] == counts(added=5)
        job = site.job(large_job)
        assert job["status"] == "Running", "the small source waited until the large one was done"
        site.call("harvest_job_abort", id=large_job)


def test_a_job_made_while_the_broker_is_down(site: Site, feed: Feed) -> None:
    """A person can make a job while the broker is down; it is picked up when the broker is back."""
    source = site.add_source(feed.url)
    site.stack.valkey.stop()
    job_id = site.start(source["id"])
    assert site.job(job_id)["status"] == "Running"
    site.stack.valkey.start()
    assert site.finish(job_id)["stats"] == counts(added=len(feed.ids))


def test_the_broker_restarts_while_a_worker_is_at_work(site: Site, feed: Feed) -> None:
    """The worker ends what it is at and connects again: neither this job nor the next one waits for a person."""
    source = site.add_source(feed.url)
    with feed.held():
        job_id = site.start(source["id"])
        feed.asked.wait(30)
        site.stack.valkey.stop()
        site.stack.valkey.start()
    assert site.finish(job_id)["stats"] == counts(added=len(feed.ids))
    assert site.harvest(source["id"])["stats"] == counts(not_modified=len(feed.ids))


def test_a_source_has_one_job_at_a_time(site: Site, feed: Feed) -> None:
    """Of several people who start the same source at once, one gets the job, and others hear that there is one."""
    source = site.add_source(feed.url)

    def ask(_: int) -> str | None:
        try:
            return Site(site.stack).start(source["id"])
        except ValidationError as refused:
            assert "already is an unrun job" in str(refused.error_dict)
            return None

    with feed.held():  # so that the job is not over before the others asked
        with ThreadPoolExecutor(6) as people:
            made = [job_id for job_id in people.map(ask, range(6)) if job_id]
        assert len(made) == 1
        refused = site.ckan("harvester", "job", source["name"])
        assert refused.returncode == 1 and "already is an unrun job" in refused.stderr
    assert site.finish(made[0])["stats"] == counts(added=len(feed.ids))
    assert [job["id"] for job in site.call("harvest_job_list", source_id=source["id"])] == made


def test_an_unreachable_source(site: Site) -> None:
    """A source that does not answer ends its job with an error that says so; the next job, when it answers, is good."""
    with Feed(20) as feed:
        source = site.add_source(feed.url)
    job = site.harvest(source["id"])
    assert job["stats"] == counts(errored=1)
    [message] = site.report(job["id"])
    assert message.startswith("Unable to search remote CKAN for datasets") and feed.url in message
    assert "refused" in message.lower()
    with Feed(20, port=feed.port):
        assert site.harvest(source["id"])["stats"] == counts(added=20)
