"""Who may see which page, and who may post to it; and that looking changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound

from ckanext.relay.tests.access.pages import PAGES, Page
from ckanext.relay.tests.access.roles import NOBODY, ROLES, wrong
from ckanext.relay.tests.access.tables import Tables
from ckanext.relay.tests.access.test_actions import OURS
from ckanext.relay.tests.access.visitor import Visitors
from ckanext.relay.tests.access.world import World
from ckanext.relay.tests.compatibility import ROOT

#: CKAN's own for the dataset type of sources. The contract has these; the others have nothing of ours.
OF_SOURCES = ("harvest.search", "harvest.read", "harvest.new", "harvest.edit")
_READS, _WRITES = "GET", "POST"


def our_routes(flask_app: Any) -> Iterator[tuple[str, str]]:
    """Yield rule and method of each route of our plugins, and of those of CKAN for sources."""
    import ckan.plugins as p

    ours = set()
    for plugin in p.PluginImplementations(p.IBlueprint):
        if f"{type(plugin).__module__}.".startswith(OURS):
            found = plugin.get_blueprint()
            ours |= {each.name for each in (found if isinstance(found, list) else [found])}
    for rule in flask_app.url_map.iter_rules():
        if rule.endpoint in OF_SOURCES or rule.endpoint.split(".")[0] in ours:
            yield from ((rule.rule, method) for method in rule.methods - {"HEAD", "OPTIONS"})


def rule_of(flask_app: Any, page: Page, method: str) -> tuple[str, str] | None:
    """Return rule and method that an address of the table leads to, or None if there is nothing for this method."""
    path = page.path.split("?")[0].replace("{", "").replace("}", "")
    try:
        rule, _ = flask_app.url_map.bind("test.ckan.example").match(path, method, return_rule=True)
    except (MethodNotAllowed, NotFound):
        return None
    return rule.rule, method


def test_the_table_names_every_route(flask_app: Any) -> None:
    """It knows each route of the plugins with its methods, and none that is not there."""
    ours = set(our_routes(flask_app))
    named = {
        rule_of(flask_app, page, method)
        for page in PAGES
        for method, who in ((_READS, page.get), (_WRITES, page.post))
        if who is not None
    }
    assert {"missing": ours - named, "too many": named - ours} == {"missing": set(), "too many": set()}


@pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are in the checkout only")
def test_the_benchmark_of_pages_names_every_route(flask_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``benchmarks/pages`` times each page, so that none of them can be slow on a large portal unseen."""
    monkeypatch.syspath_prepend(str(ROOT))
    of_pages = import_module("benchmarks.of_pages")
    of_pages.check_routes(of_pages.routes(flask_app))


@pytest.mark.parametrize("page", [page for page in PAGES if page.get is not None], ids=str)
def test_who_may_see(page: Page, world: World, visitors: Visitors, tables: Tables) -> None:
    """Whom the contract names may, others are refused, and see nothing of what is private; and nothing has changed,
    whoever looked."""
    path = world.fill(page.path)
    answers = {role: visitors.ask(role, "GET", path) for role in ROLES}
    said = {role: answer.status_code for role, answer in answers.items()}
    assert wrong(said, page.get or NOBODY, page.status, page.refused) == {}
    assert {role: leaks for role, each in answers.items() if (leaks := world.leaks(role, each.text))} == {}
    assert tables.restore() == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.post is not None], ids=str)
def test_who_may_post(page: Page, world: World, visitors: Visitors, tables: Tables) -> None:
    """Whom the contract names may, others are refused, and nothing has changed."""
    path, form = world.fill(page.path), world.fill(dict(page.form))
    allowed = page.post or NOBODY
    said = {role: visitors.ask(role, "POST", path, data=form).status_code for role in ROLES if role not in allowed}
    assert wrong(said, allowed, page.posted, page.refused) == {}
    assert tables.restore() == []
    for role in allowed:
        said[role] = visitors.ask(role, "POST", path, data=form).status_code
        tables.restore()
    assert wrong(said, allowed, page.posted, page.refused) == {}
