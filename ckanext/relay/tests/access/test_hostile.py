"""Texts that others have written, and that try to run a script: pages show them as text, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from ckanext.relay.tests.access.markup import Reading, Texts
from ckanext.relay.tests.access.pages import OF_CKAN, PAGES
from ckanext.relay.tests.access.roles import ANYBODY, ROLES
from ckanext.relay.tests.access.visitor import Visitors
from ckanext.relay.tests.access.world import World

_texts = Texts()
TEXTS = {"say": _texts.say, "link": _texts.link}

_ASKED = quote(_texts.say("what is asked for"))
#: What a page might repeat.
_QUERY = "&".join(f"{name}={_ASKED}" for name in ("q", "page", "state", "stage", "cause", "sort", "days", "frequency"))
#: Addresses at which there is nothing: pages on errors repeat what was asked for.
_NOWHERE = (
    "/harvest/{}", "/harvest/about/{}", "/harvest/admin/{}", "/harvest/refresh/{}", "/harvest/delete/{}",
    "/harvest/{}/job", "/harvest/{}/job/last", "/harvest/public-source/job/{}", "/harvest/object/{}",
    "/harvest/object/{}/view", "/report/{}", "/report/broken-links/{}", "/report/tagless-datasets?organization={}",
    "/report/broken-links?verdict={}", "/report/broken-links?format={}", "/report/tagless-datasets?{}=1",
    "/report-progress/{}", "/dataset/{}/archiver/panel", "/dataset/public-dataset/resource/{}/archiver/panel",
    "/ckan-admin/syndicate/profile/{}", "/ckan-admin/syndicate/profile/odp?cause={}", "/syndicate/dataset/{}",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What somebody was answered at an address."""

    role: str
    path: str
    answer: Any

    @property
    def is_page(self) -> bool:
        return bool(self.answer.headers.get("Content-Type", "").startswith("text/html"))


@pytest.fixture(scope="module")
def seen(world: World, visitors: Visitors) -> list[Seen]:
    """All pages, as they are, with a hostile query, and where there is nothing."""
    return list(_all_answers(world, visitors))


def _all_answers(world: World, visitors: Visitors) -> Iterator[Seen]:
    pages = [page for page in PAGES if page.get is not None]
    paths = {world.fill(path) for path in (*(page.path for page in pages), *OF_CKAN)}
    # a report refuses what it does not know, and says so; what is asked of others narrows down what they show
    asking = {f"{path}{'&' if '?' in path else '?'}{_QUERY}" for path in paths if not path.startswith("/report")}
    for path in sorted(paths | asking | {path.format(_ASKED) for path in _NOWHERE}):
        yield Seen("sysadmin", path, visitors.ask("sysadmin", "GET", path))
    for path in sorted({world.fill(page.path) for page in pages if page.get == ANYBODY}):
        yield Seen("anonymous", path, visitors.ask("anonymous", "GET", path))


def test_no_page_runs_them(seen: list[Seen]) -> None:
    """No script, no attribute that is one, no link to one, and no page that fails."""
    ran = {(each.role, each.path): runs for each in seen if each.is_page and (runs := Reading(each.answer.text).runs)}
    assert ran == {}
    assert [(each.role, each.path) for each in seen if each.answer.status_code >= 500] == []


#: No text in the database may hold it.
_NUL = "%00"


def _with_nul(world: World) -> Iterator[str]:
    # CKAN's own page of a dataset fails
    yield from (path.format(_NUL) for path in _NOWHERE if path != "/harvest/{}")
    yield from (
        world.fill(path).replace("NUL", _NUL)
        for path in (
            "/dataset/harvest_object/NUL", "/harvest/x/job/NUL", "/harvest/x/job/NUL/progress",
            "/harvest/NUL/job/clear", "/harvest/clear/NUL/progress", "/harvest/refresh/NUL",
            "/ckan-admin/syndicate/profile/NUL/approve", "/dataset/{public_dataset}/resource/NUL/archive",
            "/dataset/NUL/archiver/check", "/ckan-admin/syndicate/profile/odp?state=failed&cause=NUL",
        )
    )  # fmt: skip
    for page in PAGES:
        if page.get is not None and not page.path.startswith("/report"):
            joint = "&" if "?" in page.path else "?"
            yield world.fill(page.path) + joint + _QUERY.replace(_ASKED, _NUL)


def test_no_page_fails_at_what_no_database_holds(world: World, visitors: Visitors) -> None:
    """A NUL in a name is of nothing that is there; what narrows down a list is taken without it."""
    said = {path: visitors.ask("sysadmin", "GET", path).status_code for path in _with_nul(world)}
    assert {path: status for path, status in said.items() if status >= 500} == {}
    assert {status for path, status in said.items() if _NUL in path.partition("?")[0]} <= {400, 404}


def test_no_form_fails_at_what_no_database_holds(world: World, visitors: Visitors) -> None:
    """Nothing of that name is there, so nothing is done."""
    profile = "/ckan-admin/syndicate/profile/odp"
    for form in ({"dataset": "\x00"}, {"retry": "\x00"}):
        answer = visitors.ask("sysadmin", "POST", profile, data=form)
        assert answer.status_code == 302, (form, answer.status_code)
    answer = visitors.ask("editor", "POST", world.fill("/syndicate/dataset/{public_dataset}"), data={"profile": "\x00"})
    assert answer.status_code == 302


def test_what_is_no_page_is_not_taken_for_one(seen: list[Seen]) -> None:
    """Downloads and records say what they are, and no browser is to guess otherwise."""
    others = [each for each in seen if not each.is_page and each.answer.status_code == 200]
    assert others
    guessed = [each.path for each in others if each.answer.headers.get("X-Content-Type-Options") != "nosniff"]
    assert guessed == []


#: Whose field it is makes no difference.
_WHOSE = re.compile(r"\b(failed_)?(public|private|kept|busy|queued|deleted|waiting)\b")
#: Fields that no page shows: facts that are kept only, addresses that nobody could follow, and what only CKAN shows.
_NOT_SHOWN = {
    *("copied name of *", "extra of the object *", "etag of *", "last modified of *", "mimetype of *"),
    *("copy-of-*", "site-of-the-target"),
    *("description of organization", "description of elsewhere", "description of the resource of *"),
    *("title of the group", *(f"name of the {role}" for role in ROLES if role not in ("anonymous", "sysadmin"))),
}


def test_all_of_them_are_shown(seen: list[Seen]) -> None:
    """Each kind of field is on some page, as text: this test looks at what it is about."""
    marks = set().union(*(Reading(each.answer.text).shown for each in seen if each.is_page))
    all_kinds, shown = (
        {_WHOSE.sub("*", name) for name in names} for names in (_texts.all_names(), _texts.names(marks))
    )
    assert " | ".join(sorted(all_kinds - shown - _NOT_SHOWN)) == ""
