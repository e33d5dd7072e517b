"""Pages as people meet them: Debian's Chromium, wide or as on a phone, with or without JavaScript, and as anybody."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

import ckanext.relay
from ckanext.relay import ckan_211

if TYPE_CHECKING:
    from ckanext.harvest.tests.flow import Site

WIDE, PHONE = 1280, 375
_HEIGHT = {WIDE: 900, PHONE: 812}
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_IMAGES = Path(ckanext.relay.__file__).parents[2] / "docs" / "images"
_PASSWORD = "correct-horse"
#: What axe looks at if no part is named; in CKAN 2.11 the box that says what is wrong with a form is too pale.
_OURS: Any = {"exclude": [[".error-explanation"]]} if ckan_211.RUNS else None
#: How long a page and what is awaited on it may take, in seconds: there are two cores for a browser and a portal.
_PATIENCE = 60
expect.set_options(timeout=_PATIENCE * 1000)


def chromium() -> str | None:
    """Return the path of the browser, None if there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Start the browser; it ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_FLAGS)
        yield browser
        browser.close()


class Visitors:
    """People at a portal, each with a browser window of their own; those that were opened are closed at the end.

    Roles: ``sysadmin``; ``admin``, ``editor`` and ``member`` of the organization ``parks``; ``user``, who is nobody's;
    and None, who is not logged in.
    """

    def __init__(self, browser: Browser, site: Site) -> None:
        self._browser, self._site = browser, site
        self._states: dict[str, Any] = {}
        self._open: list[tuple[BrowserContext, Page, list[str]]] = []

    def page(
        self, login: str | None = None, width: int = WIDE, javascript: bool = True, may_complain: bool = False
    ) -> Page:
        """Open a window. What scripts, styles and the policy complain about is kept for ``check``.

        :param may_complain: whether the console may have errors, since the test makes requests fail
        """
        options = {"java_script_enabled": javascript, "viewport": {"width": width, "height": _HEIGHT[width]}}
        context = self._context(storage_state=self._state(login) if login else None, **options)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        if not may_complain:
            page.on("console", lambda message: faults.extend(_fault(page, message)))
        self._open.append((context, page, faults))
        return page

    def close(self) -> list[str]:
        """Close all windows and return what went wrong in them."""
        found = [fault for _, _, faults in self._open for fault in faults]
        for context, _, _ in self._open:
            context.close()
        self._open.clear()
        return found

    def _context(self, **options: Any) -> BrowserContext:
        context = self._browser.new_context(
            base_url=self._site.portal.url, locale="en-GB", reduced_motion="reduce", **options
        )
        context.set_default_timeout(_PATIENCE * 1000)
        return context

    def _state(self, role: str) -> Any:
        if role not in self._states:
            name, password = self._account(role)
            context = self._context(java_script_enabled=False)
            page = context.new_page()
            page.goto("/user/login")
            page.fill("#field-login", name)
            page.fill("#field-password", password)
            page.click(".primary button[type=submit]")
            page.wait_for_selector(".account.authed")
            self._states[role] = context.storage_state()
            context.close()
        return self._states[role]

    def _account(self, role: str) -> tuple[str, str]:
        if role == "sysadmin":
            return self._site.stack.login
        name = f"{role}-of-the-browser"
        fields = {"name": name, "email": f"{name}@localhost.invalid", "fullname": f"Somebody ({role})"}
        self._site.call("user_create", **fields, password=_PASSWORD)
        if role != "user":
            self._site.call("organization_member_create", id=organization(self._site), username=name, role=role)
        return name, _PASSWORD


def organization(site: Site) -> str:
    """Return the name of the organization that the roles belong to; it is made if it is not there."""
    if "parks" not in site.call("organization_list"):
        site.call("organization_create", name="parks", title="Parks department")
    return "parks"


def _fault(page: Page, message: ConsoleMessage) -> list[str]:
    """Return what a message of the browser says that must not be; a page that is not found is the test's own affair."""
    about_the_page = "Failed to load resource" in message.text and message.location.get("url") == page.url
    return [f"{page.url}: {message.text}"] if message.type == "error" and not about_the_page else []


def assert_accessible(page: Page, part: str | None = None) -> None:
    """Check a page as it stands: axe finds nothing serious, there is one main heading, and the content fits the screen.

    The frame around the content is CKAN's: on a phone it is a few pixels wider than the screen by itself.

    :param part: selects what is ours on a page of CKAN's; only that is looked at
    """
    results = Axe().run(page, context=part or _OURS).response
    serious = [each for each in results["violations"] if each["impact"] in ("serious", "critical")]
    assert not serious, "\n".join(_described(page, each) for each in serious)
    content = page.locator(part or "[role=main]").first
    excess = content.evaluate("element => element.scrollWidth - element.clientWidth")
    assert excess <= 0, f"{page.url}: the content is {excess} pixels wider than its place"
    if not part:
        assert page.locator("h1:visible").count() == 1, f"{page.url} has not one main heading"


def _described(page: Page, violation: dict[str, Any]) -> str:
    nodes = "; ".join(f"{' '.join(map(str, node['target']))}: {node['failureSummary']}" for node in violation["nodes"])
    return f"{page.url}: {violation['help']} ({violation['id']}, {violation['impact']}): {nodes}"


def shoot(page: Page, name: str) -> None:
    """Write the pictures for the documentation, wide and as on a phone, if ``RELAY_SCREENSHOTS`` is set."""
    if not os.environ.get("RELAY_SCREENSHOTS"):
        return
    _IMAGES.mkdir(exist_ok=True)
    before = page.viewport_size
    for suffix, width in (("wide", WIDE), ("phone", PHONE)):
        page.set_viewport_size({"width": width, "height": _HEIGHT[width]})
        page.wait_for_timeout(200)  # plots are drawn anew
        page.screenshot(path=_IMAGES / f"{name}-{suffix}.png", full_page=True)
    if before:
        page.set_viewport_size(before)
