"""What the tests of the archiver share: the plugin, its tables, and a portal with an archive of its own.

The domain tests run where CKAN is not even installed, so CKAN is imported by those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.fixtures import certificates, ftp, names, server  # noqa: F401

if TYPE_CHECKING:
    from ckanext.archiver.plugin import TestIPipePlugin
    from ckanext.archiver.tests.web import Web

_PLUGINS = "activity archiver testipipe"
_made: dict[str, Any] = {}


@pytest.fixture(scope="module")
def archiver_plugins(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The plugins, and those that the module names in ``PLUGINS``; returns CKAN's application.

    ``PLUGINS_BEFORE`` names those that come before ours, ``CLASSES`` the classes of plugins that only the module has.
    CKAN's ``with_plugins`` loads them for each test, which takes longer than most of the tests.
    """
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    from ckanext.relay.tests.plugin_classes import known

    named = getattr(request.module, "PLUGINS_BEFORE", ""), _PLUGINS, getattr(request.module, "PLUGINS", "")
    wanted = " ".join(named).split()
    with pytest.MonkeyPatch.context() as patch, known(getattr(request.module, "CLASSES", {})):
        patch.setitem(config, "ckan.plugins", wanted)
        p.load_all()
        yield _get_test_app()
        p.unload_all()


@pytest.fixture
def archive_dir(tmp_path: Path) -> Path:
    """The folder of the copies; nothing is in it yet."""
    return tmp_path / "archive"


@pytest.fixture
def archiver_db(
    archiver_plugins: Any, ckan_config: Any, archive_dir: Path, non_clean_db: None, migrate_db_for: Any
) -> None:
    """The plugins and their tables; what other tests left in these stays."""
    ckan_config["ckanext-archiver.archive_dir"] = str(archive_dir)
    if "tables" not in _made:
        migrate_db_for("activity")
        migrate_db_for("archiver")
        _made["tables"] = True


@pytest.fixture
def clean_archiver(archiver_db: None, clean_db: None) -> Iterator[None]:
    """The plugins, with nothing in any table, not in their own either."""
    from ckan import model

    from ckanext.archiver.model import metadata

    with model.meta.engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    yield
    model.Session.remove()


@pytest.fixture
def app(archiver_plugins: Any, archiver_db: None) -> Any:
    """A client of the portal, who is nobody unless a header says so."""
    from ckanext.archiver.tests.portal import Client

    return Client(archiver_plugins)


@pytest.fixture
def archiver_portal(clean_archiver: None, clean_index: None, app: Any) -> Iterator[None]:
    """An empty portal with the plugin, as a worker sees it."""
    from ckan import model

    with app.flask_app.test_request_context():
        yield
    model.Session.remove()


@pytest.fixture
def cli(cli: Any) -> Any:
    """CKAN's runner of commands, which keeps what they print apart from what they log."""
    cli.mix_stderr = False  # as click does from 8.2 on; CKAN 2.11 has an older one
    return cli


@pytest.fixture
def resource() -> dict[str, Any]:
    """A resource of a new dataset that was not checked yet; for those who have a portal."""
    from ckanext.archiver.tests.portal import make_dataset

    return dict(make_dataset()["resources"][0])


@pytest.fixture
def web() -> Iterator[Web]:
    """A server of files and other pages."""
    from ckanext.archiver.tests.web import Web

    with Web() as running:
        yield running


@pytest.fixture
def pipe() -> Iterator[TestIPipePlugin]:
    """The plugin that writes down what the pipeline says."""
    import ckan.plugins as p

    from ckanext.archiver.plugin import TestIPipePlugin

    plugin = p.get_plugin("testipipe")
    assert isinstance(plugin, TestIPipePlugin)
    plugin.reset()
    yield plugin
    plugin.reset()
