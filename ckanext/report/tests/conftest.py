"""What the tests of the report plugin share: its plugins, their table, and somebody who looks at the pages.

The domain tests run where CKAN is not even installed, so CKAN is imported by those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.plugin_classes import known

if TYPE_CHECKING:
    from ckanext.report.tests.browsing import Browser

_PLUGINS = ("report", "tagless_report")


@pytest.fixture(scope="module")
def flask_app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """CKAN with the report plugins alone, and those that the module names in ``PLUGINS``."""
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    own = getattr(request.module, "PLUGINS", {})
    with pytest.MonkeyPatch.context() as patch, known(own):
        patch.setitem(config, "ckan.plugins", [*_PLUGINS, *own])
        yield _get_test_app().flask_app
        p.unload_all()


@pytest.fixture
def report_db(flask_app: Any, non_clean_db: None, migrate_db_for: Any) -> None:
    """The table of the plugin; what other tests left in it stays."""
    migrate_db_for("report")


@pytest.fixture
def portal(report_db: None, flask_app: Any, clean_db: None) -> Iterator[None]:
    """An empty portal, as a worker or an action sees it. No search index: reports do not ask for it."""
    from ckan import model

    with flask_app.test_request_context():
        yield
    model.Session.remove()


@pytest.fixture
def browser(portal: None, flask_app: Any) -> Browser:
    """Somebody who looks at pages."""
    from ckanext.report.tests.browsing import Browser

    return Browser(flask_app)
