"""One unit of work at a time, in this process, with a real database and real servers."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ckan.plugins as p
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from flask import current_app

from ckanext.archiver import batch, checks, config, runner
from ckanext.archiver.domain.verdict import classify
from ckanext.archiver.interfaces import IPipe
from ckanext.archiver.model import Archival, hosts, lease_table, requests
from ckanext.archiver.model.resources import Wanted
from ckanext.archiver.model.tables import host_table, link_table
from ckanext.archiver.storage import store
from ckanext.archiver.tests.portal import act, make_dataset
from ckanext.archiver.tests.web import Handler, Web, content, file, hangs, says
from ckanext.relay import body, lease, search
from ckanext.relay.download import Downloader
from ckanext.relay.tests.plugin_classes import loaded
from ckanext.relay.tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("archiver_portal")


def dataset(*urls: str, **fields: Any) -> dict[str, Any]:
    """A dataset with these links."""
    return make_dataset(resources=[{"url": url, "format": "CSV"} for url in urls], **fields)


def work(lane: str = "bulk") -> list[runner.Next]:
    """Work until nothing is left to do, as the workers do; returns what they would have been sent."""
    steps: list[runner.Next] = []
    waiting = [runner.Next("archive", lane)]
    while waiting:
        step = waiting.pop(0)
        found = list(runner.archive_batch(step.lane)) if step.task == "archive" else runner.tell()
        steps += found
        waiting += found
    model.Session.expire_all()
    return steps


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def archival(resource: dict[str, Any]) -> Any:
    return Archival.get_for_resource(resource["id"])


def test_links_are_checked_and_kept(web: Web, pipe: Any) -> None:
    """A batch fetches what is due, keeps the file where others look for it, and records the verdict."""
    made = dataset(web.url("/data.csv"), web.url("/missing.csv"))
    work("priority")
    good, bad = (archival(each) for each in made["resources"])
    assert (good.status_id, good.is_broken, good.verdict, good.failure_count) == (0, False, "ok", 0)
    assert read(good.cache_filepath) == content("/data.csv")
    assert good.cache_filepath.endswith(f"/{good.resource_id[:2]}/{good.resource_id}/data.csv")
    assert (bad.status_id, bad.is_broken, bad.verdict, bad.failure_count) == (12, True, None, 1)
    assert bad.reason == "Server reported status error: 404 Not Found"
    assert bad.cause == "http_404" and bad.cache_filepath is None
    archived, told = pipe.calls[:2], pipe.calls[2:]
    assert sorted(archived, key=lambda call: str(call[2]["cache_filepath"])) == [
        ["archived", "priority", {"resource_id": good.resource_id, "cache_filepath": good.cache_filepath}],
        ["archived", "priority", {"resource_id": bad.resource_id, "cache_filepath": None}],
    ]
    assert told == [["package-archived", "priority", {"package_id": made["id"]}]]
    assert left_in_temporary_folders() == []


def left_in_temporary_folders() -> list[str]:
    return [name for _, _, files in os.walk(os.path.join(config.archive_dir(), ".tmp")) for name in files]


def again(made: dict[str, Any], lane: str = "bulk") -> list[Any]:
    """Check the links of a dataset again; return their archivals."""
    requests.request(lane, Wanted(packages=[made["id"]]))
    model.Session.commit()
    work(lane)
    return [archival(each) for each in made["resources"]]


def test_what_did_not_change_is_not_sent_again(web: Web, pipe: Any) -> None:
    """A file that is as it was costs a request without a body; it keeps its copy, and the check is recorded."""
    made = dataset(web.url("/data.csv"))
    work()
    first = archival(made["resources"][0]).as_dict()
    pipe.reset()
    (row,) = again(made)
    second = row.as_dict()
    assert (second["status_id"], second["reason"], second["verdict"]) == (1, "", "ok")
    assert second["updated"] > first["updated"] and second["last_success"] > first["last_success"]
    unchanged = ("cache_filepath", "cache_url", "size", "hash", "mimetype", "etag", "created", "failure_count")
    assert [second[name] for name in unchanged] == [first[name] for name in unchanged]
    assert pipe.calls == [["package-archived", "bulk", {"package_id": made["id"]}]]


def test_a_copy_that_is_gone_is_fetched_again(web: Web) -> None:
    """Whether a file changed is asked only if there is a copy that would do."""
    made = dataset(web.url("/data.csv"))
    work()
    os.unlink(archival(made["resources"][0]).cache_filepath)
    (row,) = again(made)
    assert row.status_id == 0 and os.path.exists(row.cache_filepath)


def test_an_error_page_never_replaces_a_copy(web: Web) -> None:
    """What is known of the last good copy stays when the link fails, and the failures are counted."""
    made = dataset(web.url("/data.csv"))
    work()
    before = archival(made["resources"][0]).cache_filepath
    web.pages["/data.csv"] = says(404, b"<html>Not here</html>")
    for count in (1, 2):
        (row,) = again(made)
        assert (row.status_id, row.is_broken, row.failure_count) == (12, True, count)
        assert row.cache_filepath == before and read(before) == content("/data.csv")
    assert row.verdict == "ok", "not confirmed yet"
    del web.pages["/data.csv"]
    (row,) = again(made)
    assert (row.is_broken, row.failure_count, row.first_failure, row.verdict) == (False, 0, None, "ok")


def test_resources_that_share_a_url_cost_one_request(web: Web) -> None:
    """One request serves all resources with the same URL; each has a copy of its own."""
    url = web.url("/shared.csv")
    made = [dataset(url, url), dataset(url)]
    work()
    assert web.count("/shared.csv") == 1
    rows = [archival(each) for each_dataset in made for each in each_dataset["resources"]]
    assert [row.status_id for row in rows] == [0, 0, 0]
    assert len({row.cache_filepath for row in rows}) == 3
    assert all(read(row.cache_filepath) == content("/shared.csv") for row in rows)
    assert len({os.stat(row.cache_filepath).st_ino for row in rows}) == 1, "stored once"


@pytest.mark.ckan_config("ckanext.archiver.policies", "format:csv=check-only")
def test_what_is_only_checked_has_no_copy(web: Web) -> None:
    """A policy may say that a link is checked and no copy kept."""
    made = dataset(web.url("/data.csv"))
    work()
    row = archival(made["resources"][0])
    assert (row.status_id, row.cache_filepath, row.cache_url) == (0, None, None)
    (row,) = again(made)
    assert row.status_id == 1


def test_private_datasets_have_no_copies(web: Web) -> None:
    """The links of private datasets are checked; a copy would be for all to see."""
    made = dataset(web.url("/data.csv"), owner_org=factories.Organization()["id"], private=True)
    work()
    row = archival(made["resources"][0])
    assert (row.status_id, row.cache_filepath) == (0, None)


def test_an_upload_is_read_where_it_is(web: Web, pipe: Any, create_with_upload: Any) -> None:
    """An upload is hashed and not copied: its copy is the file itself, and no request is sent."""
    made = dataset()
    user = {"user": factories.Sysadmin()["name"]}
    resource = create_with_upload(b"x,y\n", "own.csv", context=user, package_id=made["id"])
    work("priority")
    row = archival(resource)
    assert (row.status_id, row.size, row.mimetype, row.verdict) == (0, 4, "text/csv", "ok")
    assert row.hash == hashlib.sha1(b"x,y\n").hexdigest()
    assert read(row.cache_filepath) == b"x,y\n"
    assert row.cache_url == resource["url"] and not row.cache_filepath.startswith(config.archive_dir())
    os.unlink(row.cache_filepath)
    (row,) = again(act("package_show", None, id=made["id"]))
    assert (row.status_id, row.is_broken, row.cause) == (11, True, "upload_missing")


def test_an_upload_elsewhere_is_not_fetched(web: Web) -> None:
    """Uploads that a plugin keeps on another machine are left alone, unless the settings say otherwise."""
    made = dataset(web.url("/cloud.csv"))
    table = model.Resource.__table__
    model.Session.execute(sa.update(table).where(table.c.package_id == made["id"]).values(url_type="upload"))
    requests.request("bulk", Wanted(packages=[made["id"]]))
    model.Session.commit()
    work()
    row = archival(made["resources"][0])
    assert (row.status_id, row.is_broken, row.cause) == (21, None, "external_upload")
    assert row.reason == f"Skipping resource hosted externally to download resource: {web.url('/cloud.csv')}"
    assert web.count() == 0


def test_what_is_no_url_is_broken_at_once() -> None:
    """Nobody needs to be asked to know that a URL is none."""
    made = dataset("javascript:alert(1)", "http://", "not a url")
    work()
    for resource in made["resources"]:
        row = archival(resource)
        assert (row.status_id, row.is_broken, row.verdict, row.cause) == (10, True, "broken", "url_invalid")


def test_a_host_is_not_asked_too_often_at_a_time(web: Web, ckan_config: Any) -> None:
    """Each host has its own limit of requests at a time, and several hosts are asked side by side."""
    web.latency = 0.3
    ckan_config["ckanext.archiver.host_delay"] = 0
    dataset(*(web.url(f"/{host}/{number}.csv", host) for host in range(1, 6) for number in range(6)))
    work()
    assert set(web.most.values()) == {2} and web.count() == 30
    assert 2 < web.most_together <= 10


def test_the_pause_between_two_requests(web: Web, ckan_config: Any) -> None:
    """Two requests to a host begin with a pause between them."""
    ckan_config["ckanext.archiver.host_delay"] = 0.2
    dataset(*(web.url(f"/{number}.csv") for number in range(6)))
    begun = time.monotonic()
    work()
    assert time.monotonic() - begun > 5 * 0.2


def test_a_host_that_hangs_slows_no_other(web: Web, ckan_config: Any) -> None:
    """Links that hang hold their own host's turns; the links of others are recorded meanwhile."""
    goes_on = threading.Event()

    def stuck(request: Handler) -> None:
        goes_on.wait(60)
        file(request)

    ckan_config["ckanext.archiver.read_seconds"] = 60
    web.pages["/hangs.csv"] = stuck
    slow = dataset(web.url("/hangs.csv", 1))
    fast = dataset(*(web.url(f"/{number}.csv", 2) for number in range(10)))
    steps = runner.archive_batch("bulk")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(list, steps)
        wait_until(lambda: count_checked(fast) == 10, 30)
        assert not running.done() and count_checked(slow) == 0
        goes_on.set()
        running.result()
    assert count_checked(slow) == 1


def test_a_host_that_answers_nothing(web: Web, ckan_config: Any) -> None:
    """It is waited for as long as the setting says."""
    ckan_config["ckanext.archiver.read_seconds"] = 0.5
    web.pages["/hangs.csv"] = hangs
    made = dataset(web.url("/hangs.csv"))
    work()
    row = archival(made["resources"][0])
    assert (row.status_id, row.cause, row.reason) == (12, "timeout", "Connection timed out after 0.5s")


def count_checked(made: dict[str, Any]) -> int:
    with lease.transaction() as connection:
        table = Archival.__table__
        return connection.scalar(sa.select(sa.func.count()).where(table.c.package_id == made["id"]))


def host_row(host: str) -> Any:
    with lease.transaction() as connection:
        return connection.execute(sa.select(host_table).where(host_table.c.host == host)).one()


DEAD = "http://127.0.0.9:9"  # nobody listens there


def test_a_dead_host_is_asked_a_few_times_for_all_its_links(web: Web, ckan_config: Any) -> None:
    """What three links of a host come to holds for its others, if it is about the host and our network works."""
    ckan_config["ckanext.archiver.host_delay"] = 0
    made = dataset(web.url("/alive.csv"), *(f"{DEAD}/{number}.csv" for number in range(120)))
    asked: list[str] = []
    fetch = Downloader.fetch

    def count(self: Downloader, url: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(url)
        return fetch(self, url, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Downloader, "fetch", count)
        work()
    rows = [archival(each) for each in made["resources"][1:]]
    assert {(row.status_id, row.is_broken, row.cause) for row in rows} == {(12, True, "connect")}
    assert all(row.reason.startswith("Connection error: ") for row in rows)
    assert len([url for url in asked if url.startswith(DEAD)]) <= 5
    assert host_row("127.0.0.9:9").failures >= 3


def test_our_own_network_is_down(web: Web) -> None:
    """If nobody answers, not even hosts that did lately, it is our network, and nothing is recorded."""
    healthy = dataset(web.url("/data.csv"))
    work()
    with web.away():
        failing = [dataset(f"http://127.0.0.{number}:9/data.csv") for number in range(20, 24)]
        work()
        assert [archival(each["resources"][0]) for each in failing] == [None] * 4
        assert all(due_in(each) > 200 for each in failing), "asked again later"
    assert archival(healthy["resources"][0]).is_broken is False


def test_hosts_that_are_dead_while_others_live(web: Web) -> None:
    """If a host that answered lately still does, hosts that do not are dead."""
    dataset(web.url("/data.csv"))
    work()
    failing = [dataset(f"http://127.0.0.{number}:9/data.csv") for number in range(30, 34)]
    work()
    assert [archival(each["resources"][0]).cause for each in failing] == ["connect"] * 4


def test_the_only_link_of_a_portal_may_be_dead() -> None:
    """With nobody else to ask, one dead host is taken for dead; it takes days to be confirmed anyway."""
    made = dataset(f"{DEAD}/data.csv")
    work()
    row = archival(made["resources"][0])
    assert (row.status_id, row.cause, row.verdict) == (12, "connect", None)


def due_in(made: dict[str, Any]) -> float:
    """Return in how many seconds the first link of a dataset is due."""
    with lease.transaction() as connection:
        seconds = sa.extract("epoch", link_table.c.due - lease.now)
        return float(connection.scalar(sa.select(seconds).where(link_table.c.package_id == made["id"])))


def test_a_host_that_wants_to_be_left_alone_is(web: Web) -> None:
    """``Retry-After`` is obeyed; the verdict is recorded, and such a link is never called broken."""
    made = dataset(*(web.url(f"/{number}.csv") for number in range(6)))
    web.pages |= {f"/{number}.csv": says(429, Retry_After="120") for number in range(6)}
    list(runner.archive_batch("bulk"))
    model.Session.expire_all()
    rows = [row for row in map(archival, made["resources"]) if row]
    assert 1 <= len(rows) == web.count() <= 2, "nothing more was asked"
    assert {(row.status_id, row.cause, row.verdict) for row in rows} == {(12, "http_429", "unsure")}
    with lease.transaction() as connection:
        wait = sa.extract("epoch", host_table.c.not_before - lease.now)
        assert 100 < connection.scalar(sa.select(wait)) <= 120
    web.pages.clear()
    assert list(runner.archive_batch("bulk")) == [] and web.count() == len(rows)


@pytest.mark.ckan_config("ckanext.archiver.breaker_failures", "3")
@pytest.mark.ckan_config("ckanext.archiver.read_seconds", "0.3")
def test_a_host_that_hangs_is_left_alone_after_a_while(web: Web) -> None:
    """After several timeouts in a row a host is not asked any more for a while; its other links are not judged."""
    made = dataset(web.url("/alive.csv", 2), *(web.url(f"/{number}.csv") for number in range(20)))
    for number in range(20):
        web.pages[f"/{number}.csv"] = hangs
    list(runner.archive_batch("bulk"))
    model.Session.expire_all()
    rows = [archival(each) for each in made["resources"][1:]]
    judged = [row for row in rows if row]
    assert 3 <= len(judged) <= 4 and {row.cause for row in judged} == {"timeout"}
    assert host_row(web.url("").removeprefix("http://")).not_before


def test_a_mistake_of_ours_is_not_the_link_s(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in our own code is recorded as such, and ends no batch."""
    odd = "/odd.csv"
    monkeypatch.setattr(checks, "classify", lambda link, found: 1 / 0 if odd in link.url else classify(link, found))
    made = dataset(web.url("/odd.csv"), web.url("/data.csv"))
    work()
    odd, good = (archival(each) for each in made["resources"])
    assert (odd.status_id, odd.is_broken, odd.cause, odd.verdict) == (22, None, "own_fault", "unsure")
    assert good.status_id == 0 and left_in_temporary_folders() == []


def test_a_full_disk_pauses_the_work(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full the link is not judged, the batch ends, nothing is left behind, and it is tried again."""
    made = dataset(*(web.url(f"/{number}.csv") for number in range(10)))
    monkeypatch.setattr(body, "open", full_disk, raising=False)
    assert not any(step.task == "archive" for step in runner.archive_batch("bulk"))
    model.Session.expire_all()
    rows = [row for row in map(archival, made["resources"]) if row]
    assert rows
    assert {(row.status_id, row.is_broken, row.cause, row.verdict) for row in rows} == {(23, None, "disk", "unsure")}
    assert left_in_temporary_folders() == []
    assert list(runner.archive_batch("bulk")) == [], "not at once"
    monkeypatch.undo()
    monkeypatch.setattr(batch, "DISK_SECONDS", 0)
    make_all_due()
    work()
    assert [archival(each).status_id for each in made["resources"]] == [0] * 10


def full_disk(descriptor: int, *_: Any, **__: Any) -> Any:
    """Open a file on a device that is always full, as the kernel has it."""
    os.close(descriptor)
    return open("/dev/full", "wb", buffering=0)


def make_all_due() -> None:
    with lease.transaction() as connection:
        connection.execute(sa.update(link_table).values(due=lease.now).where(link_table.c.lane.isnot(None)))
        connection.execute(sa.update(host_table).values(not_before=None))


def test_a_resource_that_changes_meanwhile_is_checked_again(web: Web, edit: Any) -> None:
    """A verdict on a URL that the resource has not any more does not count; the new one is checked."""
    made = dataset(web.url("/old.csv"))

    def change(request: Any) -> None:
        del web.pages["/old.csv"]
        edit(made["resources"][0], web.url("/new.csv"))
        file(request)

    web.pages["/old.csv"] = change
    work()
    row = archival(made["resources"][0])
    assert row.checked_url == web.url("/new.csv") and row.cache_filepath.endswith("/new.csv")
    assert web.count("/old.csv") == 1


@pytest.fixture
def edit() -> Any:
    """Changes the URL of a resource in another thread, with a session of its own, as a person does."""
    app, user = current_app._get_current_object(), factories.Sysadmin()["name"]  # type: ignore[attr-defined]

    def change(resource: dict[str, Any], url: str) -> None:
        with app.test_request_context():
            act("resource_patch", user, id=resource["id"], url=url)
            model.Session.remove()

    def run(resource: dict[str, Any], url: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(change, resource, url).result()

    return run


class Failing(p.SingletonPlugin):
    """A plugin in the pipeline that always fails, and leaves the session in disorder."""

    p.implements(IPipe, inherit=True)

    def receive_data(self, operation: str, queue: str, **params: Any) -> None:
        model.Session.execute(sa.text("SELECT 1 / 0"))


def test_an_observer_that_fails_ends_nothing(web: Web, pipe: Any) -> None:
    """What a plugin of the pipeline raises is logged; the work goes on, and the search index is brought up to date."""
    with loaded("failing", Failing):
        made = dataset(web.url("/1.csv"), web.url("/2.csv"))
        work()
    assert [archival(each).status_id for each in made["resources"]] == [0, 0]
    assert shown_in_search(made)


def shown_in_search(made: dict[str, Any]) -> Any:
    """Return what a search shows of the links of a dataset."""
    (found,) = act("package_search", None, q=f"id:{made['id']}")["results"]
    return [each.get("archiver", {}).get("status_id") for each in found["resources"] if "archiver" in each]


class Qa(p.SingletonPlugin):
    """A plugin that indexes datasets itself."""

    p.implements(IPipe, inherit=True)


def test_qa_indexes_itself(web: Web, edit: Any) -> None:
    """If the plugin ``qa`` is in the pipeline, the archiver leaves to it what it is told of: datasets with a link that
    is well."""
    with loaded("qa", Qa):
        made, broken = dataset(web.url("/1.csv")), dataset(web.url("/missing.csv"))
        work()
        assert not shown_in_search(made)
        assert shown_in_search(broken) == [12]
        edit(made["resources"][0], web.url("/2.csv"))
    work()
    assert shown_in_search(made) == [0]


def test_the_search_index_is_away(web: Web, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Solr is away verdicts are recorded; datasets are indexed, and others told, when it is back."""
    made = dataset(web.url("/1.csv"))

    def away(_ids: Any) -> Any:
        raise search.SearchUnavailable("Solr does not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "index", away)
        assert list(runner.archive_batch("bulk")) == [runner.Next("tell", "bulk")]
        assert runner.tell() == []
    assert archival(made["resources"][0]).status_id == 0
    assert [call[0] for call in pipe.calls] == ["archived"]
    runner.tell()
    assert shown_in_search(made) == [0]
    assert [call[0] for call in pipe.calls] == ["archived", "package-archived"]


def test_only_what_shows_is_indexed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that changes nothing that a page shows causes no work for the search index."""
    made = dataset(web.url("/1.csv"))
    work()
    indexed: list[list[str]] = []

    def index(package_ids: Any) -> dict[str, str]:
        indexed.append(list(package_ids))
        return {}

    monkeypatch.setattr(search, "index", index)
    again(made)
    assert indexed == []
    web.pages["/1.csv"] = says(404)
    again(made)
    assert indexed == [[made["id"]]]


def test_a_dataset_is_told_of_once(web: Web, pipe: Any) -> None:
    """``package-archived`` comes once for a dataset, when the last of its links is checked, and not if all failed."""
    made = dataset(*(web.url(f"/{number}.csv", number) for number in range(1, 6)))
    dead = dataset(web.url("/missing/1"), web.url("/missing/2"))
    work()
    told = [call for call in pipe.calls if call[0] == "package-archived"]
    assert told == [["package-archived", "priority", {"package_id": made["id"]}]]
    assert len([call for call in pipe.calls if call[0] == "archived"]) == 7 and dead


def test_the_priority_lane_does_only_what_is_urgent(web: Web) -> None:
    """A batch of the priority lane checks what people wait for, and leaves the rest."""
    urgent, other = dataset(web.url("/urgent.csv")), dataset(web.url("/other.csv"))
    with lease.transaction() as connection:
        mine = link_table.c.package_id == other["id"]
        connection.execute(sa.update(link_table).where(mine).values(lane="bulk"))
    work("priority")
    assert archival(urgent["resources"][0]) and not archival(other["resources"][0])
    work("bulk")
    assert archival(other["resources"][0])


def test_a_sweep_finds_what_nobody_works_on(web: Web) -> None:
    """What was asked for and not begun, and what a dead worker had begun, is named by the next sweep."""
    made = dataset(web.url("/data.csv"))
    assert list(runner.sweep()) == [runner.Next("archive", "priority"), runner.Next("archive", "bulk")]
    dead = lease.postpone(lease_table, "archive bulk", 60)
    with lease.transaction() as connection:
        connection.execute(sa.update(host_table).values(claimed_by=dead))
    assert list(runner.sweep()) == [], "somebody is at it"
    lease.execute(sa.delete(lease_table).where(lease_table.c.id == dead))
    assert runner.Next("archive", "bulk") in list(runner.sweep())
    work()
    assert archival(made["resources"][0]).status_id == 0
    assert list(runner.sweep()) == []


def test_a_sweep_removes_what_dead_workers_left(web: Web) -> None:
    """Folders of downloads whose worker is not alive are removed, those of others are not."""
    archive = store()
    with lease.held(lease_table, "archive bulk", longest=60) as alive, archive.temporary(alive) as mine:
        left = os.path.join(os.path.dirname(mine), "host%3A1%3A2")
        os.makedirs(left)
        for folder in (mine, left):
            open(os.path.join(folder, "half"), "wb").close()
        list(runner.sweep())
        assert os.listdir(mine) == ["half"] and not os.path.exists(left)


def test_old_links_are_checked_again(web: Web, ckan_config: Any) -> None:
    """A sweep asks for links whose age asks for it, as far as the day's budget goes."""
    ckan_config["ckanext.archiver.recheck_budget"] = 2
    dataset(*(web.url(f"/{number}.csv") for number in range(4)))
    work()
    assert runner.Next("archive", "bulk") not in list(runner.sweep())
    with lease.transaction() as connection:
        connection.execute(sa.update(link_table).values(recheck_at=lease.now))
    assert runner.Next("archive", "bulk") in list(runner.sweep())
    work()
    list(runner.sweep())
    work()
    assert web.count() == 4 + 2


def test_archiving_at_once(web: Web, pipe: Any) -> None:
    """Somebody who wants the result now has it when the call returns, and nobody else's links are touched."""
    made, other = dataset(web.url("/data.csv"), web.url("/missing.csv")), dataset(web.url("/other.csv"))
    ids = [each["id"] for each in made["resources"]]
    found = {each.link.resource_id: each.verdict.status_id for each in runner.archive_now(ids, "priority")}
    assert found == dict(zip(ids, (0, 12), strict=True))
    assert [call[0] for call in pipe.calls] == ["archived", "archived", "package-archived"]
    assert {call[1] for call in pipe.calls} == {"priority"}
    assert archival(other["resources"][0]) is None and shown_in_search(made) == [0, 12]


def test_archiving_at_once_what_a_worker_has(web: Web) -> None:
    """A host in the hands of a worker is waited for."""
    web.latency = 3
    made = dataset(*(web.url(f"/{number}.csv") for number in range(3)))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: list(runner.archive_batch("bulk")))
        wait_until(web.count, 30)
        list(runner.archive_now([each["id"] for each in made["resources"]]))
        running.result()
    model.Session.expire_all()
    assert [archival(each).status_id for each in made["resources"]] == [0] * 3 and web.count() <= 4


def test_a_database_that_goes_away_for_a_moment(web: Web) -> None:
    """Connections that the database ended are made anew, and nothing is checked twice."""
    web.latency = 0.3
    made = dataset(*(web.url(f"/{number}.csv", number) for number in range(1, 31)))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: list(runner.archive_batch("bulk")))
        wait_until(lambda: web.count() > 3, 30, every=0.05)
        end_all_connections()
        running.result()
    model.Session.remove()
    assert [archival(each).status_id for each in made["resources"]] == [0] * 30
    assert web.count() == 30 and left_in_temporary_folders() == []


def end_all_connections() -> None:
    """End all connections to the database but this one, as a restart does."""
    mine = sa.func.pg_backend_pid()
    activity = sa.table("pg_stat_activity", sa.column("pid"), sa.column("datname"))
    others = sa.select(sa.func.pg_terminate_backend(activity.c.pid)).where(
        activity.c.pid != mine, activity.c.datname == sa.func.current_database()
    )
    engine = sa.create_engine(model.meta.engine.url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(others)


def claimed_by_dead_worker() -> None:
    dead = lease.postpone(lease_table, "archive bulk", -1)
    lease.execute(sa.update(host_table).values(claimed_by=dead))


def tries() -> list[int]:
    with lease.transaction() as connection:
        return sorted(connection.scalars(sa.select(link_table.c.tries)))


def test_a_link_that_kills_its_worker_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a worker died its links are asked for one by one; one with which it dies again and again is given up."""
    made = dataset(web.url("/deadly.csv"), web.url("/data.csv"))
    hosts.refresh()
    claimed_by_dead_worker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch.record, "record_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(runner.archive_batch("bulk"))
    assert tries() == [0, 1]
    deadly = link_table.c.url == web.url("/deadly.csv")
    lease.execute(sa.update(link_table).where(deadly).values(tries=batch.TRIES))
    web.asked.clear()
    work()
    given_up, good = (archival(each) for each in made["resources"])
    assert (given_up.status_id, given_up.is_broken, given_up.cause) == (22, None, "own_fault")
    assert good.status_id == 0 and web.count("/deadly.csv") == 0 and tries() == [0, 0]
