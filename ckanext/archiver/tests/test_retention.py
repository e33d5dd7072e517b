"""Copies go, after a grace, when nobody needs them any more; originals never do."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import search
from ckan.tests import factories

from ckanext.archiver import retention, runner
from ckanext.archiver.model import Archival, lease_table
from ckanext.archiver.model.tables import removal_table
from ckanext.archiver.storage import StoreError, store
from ckanext.archiver.tests.portal import CONTENT, act, add_archival, add_copy, archival_of, make_dataset
from ckanext.archiver.tests.web import Web, content, says
from ckanext.relay import lease
from ckanext.relay.search import index

pytestmark = pytest.mark.usefixtures("archiver_portal", "settled")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old as soon as they are made."""
    monkeypatch.setattr(retention, "_FRESH_SECONDS", -10)


@pytest.fixture
def dataset() -> dict[str, Any]:
    return make_dataset(owner_org=factories.Organization()["id"])


def sweep(hours: float = 0) -> int:
    """Sweep as it will be in so many hours, and return how many copies are removed."""
    model.Session.commit()
    due = removal_table.c.due - datetime.timedelta(hours=hours)
    with lease.transaction() as connection:
        connection.execute(sa.update(removal_table).values(due=due))
    swept = retention.sweep(store())
    model.Session.expire_all()
    return swept


def asked() -> list[str]:
    with lease.transaction() as connection:
        return list(connection.scalars(sa.select(removal_table.c.path)))


def in_table(dataset: dict[str, Any]) -> Archival | None:
    model.Session.expire_all()
    return Archival.get_for_resource(dataset["resources"][0]["id"])


def change(table: Any, id: str, **values: Any) -> None:
    """Change a row without anybody being told of it, as scripts of operators do."""
    model.Session.execute(sa.update(table).where(table.id == id).values(**values))
    model.Session.commit()


def gone_ways() -> dict[str, Any]:
    return {
        "dataset deleted": lambda dataset: act("package_delete", None, id=dataset["id"]),
        "dataset purged": lambda dataset: act("dataset_purge", None, id=dataset["id"]),
        "dataset private": lambda dataset: act("package_patch", None, id=dataset["id"], private=True),
        "resource deleted": lambda dataset: act("resource_delete", None, id=dataset["resources"][0]["id"]),
        "resource left out": lambda dataset: act("package_patch", None, id=dataset["id"], resources=[]),
        "deleted in the database": lambda dataset: change(model.Package, dataset["id"], state="deleted"),
        "resource deleted in the database": lambda dataset: change(
            model.Resource, dataset["resources"][0]["id"], state="deleted"
        ),
        "private in the database": lambda dataset: change(model.Package, dataset["id"], private=True),
    }


@pytest.mark.parametrize("way", list(gone_ways()))
def test_a_copy_goes_after_the_grace(dataset: dict[str, Any], way: str) -> None:
    """However its resource went; until then it stays, and nothing names it afterwards."""
    path = add_copy(dataset["resources"][0])
    gone_ways()[way](dataset)
    assert sweep() == 0
    assert os.path.exists(path)
    assert asked() == [path]
    assert sweep(23) == 0
    assert sweep(2) == 1
    assert not os.path.exists(path)
    assert os.listdir(f"{store().root}/.content/{os.listdir(f'{store().root}/.content')[0]}") == []
    assert asked() == []
    archival = in_table(dataset)
    if archival is not None:
        assert archival.cache_filepath is archival.cache_url is archival.etag is archival.sha256 is None
        assert archival.status_id == 0
    assert (archival is None) == (way == "dataset purged")
    assert sweep(100) == 0


@pytest.mark.parametrize(
    ("table", "gone", "back"),
    [
        (model.Package, {"state": "deleted"}, {"state": "active"}),
        (model.Package, {"private": True}, {"private": False}),
    ],
)
def test_what_comes_back_in_time_keeps_its_copy(
    dataset: dict[str, Any], table: Any, gone: dict[str, Any], back: dict[str, Any]
) -> None:
    """A deletion by mistake costs nothing."""
    path = add_copy(dataset["resources"][0])
    change(table, dataset["id"], **gone)
    sweep()
    assert asked() == [path]
    change(table, dataset["id"], **back)
    assert sweep(25) == 0
    assert Path(path).read_bytes() == CONTENT
    assert asked() == []
    assert archival_of(dataset["resources"][0]).cache_filepath == path
    assert archival_of(dataset["resources"][0]).cache_url


def test_what_is_there_keeps_its_copy(dataset: dict[str, Any]) -> None:
    """Sweeping again and again asks for nothing."""
    path = add_copy(dataset["resources"][0])
    for _ in range(3):
        assert sweep(48) == 0
    assert os.path.exists(path)
    assert asked() == []


def test_a_portal_that_keeps_private_copies(dataset: dict[str, Any], ckan_config: Any) -> None:
    """Then a dataset that turns private keeps them."""
    ckan_config["ckanext.archiver.private_datasets"] = "archive"
    path = add_copy(dataset["resources"][0])
    act("package_patch", None, id=dataset["id"], private=True)
    sweep()
    sweep(48)
    assert os.path.exists(path)
    assert archival_of(dataset["resources"][0]).cache_filepath == path


def test_another_resource_keeps_the_same_content(dataset: dict[str, Any]) -> None:
    """Its own copy stays whole."""
    other = make_dataset()
    paths = [add_copy(each["resources"][0]) for each in (dataset, other)]
    act("package_delete", None, id=dataset["id"])
    sweep()
    sweep(25)
    assert [os.path.exists(path) for path in paths] == [False, True]
    assert Path(paths[1]).read_bytes() == CONTENT


def test_searches_do_not_offer_what_is_gone(dataset: dict[str, Any]) -> None:
    """A private dataset can still be found by its members, without a link to the copy."""
    add_copy(dataset["resources"][0])
    change(model.Package, dataset["id"], private=True)
    index([dataset["id"]])
    sweep()
    sweep(25)
    document = search.query_for(model.Package).get_index(dataset["id"])
    assert '"last_success"' in document["validated_data_dict"]
    assert '"cache_url": "' not in document["data_dict"] + document["validated_data_dict"]


@pytest.mark.parametrize(
    ("path", "kept"), [("/missing.csv", None), ("/other/data.csv", "data.csv"), ("/new.csv", "new.csv")]
)
def test_the_copy_of_another_url_goes(web: Web, path: str, kept: str | None) -> None:
    """At once if there is a new one of the same name; else it stays for the grace, but nobody is offered it."""
    resource = make_dataset(resources=[{"url": web.url("/data.csv"), "format": "CSV"}])["resources"][0]
    list(runner.archive_batch("priority"))
    before = archival_of(resource).cache_filepath
    assert Path(before).read_bytes() == content("/data.csv")
    act("resource_patch", None, id=resource["id"], url=web.url(path))
    list(runner.archive_batch("priority"))
    now = archival_of(resource)
    assert now.cache_filepath == (kept and store().path_of(resource["id"], kept))
    assert (now.cache_url is None) == (kept is None)
    assert asked() == ([] if kept == "data.csv" else [before])
    assert os.path.exists(before)
    sweep(25)
    assert [os.path.basename(each) for each in store().files()] == ([kept] if kept else [])
    assert kept is None or Path(now.cache_filepath).read_bytes() == content(path)


def test_beyond_the_quota_links_are_only_checked(web: Web, ckan_config: Any) -> None:
    """What there is stays; a link whose copy finds no room is as good as before."""
    first = make_dataset(resources=[{"url": web.url("/data.csv"), "format": "CSV"}])["resources"][0]
    list(runner.archive_batch("priority"))
    path = archival_of(first).cache_filepath
    ckan_config["ckanext.archiver.quota_bytes"] = os.path.getsize(path)
    second = make_dataset(resources=[{"url": web.url("/more.csv"), "format": "CSV"}])["resources"][0]
    list(runner.archive_batch("priority"))
    checked = archival_of(second)
    assert (checked.status_id, checked.verdict, checked.cache_filepath) == (0, "ok", None)
    web.pages["/data.csv"] = says(200, b"c,d\nsomething,else\n", Content_Type="text/csv")
    act("resource_patch", None, id=first["id"], format="TSV")
    list(runner.archive_batch("priority"))
    checked = archival_of(first)
    assert (checked.status_id, checked.verdict, checked.cache_filepath) == (0, "ok", path)
    assert Path(path).read_bytes() == content("/data.csv")


@pytest.mark.parametrize("inside", [False, True])
def test_an_upload_is_never_removed(dataset: dict[str, Any], tmp_path: Path, inside: bool) -> None:
    """Its archival names the original, also if somebody keeps uploads in the folder of the archive."""
    resource = dataset["resources"][0]
    folder = Path(store().root if inside else tmp_path) / "resources" / resource["id"][:3] / resource["id"][3:6]
    folder.mkdir(parents=True)
    original = folder / resource["id"][6:]
    original.write_bytes(b"original")
    change(model.Resource, resource["id"], url_type="upload")
    add_archival(resource, cache_filepath=str(original))
    act("package_delete", None, id=dataset["id"])
    sweep()
    sweep(25)
    act("dataset_purge", None, id=dataset["id"])
    sweep()
    sweep(25)
    assert original.read_bytes() == b"original"
    with pytest.raises(StoreError):
        store().remove(str(original))


def test_a_file_that_has_just_come_stays_for_now(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A check may have stored it that is not recorded yet; it is asked for again."""
    monkeypatch.setattr(retention, "_FRESH_SECONDS", 600)
    path = add_copy(dataset["resources"][0])
    act("package_delete", None, id=dataset["id"])
    sweep()
    assert sweep(25) == 0
    assert os.path.exists(path)
    assert asked() == [path]
    monkeypatch.setattr(retention, "_FRESH_SECONDS", -10)
    assert sweep(25) == 1
    assert not os.path.exists(path)


def test_what_cannot_be_removed_is_tried_again(dataset: dict[str, Any]) -> None:
    """One file that fails holds up no other."""
    other = make_dataset()
    stuck, path = (add_copy(each["resources"][0]) for each in (dataset, other))
    folder, elsewhere = os.path.dirname(stuck), f"{store().root}/elsewhere"
    os.rename(folder, elsewhere)
    os.symlink(elsewhere, folder)
    for each in (dataset, other):
        act("package_delete", None, id=each["id"])
    sweep()
    assert sweep(25) == 1
    assert not os.path.exists(path)
    assert os.path.exists(stuck)
    assert asked() == [stuck]


def test_without_a_grace(dataset: dict[str, Any], ckan_config: Any) -> None:
    """Zero hours: with the next sweep."""
    ckan_config["ckanext.archiver.removal_grace_hours"] = 0
    path = add_copy(dataset["resources"][0])
    act("package_delete", None, id=dataset["id"])
    assert sweep(0.01) == 1
    assert not os.path.exists(path)


def test_what_dead_workers_leave_goes(dataset: dict[str, Any]) -> None:
    """Folders of downloads whose lease does not hold; those of the living stay."""
    with lease.held(lease_table, "archive", 60) as mine, store().temporary(mine) as alive:
        dead = Path(alive).with_name("dead")
        dead.mkdir()
        (dead / "half").write_bytes(b"half")
        list(runner.sweep())
        assert not dead.exists()
        assert os.path.isdir(alive)


def test_a_file_that_no_row_ever_named_stays(dataset: dict[str, Any]) -> None:
    """Two portals may share a folder; ``archiver doctor`` says what is there."""
    theirs = Path(store().path_of("6f1d0a8e-0c45-4e0e-9a39-6f3d4f1b2c01", "data.csv"))
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    sweep(100)
    assert theirs.exists()
