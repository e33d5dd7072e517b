"""What the doctor finds, what it mends, and what it leaves alone."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.archiver import batch, doctor, runner
from ckanext.archiver.cli import archiver
from ckanext.archiver.model import Archival, lease_table
from ckanext.archiver.model.tables import link_table
from ckanext.archiver.tests.portal import add_archival, add_copy, store_copy
from ckanext.archiver.tests.web import Handler, Web, says
from ckanext.relay import celery_app, diagnosis, lease

pytestmark = pytest.mark.usefixtures("archiver_portal", "quick")
#: What is not there in these tests, and so always found.
AWAY = {"no-worker", "no-beat"}


@pytest.fixture
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is there to answer, and only some tests wait for that."""
    monkeypatch.setattr(diagnosis, "PING_SECONDS", 0.5)
    if "broker" not in request.node.name:
        monkeypatch.setattr(diagnosis, "broker", lambda kind: iter(()))


def examined(fix: bool = False) -> dict[str, doctor.Finding]:
    """Return what the doctor finds, by code, without what is away in these tests."""
    model.Session.remove()
    found = {finding.code: finding for finding in doctor.examine(fix) if finding.code not in AWAY}
    model.Session.remove()
    return found


def mended(code: str, count: int = 1) -> doctor.Finding:
    """Make sure that something is found, is only mended when that is asked for, and is not found any more."""
    found = examined()
    assert set(found) == {code} and (found[code].count, found[code].left, found[code].mendable) == (count, count, True)
    assert set(examined()) == {code}, "looking mends nothing"
    after = examined(fix=True)
    assert (after[code].count, after[code].left) == (count, 0)
    assert examined() == {}
    return found[code]


def archival(resource: dict[str, Any]) -> Any:
    return Archival.get_for_resource(resource["id"])


def test_nothing_is_wrong(resource: dict[str, Any]) -> None:
    """An archive in which all is as it should be has no findings."""
    add_copy(resource)
    assert examined() == {}


def test_the_broker_and_workers(ckan_config: Any) -> None:
    """Without a worker, both queues are named; without a broker, only that is said of it."""
    lacking = {finding.code: finding for finding in doctor.examine()}["no-worker"]
    assert ".archiver.priority and " in lacking.what and lacking.what.endswith(".archiver.bulk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(celery_app.app, "connection_for_write", lambda: broken_connection())
        codes = {finding.code for finding in doctor.examine()}
    assert "broker-away" in codes and "no-worker" not in codes


def broken_connection() -> Any:
    import kombu

    return kombu.Connection("redis://127.0.0.1:9/0")


def test_nobody_sweeps() -> None:
    """Without beat, work that was lost is found by nobody."""
    assert "never" in {finding.code: finding for finding in doctor.examine()}["no-beat"].what
    list(runner.sweep())
    assert "no-beat" not in {finding.code for finding in doctor.examine()}


def test_tables_of_an_older_release() -> None:
    """If the tables are not up to date, that is said and nothing else is looked at."""
    with lease.transaction() as connection:
        connection.execute(sa.text("UPDATE archiver_alembic_version SET version_num = '67818770e95f'"))
    try:
        found = list(doctor.examine())
    finally:
        with lease.transaction() as connection:
            connection.execute(sa.text("UPDATE archiver_alembic_version SET version_num = 'a41c7e52d903'"))
    assert [finding.code for finding in found] == ["migrations-pending"]
    assert "67818770e95f" in found[0].what and "a41c7e52d903" in found[0].what


def test_the_disk(archive_dir: Path, ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no room, or had none a moment ago, is named."""
    monkeypatch.setattr(doctor, "ROOM_FOR", 10**9)
    assert set(examined()) == {"disk-full"}
    monkeypatch.undo()
    lease.note(lease_table, batch.DISK_FULL)
    assert "disk-full" in {finding.code for finding in doctor.examine()}


@pytest.mark.ckan_config("ckanext.archiver.quota_bytes", "5")
def test_the_quota(resource: dict[str, Any], ckan_config: Any) -> None:
    """An archive that may not grow is named."""
    ckan_config["ckanext.archiver.quota_bytes"] = 0
    add_copy(resource)
    ckan_config["ckanext.archiver.quota_bytes"] = 5
    assert set(examined()) == {"quota-reached"}


def test_a_folder_that_cannot_be_written(ckan_config: Any, tmp_path: Path) -> None:
    """What is in the way of the archive is named."""
    (tmp_path / "file").write_bytes(b"")
    ckan_config["ckanext-archiver.archive_dir"] = str(tmp_path / "file" / "archive")
    assert set(examined()) == {"folder-unwritable"}


def test_files_that_nobody_needs(resource: dict[str, Any]) -> None:
    """Files of a resource that its archival does not name are removed; the copy that is named stays."""
    add_copy(resource)
    orphan = store_copy(resource, b"older", "older.csv")
    finding = mended("orphan-files")
    assert finding.samples == [orphan]
    assert not os.path.exists(orphan) and os.path.exists(archival(resource).cache_filepath)


def test_files_of_resources_that_are_not_here() -> None:
    """They may be another portal's that uses the same folder: they are named, and stay."""
    path = store_copy({"id": "0" * 8 + "-0000-4000-8000-" + "0" * 12})
    found = examined(fix=True)
    assert set(found) == {"files-of-nobody"} and not found["files-of-nobody"].mendable
    assert os.path.exists(path)


def test_copies_that_are_not_there(resource: dict[str, Any]) -> None:
    """A copy that is gone is forgotten, and its link is checked again; what is known of the link stays."""
    path = add_copy(resource, etag='"1"')
    os.unlink(path)
    mended("copies-missing")
    row = archival(resource)
    assert (row.cache_filepath, row.cache_url, row.etag, row.status_id) == (None, None, None, 0)
    with lease.transaction() as connection:
        assert connection.scalar(sa.select(link_table.c.lane)) in ("bulk", "priority")


def test_foreign_files(archive_dir: Path, resource: dict[str, Any]) -> None:
    """Files that are no copies are named, and nobody but their owner removes them."""
    add_copy(resource)
    (archive_dir / "notes.txt").write_text("mine")
    found = examined(fix=True)
    assert set(found) == {"files-foreign"} and not found["files-foreign"].mendable
    assert (archive_dir / "notes.txt").exists()


def test_an_upload_is_no_orphan(resource: dict[str, Any], tmp_path: Path) -> None:
    """The file of an upload lies elsewhere, and is never touched."""
    original = tmp_path / "original"
    original.write_bytes(b"x")
    add_archival(resource, cache_filepath=str(original))
    assert examined(fix=True) == {} and original.exists()


def serve(web: Web, archive_dir: Path, **headers: str) -> None:
    """Let the server offer the archive, with these headers."""

    def page(request: Handler) -> None:
        path = archive_dir / request.path.removeprefix("/cache/")
        request.answer(200, path.read_bytes(), **headers) if path.is_file() else request.answer(404)

    web.page = lambda path: page  # type: ignore[method-assign]


SAFE = {
    "Content_Disposition": "attachment",
    "X_Content_Type_Options": "nosniff",
    "Content_Security_Policy": "sandbox; default-src 'none'",
}


@pytest.mark.parametrize("lacking", [None, *SAFE])
def test_how_the_copies_are_served(
    web: Web, archive_dir: Path, ckan_config: Any, resource: dict[str, Any], lacking: str | None
) -> None:
    """A web server that offers the copies must keep what is in them from running as part of the portal."""
    ckan_config["ckanext-archiver.cache_url_root"] = web.url("/cache/")
    serve(web, archive_dir, **{name: value for name, value in SAFE.items() if name != lacking})
    add_copy(resource)
    found = examined()
    assert set(found) == ({"copies-unsafe"} if lacking else set())
    if lacking:
        assert lacking.replace("_", "-").lower() in found["copies-unsafe"].remedy


def test_copies_that_are_served_nowhere(web: Web, ckan_config: Any, resource: dict[str, Any]) -> None:
    """An address at which there is no copy, or nobody at all, is named."""
    ckan_config["ckanext-archiver.cache_url_root"] = web.url("/cache/")
    web.page = lambda path: says(404)  # type: ignore[method-assign]
    add_copy(resource)
    assert "answers 404" in examined()["copies-unreachable"].what
    with web.away():
        assert "cannot be fetched" in examined()["copies-unreachable"].what


def test_an_address_that_we_may_not_ask(ckan_config: Any, resource: dict[str, Any]) -> None:
    """The doctor asks through the same door as the workers do."""
    ckan_config["ckanext-archiver.cache_url_root"] = "http://169.254.169.254/cache"
    add_copy(resource)
    assert "cannot be fetched" in examined()["copies-unreachable"].what


FUTURE = datetime.datetime.utcnow() + datetime.timedelta(hours=13)


def test_times_that_are_to_come(resource: dict[str, Any]) -> None:
    """Times that another archiver wrote in local time do not stay ahead of the clock; others stay as they are."""
    created = datetime.datetime(2025, 1, 1)
    add_archival(resource, updated=FUTURE, last_success=FUTURE, created=created)
    mended("times-in-future")
    row = archival(resource)
    assert abs(row.updated - datetime.datetime.utcnow()) < datetime.timedelta(minutes=1)
    assert row.created == created and row.first_failure is None


def test_counts_that_are_missing(resource: dict[str, Any]) -> None:
    """A number of failures that is NULL becomes one that can be added to."""
    add_archival(resource, failure_count=None)
    with lease.transaction() as connection:
        connection.execute(sa.update(Archival.__table__).values(failure_count=None))
    mended("counts-missing")
    assert archival(resource).failure_count == 0


@pytest.mark.parametrize(
    ("before", "is_broken", "status_id"), [(24, None, 22), (99, None, 22), (15, True, 12), (5, True, 12)]
)
def test_a_status_that_there_is_not(
    resource: dict[str, Any], before: int, is_broken: bool | None, status_id: int
) -> None:
    """Numbers of forks become the one of ours that means the same."""
    add_archival(resource, status_id=before, is_broken=is_broken, reason="Kept")
    mended("status-unknown")
    row = archival(resource)
    assert (row.status_id, row.is_broken, row.reason) == (status_id, is_broken, "Kept")


def test_what_contradicts_the_status(resource: dict[str, Any]) -> None:
    """Whether a link is broken follows from its status."""
    add_archival(resource, status_id=12, is_broken=None)
    mended("broken-differs")
    assert archival(resource).is_broken is True


def test_links_that_nobody_scheduled(resource: dict[str, Any]) -> None:
    """Resources from before the plugin was enabled are taken in."""
    with lease.transaction() as connection:
        connection.execute(sa.delete(link_table))
    mended("links-unscheduled")
    with lease.transaction() as connection:
        assert connection.scalar(sa.select(link_table.c.recheck_at))


def test_the_command(cli: Any, resource: dict[str, Any]) -> None:
    """The command ends with 1 if anything is wrong, also as JSON, and says what to do."""
    list(runner.sweep())
    add_archival(resource, status_id=99, is_broken=None)
    shown = cli.invoke(archiver, ["doctor"])
    assert shown.exit_code == 1
    assert "status-unknown: 1 archivals have a status that there is not" in shown.stdout
    assert resource["id"] in shown.stdout and "--fix: they get the one" in shown.stdout
    found = cli.invoke(archiver, ["doctor", "--json"])
    assert found.exit_code == 1
    assert [each["code"] for each in json.loads(found.stdout)["findings"]] == ["status-unknown"]
    fixed = cli.invoke(archiver, ["doctor", "--fix"])
    assert fixed.exit_code == 0 and "mended: they get" in fixed.stdout
    well = cli.invoke(archiver, ["doctor", "--json"])
    assert (well.exit_code, json.loads(well.stdout)) == (0, {"healthy": True, "findings": []})
    assert cli.invoke(archiver, ["doctor"]).stdout == "Nothing is wrong\n"
