"""Looking at a job and doing something about it, in a real browser, at a portal whose worker harvests another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from ckanext.harvest.tests.flow import Feed, Site
from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Page

DATASETS, BAD = 40, 5


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A slow portal, some of whose datasets have tags that CKAN refuses."""
    with Feed(DATASETS, seconds=1.5, rows=10) as running:
        for dataset in running.datasets[:BAD]:
            dataset["tags"] = [{"name": "refused!"}]
        yield running


@pytest.fixture
def ended(site: Site, feed: Feed) -> dict[str, Any]:
    """A job that has ended, with ``source``, the name of its source."""
    feed.seconds = 0
    source = site.add_source(feed.url)
    return site.harvest(source["id"]) | {"source": source["name"]}


def test_a_job_while_somebody_looks(page: Callable[..., Page], site: Site, feed: Feed) -> None:
    """Its counters move, and at its end its errors are there, without the page being loaded again."""
    source = site.add_source(feed.url)
    visit = page(login="sysadmin")
    with feed.held():
        job_id = site.start(source["id"])
        visit.goto(f"/harvest/{source['name']}/job/{job_id}")
        visit.evaluate("window.loaded = 'once'")
    seen = set()
    for _ in range(300):
        seen.add(visit.locator("#job-progress dl").inner_text() if visit.locator("#job-progress dl").count() else "")
        if len(seen) == 2:
            still = page(login="sysadmin", javascript=False)
            still.goto(visit.url)
            shoot(still, "harvest-job-running")
        if visit.locator("#job-said").inner_text():
            break
        visit.wait_for_timeout(300)
    assert len(seen) > 2, seen
    assert visit.locator("#job-gathered").inner_text() == str(DATASETS)
    assert visit.locator("#job-imported").inner_text() == str(DATASETS - BAD)
    assert visit.locator("#job-failed").inner_text() == str(BAD)
    assert visit.locator("#causes tbody tr").count() == 1
    assert visit.evaluate("window.loaded") == "once"


@pytest.mark.parametrize("javascript", [True, False])
def test_errors_and_retry(page: Callable[..., Page], site: Site, ended: dict[str, Any], javascript: bool) -> None:
    """From a cause to its records and to what was harvested; what failed is tried again after it was set right."""
    visit = page(login="sysadmin", javascript=javascript)
    visit.goto(f"/harvest/{ended['source']}/job/last")
    visit.fill("#job-errors-text", "tags")
    visit.select_option("#job-errors-stage", "Import")
    visit.click("#job-errors-filter button")
    assert visit.locator("#causes td").first.inner_text() == str(BAD)
    visit.get_by_role("link", name="Show records").click()
    expect(visit.locator("#errors tbody tr")).to_have_count(BAD)
    visit.locator("#errors tbody a").first.click()
    assert '"refused!"' in visit.locator("pre").inner_text()
    visit.get_by_role("link", name="Job", exact=True).click()
    site.call("harvest_source_patch", id=ended["source_id"], config='{"clean_tags": true}')
    visit.get_by_role("button", name="Retry failed records").click()
    again = site.finish(visit.url.rpartition("/")[2])
    assert again["stats"]["added"] == BAD and not again["stats"]["errored"]


def test_abort(page: Callable[..., Page], site: Site, feed: Feed) -> None:
    """It is asked for once more, and ends the job; without scripts the page has a link to load it again."""
    source = site.add_source(feed.url)
    with feed.held():
        job_id = site.start(source["id"])
        visit = page(login="sysadmin", javascript=False)
        visit.goto(f"/harvest/{source['name']}/job/{job_id}")
        visit.get_by_role("link", name="Refresh").click()
        visit.get_by_role("link", name="Abort the job").click()
        visit.get_by_role("button", name="Abort the job").click()
        assert "The job was aborted." in visit.locator(".flash-messages").inner_text()
        assert site.job(job_id)["status"] == "Finished"


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_pages_of_jobs(page: Callable[..., Page], site: Site, ended: dict[str, Any], width: int) -> None:
    """They are accessible, and fit a phone."""
    visit = page(login="sysadmin", width=width)
    jobs = f"/harvest/{ended['source']}/job"
    cause = site.call("harvest_job_error_causes", id=ended["id"])["results"][0]["cause"]
    record = site.call("harvest_job_error_list", id=ended["id"])["results"][0]["harvest_object_id"]
    [dataset] = site.call("package_search", q=f'harvest_source_id:"{ended["source_id"]}"', rows=1)["results"]
    for name, address, part in (
        ("harvest-jobs", jobs, None),
        ("harvest-job", f"{jobs}/{ended['id']}", None),
        ("harvest-job-errors", f"{jobs}/{ended['id']}?cause={cause}", None),
        ("", f"{jobs}/{ended['id']}?q=none+like+this", None),
        ("", f"{jobs}/{ended['id']}/retry", None),
        ("harvest-record", f"/harvest/object/{record}/view", None),
        ("harvest-provenance", f"/dataset/{dataset['name']}", ".harvest-provenance"),
    ):
        visit.goto(address)
        assert_accessible(visit, part)
        if name and width == WIDE:
            shoot(visit, name)
