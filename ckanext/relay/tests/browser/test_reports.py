"""Reports: choosing and sorting rows, taking them along, and having a report generated while one looks on."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest

from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from ckanext.harvest.tests.flow import Site

#: Broken links of datasets of an organization, as if they had been checked.
_BROKEN = """
INSERT INTO package (id, name, title, type, state, private, owner_org, metadata_created, metadata_modified)
SELECT 'broken-' || n, 'broken-' || n, 'Trees of district ' || n, 'dataset', 'active', false, %(organization)s,
    now(), now()
FROM generate_series(1, 12) AS n;
INSERT INTO resource (id, package_id, url, format, position, state, extras)
SELECT 'broken-' || n, 'broken-' || n, 'http://example.invalid/' || n || '.csv', 'CSV', 0, 'active', '{}'
FROM generate_series(1, 12) AS n;
INSERT INTO archival (id, package_id, resource_id, status_id, is_broken, verdict, reason, cause, first_failure,
    failure_count, created, updated)
SELECT 'broken-' || n, 'broken-' || n, 'broken-' || n, 12, true, 'broken', 'Server reported status error: 404',
    CASE WHEN n %% 3 = 0 THEN 'dns' ELSE 'http_404' END, now() - n * interval '1 day', n, now(), now()
FROM generate_series(1, 12) AS n;
"""
_REMOVED = "; ".join(f"DELETE FROM {table} WHERE id LIKE 'broken-%%'" for table in ("archival", "resource", "package"))


@pytest.fixture
def trees(site: Site) -> Iterator[str]:
    """The name of an organization with twelve broken links; no report was generated."""
    if "trees" not in site.call("organization_list"):
        site.call("organization_create", name="trees", title="Office for trees")
    found = site.call("organization_show", id="trees")
    with psycopg2.connect(site.stack.postgres.database("this")) as connection, connection.cursor() as cursor:
        cursor.execute(_BROKEN, {"organization": found["id"]})
        cursor.execute("DELETE FROM data_cache")
    yield "trees"
    with psycopg2.connect(site.stack.postgres.database("this")) as connection, connection.cursor() as cursor:
        cursor.execute(_REMOVED, {})


def generate(visit: Page, path: str) -> None:
    """Press the button and wait until the page shows the new report by itself."""
    visit.goto(path)
    visit.get_by_role("button", name="Generate now").click()
    visit.locator("[hx-get]").wait_for(state="detached")
    visit.locator("#report-table").wait_for()


def titles(visit: Page) -> list[str]:
    return visit.locator("#report-table tbody td:first-child").all_inner_texts()


def test_from_nothing_to_a_file(page: Callable[..., Page], trees: str, tmp_path: Path) -> None:
    """A sysadmin has a report generated, which appears without a click, follows an organization, filters, sorts, and
    takes along what is shown."""
    visit = page(login="sysadmin")
    generate(visit, f"/report/broken-links/{trees}")
    generate(visit, "/report/broken-links")
    visit.locator(".relay-plot-area canvas").wait_for()
    assert_accessible(visit)
    shoot(visit, "report-broken-links")
    visit.locator("#report-table").get_by_role("link", name="Office for trees").click()
    visit.get_by_role("link", name="No. of fails").click()
    assert visit.locator("th[aria-sort=descending]").inner_text().strip() == "No. of fails"
    assert titles(visit)[0] == "Trees of district 12"
    assert_accessible(visit)
    shoot(visit, "report-organization")
    visit.get_by_label("Filter the rows").fill("district dns")
    visit.keyboard.press("Enter")
    visit.get_by_text("4 of 12 rows hold").wait_for()
    assert titles(visit) == [f"Trees of district {number}" for number in (12, 9, 6, 3)]
    with visit.expect_download() as download:
        visit.get_by_role("link", name="CSV", exact=True).click()
    download.value.save_as(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        assert [row["dataset_title"] for row in csv.DictReader(file)] == titles(visit)


def test_without_javascript_on_a_phone(page: Callable[..., Page], trees: str) -> None:
    """The same with links and forms alone; the plot is a table."""
    visit = page(login="sysadmin", width=PHONE, javascript=False)
    visit.goto(f"/report/broken-links/{trees}")
    visit.get_by_role("button", name="Generate now").click()
    for _ in range(60):
        if visit.locator("#report-table").count():
            break
        visit.wait_for_timeout(500)
        visit.goto(f"/report/broken-links/{trees}")
    assert visit.locator("#report-plot table").is_visible()
    visit.get_by_label("Filter the rows").fill("broken-7")
    visit.get_by_role("button", name="Filter").click()
    visit.get_by_text("1 of 12 rows hold").wait_for()
    assert titles(visit) == ["Trees of district 7"]
    visit.get_by_role("link", name="Show all rows").click()
    visit.locator("#report-table tbody tr").nth(11).wait_for()


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_report_is_accessible(page: Callable[..., Page], trees: str, width: int) -> None:
    """Also those that are not generated yet, and the list."""
    visit = page(login="sysadmin", width=width)
    for name in ("", "/archive-usage", "/harvest-status", "/syndication-status", "/tagless-datasets"):
        visit.goto(f"/report{name}")
        assert_accessible(visit)
        if not name:
            shoot(visit, "report-list")
