"""The dashboard of harvesting, as those who look after the sources see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ckanext.harvest.tests.flow import Site
from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, organization, shoot
from ckanext.relay.tests.waiting import wait_until

#: What becomes of a source: title, frequency, and its jobs, each so many days ago with these counts.
SOURCES: tuple[tuple[str, str, list[tuple[int, dict[str, int]]]], ...] = (
    ("Parks and gardens", "DAILY", [(day, {"updated": 20 + day % 9, "added": day % 4}) for day in range(1, 25)]),
    ("Street trees", "WEEKLY", [(1, {"errored": 40, "updated": 60}), (8, {"errored": 30, "updated": 70})]),
    ("Playgrounds", "DAILY", []),
    ("Fountains", "MONTHLY", [(2, {"not modified": 50}), (33, {"not modified": 120}), (64, {"not modified": 120})]),
    ("Bus stops of the neighbouring district with a long name", "MANUAL", []),
)
_JOB = """
INSERT INTO harvest_job (id, source_id, status, created, gather_started, gather_finished, finished, stats)
SELECT gen_random_uuid()::text, %s, 'Finished', at, at, at, at + interval '5 minutes', json_build_object('added', %s,
    'updated', %s, 'not modified', %s, 'deleted', 0, 'errored', %s)
FROM (SELECT now() - interval '1 day' * %s AS at) AS job
"""
#: A job that no worker has begun.
_WAITS = """
INSERT INTO harvest_job (id, source_id, status, created)
VALUES (gen_random_uuid()::text, %s, 'New', now() - interval '2 days')
"""


@pytest.fixture(scope="module")
def names(site: Site) -> list[str]:
    """Sources of the organization, and what has become of each; their names."""
    owner = organization(site)
    found = []
    for number, (title, frequency, jobs) in enumerate(SOURCES):
        given = {"name": f"of-the-dashboard-{number}", "title": title, "url": f"http://dashboard-{number}.example"}
        source = site.call("harvest_source_create", source_type="ckan", owner_org=owner, **given)
        for days_ago, counts in jobs:
            numbers = [counts.get(key, 0) for key in ("added", "updated", "not modified", "errored")]
            site.execute(_JOB, source["id"], *numbers, days_ago)
        # no sweep is to start any of them
        later = "UPDATE harvest_source SET frequency = %s, next_run = now() + interval '5 hours' WHERE id = %s"
        site.execute(later, frequency, source["id"])
        if title == "Playgrounds":
            site.execute(_WAITS, source["id"])
        found.append(given["name"])
    return found


def test_the_dashboard(site: Site, names: list[str], page: Callable[..., Page]) -> None:
    """It says what is wrong, who is at work, and what was done, to an editor of the organization, on any screen."""
    wait_until(lambda: _engine(site)["workers"] == 1 and not _engine(site)["sweep_missed"], seconds=30)
    seen = page(login="editor")
    seen.goto("/harvest/dashboard")
    rows = seen.locator("#sources-heading ~ .relay-region tbody tr")
    expect(rows.filter(has_text="Street trees")).to_contain_text("40 of 100 records of the last job failed.")
    expect(rows.filter(has_text="Playgrounds")).to_contain_text("Its job has waited for a worker since")
    expect(rows.filter(has_text="Fountains")).to_contain_text("The last job found 50 records")
    expect(seen.locator("section").filter(has_text="Workers and queues")).to_contain_text("1 worker")
    expect(seen.locator("#records-plot canvas")).to_be_visible()
    expect(seen.locator("#records-plot table")).to_be_hidden()
    for width in (WIDE, PHONE):
        seen.set_viewport_size({"width": width, "height": 900})
        assert_accessible(seen)
    shoot(seen, "harvest-dashboard")
    seen.get_by_role("link", name="Failing").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="History of Street trees").click()
    expect(seen.get_by_role("heading", level=1)).to_have_text("How Street trees is doing")
    expect(seen.locator("#errors-plot canvas")).to_be_visible()
    assert_accessible(seen)
    shoot(seen, "harvest-dashboard-source")


def test_without_javascript(names: list[str], page: Callable[..., Page]) -> None:
    """The figures of the plots are there as tables, and the list is narrowed down by links."""
    seen = page(login="admin", javascript=False)
    seen.goto("/harvest/dashboard?days=7")
    expect(seen.locator("#records-plot tbody tr")).to_have_count(7)
    expect(seen.locator("#records-plot table")).to_be_visible()
    seen.get_by_role("link", name="Shrinking").click()
    expect(seen.locator("#sources-heading ~ .relay-region tbody tr")).to_have_count(1)


def _engine(site: Site) -> Any:
    return site.call("harvest_dashboard_show")["engine"]
