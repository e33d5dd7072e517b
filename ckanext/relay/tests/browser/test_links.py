"""Links: what pages say of them, and checking one now, in a real browser with a real worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.archiver.tests.web import Web, says
from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, organization, shoot
from ckanext.relay.tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from ckanext.harvest.tests.flow import Site

GOOD, BAD = "River levels", "Water temperature"


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    """A publisher's server; what it answers is up to the tests."""
    with Web() as running:
        yield running


@pytest.fixture
def dataset(site: Site, server: Web) -> dict[str, Any]:
    """A dataset with two links that are checked: one works, the other one does so no more."""
    name = f"rivers-{uuid.uuid4().hex[:8]}"
    moves = says(301, b"", Location=f"/moved/{name}")
    server.pages |= {f"/{name}/bad": moves, f"/moved/{name}": says(200, b"a,b\n1,2\n", Content_Type="text/csv")}
    resources = [
        {"name": title, "url": server.url(f"/{name}/{path}"), "format": "CSV"}
        for title, path in ((GOOD, "good"), (BAD, "bad"))
    ]
    notes = "Levels and temperatures, measured every hour."
    made: dict[str, Any] = site.call(
        "package_create", name=name, title="Rivers", notes=notes, owner_org=organization(site), resources=resources
    )
    wait_until(lambda: "" not in verdicts(site, made), 60)
    server.pages[f"/moved/{name}"] = says(404, b"gone")
    return made


def verdicts(site: Site, dataset: dict[str, Any]) -> list[str]:
    shown = site.call("package_show", id=dataset["id"])["resources"]
    return [str(each.get("archiver", {}).get("verdict") or "") for each in shown]


def badges(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".resource-item .archiver-badge").all_inner_texts()]


def test_a_link_is_checked_now(page: Callable[..., Page], site: Site, server: Web, dataset: dict[str, Any]) -> None:
    """The editor sees that it is under way, and then the verdict, without loading the page again; once it is
    confirmed, visitors read it, and the search finds the dataset."""
    visit = page(login="editor")
    visit.goto(f"/dataset/{dataset['name']}")
    assert badges(visit) == ["Link is ok", "Link is ok"]
    visit.locator(".resource-item a.heading", has_text=BAD).click()
    server.latency = 3
    for badge in ("The latest check failed", "Link is broken"):
        visit.get_by_role("button", name="Check now").click()
        visit.get_by_text("The link is being checked …").wait_for()
        visit.evaluate("window.notLoadedAgain = true")
        visit.locator(".module-resource .archiver-badge", has_text=badge).wait_for()
        visit.get_by_role("button", name="Check now").wait_for()
        assert visit.evaluate("window.notLoadedAgain")
        assert visit.locator("#archiver-live").inner_text() == "The check is done."
    visit.get_by_text("What the latest check found").click()
    assert "404 Not Found" in visit.locator(".archiver-evidence").inner_text()
    visit.goto(f"/dataset/{dataset['name']}/resource/{dataset['resources'][1]['id']}")
    assert_accessible(visit)
    shoot(visit, "link-panel")
    stranger = page()
    wait_until(lambda: site.call("package_search", fq="archiver_links:broken")["count"], 30)
    stranger.goto("/dataset/")
    stranger.get_by_text("With broken links").click()
    stranger.get_by_role("link", name="Rivers").first.click()
    assert badges(stranger) == ["Link is ok", "Link is broken"]
    assert "1 broken link" in stranger.locator("#archiver-panel").inner_text()
    for width in (WIDE, PHONE):
        for login in (None, "editor"):
            visit = page(login=login, width=width)
            for where in ("", f"/resource/{dataset['resources'][1]['id']}"):
                visit.goto(f"/dataset/{dataset['name']}{where}")
                assert_accessible(visit, ".archiver-info")
    visit.goto(f"/dataset/{dataset['name']}")
    shoot(visit, "links-of-a-dataset")
    visit.goto("/dataset/?archiver_links=broken")
    shoot(visit, "links-facet")
    server.latency = 0


def test_all_links_of_a_dataset(page: Callable[..., Page], server: Web, dataset: dict[str, Any]) -> None:
    """Each badge in the list of resources changes by itself when its link has been checked."""
    visit = page(login="editor")
    visit.goto(f"/dataset/{dataset['name']}")
    server.latency = 2
    visit.get_by_role("button", name="Check all links now").click()
    visit.get_by_text("links are being checked …").wait_for()
    visit.evaluate("window.notLoadedAgain = true")
    visit.get_by_role("button", name="Check all links now").wait_for()
    assert badges(visit) == ["Link is ok", "The latest check failed"]
    assert visit.evaluate("window.notLoadedAgain")
    server.latency = 0


def test_without_scripts(page: Callable[..., Page], site: Site, server: Web, dataset: dict[str, Any]) -> None:
    """All links of a dataset are asked for by a form; the page, loaded again, says what became of them."""
    visit = page(login="editor", javascript=False)
    visit.goto(f"/dataset/{dataset['name']}")
    server.latency = 2
    asked = server.count(f"/moved/{dataset['name']}")
    visit.get_by_role("button", name="Check all links now").click()
    visit.get_by_text("links are being checked …").wait_for()
    wait_until(lambda: server.count(f"/moved/{dataset['name']}") > asked, 30)
    server.latency = 0

    def is_done() -> bool:
        refresh = visit.locator("#archiver-panel").get_by_role("link", name="Refresh")
        refresh.click()
        visit.wait_for_load_state()
        return refresh.count() == 0

    wait_until(is_done, 30)
    visit.reload()  # the check may have ended between the list of resources and the panel below it
    assert badges(visit) == ["Link is ok", "The latest check failed"]
