"""Harvest sources in a real browser: made with a test of the connection, found, run, and taken away."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset
from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, organization, shoot
from ckanext.relay.tests.waiting import wait_until

if TYPE_CHECKING:
    from ckanext.harvest.tests.flow import Site

#: What a worker leaves in the database that clears a source now.
_A_WORKER = (
    "INSERT INTO harvest_lease (id, task, started, expires)"
    " SELECT 'a worker', 'clear ' || %s, now, now + interval '1 hour' FROM timezone('utc', now()) AS now"
)
_TITLES = ["Street trees", "Playgrounds", "Benches", "Lamps", "Fountains", "Paths"]


@pytest.fixture(scope="module")
def city() -> Iterator[RemotePortal]:
    """A remote portal with six datasets."""
    with RemotePortal() as running:
        running.datasets = [dataset(number, title=title) for number, title in enumerate(_TITLES)]
        yield running


@pytest.fixture
def source(site: Site) -> Iterator[dict[str, Any]]:
    """A source that was harvested, as it is every day."""
    name = f"city-{uuid.uuid4().hex[:8]}"
    with RemotePortal() as remote:
        remote.datasets = [dataset(f"{name}-{number}", title=title) for number, title in enumerate(_TITLES)]
        made: dict[str, Any] = site.call(
            "harvest_source_create", name=name, title="Open data of the city", url=remote.url, source_type="ckan",
            frequency="DAILY", owner_org=organization(site), notes="What the city publishes.",
        )  # fmt: skip
        wait_until(lambda: _is_over(site, name), 60)
        yield made


def _is_over(site: Site, name: str) -> bool:
    last = site.call("harvest_source_show_status", id=name)["last_job"]
    return bool(last) and last["status"] == "Finished"


@pytest.mark.parametrize("javascript", [True, False])
def test_a_source_is_made(page: Callable[..., Page], site: Site, city: RemotePortal, javascript: bool) -> None:
    """The test of the connection says what is there before anything is saved, with and without JavaScript; what was
    typed stays."""
    organization(site)
    name = f"made-{uuid.uuid4().hex[:8]}"
    visit = page(login="editor", javascript=javascript)
    visit.goto("/harvest/")
    visit.get_by_role("link", name="Add harvest source").click()
    if javascript:
        visit.locator(".slug-preview").wait_for()  # CKAN makes a name of the title from now on
    visit.locator("#field-url").fill("http://127.0.0.1:1/")
    visit.get_by_label("CKAN", exact=True).check()
    visit.get_by_role("button", name="Test the connection").click()
    visit.locator("#harvest-connection .alert-danger").wait_for()
    visit.locator("#field-url").fill(city.url)
    visit.locator("#field-title").fill(name)
    visit.locator("#field-config").fill(f'{{"user_agent": "{name}"}}')
    visit.get_by_role("button", name="Test the connection").click()
    found = visit.locator("#harvest-connection .alert-success")
    found.wait_for()
    assert "6 records are there." in found.inner_text() and "Street trees" in found.inner_text()
    assert city.requests[-1][2]["User-Agent"] == name
    assert visit.locator("#field-title").input_value() == name
    if javascript:
        expect(visit.locator("#field-name")).to_have_value(name)  # CKAN makes it of the title
        assert_accessible(visit)
        shoot(visit, "harvest-source-form")
    else:
        visit.locator("#field-name").fill(name)
    assert not site.call("package_search", q=f"name:{name}", fq="dataset_type:harvest")["count"]
    visit.locator("#field-url").press("Enter")
    visit.locator(".harvest-facts").wait_for()
    assert visit.locator("h1").inner_text() == name
    assert site.call("harvest_source_show", id=name)["url"] == city.url


def test_a_form_with_mistakes(page: Callable[..., Page], site: Site) -> None:
    """It says so, to those who do not see it, too."""
    organization(site)
    for width in (WIDE, PHONE):
        visit = page(login="editor", width=width)
        visit.goto("/harvest/new")
        visit.locator(".form-actions").get_by_role("button", name="Save").click()
        visit.locator("#field-url-error").wait_for()
        assert "field-url-error" in str(visit.locator("#field-url").get_attribute("aria-describedby"))
        assert_accessible(visit)


def test_sources_are_found(page: Callable[..., Page], source: dict[str, Any]) -> None:
    """A facet narrows the list down; each source says how it is doing."""
    visit = page()
    visit.goto("/harvest/")
    visit.locator(".nav-facet").get_by_text("Daily").click()
    visit.locator(".filter-list .pill", has_text="Daily").wait_for()
    item = visit.locator(".harvest-list > li", has=visit.locator(f"a[href$='/{source['name']}']"))
    assert "OK" in item.inner_text() and "Next run: 20" in item.inner_text()
    item.get_by_role("link", name=source["title"]).click()
    visit.locator(".harvest-facts").wait_for()
    assert visit.locator("h1").inner_text() == source["title"]


def test_each_page_of_a_source(page: Callable[..., Page], source: dict[str, Any]) -> None:
    """On a screen and on a phone, accessible, and under a strict policy."""
    name = source["name"]
    pages = {
        "/harvest/": "harvest-sources", f"/harvest/{name}": "harvest-source",
        f"/harvest/about/{name}": "harvest-source-about",
        f"/harvest/admin/{name}": "harvest-source-admin", f"/harvest/edit/{name}": None, "/harvest/new": None,
        f"/harvest/refresh/{name}": None, f"/harvest/clear/{name}": None,
        f"/harvest/delete/{name}?clear=true": "harvest-source-delete",
    }  # fmt: skip
    for width in (WIDE, PHONE):
        visit = page(login="editor", width=width)
        for path, picture in pages.items():
            answer = visit.goto(path)
            assert answer is not None and answer.status == 200, path
            assert_accessible(visit)
            if picture and width == WIDE:
                shoot(visit, picture)


def test_a_source_is_run_cleared_and_deleted(page: Callable[..., Page], site: Site, source: dict[str, Any]) -> None:
    """Each is asked for, and said afterwards."""
    visit = page(login="editor")
    visit.goto(f"/harvest/{source['name']}")
    visit.get_by_role("link", name="Admin").first.click()
    visit.get_by_role("button", name="Harvest now").click()
    visit.get_by_text("A job was started.").wait_for()
    wait_until(lambda: _is_over(site, source["name"]), 60)
    visit.reload()
    visit.get_by_role("link", name="Clear…").click()
    site.stack.worker.stop()
    visit.get_by_role("button", name="Clear").click()
    visit.locator("#source-clearing").wait_for()
    site.stack.worker.start()
    visit.get_by_text("All datasets and jobs of this source were removed.").wait_for()
    visit.get_by_role("link", name="Delete…").first.click()
    visit.get_by_role("link", name="Delete its datasets, too").click()
    visit.get_by_role("button", name="Delete the source and all its datasets").click()
    visit.get_by_text("The source was deleted.").wait_for()
    assert site.call("harvest_source_show", id=source["id"])["state"] == "deleted"


def test_a_clearing_is_watched(page: Callable[..., Page], site: Site, source: dict[str, Any]) -> None:
    """The page says, without being loaded again, that it waits for a worker, how far that one is, and what stopped it;
    when a worker is there again, the source is cleared."""
    site.stack.worker.stop()
    visit = page(login="editor")
    visit.goto(f"/harvest/clear/{source['name']}")
    visit.get_by_role("button", name="Clear").click()
    panel = visit.locator("#source-clearing")
    expect(panel).to_contain_text("It waits for a worker, since 20")
    assert_accessible(visit)
    site.execute("UPDATE harvest_clearing SET asked = asked - interval '5 minutes' WHERE source_id = %s", source["id"])
    expect(panel).to_contain_text("None has come. Is one running?")
    assert_accessible(visit)
    site.execute(_A_WORKER, source["id"])
    site.execute("UPDATE harvest_clearing SET done = 1500, total = 4000 WHERE source_id = %s", source["id"])
    expect(panel).to_contain_text("1,500 of 4,000 datasets are removed.")
    assert_accessible(visit)
    shoot(visit, "harvest-source-clearing")
    site.execute("DELETE FROM harvest_lease WHERE task = 'clear ' || %s", source["id"])
    error = "2 datasets could not be removed, such as a-tree: it is <b>kept</b>"
    site.execute("UPDATE harvest_clearing SET error = %s WHERE source_id = %s", error, source["id"])
    expect(visit.get_by_role("alert")).to_contain_text(f"This source could not be cleared: {error}")
    for width in (PHONE, WIDE):
        visit.set_viewport_size({"width": width, "height": 812})
        assert_accessible(visit)
    visit.get_by_role("link", name="Clear…").click()
    visit.get_by_role("button", name="Clear").click()
    panel.wait_for()
    site.stack.worker.start()
    visit.get_by_text("All datasets and jobs of this source were removed.").wait_for()
