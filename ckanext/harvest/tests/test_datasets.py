"""Where a harvested dataset comes from is shown, always and once, and never stored in the dataset."""

from __future__ import annotations

from collections import Counter
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.lib import search as ckan_search

from ckanext.harvest import datasets
from ckanext.harvest.tests.harvesting import act, current, harvest, make_source, shown, sql
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester, package_id
from ckanext.relay import search

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")

#: Solr says 03:04:05Z of it, CKAN 03:04:05.000321.
NO_MILLISECONDS = "2026-01-02 03:04:05.000321"


@pytest.fixture
def dataset_id(portal: None, script: Any) -> str:
    """A harvested dataset, which CKAN shows from the search index."""
    harvest(str(make_source("scripted", title="The city")["id"]))
    return package_id("one")


def from_the_tables(dataset_id: str) -> None:
    """Make CKAN show a dataset from its tables."""
    sql("UPDATE package SET metadata_modified = :time WHERE id = :id", time=NO_MILLISECONDS, id=dataset_id)
    search.index([dataset_id])
    model.Session.remove()
    changed = model.Package.get(dataset_id).metadata_modified.isoformat()
    assert ckan_search.show(dataset_id)["metadata_modified"][:22] != changed[:22], "CKAN takes them for the same"


def extras(dataset: dict[str, Any]) -> dict[str, str]:
    """Return the extras of a dataset, each of which must be there once."""
    keys = Counter(extra["key"] for extra in dataset["extras"])
    assert set(keys.values()) <= {1}, keys
    return {extra["key"]: extra["value"] for extra in dataset["extras"]}


def stored(dataset_id: str) -> dict[str, str]:
    """Return the extras in the table of the dataset."""
    model.Session.remove()
    return dict(model.Package.get(dataset_id).extras.items())


def provenance(dataset_id: str) -> dict[str, str]:
    [obj] = current(dataset_id)
    return {
        "harvest_object_id": obj.id,
        "harvest_source_id": obj.harvest_source_id,
        "harvest_source_title": "The city",
    }


def test_from_the_index_and_from_the_tables(dataset_id: str) -> None:
    """What a person is shown does not depend on how the time of change is spelt."""
    wanted = provenance(dataset_id)
    assert extras(shown(dataset_id)) == wanted
    from_the_tables(dataset_id)
    assert extras(shown(dataset_id)) == wanted
    default_schema = act("package_show", id=dataset_id, use_default_schema=True)
    assert extras(default_schema) == wanted


def test_who_asks_for_the_tables(dataset_id: str) -> None:
    """Who wants no cached answer, is about to write, or keeps the dataset, sees it as it is stored."""
    from_the_tables(dataset_id)
    for wish in ({"use_cache": False}, {"for_update": True}, {"for_view": False}):
        context = {"ignore_auth": True, "user": ""} | wish
        assert extras(tk.get_action("package_show")(context, {"id": dataset_id})) == {}, wish


def test_a_dataset_that_was_not_harvested(dataset_id: str) -> None:
    """It says nothing of the kind, and neither does one whose object is current no more."""
    act("package_create", name="by-hand")
    assert extras(shown("by-hand")) == {}
    sql("UPDATE harvest_object SET current = false")
    from_the_tables(dataset_id)
    assert extras(shown(dataset_id)) == {}


@pytest.mark.parametrize("from_index", [True, False])
def test_written_back(dataset_id: str, from_index: bool) -> None:
    """Who writes what he was shown, or changes a part of it, stores no provenance; his own extras are stored."""
    if not from_index:
        from_the_tables(dataset_id)
    before = shown(dataset_id)
    own = {"key": "harvest_season", "value": "autumn"}
    act("package_update", **before | {"title": "Better", "extras": [*before["extras"], own]})
    assert stored(dataset_id) == {"harvest_season": "autumn"}
    act("package_patch", id=dataset_id, notes="Better words")
    act("resource_create", package_id=dataset_id, url="http://city.example/a.csv")
    assert stored(dataset_id) == {"harvest_season": "autumn"}
    after = shown(dataset_id)
    assert (after["title"], after["notes"], len(after["resources"])) == ("Better", "Better words", 1)
    assert extras(after) == provenance(dataset_id) | stored(dataset_id)


def test_a_dataset_with_such_extras_of_its_own(dataset_id: str) -> None:
    """What a dataset says that was not harvested here, say a copy, is its own and is stored."""
    copied = [{"key": key, "value": "elsewhere"} for key in datasets.PROVENANCE]
    act("package_create", name="copy", extras=copied)
    act("package_patch", id="copy", title="A copy")
    assert extras(shown("copy")) == stored(shown("copy")["id"]) == dict.fromkeys(datasets.PROVENANCE, "elsewhere")


def test_a_field_of_the_schema(dataset_id: str) -> None:
    """A schema that has a field of such a name gets the value there, and no extra."""
    dataset = {"id": dataset_id, "harvest_source_title": "", "extras": []}
    datasets.show({}, dataset)
    wanted = provenance(dataset_id)
    assert dataset["harvest_source_title"] == wanted.pop("harvest_source_title")
    assert extras(dataset) == wanted
