"""Template helpers."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from flask import current_app

from ckanext.harvest import helpers
from ckanext.harvest.model import HarvestObject
from ckanext.harvest.tests.harvesting import act, harvest, make_source, objects
from ckanext.harvest.tests.logic.people import People
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id, save_by_hand
from ckanext.relay import search


class WithFields(ScriptedHarvester):
    """A harvester whose sources have fields of their own."""

    def info(self) -> dict[str, Any]:
        return {"name": "fields", "title": "With fields", "description": "", "form_config_interface": "Text"}

    def extra_schema(self) -> dict[str, Any]:
        return {"collection": [], "token": []}


SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester, "with_fields": WithFields}
pytestmark = pytest.mark.usefixtures("portal", "script")


def test_they_are_there_for_templates() -> None:
    """Each under the name that templates know."""
    assert set(helpers.get_helpers()) == {
        "package_list_for_source", "package_count_for_source", "harvesters_info", "harvester_types",
        "harvest_frequencies", "link_for_harvest_object", "harvest_source_extra_fields", "get_harvest_source",
        "harvest_facet_label", "harvest_facet_labels", "harvest_source_states", "harvest_provenance",
        "harvest_source_state_names", "harvest_visible_source",
    }  # fmt: skip
    for name in helpers.get_helpers():
        assert getattr(tk.h, name)


def test_options_of_the_form() -> None:
    """Types and frequencies, and the fields that a type adds."""
    assert {"text": "Scripted", "value": "scripted"} in tk.h.harvester_types()
    assert [each["value"] for each in tk.h.harvest_frequencies()] == [
        "MANUAL", "MONTHLY", "WEEKLY", "BIWEEKLY", "DAILY", "ALWAYS",
    ]  # fmt: skip
    assert tk.h.harvest_frequencies()[0]["text"] == "Manual"
    assert tk.h.harvest_source_extra_fields() == {"fields": ["collection", "token"]}
    assert {info["name"]: info["show_config"] for info in tk.h.harvesters_info()} == {
        "ckan": True, "scripted": False, "fields": True,
    }  # fmt: skip


def test_the_datasets_of_a_source(script: Script) -> None:
    """As HTML, a page at a time, with what a remote portal calls them escaped; and how many there are."""
    script.guids = tuple(f"n{number:02}" for number in range(25))
    source_id = make_source("scripted")["id"]
    harvest(source_id)
    act("package_patch", id=package_id("n24"), title="<script>alert(1)</script>")
    search.index([])
    shown = tk.h.package_list_for_source(source_id)
    assert hasattr(shown, "__html__")
    assert "<script>" not in shown and "&lt;script&gt;alert(1)" in shown
    assert shown.count("dataset-heading") == 20
    assert "page=2" in shown
    assert tk.h.package_count_for_source(source_id) == 25
    with current_app.test_request_context("/?page=2"):
        assert tk.h.package_list_for_source(source_id).count("dataset-heading") == 5
    for beyond, number in (("3", 5), ("999999999", 5), ("9999999999", 20), ("-1", 20), ("x", 20)):
        with current_app.test_request_context(f"/?page={beyond}"):
            assert tk.h.package_list_for_source(source_id).count("dataset-heading") == number, beyond


def test_a_source_without_datasets() -> None:
    """It says so."""
    source_id = make_source("scripted")["id"]
    assert "There are no datasets" in tk.h.package_list_for_source(source_id)
    assert tk.h.package_count_for_source(source_id) == 0


def test_a_link_to_a_record() -> None:
    """By id, or by GUID, whose current object is meant; whatever text it has is escaped."""
    source_id = make_source("scripted")["id"]
    harvest(source_id)
    [obj] = objects(harvest(source_id))
    address = f"/harvest/object/{obj.id}"
    assert tk.h.link_for_harvest_object(id=obj.id) == f'<a href="{address}">{obj.id}</a>'
    assert tk.h.link_for_harvest_object(guid="one", text="<b>") == f'<a href="{address}">&lt;b&gt;</a>'
    assert tk.h.link_for_harvest_object(guid="none") == tk.h.link_for_harvest_object() == ""
    assert HarvestObject.filter(guid="one").count() == 2


def test_a_source_for_a_template() -> None:
    """None where there is none, or where the user may not see it; secrets are for those who may edit it."""
    people = People(private=True, config='{"api_key": "hidden"}')
    source_id = people.source["id"]
    assert tk.h.get_harvest_source() is None
    assert tk.h.get_harvest_source("no-such-source") is None
    tk.g.user = ""
    assert tk.h.get_harvest_source(source_id) is None
    tk.g.user = people.names["member"]
    assert "hidden" not in str(tk.h.get_harvest_source(source_id))
    tk.g.user = people.names["editor"]
    shown = tk.h.get_harvest_source(source_id)
    assert (shown["id"], "hidden" in shown["config"]) == (source_id, True)
