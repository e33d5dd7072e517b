"""Resources keep their ids, and what hangs on them, however often they are harvested."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories
from ckanext.textview.plugin import TextView

from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    ckan_source,
    counts,
    harvest,
    make_source,
    objects,
    shown,
)
from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id
from ckanext.relay import ckan_211

PLUGINS = {"text_view": TextView, "scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal")


def resource(key: str, **fields: Any) -> dict[str, Any]:
    """Return a resource as the remote portal shows it."""
    url = f"http://files.city.example/{key}"
    return {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)), "name": key, "url": url, "format": "CSV"} | fields


def of(name: str = "dataset-1") -> dict[str, str]:
    """Return the ids of a dataset's resources by URL."""
    return {each["url"].rpartition("/")[2]: each["id"] for each in shown(name)["resources"]}


def test_a_new_resource_has_its_remote_id(remote: RemotePortal) -> None:
    """What is harvested for the first time is under the id that it has there."""
    remote.datasets = [dataset(1, resources=[resource("a"), resource("b")])]
    harvest(ckan_source(remote.url))
    assert of() == {key: resource(key)["id"] for key in "ab"}


def test_a_view_survives(remote: RemotePortal) -> None:
    """A view that somebody made here is there after the remote portal has changed all ids, and the dataset."""
    remote.datasets = [dataset(1, resources=[resource("a"), resource("b")])]
    source_id = ckan_source(remote.url, force_all=True)
    harvest(source_id)
    before = of()
    view = act("resource_view_create", resource_id=before["a"], title="Ours", view_type="text_view")
    for round_number in range(2):
        new_ids = [{"id": str(uuid.uuid4())} for _ in "ab"]
        remote.change(
            0, title=f"New {round_number}", resources=[resource("b") | new_ids[0], resource("a") | new_ids[1]]
        )
        assert counts(harvest(source_id)) == {"updated": 1}
        assert of() == before
        assert [each["url"].rpartition("/")[2] for each in shown("dataset-1")["resources"]] == ["b", "a"]
        assert [each["id"] for each in act("resource_view_list", id=before["a"])] == [view["id"]]


def test_what_a_resource_is_recognised_by(remote: RemotePortal) -> None:
    """By its id though its address changed, by its address though its id changed, by name and format though both
    did; what is left over is deleted, what is new keeps its remote id."""
    remote.datasets = [dataset(1, resources=[resource(key) for key in "abcd"])]
    source_id = ckan_source(remote.url, force_all=True)
    harvest(source_id)
    before = of()
    remote.change(
        0,
        resources=[
            resource("a", url="http://files.city.example/a2"),
            resource("b", id=str(uuid.uuid4()), name="Renamed"),
            resource("c", id=str(uuid.uuid4()), url="http://files.city.example/c2"),
            resource("e"),
            resource("f"),
        ],
    )
    harvest(source_id)
    assert of() == {
        "a2": before["a"],
        "b": before["b"],
        "c2": before["c"],
        "e": resource("e")["id"],
        "f": resource("f")["id"],
    }


@pytest.mark.skipif(ckan_211.RUNS, reason="CKAN 2.11 writes all resources of a dataset")
def test_what_has_not_changed_keeps_its_time(remote: RemotePortal) -> None:
    """When a dataset changes, the resources that did not are left as they are, in the order of the record."""
    remote.datasets = [dataset(1, resources=[resource(key, mimetype=None) for key in "abc"])]
    source_id = ckan_source(remote.url, force_all=True)
    harvest(source_id)
    before = {each["name"]: each for each in shown("dataset-1")["resources"]}
    fresh = {"metadata_modified": "2020-01-01T00:00:00", "package_id": "elsewhere", "mimetype": None}
    remote.change(0, title="New", resources=[resource(key) | fresh for key in "cab"])
    remote.datasets[0]["resources"][1]["description"] = "New"
    assert counts(harvest(source_id)) == {"updated": 1}
    after = shown("dataset-1")["resources"]
    assert [(each["name"], each["position"]) for each in after] == [("c", 0), ("a", 1), ("b", 2)]
    changed = {each["name"] for each in after if each["metadata_modified"] != before[each["name"]]["metadata_modified"]}
    assert (shown("dataset-1")["title"], changed) == ("New", {"a"})
    assert [each["description"] for each in after if each["name"] == "a"] == ["New"]


def test_ids_that_no_dataset_can_have(remote: RemotePortal) -> None:
    """A resource whose id belongs to another dataset, comes twice, or is no UUID gets one of this portal; the other
    dataset keeps its resource."""
    ours = factories.Resource(url="http://here.example/ours")
    taken = resource("taken", id=ours["id"])
    odd = resource("odd", id="DE-4711")
    doubles = [resource("one", id=resource("x")["id"]), resource("two", id=resource("x")["id"])]
    remote.datasets = [
        dataset(1, resources=[taken, odd, *doubles]),
        dataset(2, resources=[resource("one", id=resource("x")["id"])]),
    ]
    source_id = ckan_source(remote.url, force_all=True)
    job = harvest(source_id)
    assert counts(job) == {"added": 2}, [obj.errors for obj in objects(job)]
    assert [each["id"] for each in shown(ours["package_id"])["resources"]] == [ours["id"]]
    ids = [*of().values(), *of("dataset-2").values(), ours["id"]]
    assert len(set(ids)) == 6 and all(uuid.UUID(each) for each in ids)
    first = of()
    remote.change(0, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 1, "not modified": 1}
    assert of() == first


def test_an_id_of_a_resource_that_was_deleted(remote: RemotePortal) -> None:
    """It is not taken from the dataset that had it."""
    ours = factories.Resource(url="http://here.example/ours")
    act("resource_delete", id=ours["id"])
    remote.datasets = [dataset(1, resources=[resource("a", id=ours["id"])])]
    assert counts(harvest(ckan_source(remote.url))) == {"added": 1}
    assert of()["a"] != ours["id"]
    row = model.Session.get(model.Resource, ours["id"])
    assert row is None or row.package_id == ours["package_id"]


# -- other harvesters


def test_a_harvester_that_knows_no_ids(script: Script) -> None:
    """Resources with the same address keep their ids; one that names an id gets that."""
    chosen = str(uuid.uuid4())
    a, b, c = ({"url": f"http://files.city.example/{key}"} for key in "abc")
    given = [[dict(a), dict(b)], [dict(b), c | {"id": chosen}, dict(a)]]

    def imports(obj: Any) -> Any:
        package = {"id": package_id(obj.guid), "title": "Record", "resources": given.pop(0)}
        return ScriptedHarvester()._create_or_update_package(package, obj, "package_show")

    script.imports = imports
    source_id = str(make_source("scripted")["id"])
    harvest(source_id)
    dataset_id = package_id("one")
    before = of(dataset_id)
    job = harvest(source_id)
    assert counts(job) == {"updated": 1}, by_guid(job)["one"].errors
    assert of(dataset_id) == before | {"c": chosen}
    assert [each["url"][-1] for each in shown(dataset_id)["resources"]] == ["b", "c", "a"]
