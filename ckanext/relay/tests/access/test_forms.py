"""Forms: each carries the token of CKAN, and nothing is done without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup

from ckanext.relay.tests.access.pages import OF_CKAN, PAGES, Page
from ckanext.relay.tests.access.tables import Tables
from ckanext.relay.tests.access.test_pages import our_routes, rule_of
from ckanext.relay.tests.access.visitor import Browser, Visitors
from ckanext.relay.tests.access.world import World

_TOKEN = "_csrf_token"
#: What CKAN does with a form of its own that has no token.
_REFUSED = 400


@pytest.fixture(autouse=True)
def checked(flask_app: Any, browser: Browser) -> Iterator[None]:
    """CKAN checks the tokens, as it does everywhere but in tests; the browser has logged in before."""
    from ckan.common import config

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config, "WTF_CSRF_ENABLED", True)
        patch.setitem(flask_app.config, "WTF_CSRF_ENABLED", True)
        yield


@pytest.fixture(scope="module")
def token(browser: Browser) -> str:
    """The token of the browser's session."""
    page = BeautifulSoup(browser.ask("GET", "/about").text, "html.parser")
    return str(page.select_one(f"meta[name={_TOKEN}]")["content"])  # type: ignore[index]


@pytest.mark.parametrize("page", [page for page in PAGES if page.post is not None], ids=str)
def test_nothing_without_the_token(
    page: Page, world: World, visitors: Visitors, browser: Browser, token: str, tables: Tables
) -> None:
    """A form without it, or with one of somebody else, is refused, and nothing has changed; with it, it is taken."""
    path, form = world.fill(page.path), world.fill(dict(page.form))
    # CKAN checks no form at this address any more once a program was there
    visitors.ask("sysadmin", "POST", path, data=form)
    tables.restore()
    for wrong in ({}, {_TOKEN: ""}, {_TOKEN: f"{token}x"}):
        assert browser.ask("POST", path, data=form | wrong).status_code == _REFUSED, wrong
    assert tables.restore() == []
    assert browser.ask("POST", path, data=form | {_TOKEN: token}).status_code == page.posted
    tables.restore()


def test_every_form_of_the_pages(flask_app: Any, world: World, browser: Browser) -> None:
    """Each form that writes carries a token and is sent to where it is taken; and each route that writes has a form."""
    wrong: list[Any] = []
    found: set[Any] = set()
    paths = [page.path for page in PAGES if page.get is not None and page.status == 200]
    for path in map(world.fill, (*paths, *OF_CKAN)):
        answer = browser.ask("GET", path)
        shown = BeautifulSoup(answer.text, "html.parser")
        for form in shown.select("form[method=post i]"):
            targets = [form.get("action"), *(button["formaction"] for button in form.select("[formaction]"))]
            rules = {rule_of(flask_app, Page(str(target or path).split("#")[0]), "POST") for target in targets}
            found |= rules
            if None in rules or not _value(form, _TOKEN):
                wrong.append((path, targets))
    assert wrong == []
    assert {rule for rule in our_routes(flask_app) if rule[1] == "POST"} - found == set()


def _value(form: Any, name: str) -> str:
    """Return what a form sends under a name."""
    field = form.select_one(f"input[name={name}]")
    return str(field["value"]) if field else ""
