"""A database and an archive folder that ckanext-archiver has written are taken over in place.

What it left was recorded from a portal of its own: see ``takeover``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.archiver import doctor, inventory, runner
from ckanext.archiver.model import Archival
from ckanext.archiver.storage import store
from ckanext.relay.celery_app import BULK

from .takeover.left import Left
from .takeover.old_files import ROUNDS, OldFiles

pytestmark = pytest.mark.usefixtures("archiver_portal")

#: Two columns that ckanext-archiver did not have in its first years.
LATER = ("etag", "last_modified")
#: What it keeps of the last good copy, and of the history.
COPY = ("cache_filepath", "cache_url", "hash", "size", "created")
#: What it had a copy of, and is as it was.
COPIED = ("ok.csv", "recovered.csv", "changed.csv", "raced.csv", "lower-case-etag.csv")


@pytest.fixture
def files() -> Iterator[OldFiles]:
    """The server of the publisher, where it was when the portal changed hands."""
    with OldFiles() as running:
        running.round = ROUNDS
        yield running


@pytest.fixture
def left(files: OldFiles, archive_dir: Path, tmp_path: Path, ckan_config: Any, migrate: Callable[..., None]) -> Left:
    """What ckanext-archiver left; nothing of it is in the database yet."""
    ckan_config["ckanext-archiver.cache_url_root"] = "http://cache.example/"
    ckan_config["ckan.storage_path"] = str(tmp_path / "storage")
    ckan_config["ckanext.relay.allowed_networks"] = ["127.0.0.0/8"]
    return Left(archive_dir, tmp_path / "storage", files.url.removeprefix("http://"), tk.config["ckan.site_url"])


@pytest.fixture
def migrate(migrate_db_for: Any) -> Iterator[Callable[..., None]]:
    """Remove our tables, as if we had never been there; migrate to the newest revision when called."""

    def to_head() -> None:
        model.Session.remove()
        migrate_db_for("archiver", "head")

    model.Session.remove()
    migrate_db_for("archiver", "base", False)
    with model.meta.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS archival, archiver_alembic_version"))
    yield to_head
    to_head()


def archive_all(left: Left) -> None:
    """One round over all links."""
    for _checked in runner.archive_now([left.ids[name] for name in left.ids], BULK):
        pass
    model.Session.remove()


def test_verdicts_files_and_history_are_there_after_the_migration(left: Left, migrate: Callable[..., None]) -> None:
    """Each row says what it said, each file is where it was; of the two rows that a race left the newer one stays."""
    left.lay_out()
    assert len([row for row in left.archivals if row["resource_id"] == left.ids["raced.csv"]]) == 2
    migrate()
    assert left.now() == {name: left.row(name) for name in left.ids}
    assert left.copies() == left.recorded["archive"]
    verdicts = {name: Archival.get_for_resource(left.ids[name]).verdict for name in left.ids}  # type: ignore[union-attr]
    assert verdicts == {name: "ok" if left.row(name)["is_broken"] is False else None for name in left.ids}


def test_the_api_says_what_it_said(left: Left, migrate: Callable[..., None]) -> None:
    """The keys and the values of ckanext-archiver, with ours behind them; paths of the server for sysadmins."""
    left.lay_out()
    migrate()
    shown = tk.get_action("package_show")({"ignore_auth": True}, {"id": "history"})
    for resource in shown["resources"]:
        row = left.row(resource["name"])
        said = resource["archiver"]
        times = {key: said[key] for key in ("first_failure", "last_success", "created", "updated")}
        assert times == {key: row[key] for key in times}
        same = set(row) - {"id", "package_id", "resource_id", "cache_filepath", *times}
        assert {key: said[key] for key in same} == {key: row[key] for key in same}
    assert shown["archiver"]["status_id"] == 21


@pytest.mark.parametrize("without", [(), LATER])
def test_a_round_goes_on_from_there(
    without: tuple[str, ...], left: Left, files: OldFiles, migrate: Callable[..., None]
) -> None:
    """Copies stay where they are and are fetched again only where their server cannot say that they are the same;
    failures are counted on; what only ckanext-archiver took for broken is well."""
    left.lay_out(without)
    migrate()
    before = left.now()
    archive_all(left)
    now = left.now()
    assert {name: row["status_id"] for name, row in now.items()} == {
        **dict.fromkeys(("ok.csv", "recovered.csv", "redirected.csv", "changed.csv", "raced.csv", "uploaded.csv"), 0),
        **dict.fromkeys(("with%20space.csv", "unset.csv"), 0),
        "lower-case-etag.csv": 0,
        **dict.fromkeys(("gone.csv", "lost.csv"), 12),
        "mailto:someone@example.org": 10,
        "large.zip": 21,
        # nobody asks for a deleted one
        "deleted.csv": 0,
        "private.csv": now["private.csv"]["status_id"],
    }
    for name in COPIED:
        assert [now[name][key] for key in COPY] == [before[name][key] for key in COPY]
        assert now[name]["last_success"] > before[name]["last_success"]
        assert now[name]["failure_count"] == 0
    for name in ("gone.csv", "lost.csv", "mailto:someone@example.org"):
        assert now[name]["failure_count"] == before[name]["failure_count"] + 1
        assert now[name]["first_failure"] == before[name]["first_failure"]
    assert [now["lost.csv"][key] for key in COPY] == [before["lost.csv"][key] for key in COPY]
    assert now["redirected.csv"]["url_redirected_to"] == before["redirected.csv"]["url_redirected_to"]
    healed = now["with%20space.csv"]
    assert (healed["is_broken"], healed["failure_count"], healed["first_failure"]) == (False, 0, None)
    copies = left.copies()
    assert {name: copies.get(name) for name in left.recorded["archive"]} == left.recorded["archive"]
    files.answered.clear()
    archive_all(left)
    statuses = {status for path, status in files.answered if path.removeprefix("/") in COPIED}
    assert statuses == {304}, "by now it is known which file is there"
    assert left.copies() == copies


def test_uploads_stay_what_they_are(left: Left, migrate: Callable[..., None]) -> None:
    """The row of an upload names the original, which no round, no sweep and no command of ours touches."""
    left.lay_out()
    migrate()
    before = left.now()["uploaded.csv"]
    archive_all(left)
    now = left.now()["uploaded.csv"]
    assert [now[key] for key in COPY] == [before[key] for key in COPY]
    assert Path(now["cache_filepath"]).read_text() == left.recorded["uploads"][next(iter(left.recorded["uploads"]))]
    assert [each.path for each in inventory.larger_than(1, store())].count(now["cache_filepath"]) == 0


def test_the_doctor_takes_away_only_what_nobody_needs(left: Left, migrate: Callable[..., None]) -> None:
    """A file that no row names, since there was no address to note when it came; verdicts and copies stay."""
    left.lay_out()
    migrate()
    rows, copies = left.now(), left.copies()
    unnamed = next(name for name in copies if name.endswith("/unset.csv"))
    assert {each.path: each.what for each in inventory.problems(store())} == {
        str(left.archive / unnamed): "Resource not cached: active"
    }
    found = {finding.code: finding for finding in doctor.examine()}
    assert found["orphan-files"].samples == [str(left.archive / unnamed)]
    assert left.copies() == copies, "nothing is mended unless it is asked for"
    assert not [finding.code for finding in doctor.examine(fix=True) if finding.mendable and finding.left]
    assert left.now() == rows
    assert left.copies() == {name: text for name, text in copies.items() if name != unnamed}
    assert not [finding.code for finding in doctor.examine() if finding.mendable]


def test_an_archive_of_the_first_version(left: Left, migrate: Callable[..., None]) -> None:
    """Its verdicts were in ``task_status`` and its folders had no folder above them; both are taken over."""
    resource_id = left.ids["unset.csv"]
    left.archivals = [row for row in left.archivals if row["resource_id"] != resource_id]
    left.lay_out()
    old, new = left.archive / resource_id / "unset.csv", left.archive / resource_id[:2] / resource_id / "unset.csv"
    old.parent.mkdir()
    new.rename(old)
    new.parent.rmdir()
    said = {"reason": "", "last_success": "2013-01-02T03:04:05", "first_failure": None, "failure_count": 0,
            "url_redirected_to": None}  # fmt: skip
    with model.meta.engine.begin() as connection:
        status = model.TaskStatus.__table__.insert().values(
            id="first", entity_id=resource_id, entity_type="resource", task_type="archiver", key="status",
            value="Archived successfully", error=json.dumps(said), last_updated=datetime(2013, 1, 2, 3, 4, 6),
        )  # fmt: skip
        connection.execute(status)
        resource = model.Resource.__table__.update().where(model.Resource.id == resource_id)
        cache_url = f"http://cache.example/{resource_id}/unset.csv"
        connection.execute(resource.values(cache_url=cache_url, extras={"cache_filepath": str(old)}))
    migrate()
    row = left.now()["unset.csv"]
    assert (row["status_id"], row["is_broken"], row["cache_filepath"]) == (0, False, str(old))
    assert (row["last_success"], row["updated"]) == ("2013-01-02T03:04:05", "2013-01-02T03:04:06")
    list(inventory.migrate_folders(store()))
    row = left.now()["unset.csv"]
    assert row["cache_filepath"] == str(new)
    assert row["cache_url"] == f"http://cache.example/{resource_id[:2]}/{resource_id}/unset.csv"
    assert left.copies() == left.recorded["archive"]
