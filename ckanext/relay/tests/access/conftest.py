"""A portal with all plugins of the bundle; made once for all modules of this folder, and filled once for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckanext.relay.tests.plugin_classes import known

if TYPE_CHECKING:
    from ckanext.relay.tests.access.tables import Tables
    from ckanext.relay.tests.access.visitor import Browser, Visitors
    from ckanext.relay.tests.access.world import World

_PLUGINS = "activity harvest ckan_harvester archiver report tagless_report syndicate"
_MIGRATED = ("activity", "harvest", "archiver", "report", "syndicate")


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the configuration of the portal has beside test.ini."""
    from ckanext.relay.tests.access.world import SETTINGS

    folder: Path = tmp_path_factory.mktemp("archive")
    plugins = [*_PLUGINS.split(), "third_party_report"]
    return {"ckan.plugins": plugins, "ckanext-archiver.archive_dir": str(folder), **SETTINGS}


@contextlib.contextmanager
def _configured(settings: dict[str, Any]) -> Iterator[None]:
    """Set what CKAN takes back before each test."""
    from ckan.common import config

    with pytest.MonkeyPatch.context() as patch:
        for key, value in settings.items():
            patch.setitem(config, key, value)
        yield


@pytest.fixture(scope="package")
def flask_app(settings: dict[str, Any], reset_db_once: None, migrate_db_for: Any) -> Iterator[Any]:
    """CKAN with the plugins and their tables."""
    import ckan.plugins as p
    from ckan.tests.helpers import _get_test_app

    from ckanext.report.tests.third_party import ThirdPartyReport

    with _configured(settings), known({"third_party_report": ThirdPartyReport}):
        p.load_all()
        for plugin in _MIGRATED:
            migrate_db_for(plugin)
        yield _get_test_app().flask_app
        p.unload_all()


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest, settings: dict[str, Any], flask_app: Any, reset_db: Any, reset_index: Any
) -> World:
    """The portal and its people, new; the texts are those of the module's ``TEXTS``, if it has any."""
    from ckan import model

    from ckanext.relay.tests.access.tables import empty
    from ckanext.relay.tests.access.world import World

    model.Session.remove()
    empty(model.meta.engine)
    reset_db()
    reset_index()
    with _configured(settings), flask_app.test_request_context():
        return World(**getattr(request.module, "TEXTS", {}))


@pytest.fixture(autouse=True)
def configured(settings: dict[str, Any]) -> Iterator[None]:
    """The configuration of the portal, for each test."""
    with _configured(settings):
        yield


@pytest.fixture(scope="module")
def tables(world: World) -> Iterator[Tables]:
    """The tables of the portal, to be looked at and put back."""
    from ckan import model

    from ckanext.relay.tests.access.tables import Tables

    kept = Tables(model.meta.engine)
    yield kept
    model.Session.remove()
    kept.forget()


@pytest.fixture(scope="module")
def visitors(flask_app: Any, world: World) -> Visitors:
    """Somebody of each role."""
    from ckanext.relay.tests.access.visitor import Visitors

    return Visitors(flask_app, world.tokens)


@pytest.fixture(scope="module")
def browser(flask_app: Any, world: World) -> Browser:
    """The browser of a sysadmin, who has logged in."""
    from ckanext.relay.tests.access.visitor import Browser
    from ckanext.relay.tests.access.world import PASSWORD

    return Browser(flask_app, world.ids["sysadmin_name"], PASSWORD)
