"""Links are checked by a real worker, as people, cron and supervisor see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckanext.archiver.tests.flow import archiving, checked, doctor, insert_links, left, through
from ckanext.archiver.tests.web import Web, content, says
from ckanext.harvest.tests.flow import Command, Site
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until


@pytest.fixture(scope="module")
def site(stack: Stack) -> Iterator[Site]:
    """A portal that archives."""
    with archiving(stack) as running:
        yield running


@pytest.fixture(autouse=True)
def all_up(site: Site) -> Iterator[None]:
    """Leave everything running, and nothing to do, to the next test."""
    yield
    site.stack.up(portals=("this",))
    site.execute("UPDATE archiver_link SET lane = NULL, notice = NULL")


def test_a_new_dataset_is_checked_at_once(site: Site, web: Web) -> None:
    """Who saves a dataset finds its link checked within moments, in the dataset and in a search; no sweep is needed."""
    site.stack.beat.stop()
    made = site.call("package_create", name="flow-new", resources=[{"url": web.url("/new.csv"), "format": "CSV"}])
    wait_until(lambda: site.call("package_show", id=made["id"])["resources"][0].get("archiver"), 30)
    shown = site.call("package_show", id=made["id"])
    archiver = shown["resources"][0]["archiver"]
    assert (archiver["status_id"], archiver["is_broken"], shown["archiver"]["status"]) == (
        0,
        False,
        "Archived successfully",
    )
    assert Path(archiver["cache_filepath"]).read_bytes() == content("/new.csv")
    through(site)
    (found,) = site.call("package_search", q=f"id:{made['id']}")["results"]
    assert found["resources"][0]["archiver"]["status_id"] == 0


def test_a_changed_url_is_checked_and_another_change_is_not(site: Site, web: Web) -> None:
    """A new URL has the link checked; a new title does not."""
    made = site.call("package_create", name="flow-edited", resources=[{"url": web.url("/first.csv"), "format": "CSV"}])
    wait_until(lambda: web.count("/first.csv"), 30)
    through(site)
    site.call("package_patch", id=made["id"], title="Another title")
    site.call("resource_patch", id=made["resources"][0]["id"], url=web.url("/second.csv"))
    wait_until(lambda: web.count("/second.csv"), 30)
    through(site)
    assert web.count("/first.csv") == 1


def test_update_hands_links_to_the_workers(site: Site, web: Web) -> None:
    """``archiver update`` returns at once; the workers check many links of many hosts."""
    urls = [web.url(f"/many/{number}.csv", number % 30 + 1) for number in range(300)]
    insert_links(site, urls)
    before = checked(site)
    done = site.ckan("archiver", "update", "--json")
    assert json.loads(done.stdout)["asked"]["all datasets"] >= 300, done.stderr
    through(site)
    assert checked(site) == before + 300
    assert all(web.count(f"/many/{number}.csv") == 1 for number in range(300))


def test_an_edit_does_not_wait_for_the_bulk(site: Site, web: Web) -> None:
    """While a worker checks a whole portal, what a person saved is checked within seconds."""
    web.latency = 0.5
    # of one host, which is asked ten times a second at most: there is work for half a minute
    insert_links(site, [web.url(f"/bulk/{number}.csv", 1) for number in range(300)])
    assert site.ckan("archiver", "update").returncode == 0
    wait_until(lambda: web.count() > 5, 30)
    made = site.call(
        "package_create", name="flow-urgent", resources=[{"url": web.url("/urgent.csv", 3), "format": "CSV"}]
    )
    wait_until(lambda: site.call("package_show", id=made["id"])["resources"][0].get("archiver"), 30)
    assert left(site) > 50


def test_old_start_commands(site: Site, web: Web) -> None:
    """``ckan celeryd2 run priority``, as in supervisor files, is a worker for what people wait for, and sweeps."""
    site.stack.worker.stop()
    site.stack.beat.stop()
    command = Command(site.stack, "celeryd2", "run", "priority")
    command.start()
    try:
        made = site.call("package_create", name="flow-old", resources=[{"url": web.url("/old.csv"), "format": "CSV"}])
        wait_until(lambda: site.call("package_show", id=made["id"])["resources"][0].get("archiver"), 40)
        found = {finding["code"]: finding for finding in doctor(site)["findings"]}
        assert found["no-worker"]["what"].endswith("this.archiver.bulk")
    finally:
        command.stop()


def test_a_healthy_portal(site: Site, web: Web) -> None:
    """With worker and beat running, and after work was done, the doctor has nothing to say."""
    site.call("package_create", name="flow-healthy", resources=[{"url": web.url("/healthy.csv"), "format": "CSV"}])
    through(site)
    site.ckan("archiver", "doctor", "--fix")
    assert doctor(site) == {"healthy": True, "findings": []}


def test_a_waf_page_keeps_the_copy(site: Site, web: Web) -> None:
    """A page that a server sends instead of the data replaces no copy, through all of the processes."""
    made = site.call("package_create", name="flow-waf", resources=[{"url": web.url("/waf.csv"), "format": "CSV"}])
    wait_until(lambda: site.call("package_show", id=made["id"])["resources"][0].get("archiver"), 30)
    page = b"<!DOCTYPE html><html><head><title>Are you human?</title></head></html>"
    web.pages["/waf.csv"] = says(200, page, Content_Type="text/html")
    through(site)
    assert site.ckan("archiver", "update", "flow-waf").returncode == 0
    through(site)
    archiver = site.call("package_show", id=made["id"])["resources"][0]["archiver"]
    assert (archiver["status_id"], archiver["cause"]) == (21, "html_instead_of_data")
    assert Path(archiver["cache_filepath"]).read_bytes() == content("/waf.csv")
