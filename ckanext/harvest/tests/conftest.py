"""What the tests of the harvest plugin share: a migrated database, and a portal to run the stages in.

The domain tests run where CKAN is not even installed, so CKAN is imported by those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.plugin_classes import known

if TYPE_CHECKING:
    from ckanext.harvest.tests.flow import Site
    from ckanext.harvest.tests.remote_ckan import RemotePortal
    from ckanext.harvest.tests.scripted_harvester import Script
    from ckanext.relay.devstack.portal import Worker

_PLUGINS = ("activity", "harvest")
_made: dict[str, Any] = {}


@pytest.fixture(scope="module")
def loaded_plugins(request: pytest.FixtureRequest) -> Iterator[None]:
    """The plugins of test.ini, and those that the module names in ``PLUGINS``.

    CKAN's ``with_plugins`` loads them for each test, which takes longer than most of the tests.
    """
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    own = getattr(request.module, "PLUGINS", {})
    with pytest.MonkeyPatch.context() as patch, known(own):
        patch.setitem(config, "ckan.plugins", [*p.toolkit.aslist(config["ckan.plugins"]), *own])
        if "app" not in _made:  # making one is slow, too, and loads plugins by itself
            _made["app"] = _get_test_app().flask_app
        p.load_all()
        yield
        p.unload_all()


@pytest.fixture
def harvest_db(loaded_plugins: None, ckan_config: Any, non_clean_db: None, migrate_db_for: Any) -> None:
    """The plugins and their tables; what other tests left in these stays."""
    for plugin in _PLUGINS:
        if plugin not in _made:
            migrate_db_for(plugin)
            _made[plugin] = True


@pytest.fixture
def request_context(harvest_db: None) -> Iterator[None]:
    """The request context that a worker has around its tasks."""
    with _made["app"].test_request_context():
        yield


@pytest.fixture
def portal(request_context: None, clean_db: None, clean_index: None) -> Iterator[None]:
    """An empty portal with the plugins, as a worker sees it."""
    from ckan import model

    yield
    model.Session.remove()


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Iterator[Script]:
    """What the scripted harvester does: by default, and as the module says in ``SCRIPT``."""
    from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester

    ScriptedHarvester.script = Script(**getattr(request.module, "SCRIPT", {}))
    yield ScriptedHarvester.script
    ScriptedHarvester.script = Script()


@pytest.fixture
def source_id(portal: None) -> str:
    """A source of the scripted harvester."""
    from ckanext.harvest.tests.harvesting import make_source

    return str(make_source("scripted")["id"])


@pytest.fixture
def single(site: Site) -> Iterator[Worker]:
    """A worker with one process in place of the usual one; not started yet."""
    site.stack.worker.stop()
    worker = site.stack.new_worker("single", concurrency=1)
    yield worker
    worker.stop()


@pytest.fixture
def cli(cli: Any) -> Any:
    """CKAN's runner of commands, which keeps what they print apart from what they log and how far they are."""
    cli.mix_stderr = False  # as click does from 8.2 on; CKAN 2.11 has an older one
    return cli


@pytest.fixture
def remote() -> Iterator[RemotePortal]:
    """A remote CKAN on this machine, without any dataset."""
    from ckanext.harvest.tests.remote_ckan import RemotePortal

    with RemotePortal() as running:
        yield running
