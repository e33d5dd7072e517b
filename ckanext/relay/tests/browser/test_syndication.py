"""The pages of the syndicate plugin as publishers and administrators meet them: with a real worker and target."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from ckanext.harvest.tests.flow import Site, wait_until
from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, organization, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Page

DASHBOARD = "/ckan-admin/syndicate/dashboard"
LOGS = "/ckan-admin/syndicate/profile/neighbour"

#: A dataset that could not be pushed, and one that is held.
STUCK = """
    INSERT INTO syndication_outbox
        (local_id, profile_id, version, rank, asked, due, attempts, state, force, cause, error)
    SELECT id, 'neighbour', 1, 1, timezone('utc', now()), timezone('utc', now()), 3, %s, false, %s, %s
    FROM package WHERE name = %s
    ON CONFLICT (local_id, profile_id) DO UPDATE SET state = excluded.state, cause = excluded.cause,
        error = excluded.error
"""


def make_dataset(site: Site, **fields: Any) -> str:
    """Create a dataset of the organization of the roles, and return its name."""
    name = f"trees-{uuid.uuid4().hex[:8]}"
    resources = [{"url": "https://data.example/trees.csv", "format": "CSV", "name": "Trees"}]
    site.call(
        "package_create", name=name, title="Street trees", owner_org=organization(site), resources=resources, **fields
    )
    return name


def is_there(site: Site, name: str) -> bool:
    """Return whether the other portal has the dataset."""
    return name in Site(site.stack, "source").call("package_list")


def choose(visit: Page, name: str) -> None:
    """Tick the box of the target in the form of a dataset, and save it."""
    visit.goto(f"/dataset/edit/{name}")
    visit.get_by_label("Push to neighbour").check()
    visit.get_by_role("button", name="Update Dataset").click()
    visit.wait_for_selector("#syndication")


def test_push_a_dataset(page: Callable[..., Page], site: Site) -> None:
    """The box in the form lets it be pushed, the page shows that it waits, and, without being loaded again, that it is
    there; the link leads to the copy."""
    name = make_dataset(site, extras=[{"key": "height", "value": "12 m"}])
    visit = page(login="editor")
    visit.goto(f"/dataset/edit/{name}")
    shoot(visit, "syndicate-form")
    assert_accessible(visit, "#syndication-flags")
    site.stack.worker.stop()
    choose(visit, name)
    assert "waiting" in visit.inner_text("#syndication")
    visit.evaluate("window.stays = true")
    site.stack.up(portals=("source", "this"))
    visit.wait_for_selector("#syndication .badge:has-text('synced')")
    assert visit.evaluate("window.stays") and is_there(site, name)
    assert visit.inner_text("#syndication-said") == "Nothing is on its way any more."
    assert_accessible(visit, "#syndication")
    shoot(visit, "syndicate-dataset")
    link = visit.get_by_role("link", name="Go to the copy").get_attribute("href")
    assert link == f"{site.stack.source.url}/dataset/{name}"
    visit.goto(f"/dataset/edit/{name}")
    assert visit.get_by_label("Push to neighbour").is_checked()
    keys = [each.input_value() for each in visit.locator("input[name$=__key]").all()]
    assert [key for key in keys if key] == ["height"]


def test_push_a_dataset_without_scripts(page: Callable[..., Page], site: Site) -> None:
    """The box, the buttons and a link that looks again do without."""
    name = make_dataset(site)
    visit = page(login="editor", javascript=False)
    site.stack.worker.stop()
    choose(visit, name)
    assert "waiting" in visit.inner_text("#syndication")
    site.stack.up(portals=("source", "this"))
    wait_until(lambda: is_there(site, name), 60)

    def is_shown() -> bool:
        refresh = visit.locator("#syndication-targets").get_by_role("link", name="Refresh")
        if refresh.count():
            refresh.click()
            visit.wait_for_load_state()
        return "synced" in visit.inner_text("#syndication")

    wait_until(is_shown, 30)
    visit.get_by_role("button", name="Push now").click()
    visit.get_by_text("The workers push the dataset now.").wait_for()


def test_a_custom_field_beside_the_box(page: Callable[..., Page], site: Site) -> None:
    """The custom fields go on growing as they are filled, and what is typed there is saved beside the choice."""
    name = make_dataset(site, extras=[{"key": "height", "value": "12 m"}])
    visit = page(login="editor")
    visit.goto(f"/dataset/edit/{name}")
    visit.wait_for_load_state("networkidle")  # CKAN starts its modules when their translations have come
    rows = visit.locator(".control-custom")
    before = rows.count()
    rows.last.locator("input").first.fill("species")
    rows.last.locator("input").first.blur()
    expect(rows).to_have_count(before + 1)
    rows.nth(before - 1).locator("input[name$=__value]").fill("oak")
    visit.get_by_label("Push to neighbour").check()
    visit.get_by_role("button", name="Update Dataset").click()
    visit.wait_for_selector("#syndication")
    extras = {each["key"]: each["value"] for each in site.call("package_show", id=name)["extras"]}
    assert extras == {"height": "12 m", "species": "oak", "syndicate": "true"}


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_what_failed_and_what_is_held(page: Callable[..., Page], site: Site, width: int) -> None:
    """The pages for administrators say what is wrong, let it be tried again and approved; they fit a phone."""
    failed, held = make_dataset(site), make_dataset(site)
    message = "author_email: Not a valid email address"
    site.execute(STUCK, "failed", "refused", message, failed)
    site.execute(STUCK, "held", "held", "the dataset was deleted, as with 12 others since yesterday", held)
    visit = page(login="sysadmin", width=width)
    visit.goto(DASHBOARD)
    assert "neighbour" in visit.inner_text("#targets") and "failed: 1" in visit.inner_text("#troubles")
    assert_accessible(visit)
    shoot(visit, "syndicate-targets")
    visit.goto(LOGS)
    assert_accessible(visit)
    shoot(visit, "syndicate-target")
    visit.locator(".alert").get_by_role("link", name="Approve").click()
    assert_accessible(visit)
    shoot(visit, "syndicate-approve")
    visit.get_by_role("link", name="Cancel").click()
    row = visit.locator("#datasets tr", has_text=message)
    row.get_by_role("button", name="Retry").click()
    visit.get_by_text("1 dataset is handed to the workers.").wait_for()
    visit.goto(f"/dataset/{held}")
    assert_accessible(visit, "#syndication")
    shoot(visit, "syndicate-held")
    site.execute("DELETE FROM syndication_outbox")
