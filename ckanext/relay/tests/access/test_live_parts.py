"""Parts of pages that ask for themselves again: whom they tell what, and what the keyboard is on."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag

from ckanext.harvest.model import clearings
from ckanext.relay import pages
from ckanext.relay.tests.access.visitor import Visitors
from ckanext.relay.tests.access.world import PROFILE, World
from ckanext.syndicate.tests.standing import add_row

ASKS = {"HX-Request": "true"}
GONE = "This part can no longer be shown."
_BUSY = "/harvest/{busy_source_name}/job/{running_job}/progress"
_CLEARING = "/harvest/clear/{public_source}/progress"
_LINKS = "/dataset/{private_dataset}/archiver/panel"
_LINK = "/dataset/{private_dataset}/resource/{private_resource}/archiver/panel"
_SYNDICATED = "/syndicate/dataset/{kept_dataset}"
_REPORT = "/report-progress/staff?verbose=1"
LIVE = (_BUSY, _CLEARING, _LINKS, _LINK, _SYNDICATED, _REPORT)
#: What was there when the page was loaded.
PURGED = (
    "/harvest/no-such-source/job/{running_job}/progress", "/harvest/clear/no-such-source/progress",
    "/dataset/no-such-dataset/archiver/panel", "/dataset/{private_dataset}/resource/no-such-one/archiver/panel",
    "/syndicate/dataset/no-such-dataset", "/report-progress/no-such-report",
)  # fmt: skip
#: What the keyboard comes to. Themes and tests of others know the link to a copy as it is.
_FOCUSABLE = ":is(a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]):not(.link-cached a)"


@pytest.fixture(scope="module")
def waiting(flask_app: Any, world: World, visitors: Visitors) -> None:
    """Something is under way of each kind, and a dataset is not to be at one of the targets."""
    clearings.ask(world.ids["public_source"], "somebody")
    add_row({"id": world.ids["kept_dataset"], "name": "kept-dataset"}, PROFILE)
    asked = visitors.ask("sysadmin", "POST", "/report/staff?verbose=1")
    assert asked.status_code == 302


@pytest.fixture
def other_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target for which no dataset is chosen."""
    from ckan.common import config

    for option, value in (("ckan_url", "http://127.0.0.1:9"), ("api_key", "none"), ("flag", "other")):
        monkeypatch.setitem(config, f"ckanext.syndicate.profile.other.{option}", value)


@pytest.mark.parametrize("path", [*LIVE, *PURGED])
def test_who_may_not_see_it_any_more(path: str, world: World, visitors: Visitors) -> None:
    """Somebody who has logged out, or what it was about is gone: the part says so, and asks no more. By itself the
    address is refused as any other."""
    role = "anonymous" if path in LIVE else "sysadmin"
    answer = visitors.ask(role, "GET", world.fill(path), headers=ASKS)
    assert answer.status_code == pages.STOP_POLLING, answer.text
    assert GONE in answer.text and 'href=""' in answer.text and "hx-" not in answer.text and "<html" not in answer.text
    assert world.leaks(role, answer.text) == []
    assert visitors.ask(role, "GET", world.fill(path)).status_code in (401, 403, 404)


def test_other_requests_are_refused_as_ever(world: World, visitors: Visitors) -> None:
    """htmx puts no answer in the place of a form that was refused."""
    path = world.fill("/harvest/refresh/{public_source}")
    assert visitors.ask("anonymous", "POST", path, headers=ASKS).status_code == 403
    assert visitors.ask("sysadmin", "GET", "/report/staff?format=exe", headers=ASKS).status_code == 400


@pytest.mark.parametrize("path", LIVE)
def test_what_the_keyboard_is_on(
    path: str, world: World, visitors: Visitors, waiting: None, other_target: None
) -> None:
    """All that can be focused has an id of its own: htmx focuses what has the same one in the new part."""
    answer = visitors.ask("sysadmin", "GET", world.fill(path), headers=ASKS)
    assert answer.status_code == 200, answer.text
    (part,) = BeautifulSoup(answer.text, "html.parser").select('[hx-trigger^="every"]')
    found = [tag for tag in part.select(_FOCUSABLE) if not tag.find_parent("noscript")]
    assert found and [str(tag) for tag in found if not tag.get("id")] == []
    ids = [tag["id"] for tag in [part, *part.find_all(True)] if isinstance(tag, Tag) and tag.get("id")]
    assert len(ids) == len(set(ids))
    if path == _SYNDICATED:
        assert {"syndication-others", "syndication-refresh", "syndication-dashboard"} <= set(ids)
