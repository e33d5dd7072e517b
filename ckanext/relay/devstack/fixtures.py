"""pytest fixtures over the stack of bin/test; setup.cfg makes them known to all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .stack import Stack


def pytest_configure(config: pytest.Config) -> None:
    """CKAN's pytest plugin does not register the markers that it knows, and ours must all be registered."""
    for marker in ("ckan_config(key, value)", "with_plugins(*plugins)", "provide_plugin(name, plugin)"):
        config.addinivalue_line("markers", f"{marker}: see ckan.tests.pytest_ckan")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack of this test run: its services are up, and a test starts the portals and workers that it wants.

    Portals, workers and beat are kept for the next test, and ended with the run.
    """
    from .stack import Stack  # Domain tests run where CKAN and its stack are not even installed.

    state = os.environ.get("RELAY_STATE")
    if not state:
        pytest.fail("this test needs the real stack: run it with bin/test")
    stack = Stack(state)
    yield stack
    stack.stop_started()
