"""What all pages have in common, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.browser.kit import PHONE, WIDE, assert_accessible
from ckanext.relay.tests.browser.strict_policy import POLICY
from ckanext.relay.tests.paged_plugin import NAME

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

PARTS = "/relay-tests/parts"


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_parts_under_the_strict_policy(page: Callable[..., Page], width: int) -> None:
    """They need no more than the policy allows, are accessible, and fit a phone."""
    visit = page(login="sysadmin", width=width)
    answer = visit.goto(PARTS)
    assert answer is not None and answer.headers["content-security-policy"] == POLICY
    assert_accessible(visit)
    visit.goto("/relay-tests/change")
    assert_accessible(visit)


def test_a_plot(page: Callable[..., Page]) -> None:
    """It is drawn over its table, which the keyboard opens; without scripts the table is simply there."""
    visit = page()
    visit.goto(PARTS)
    canvas = visit.locator("#records canvas")
    canvas.wait_for()  # CKAN begins with modules when it has the texts of the language, which may be after the page is
    assert canvas.is_visible() and not visit.locator("#records table").is_visible()
    points = visit.evaluate("Chart.getChart(document.querySelector('#records canvas')).data")
    assert points["labels"] == ["Monday", "Tuesday", "Wednesday"]
    assert [each["data"] for each in points["datasets"]] == [[1200, 900, None], [3, 12, 7]]
    assert visit.evaluate(
        "(canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(each => each))"
        "(document.querySelector('#records canvas'))"
    )
    visit.locator("#records summary").focus()
    visit.keyboard.press("Enter")
    assert visit.locator("#records table").is_visible()

    plain = page(javascript=False)
    plain.goto(PARTS)
    assert plain.locator("#records table").is_visible() and plain.locator("#records canvas").count() == 0


def test_a_part_that_is_live(page: Callable[..., Page]) -> None:
    """It changes without a reload until there is nothing to wait for; without scripts a link shows how it is now."""
    visit = page()
    asked: list[str] = []
    visit.on("request", lambda request: asked.extend(re.findall(r"/live/(\d)$", request.url)))
    visit.goto("/relay-tests/live")
    visit.wait_for_selector("text=Step 3")
    visit.wait_for_timeout(1500)
    assert asked == ["1", "2", "3"] and visit.url.endswith("/live")

    plain = page(javascript=False)
    plain.goto("/relay-tests/live")
    plain.get_by_role("link", name="Refresh").click()
    assert plain.locator("#live p").inner_text() == "Step 1"


def test_a_part_of_a_portal_that_is_away(page: Callable[..., Page]) -> None:
    """Where a proxy answers meanwhile, or nobody: nothing pops up, and the part goes on when the portal is there."""
    visit = page(may_complain=True)
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.abort()
        elif len(asked) == 2:
            route.fulfill(status=502, content_type="text/html", body="<!DOCTYPE html><title>Bad gateway</title>")
        else:
            route.continue_()

    visit.route(re.compile(r"/relay-tests/live/2$"), fail)
    visit.goto("/relay-tests/live")
    visit.wait_for_selector("text=Step 2")
    assert len(asked) == 3 and visit.locator(".toast").count() == 0  # they stay for three seconds


def test_a_part_that_is_gone(page: Callable[..., Page]) -> None:
    """Where it was it says so, with a link; it asks no more, and no message pops up."""
    visit = page()
    asked: list[str] = []
    visit.on("request", lambda request: asked.extend(re.findall(r"/live/(\d)$", request.url)))
    gone = re.compile(r"/relay-tests/live/2$")
    visit.route(gone, lambda route: route.continue_(url=route.request.url.replace("live/2", "dataset/no-such-dataset")))
    visit.goto("/relay-tests/live")
    visit.wait_for_selector("text=This part can no longer be shown.")
    visit.wait_for_timeout(1500)
    assert asked == ["1", "2"] and visit.locator(".toast").count() == 0
    assert_accessible(visit)
    visit.get_by_role("link", name="Load the page again").click()
    visit.wait_for_selector("text=Step 0")


def test_a_change_is_asked_for_once_more(page: Callable[..., Page]) -> None:
    """Where scripts run, the question is put as text, and who says no changes nothing; where not, a page asks."""
    visit = page(login="user")
    visit.goto(PARTS)
    questions: list[str] = []

    def say_no(dialog: Any) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    visit.once("dialog", say_no)
    visit.get_by_role("button", name="Change").click()
    assert questions == [f"Really change {NAME}?"] and visit.url.endswith(PARTS)
    sent: list[str] = []
    visit.on("request", lambda request: sent.append(f"{request.method} {request.url.rpartition('/')[2]}"))
    visit.once("dialog", lambda dialog: dialog.accept())
    visit.get_by_role("button", name="Change").click()
    visit.wait_for_load_state()
    assert "POST change" in sent

    plain = page(login="user", javascript=False)
    plain.goto("/relay-tests/change")
    plain.get_by_role("button", name="Change it").click()
    assert plain.url.endswith(PARTS)
