"""Themes and form extensions of third parties: the blocks that they override, and the fields that they add."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ckan.tests import factories

from ckanext.harvest.tests import conftest
from ckanext.harvest.tests.harvesting import act
from ckanext.harvest.tests.logic.people import People
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester
from ckanext.harvest.tests.test_source_pages import filled, one, posted, shown, text
from ckanext.relay.tests.plugin_classes import known

pytestmark = pytest.mark.usefixtures("portal")

_PAGE = ("content_action", "page_header", "page_header_tabs", "primary_content", "primary_content_inner")
_BASE = {"base.breadcrumb_content", "base.breadcrumb_content_root_selected"}
_READ = _BASE | {f"read_base.{block}" for block in (*_PAGE, "secondary_content")}
_ADMIN = {f"admin_base.{block}" for block in (*_PAGE, "secondary_content")}
_FORM = {"new_source_form.errors", "new_source_form.delete_button"}


@pytest.fixture(scope="module")
def loaded_plugins() -> Iterator[None]:
    """A theme before our plugin, which another one that is derived from it takes the place of."""
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    from ckanext.harvest.plugin import Harvest
    from ckanext.harvest.tests.theme.plugin import CollectionHarvester, HarvestWithOwnForm, Theme

    own = {"theme": Theme, "harvest": HarvestWithOwnForm, "collection_harvester": CollectionHarvester}
    with pytest.MonkeyPatch.context() as patch, known(own | {"scripted_harvester": ScriptedHarvester}):
        plugins = ["theme", "activity", "harvest", "ckan_harvester", "scripted_harvester", "collection_harvester"]
        patch.setitem(config, "ckan.plugins", plugins)
        patch.delattr(Harvest, "_instance", raising=False)  # a portal has only one of the two
        patch.setitem(conftest._made, "app", _get_test_app().flask_app)
        p.load_all()
        yield
        p.unload_all()


@pytest.fixture
def sysadmin() -> str:
    return str(factories.Sysadmin()["name"])


@pytest.mark.parametrize(
    ("path", "blocks"),
    [
        ("/harvest/", {"search.page_primary_action"}),
        ("/harvest/{0}", _READ),
        ("/harvest/about/{0}", _READ),
        ("/harvest/admin/{0}", _BASE | _ADMIN),
        ("/harvest/{0}/job", _BASE | _ADMIN - {"admin_base.secondary_content"}),
        ("/harvest/edit/{0}", _BASE | _ADMIN | _FORM | {"edit.form"}),
        ("/harvest/new", _FORM | {"new.actions_content"}),
    ],
)
def test_the_blocks_that_themes_override(path: str, blocks: set[str], sysadmin: str) -> None:
    """Each is where it was; what the theme adds stands beside what the block has."""
    source = People("scripted").source
    page = shown(path.format(source["name"]), sysadmin)
    found = {str(tag["data-theme"]) for tag in page.select("[data-theme]")}
    assert blocks <= found, blocks - found
    assert one(page, "h1")
    if path not in ("/harvest/", "/harvest/new"):
        assert "[base.subtitle]" in one(page, "title").text


def test_fields_of_a_harvester() -> None:
    """They are in the form, and what is typed there becomes part of the configuration."""
    people = People("scripted")
    editor = people.names["editor"]
    page = shown("/harvest/new", editor)
    fieldset = one(page, "#source-new fieldset[data-module=harvest-extra-form-change]")
    assert json.loads(str(fieldset["data-module-form-items"])) == {"collection": ["collection", "port"]}
    assert all("control-group" in group["class"] for group in fieldset.select(".form-group"))
    assert not page.select("#field-config")
    for radio in page.select("input[name=source_type]"):
        assert radio["data-module"] == "harvest-type-change"
    given = {"url": "http://city.example", "name": "city", "source_type": "collection", "save": "save"}
    wrong = posted("/harvest/new", editor, **filled(page) | given | {"port": "many"})
    assert text(one(wrong, "#field-collection ~ .error-block")) == "Missing value"
    assert one(wrong, "#field-port")["value"] == "many" and one(wrong, "#field-port ~ .error-block")
    posted("/harvest/new", editor, **filled(wrong) | given | {"collection": "maps", "port": "80"})
    assert json.loads(act("harvest_source_show", id="city")["config"]) == {"collection": "maps", "port": 80}


def test_the_fields_of_a_source_that_is_there() -> None:
    """The form has what is stored; what is typed takes its place."""
    people = People("collection", collection="maps", port="80")
    editor, path = people.names["editor"], f"/harvest/edit/{people.source['name']}"
    form = filled(shown(path, editor))
    assert (form["collection"], form["port"]) == ("maps", "80")
    posted(path, editor, **form | {"collection": "plans", "save": "save"})
    shown_again = act("harvest_source_show", id=people.source["id"])
    assert json.loads(shown_again["config"]) == {"collection": "plans", "port": 80}


def test_a_connection_test_with_these_fields() -> None:
    """They are checked as they are when the source is saved, and stay as they were typed."""
    people = People("collection", collection="maps")
    form = filled(shown(f"/harvest/edit/{people.source['name']}", people.names["editor"]))
    page = posted("/harvest/connection-test", people.names["editor"], **form | {"collection": "", "port": "80"})
    assert "collection: Missing value" in text(one(page, "#harvest-connection"))
    assert one(page, "#field-port")["value"] == "80"


def test_fields_of_another_type(sysadmin: Any) -> None:
    """What is typed into them is left out."""
    given = {"url": "http://wood.example", "name": "wood", "source_type": "scripted", "save": "save"}
    posted("/harvest/new", sysadmin, **given, collection="maps", port="80")
    assert not act("harvest_source_show", id="wood").get("config")
