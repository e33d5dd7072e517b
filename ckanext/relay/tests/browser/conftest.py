"""What browser tests share. They visit one portal, started once: what a test makes has names of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from ckanext.harvest.tests.flow import Site
    from ckanext.relay.devstack.stack import Stack
    from ckanext.relay.tests.browser.kit import Visitors


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where there is none, the test is left out."""
    from ckanext.relay.tests.browser import kit

    if not kit.chromium():
        pytest.skip("there is no Chromium: install the package chromium, or say in CHROMIUM where it is")
    with kit.running_browser() as running:
        yield running


@pytest.fixture(scope="package")
def site(browser: Browser, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The portal, with all plugins and a worker; ``site.stack.source`` is another one."""
    from ckanext.relay.tests.browser.portal import visited

    with visited(stack, tmp_path_factory.mktemp("policy")) as running:
        yield running


@pytest.fixture(scope="package")
def _visitors(browser: Browser, site: Site) -> Visitors:
    from ckanext.relay.tests.browser.kit import Visitors

    return Visitors(browser, site)


@pytest.fixture
def page(_visitors: Visitors) -> Iterator[Callable[..., Page]]:
    """Opens a window: ``page(login="editor", width=375, javascript=False)``; see ``kit.Visitors``.

    The test fails if a script fails, or if a page wants what the policy forbids.
    """
    yield _visitors.page
    assert _visitors.close() == []


@pytest.fixture(autouse=True)
def all_up(request: Any) -> None:
    """Each test begins with all processes running, whatever the one before it did to them."""
    request.getfixturevalue("site").stack.up(portals=("source", "this"))
