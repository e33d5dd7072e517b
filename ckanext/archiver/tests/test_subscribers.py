"""Which changes that people and harvests make have links checked, and which do not."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.archiver import lib, subscribers, tasks
from ckanext.archiver.tests.portal import act
from ckanext.archiver.tests.rows import add_dataset, all_links, ask, check, link
from ckanext.relay import celery_app

pytestmark = pytest.mark.usefixtures("archiver_portal")

URL = "http://a.example/1.csv"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lanes of the messages that are sent to the workers."""
    lanes: list[str] = []
    monkeypatch.setattr(tasks, "send_all", lambda steps: lanes.extend(step.lane for step in steps))
    return lanes


@pytest.fixture
def dataset(sent: list[str]) -> dict[str, Any]:
    """A dataset with two links that were checked, and an upload."""
    resources = [
        {"url": URL, "format": "CSV"},
        {"url": "http://a.example/2.csv", "format": "CSV"},
        {"url": "a.csv", "url_type": "upload", "format": "CSV"},
    ]
    made = factories.Dataset(resources=resources, license_id="cc-by", notes="before")
    checked()
    sent.clear()
    return made


def checked() -> None:
    ask()
    while check():
        pass


def asked() -> dict[str, str]:
    return {row.url: row.lane for row in all_links() if row.lane}


def changed(dataset: dict[str, Any], position: int, **fields: Any) -> dict[str, Any]:
    """Save one resource with other fields."""
    return act("resource_patch", None, id=dataset["resources"][position]["id"], **fields)


def test_a_new_dataset(sent: list[str]) -> None:
    """All of its links are asked for when it is saved, as urgently as a person waits; workers know after the commit."""
    factories.Dataset(resources=[{"url": URL}, {"url": "http://b.example/"}])
    assert asked() == {URL: "priority", "http://b.example/": "priority"}
    assert set(sent) == {"priority"}


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://a.example/other.csv"},
        {"format": "JSON"},
        {"url": "http://b.example/", "format": "ZIP"},
    ],
)
def test_a_resource_that_changes_in_a_way_that_matters(change: Any, dataset: dict[str, Any], sent: list[str]) -> None:
    """The links of its dataset are asked for, with the new URL."""
    changed(dataset, 0, **change)
    assert len(asked()) == 3
    assert set(asked().values()) == {"priority"}
    assert change.get("url", URL) in asked()
    assert set(sent) == {"priority"}


def test_resources_that_come_and_go(dataset: dict[str, Any]) -> None:
    """A new one is asked for, a deleted one is not any more."""
    act("resource_create", None, package_id=dataset["id"], url="http://b.example/")
    assert "http://b.example/" in asked()
    checked()
    act("resource_delete", None, id=dataset["resources"][0]["id"])
    assert link(dataset["resources"][0]["id"]) is None
    assert set(asked()) == {"http://a.example/2.csv", "a.csv", "http://b.example/"}


@pytest.mark.parametrize("change", [{"license_id": "cc-zero"}, {"extras": [{"key": "licence", "value": "own"}]}])
def test_the_licence(change: Any, dataset: dict[str, Any]) -> None:
    """Others grade a dataset by it when its links are checked."""
    act("package_patch", None, id=dataset["id"], **change)
    assert len(asked()) == 3


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"title": "New", "notes": "after"},
        {"tags": [{"name": "new"}]},
        {"extras": [{"key": "guid", "value": "1"}]},
        {"version": "2", "author": "who"},
    ],
)
def test_what_does_not_matter(change: Any, dataset: dict[str, Any], sent: list[str]) -> None:
    """A harvest that brings new titles floods nothing: not a row is written, not a message sent."""
    before = all_links()
    act("package_patch", None, id=dataset["id"], **change)
    changed(dataset, 0, description="after", name="New", last_modified="2026-03-01T12:00:00")
    changed(dataset, 2, description="after")
    reverse = [{"id": each["id"]} for each in reversed(dataset["resources"])]
    act("package_resource_reorder", None, id=dataset["id"], order=[each["id"] for each in reverse])
    assert all_links() == before
    assert sent == []


def test_the_file_of_an_upload(dataset: dict[str, Any]) -> None:
    """A new file by the same name is another file."""
    changed(dataset, 2, last_modified="2026-03-01T12:00:00")
    assert "a.csv" in asked()


def test_deleted_and_back(dataset: dict[str, Any]) -> None:
    """A deleted dataset rests, and is checked again when it comes back; one that is purged is forgotten."""
    act("package_delete", None, id=dataset["id"])
    assert all_links() == []
    act("package_patch", None, id=dataset["id"], state="active")
    assert len(asked()) == 3
    act("dataset_purge", None, id=dataset["id"])
    assert all_links() == []


def test_private_and_public(sent: list[str]) -> None:
    """Both ways: whether a copy is kept may hang on it."""
    organization = factories.Organization()
    dataset = factories.Dataset(owner_org=organization["id"], resources=[{"url": URL}])
    for private in (True, False):
        checked()
        act("package_patch", None, id=dataset["id"], private=private)
        assert asked() == {URL: "priority"}


def test_drafts(sent: list[str]) -> None:
    """They are checked when they are published."""
    dataset = factories.Dataset(state="draft", resources=[{"url": URL}])
    assert asked() == {}
    act("package_patch", None, id=dataset["id"], state="active")
    assert asked() == {URL: "priority"}


def test_harvest_sources_are_not_archived() -> None:
    """They are datasets of a type of their own; what is in them is not asked about."""
    with mock.patch.object(lib, "create_archiver_package_task") as create:
        source = model.Package(name="source", type="harvest", url=URL)
        model.Session.add(source)
        model.Session.commit()
        source.title = "other"
        model.Session.commit()
    create.assert_not_called()


def test_what_is_rolled_back_was_never_asked_for(sent: list[str]) -> None:
    """Request and dataset are saved together or not at all."""
    model.Session.add(model.Package(id="p", name="data", type="dataset"))
    model.Session.add(model.Resource(package_id="p", url=URL))
    model.Session.flush()
    subscribers.notify(model.Session.get(model.Package, "p"), "new")
    model.Session.rollback()
    assert (all_links(), sent) == ([], [])


def test_from_before_the_plugin_was_enabled(sent: list[str]) -> None:
    """A dataset that is unknown is checked with its next change, whatever that is."""
    add_dataset("data", {model.types.make_uuid(): URL})  # CKAN 2.11 takes no other ids
    act("package_patch", None, id="data", title="New")
    assert asked() == {URL: "priority"}


def test_inside_of_a_worker_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a harvest brings does not come before what people edit."""
    monkeypatch.setattr(type(celery_app.app), "current_task", "harvest.process")
    factories.Dataset(resources=[{"url": URL}])
    assert asked() == {URL: "bulk"}


def test_as_tests_of_other_extensions_look_at_it(dataset: dict[str, Any]) -> None:
    """They patch the function in ``lib``, and expect the dataset and the queue."""
    with mock.patch("ckanext.archiver.lib.create_archiver_package_task") as create:
        act("package_patch", None, id=dataset["id"])
        act("resource_patch", None, id=dataset["resources"][2]["id"])
        create.assert_not_called()
        act("resource_patch", None, id=dataset["resources"][0]["id"], url=URL + "-updated")
        create.assert_called_with(model.Package.get(dataset["id"]), "priority")


def test_asking_from_elsewhere(sent: list[str]) -> None:
    """Other extensions call these functions: what they ask for is asked for at once, committed or not."""
    add_dataset("data", {"r1": URL, "r2": "http://b.example/"})
    lib.create_archiver_resource_task(model.Session.get(model.Resource, "r1"), "bulk")
    assert asked() == {URL: "bulk"}
    lib.create_archiver_package_task(model.Package.get("data"), "priority")
    model.Session.rollback()
    assert asked() == {URL: "priority", "http://b.example/": "priority"}
    assert sent == ["bulk", "priority"]
    lib.create_archiver_package_task(model.Package.get("data"), "a queue of their own")
    assert set(sent) == {"bulk", "priority"}


def test_an_extra_of_a_dataset() -> None:
    """Its value, or what is to stand for it."""
    extras = {"extras": [{"key": "a", "value": "1"}]}
    assert lib.get_extra_from_pkg_dict(extras, "a") == "1"
    assert lib.get_extra_from_pkg_dict(extras, "b") is None
    assert lib.get_extra_from_pkg_dict({}, "b", "2") == "2"
