"""The portal that the browser tests visit: all plugins, a worker, a strict policy, and another portal beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ckanext.harvest.tests.flow import Site, emptied, restored
from ckanext.relay.devstack.stack import Stack

#: Plugins of the tests, as if they came from pip.
ENTRY_POINTS = """\
[ckan.plugins]
strict_policy = ckanext.relay.tests.browser.strict_policy:StrictPolicy
paged = ckanext.relay.tests.paged_plugin:PagedPlugin
"""

PLUGINS = "strict_policy paged activity image_view harvest ckan_harvester archiver report tagless_report syndicate"
PROFILE = "ckanext.syndicate.profile.neighbour."


@contextlib.contextmanager
def visited(stack: Stack, folder: Path) -> Iterator[Site]:
    """Start both portals, empty, worker and beat; afterwards the stack is as it was.

    The other portal can be harvested, and is the target ``neighbour`` of datasets with the flag ``syndicate``.

    :param folder: empty; the plugins of the tests are installed there
    """
    with _installed(folder), restored(stack, "this"):
        stack.this.plugins = PLUGINS
        stack.this.settings.update(_settings(stack))
        yield emptied(stack, "source", "this")


def _settings(stack: Stack) -> dict[str, str]:
    return {
        "ckan.gravatar_default": "disabled",
        "ckan.locales_offered": "en de fr es",
        "ckanext-archiver.archive_dir": str(stack.state / "archive"),
        "ckanext.archiver.host_delay": "0",
        # a link that fails twice is broken, however soon
        "ckanext.archiver.check_now_seconds": "0",
        "ckanext.archiver.confirm_tries": "2",
        "ckanext.archiver.confirm_hours": "0",
        "ckanext.relay.secrets_dir": str(stack.source.folder),
        f"{PROFILE}ckan_url": stack.source.url,
        f"{PROFILE}api_key": "file:api-token",
    }


@contextlib.contextmanager
def _installed(folder: Path) -> Iterator[None]:
    """Let processes that start inside the block find the plugins of the tests."""
    installed = folder / "relay_browser_tests-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: relay_browser_tests\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before:
            os.environ["PYTHONPATH"] = before
