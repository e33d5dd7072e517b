"""What the tests of syndicate share: the plugin and its tables, a second CKAN to push to, and two that push.

The domain tests run where CKAN is not even installed, so CKAN is imported by those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.fixtures import server  # noqa: F401
from ckanext.relay.tests.plugin_classes import known

if TYPE_CHECKING:
    from ckanext.relay.devstack.stack import Stack
    from ckanext.syndicate.tests.portals import Pair, Target

_PLUGINS = "activity syndicate"
_made: dict[str, Any] = {}


@pytest.fixture(scope="module")
def syndicate_plugins(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The plugins, before them those that the module names in ``PLUGINS``; returns CKAN's application.

    A module's own plugin classes, by name in ``OWN_PLUGINS``, are found, too. CKAN's ``with_plugins`` loads them for
    each test, which takes longer than most of the tests.
    """
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    own = getattr(request.module, "OWN_PLUGINS", {})
    wanted = f"{getattr(request.module, 'PLUGINS', '')} {' '.join(own)} {_PLUGINS}".split()
    with pytest.MonkeyPatch.context() as patch, known(own):
        patch.setitem(config, "ckan.plugins", wanted)
        p.load_all()
        yield _get_test_app()
        p.unload_all()


@pytest.fixture
def syndicate_db(syndicate_plugins: Any, ckan_config: Any, non_clean_db: None, migrate_db_for: Any) -> None:
    """The plugins and their tables; what other tests left in these stays."""
    if "tables" not in _made:
        migrate_db_for("activity")
        migrate_db_for("syndicate")
        _made["tables"] = True


@pytest.fixture
def clean_syndicate(syndicate_db: None, clean_db: None) -> Iterator[None]:
    """The plugins, with nothing in any table, not in their own either."""
    import sqlalchemy as sa
    from ckan import model

    with model.meta.engine.begin() as connection:
        for table in sa.inspect(connection).get_table_names():
            if table.startswith(("syndicate_", "syndication_")) and table != "syndicate_alembic_version":
                connection.execute(sa.text(f'DELETE FROM "{table}"'))
    yield
    model.Session.remove()


@pytest.fixture
def app(syndicate_plugins: Any, syndicate_db: None) -> Any:
    """A client of the portal, who is nobody unless a header says so."""
    from ckanext.archiver.tests.portal import Client

    return Client(syndicate_plugins)


@pytest.fixture
def syndicate_portal(clean_syndicate: None, clean_index: None, app: Any) -> Iterator[None]:
    """An empty portal with the plugin, as a worker sees it."""
    from ckan import model

    with app.flask_app.test_request_context():
        yield
    model.Session.remove()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Profiles for which the workers were told to begin."""
    from ckanext.syndicate import tasks

    found: list[str] = []
    monkeypatch.setattr(tasks, "push_now", lambda ids, lane="priority": found.extend(ids))
    return found


@pytest.fixture
def admin() -> dict[str, str]:
    """The headers of a sysadmin; for those who have a portal."""
    from ckanext.archiver.tests.portal import make_sysadmin

    return dict(make_sysadmin()["headers"])


@pytest.fixture
def cli(cli: Any) -> Any:
    """CKAN's runner of commands, which keeps what they print apart from what they log."""
    cli.mix_stderr = False  # as click does from 8.2 on; CKAN 2.11 has an older one
    return cli


@pytest.fixture(scope="package")
def _second_ckan(stack: Stack) -> Iterator[Target]:
    from ckanext.syndicate.tests.portals import target

    with target(stack) as running:
        yield running


@pytest.fixture
def target(_second_ckan: Target) -> Iterator[Target]:
    """A second CKAN, a real one and empty, that takes what it is sent, and the proxy through which it is reached.

    ``ckan_config.update(target.config("plain"))`` makes a profile of it.
    """
    _second_ckan.empty()
    yield _second_ckan
    _second_ckan.proxy.well()


@pytest.fixture(scope="package")
def _two_portals(stack: Stack) -> Iterator[Pair]:
    from ckanext.syndicate.tests.portals import pair

    with pair(stack) as running:
        yield running


@pytest.fixture
def pair(_two_portals: Pair) -> Iterator[Pair]:
    """Two real portals that push to each other; what earlier tests pushed is still there."""
    yield _two_portals
    _two_portals.to_b.well()
    _two_portals.to_a.well()
