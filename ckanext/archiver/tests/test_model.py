"""``Archival`` and ``Status`` as other extensions use them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ckan import model

import ckanext.archiver.model as archiver_model
from ckanext.archiver.model import Archival, Status, aggregate_archivals_for_a_dataset
from ckanext.archiver.tests.rows import add_dataset

TIME = datetime.datetime(2026, 3, 1, 12)
KEYS = [
    "id", "package_id", "resource_id", "resource_timestamp", "status_id", "is_broken", "reason", "url_redirected_to",
    "cache_filepath", "cache_url", "size", "mimetype", "hash", "etag", "last_modified", "first_failure",
    "last_success", "failure_count", "created", "updated", "status", "is_broken_printable",
]  # fmt: skip
OURS = ["cause", "verdict", "suspect_since", "checked_url"]


@pytest.fixture
def dataset(clean_archiver: None) -> None:
    """A dataset with resources r1, r2 and a deleted one."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2", "r3": {"url": "http://a/3", "state": "deleted"}})


def add(resource_id: str, **columns: Any) -> Archival:
    archival = Archival.create(resource_id)
    for name, value in columns.items():
        setattr(archival, name, value)
    model.Session.add(archival)
    model.Session.commit()
    return archival


def test_status() -> None:
    """By number, by text, and what it says; unknown ones are errors only where one asks by them."""
    status = Status.instance()
    assert status.by_text("Chose not to download") == 21
    assert Status.by_id(12) == "Download error"
    with pytest.raises(KeyError):
        Status.by_text("Nonsense")
    with pytest.raises(KeyError):
        Status.by_id(24)
    assert [Status.is_status_broken(each) for each in (0, 9, 10, 12, 20, 24)] == [False, False, True, True, None, None]
    assert [Status.is_ok(each) for each in (0, 1, 2, 10)] == [True, True, False, False]


def test_what_the_module_offers() -> None:
    """Names that other extensions and old test suites import."""
    assert archiver_model.metadata is archiver_model.Base.metadata
    assert set(archiver_model.metadata.tables) >= {"archival"}
    assert "package" not in archiver_model.metadata.tables  # whoever drops all of it drops nothing of CKAN's
    assert len(archiver_model.make_uuid()) == 36
    assert archiver_model.broken_enum == {True: "Broken", None: "Not sure if broken", False: "Downloaded OK"}


def test_create_and_find(dataset: None) -> None:
    """An archival knows dataset and resource; that of a deleted resource is not one of the dataset's."""
    unsaved = Archival.create("r2")
    assert (unsaved.resource_id, unsaved.package_id) == ("r2", "data")
    assert Archival.get_for_resource(resource_id="r2") is None
    second, first, _deleted = add("r2"), add("r1"), add("r3")
    assert Archival.get_for_resource("r2") is second
    assert Archival.get_for_package("data") == [first, second]
    assert Archival.get_for_package("other") == []
    assert (first.size, first.failure_count, first.status_id, first.status) == (0, 0, None, None)
    assert abs(first.created - datetime.datetime.utcnow()) < datetime.timedelta(minutes=1)


def test_as_dict(dataset: None) -> None:
    """The 22 keys of the contract come first; times are text, numbers and None stay; no key of the engine's own."""
    archival = add(
        "r1", status_id=12, is_broken=True, reason="gone", size=5, failure_count=2, updated=TIME, first_failure=TIME,
        cause="http_404", verdict="ok", suspect_since=TIME, suspect_count=2, checked_url="http://u:pw@a/1",
        sha256="x", redirects="[]",
    )  # fmt: skip
    shown = archival.as_dict()
    assert list(shown) == KEYS + OURS
    assert (shown["status"], shown["is_broken_printable"], shown["size"]) == ("Download error", "Broken", 5)
    assert (shown["updated"], shown["last_success"]) == ("2026-03-01T12:00:00", None)
    assert (shown["cause"], shown["verdict"], shown["suspect_since"]) == ("http_404", "ok", "2026-03-01T12:00:00")
    assert "pw" not in shown["checked_url"]


@pytest.mark.parametrize("status_id", [24, 99, None])
def test_a_status_of_a_fork(status_id: int | None, dataset: None) -> None:
    """A row with a number that nobody here knows is shown like any other."""
    archival = add("r1", status_id=status_id)
    assert archival.status is None
    assert archival.as_dict()["status"] is None
    assert aggregate_archivals_for_a_dataset([archival])["status_id"] == status_id


def test_repr(dataset: None) -> None:
    """What ``archiver view`` prints, also of what is gone."""
    archival = add("r1", is_broken=True, failure_count=3)
    assert repr(archival) == "<Archival Broken /dataset/data/resource/r1 3 failures>"
    unknown = Archival(resource_id="r9", package_id="p9")
    assert repr(unknown) == "<Archival Not sure if broken /dataset/?p9?/resource/r9 0 failures>"


def test_aggregate() -> None:
    """The highest number wins, the first of equals; rows without one do not count, and none at all is nothing."""
    rows = [
        Archival(status_id=None),
        Archival(status_id=12, reason="first", is_broken=True, verdict="broken"),
        Archival(status_id=12, reason="second", is_broken=True, verdict="ok"),
        Archival(status_id=0, reason="", is_broken=False, verdict="ok"),
    ]
    broken = {"status_id": 12, "status": "Download error", "reason": "first", "is_broken": True, "verdict": "broken"}
    assert aggregate_archivals_for_a_dataset(rows) == broken
    rows.append(Archival(status_id=21, reason="large", is_broken=None, verdict="unsure"))
    worst = aggregate_archivals_for_a_dataset(rows)
    assert (worst["status_id"], worst["is_broken"], worst["verdict"]) == (21, None, "broken")
    nothing = dict.fromkeys(["status_id", "status", "reason", "is_broken", "verdict"])
    assert aggregate_archivals_for_a_dataset([]) == nothing
    assert aggregate_archivals_for_a_dataset([Archival(status_id=None)]) == nothing
