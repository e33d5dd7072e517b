"""What the tests of the harvest plugin share: a migrated database, and a portal to run the stages in.

The domain tests run where CKAN is not even installed, so CKAN is imported by those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ckanext.harvest.tests.remote_ckan import RemotePortal

_PLUGINS = ("activity", "harvest")
_made: dict[str, Any] = {}


def pytest_configure(config: pytest.Config) -> None:
    """CKAN's pytest plugin does not register the markers that it knows, and ours must all be registered."""
    for marker in ("ckan_config(key, value)", "with_plugins(*plugins)", "provide_plugin(name, plugin)"):
        config.addinivalue_line("markers", f"{marker}: see ckan.tests.pytest_ckan")


@pytest.fixture
def harvest_db(with_plugins: None, non_clean_db: None, migrate_db_for: Any) -> None:
    """The plugins and their tables; what other tests left in these stays."""
    for plugin in _PLUGINS:
        if plugin not in _made:  # plugins are loaded for each test, the tables last as long as the session
            migrate_db_for(plugin)
            _made[plugin] = True


@pytest.fixture
def request_context(harvest_db: None) -> Iterator[None]:
    """The request context that a worker has around its tasks, of one application for all tests: making one is slow."""
    if "app" not in _made:
        from ckan.tests.helpers import _get_test_app

        _made["app"] = _get_test_app().flask_app
    with _made["app"].test_request_context():
        yield


@pytest.fixture
def portal(request_context: None, clean_db: None, clean_index: None) -> Iterator[None]:
    """An empty portal with the plugins, as a worker sees it."""
    from ckan import model

    yield
    model.Session.remove()


@pytest.fixture
def remote() -> Iterator[RemotePortal]:
    """A remote CKAN on this machine, without any dataset."""
    from ckanext.harvest.tests.remote_ckan import RemotePortal

    with RemotePortal() as running:
        yield running
