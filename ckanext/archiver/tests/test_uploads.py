"""Where uploads are found, wherever CKAN keeps them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ckan.lib import uploader

from ckanext.archiver import checks, uploads
from ckanext.archiver.domain.link import Link

pytestmark = pytest.mark.usefixtures("archiver_portal")

ID = "0a1b2c3d-0000-4000-8000-00000000000f"
URL = "http://portal.example/data.csv"
PLACE = f"{ID[:3]}/{ID[3:6]}/{ID[6:]}"


def keep(monkeypatch: pytest.MonkeyPatch, **keeper: Any) -> None:
    """Let CKAN have such an uploader, as a plugin may."""
    monkeypatch.setattr(uploader, "get_resource_uploader", lambda _resource: SimpleNamespace(**keeper))


def read() -> checks.Checked:
    upload = uploads.locate(ID, URL)
    assert upload is not None
    return checks.read(Link(ID, "d1", URL, "upload"), upload, URL)


def stored(adapter: str, **settings: Any) -> Any:
    """Return a storage of CKAN 2.12 with an upload in it."""
    keeper = pytest.importorskip("file_keeper")
    storage = keeper.make_storage("test", {"type": adapter, "initialize": True, **settings})
    storage.upload(keeper.Location(PLACE), keeper.make_upload(b"a,b\n1,2\n"))
    return storage


def test_a_storage_that_is_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of a storage on this machine is read where it is, and others find it there."""
    storage = stored("file_keeper:fs", path=str(tmp_path))
    keep(monkeypatch, get_path=lambda _id: PLACE, storage=storage)
    found = read()
    assert found.copy and (found.copy.cache_filepath, found.copy.size) == (str(tmp_path / PLACE), 8)
    assert found.copy.hash == hashlib.sha1(b"a,b\n1,2\n").hexdigest()


def test_a_storage_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a storage that has no paths is read all the same; there is just no path to tell of."""
    keep(monkeypatch, get_path=lambda _id: PLACE, storage=stored("file_keeper:memory"))
    found = read()
    assert found.copy and (found.copy.cache_filepath, found.copy.size, found.copy.mimetype) == (None, 8, "text/csv")


def test_a_storage_without_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is broken, whatever the storage raises."""
    keep(monkeypatch, get_path=lambda _id: "no/such/file", storage=stored("file_keeper:memory"))
    assert read().verdict.cause == "upload_missing"


@pytest.mark.parametrize("path", ["s3://bucket/key", "https://bucket.example/key", "resources/key"])
def test_a_cloud(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A path that is none of this machine leads nowhere."""
    keep(monkeypatch, get_path=lambda _id: path)
    assert uploads.locate(ID, URL) is None


def test_an_uploader_that_wants_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploaders of some plugins need to be told more for a path; only the URL leads to such a file."""
    keep(monkeypatch, get_path=lambda _id, _filename: "key")
    assert uploads.locate(ID, URL) is None
