"""Copies are served to those who may see the resource, and never run on this site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ckan import model

from ckanext.archiver.storage import store
from ckanext.archiver.tests.portal import (
    CONTENT,
    add_archival,
    add_copy,
    archival_of,
    make_dataset,
    make_sysadmin,
    make_user,
    private_dataset,
)

pytestmark = pytest.mark.usefixtures("archiver_portal")


def address(resource: dict[str, Any], name: str = "/data.csv") -> str:
    return f"/dataset/{resource['package_id']}/resource/{resource['id']}/archive{name}"


def test_a_copy_is_downloaded_and_never_shown(app: Any, resource: dict[str, Any]) -> None:
    """As a file of its own name and type, in a browser that may not guess or run anything."""
    add_copy(resource)
    answer = app.get(address(resource), status=200)
    assert answer.data == CONTENT
    headers = answer.headers
    assert headers["Content-Disposition"] == "attachment; filename=data.csv"
    assert headers["Content-Type"] == "text/csv"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Content-Length"] == str(len(CONTENT))


def test_the_address_is_that_of_the_archival(app: Any, resource: dict[str, Any]) -> None:
    """Without ``cache_url_root`` the API names this route; the name of the dataset and no file name do as well."""
    add_copy(resource, name="a b#ż%20.csv")
    cache_url = archival_of(resource).cache_url
    assert cache_url == f"http://test.ckan.example{address(resource, '/a%20b%23%C5%BC%2520.csv')}"
    dataset = model.Package.get(resource["package_id"]).name
    for path in (
        cache_url.removeprefix("http://test.ckan.example"),
        address(resource, ""),
        address(resource, "/other"),
        f"/dataset/{dataset}/resource/{resource['id']}/archive",
    ):
        answer = app.get(path, status=200)
        assert answer.data == CONTENT
        assert "filename*=UTF-8''a%20b#%C5%BC%2520.csv" in answer.headers["Content-Disposition"]


def test_head_ranges_and_conditions(app: Any, resource: dict[str, Any]) -> None:
    """What download programs ask for: only the head, the rest of a file, only a newer one."""
    add_copy(resource)
    head = app.head(address(resource))
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(CONTENT))
    part = app.get(address(resource), headers={"Range": "bytes=4-5"}, status=206)
    assert (part.data, part.headers["Content-Range"]) == (CONTENT[4:6], "bytes 4-5/8")
    app.get(address(resource), headers={"Range": "bytes=100-"}, status=416)
    for condition in (
        {"If-None-Match": head.headers["ETag"]},
        {"If-Modified-Since": head.headers["Last-Modified"]},
    ):
        same = app.get(address(resource), headers=condition, status=304)
        assert same.data == b""
        assert same.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ("text/html; charset=utf-8", "application/octet-stream"),
        ("text/html", "text/html"),
        ("text/csv\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("garbage", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_the_type_is_a_type(app: Any, resource: dict[str, Any], recorded: str | None, sent: str) -> None:
    """A server may have named anything."""
    add_copy(resource, b"<script>alert(1)</script>", mimetype=recorded)
    answer = app.get(address(resource), status=200)
    assert answer.headers["Content-Type"] == sent
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "Set-Cookie" not in answer.headers


def test_nginx_sends_the_file_if_it_is_to(app: Any, resource: dict[str, Any], ckan_config: Any) -> None:
    """The answer names the file below the internal location, escaped, and has the headers that nginx passes on."""
    add_copy(resource, name="a b?ż.csv")
    ckan_config["ckanext.archiver.x_accel_prefix"] = "/internal"
    answer = app.get(address(resource), status=200)
    assert answer.data == b""
    shard = f"{resource['id'][:2]}/{resource['id']}"
    assert answer.headers["X-Accel-Redirect"] == f"/internal/{shard}/a%20b%3F%C5%BC.csv"
    assert answer.headers["Content-Type"] == "text/csv"
    # a web server sends headers as ISO 8859-1
    disposition = answer.headers["Content-Disposition"].encode("iso-8859-1").decode()
    assert disposition.startswith("attachment;") and "filename*=UTF-8''a%20b%3F%C5%BC.csv" in disposition


def test_private_copies_are_for_those_who_may_see_the_dataset(app: Any) -> None:
    """Everybody else gets what CKAN answers for an upload of it; no cache between may keep it."""
    member, stranger = make_user(), make_user()
    resource = private_dataset(member)["resources"][0]
    add_copy(resource)
    answer = app.get(address(resource), headers=member["headers"], status=200)
    assert answer.data == CONTENT
    assert "private" in answer.headers["Cache-Control"]
    assert "public" not in answer.headers["Cache-Control"]
    nobody: dict[str, str] = {}
    for headers in (nobody, stranger["headers"]):
        refused = app.get(address(resource), headers=headers, follow_redirects=False)
        assert refused.status_code in (302, 403, 404)
        assert CONTENT not in refused.data


def test_a_resource_is_not_had_through_another_dataset(app: Any) -> None:
    """Naming a dataset that everybody may see opens no resource of another one."""
    resource = private_dataset(make_user())["resources"][0]
    add_copy(resource)
    public = make_dataset()
    answer = app.get(f"/dataset/{public['id']}/resource/{resource['id']}/archive", follow_redirects=False)
    assert answer.status_code in (302, 403, 404)
    sysadmin = make_sysadmin()["headers"]
    app.get(f"/dataset/{public['id']}/resource/{resource['id']}/archive", headers=sysadmin, status=404)


@pytest.mark.parametrize("gone", ["resource", "dataset"])
def test_what_is_deleted_is_not_served(app: Any, resource: dict[str, Any], gone: str) -> None:
    """Even before its file is removed."""
    add_copy(resource)
    kind = model.Resource if gone == "resource" else model.Package
    model.Session.get(kind, resource["id" if gone == "resource" else "package_id"]).state = "deleted"
    model.Session.commit()
    assert app.get(address(resource), follow_redirects=False).status_code in (302, 403, 404)


def test_there_is_no_copy(app: Any, resource: dict[str, Any]) -> None:
    """Never checked, checked without a copy, or the file is gone."""
    app.get(address(resource), status=404)
    app.get(f"/dataset/{resource['package_id']}/resource/none/archive", status=404)
    app.get(f"/dataset/none/resource/{resource['id']}/archive", status=404)
    add_archival(resource)
    app.get(address(resource), status=404)


@pytest.mark.parametrize("where", ["/etc/passwd", "{root}/../secret", "{root}/secret", "{root}/{two}/{id}/link"])
def test_a_path_outside_of_the_archive_is_not_served(
    app: Any, resource: dict[str, Any], archive_dir: Path, where: str
) -> None:
    """Whatever a row of the table says, and whoever wrote it."""
    (archive_dir.parent / "secret").write_text("secret")
    folder = archive_dir / resource["id"][:2] / resource["id"]
    folder.mkdir(parents=True)
    (archive_dir / "secret").write_text("secret")
    (folder / "link").symlink_to("/etc/passwd")
    path = where.format(root=archive_dir, two=resource["id"][:2], id=resource["id"])
    add_archival(resource, cache_filepath=path)
    assert os.path.exists(path)
    app.get(address(resource), status=404)


def test_an_upload_is_its_own_original(app: Any) -> None:
    """Its archival names CKAN's file, which has an address of its own, wherever CKAN keeps it."""
    dataset = make_dataset(resources=[{"url": "data.csv", "url_type": "upload", "format": "CSV"}])
    resource = dataset["resources"][0]
    path = Path(store().root, "resources", resource["id"][:3], resource["id"][3:6], resource["id"][6:])
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    add_archival(resource, cache_filepath=str(path))
    app.get(address(resource), status=404)


def test_the_copy_of_an_upload_in_a_cloud(app: Any) -> None:
    """It was downloaded like any other, and its archival names this route."""
    dataset = make_dataset(resources=[{"url": "https://cloud.example/data.csv", "url_type": "upload"}])
    add_copy(dataset["resources"][0])
    assert app.get(archival_of(dataset["resources"][0]).cache_url, status=200).data == CONTENT


@pytest.mark.parametrize("name", ["/..", "/%2e%2e", "/..%2f..%2fetc%2fpasswd", "/a%00b", "/" + "x" * 300, "/%ff%fe"])
def test_the_name_in_the_address_chooses_nothing(app: Any, resource: dict[str, Any], name: str) -> None:
    """There is one copy of a resource."""
    add_copy(resource)
    answer = app.get(address(resource, name), follow_redirects=False)
    assert answer.status_code in (200, 308, 404)
    assert answer.status_code != 200 or answer.data == CONTENT


def test_nothing_is_posted(app: Any, resource: dict[str, Any]) -> None:
    """The route only reads."""
    add_copy(resource)
    app.post(address(resource), status=405)
