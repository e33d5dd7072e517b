"""The commands, as people and cron call them."""

from __future__ import annotations

import csv
import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from kombu.exceptions import OperationalError

from ckanext.archiver import tasks
from ckanext.archiver.cli import archiver, get_commands, workers
from ckanext.archiver.model import Archival
from ckanext.archiver.model.tables import link_table
from ckanext.archiver.storage import store
from ckanext.archiver.tests.portal import act, add_archival, add_copy, make_dataset, store_copy
from ckanext.archiver.tests.web import Web
from ckanext.relay import lease

pytestmark = pytest.mark.usefixtures("archiver_portal")


@pytest.fixture
def run(cli: Any) -> Any:
    """Runs a command and returns its result; what it prints must be there without a terminal, too."""

    def invoke(*arguments: str, code: int = 0, **options: Any) -> Any:
        result = cli.invoke(archiver, list(arguments), **options)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lanes in which the workers were told to begin."""
    lanes: list[str] = []
    monkeypatch.setattr(tasks, "archive_now", lanes.append)
    return lanes


def lanes() -> dict[str, str | None]:
    """Return the lane that the link of each resource is asked for in."""
    with lease.transaction() as connection:
        return dict(connection.execute(sa.select(link_table.c.resource_id, link_table.c.lane)).fetchall())


def rest() -> None:
    """Let nothing be asked for."""
    lease.execute(sa.update(link_table).values(lane=None, due=None))


def archival(resource_id: str) -> Any:
    return Archival.get_for_resource(resource_id)


def ids(*datasets: dict[str, Any]) -> set[str]:
    return {resource["id"] for dataset in datasets for resource in dataset["resources"]}


def asked() -> set[str]:
    return {resource_id for resource_id, lane in lanes().items() if lane}


# -- update


def test_update_of_all(run: Any, sent: list[str]) -> None:
    """Without an identifier, the links of all active datasets are asked for, deleted ones are not."""
    kept, deleted = make_dataset(), make_dataset()
    act("package_delete", None, id=deleted["id"])
    rest()
    sent.clear()
    assert run("update").stdout == "1 links are handed to the workers, queue bulk; the others wait there already\n"
    assert asked() == ids(kept) and set(lanes().values()) == {"bulk"} and sent == ["bulk"]


def test_update_of_what_is_named(run: Any, sent: list[str]) -> None:
    """Organizations, groups, datasets and resources are named by name or id, each with its links."""
    owner, group = factories.Organization(), factories.Group()
    of_owner = make_dataset(owner_org=owner["id"], private=True)
    of_group = make_dataset(groups=[{"name": group["name"]}])
    single = make_dataset(resources=[{"url": "http://h.example/1"}, {"url": "http://h.example/2"}])
    for identifier, wanted in (
        (owner["name"], ids(of_owner)),
        (owner["id"], ids(of_owner)),
        (group["name"], ids(of_group)),
        (single["name"], ids(single)),
        (single["id"], ids(single)),
        (single["resources"][1]["id"], {single["resources"][1]["id"]}),
    ):
        rest()
        found = json.loads(run("update", "--json", "-q", "priority", identifier).stdout)
        assert found == {"queue": "priority", "asked": {identifier: len(wanted)}}
        assert asked() == wanted and sent.pop() == "priority"
    rest()
    run("update", owner["name"], group["name"])
    assert asked() == ids(of_owner, of_group)


def test_update_of_what_is_not_there(run: Any, sent: list[str]) -> None:
    """An unknown identifier is an error that names it, and nothing is done, not for the others either."""
    made = make_dataset()
    rest()
    sent.clear()
    result = run("update", made["name"], "no-such-thing", code=1)
    assert "no-such-thing: neither an organization or group, nor a dataset, nor the id of a resource" in result.stderr
    assert asked() == set() and sent == []


def test_update_in_a_queue_that_there_is_not(run: Any) -> None:
    """The queues have names."""
    assert "'slow' is not one of 'priority', 'bulk'" in run("update", "-q", "slow", code=2).stderr


def test_update_with_the_broker_away(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker the links are asked for all the same; the next sweep finds them."""
    made = make_dataset()
    rest()

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(tasks.archive, "apply_async", away)
    run("update")
    assert asked() == ids(made)


def test_update_test_works_in_this_process(run: Any, web: Web, sent: list[str]) -> None:
    """What is named is checked before the command returns, and each verdict is shown."""
    made = make_dataset(resources=[{"url": web.url("/data.csv")}, {"url": web.url("/missing.csv")}])
    good, bad = (resource["id"] for resource in made["resources"])
    sent.clear()
    lines = set(run("update-test", made["name"]).stdout.splitlines())
    assert lines == {
        f"{good} Archived successfully",
        f"{bad} Download error Server reported status error: 404 Not Found",
    }
    found = {each["resource_id"]: each["status_id"] for each in json.loads(run("update-test", "--json").stdout)}
    assert found == {good: 1, bad: 12} and sent == []
    assert "no-such-thing" in run("update-test", "no-such-thing", code=1).stderr


# -- what there is

UPDATED = datetime.datetime(2026, 3, 1, 12, 34)


def test_view(run: Any) -> None:
    """The counts are shown as they always were."""
    assert run("view").stdout.splitlines() == [
        "Resources: 0 total",
        "Archived resources: 0 total",
        "                    0 with cache_url",
        "Latest archival: (no)",
    ]
    copied, other = make_dataset(), make_dataset()
    add_copy(copied["resources"][0], updated=UPDATED)
    add_archival(other["resources"][0], status_id=12, is_broken=True, failure_count=3)
    assert run("view").stdout.splitlines() == [
        "Resources: 2 total",
        "Archived resources: 2 total",
        "                    1 with cache_url",
        "Latest archival: 2026-03-01 12:34",
    ]
    assert json.loads(run("view", "--json").stdout) == {
        "resources": 2,
        "archived": 2,
        "with_cache_url": 1,
        "latest": "2026-03-01 12:34:00",
    }
    resource_id = other["resources"][0]["id"]
    assert run("view", other["name"]).stdout.splitlines() == [
        f"Package {other['name']} {other['id']}",
        f"Resource {resource_id}",
        f"* <Archival Broken /dataset/{other['name']}/resource/{resource_id} 3 failures>",
    ]
    assert json.loads(run("view", "--json", other["id"]).stdout)[0]["resource_id"] == resource_id
    assert "There is no dataset no-such-thing" in run("view", "no-such-thing", code=1).stderr


def test_init_and_migrate(run: Any) -> None:
    """The tables are made, or brought up to date; doing so again does no harm."""
    for _ in range(2):
        assert "Archiver tables are initialized" in run("init").stdout
        assert "Archiver tables are up to date" in run("migrate").stdout


def test_clean_status(run: Any) -> None:
    """All verdicts are forgotten; what there was is shown before and after."""
    path = add_copy(make_dataset()["resources"][0])
    lines = run("clean-status").stdout.splitlines()
    assert lines[0] == "Before:" and lines[2] == "Archived resources: 1 total"
    assert lines[5] == "After:" and lines[7] == "Archived resources: 0 total"
    assert model.Session.query(Archival).count() == 0 and os.path.exists(path)


def test_clean_cached_resources(run: Any) -> None:
    """All copies are forgotten, with what would keep them from being fetched again; the files stay."""
    resource = make_dataset()["resources"][0]
    path = add_copy(resource, etag='"1"', last_modified="yesterday")
    assert run("clean-cached-resources").stdout.splitlines() == ["Done 1/1", "1 copies are forgotten"]
    model.Session.remove()
    row = archival(resource["id"])
    forgotten = ("cache_url", "cache_filepath", "size", "mimetype", "hash", "etag", "last_modified", "sha256")
    assert [getattr(row, name) for name in forgotten] == [None] * 8
    assert row.status_id == 0 and os.path.exists(path)
    assert run("clean-cached-resources").stdout == "0 copies are forgotten\n"


def test_size_report(run: Any) -> None:
    """Copies are counted by size, those of deleted datasets are not."""
    deleted = make_dataset()
    for size, dataset in (
        (10, make_dataset()),
        (999, make_dataset()),
        (1000, make_dataset()),
        (10**12, make_dataset()),
    ):
        add_archival(dataset["resources"][0], size=size, cache_url="http://cache.example/x")
    add_archival(deleted["resources"][0], size=5, cache_url="http://cache.example/x")
    act("package_delete", None, id=deleted["id"])
    lines = [line.split() for line in run("size-report").stdout.splitlines()]
    assert lines[0] == ["file", "size", "no.", "files", "files", "size", "(bytes)"]
    assert lines[1] == ["<1", "KB", "2", "1,009"] and lines[2] == ["<10", "KB", "1", "1,000"]
    assert lines[-2] == [">100", "GB", "1", f"{10**12:,}"]
    assert lines[-1] == ["Totals:", f"{10**12 + 2009:,}", "bytes"]
    assert json.loads(run("size-report", "--json").stdout)[0] == {"class": "<1 KB", "files": 2, "bytes": 1009}


# -- files


@pytest.mark.ckan_config("ckanext-archiver.max_content_length", "100")
def test_large_copies_are_deleted(run: Any, tmp_path: Path) -> None:
    """Copies that are too large go after a question; the original of an upload never does."""
    large, small, upload = (make_dataset()["resources"][0] for _ in range(3))
    gone = make_dataset()
    path, kept = add_copy(large, b"x" * 100, size=100), add_copy(small, b"x" * 99, size=99)
    original = tmp_path / "original.csv"
    original.write_bytes(b"x" * 5000)
    add_archival(upload, size=5000, cache_filepath=str(original), cache_url=upload["url"])
    add_archival(gone["resources"][0])
    act("package_delete", None, id=gone["id"])
    command = "delete-files-larger-than-max-content-length"
    run(command, input="n\n", code=1)
    assert os.path.exists(path)
    output = run(command, input="\n").stdout
    assert "1 archived files are of 100 bytes or more, together 100 bytes" in output
    assert "1 files and 1 archivals of deleted resources are deleted" in output
    assert not os.path.exists(path) and os.path.exists(kept) and original.read_bytes() == b"x" * 5000
    model.Session.remove()
    row = archival(large["id"])
    assert (row.cache_filepath, row.cache_url, row.size, row.hash) == (None, None, 100, None)
    assert archival(upload["id"]).cache_filepath == str(original)
    assert archival(gone["resources"][0]["id"]) is None
    assert "0 archived files" in run(command, "-y").stdout


def test_folders_of_the_first_release(run: Any, archive_dir: Path) -> None:
    """Copies move to where they are expected, and all that names them follows."""
    resource = make_dataset()["resources"][0]
    short, resource_id = resource["id"][:2], resource["id"]
    old = archive_dir / resource_id
    old.mkdir(parents=True)
    (old / "data.csv").write_bytes(b"old")
    address = f"http://cache.example/{resource_id}/data.csv"
    add_archival(resource, cache_filepath=str(old / "data.csv"), cache_url=address)
    model.Session.query(model.Resource).filter_by(id=resource_id).update({"cache_url": address})
    model.Session.commit()
    assert "1 folders moved" in run("migrate-archive-dirs").stdout
    new = archive_dir / short / resource_id / "data.csv"
    assert new.read_bytes() == b"old" and not old.exists()
    model.Session.remove()
    row = archival(resource_id)
    assert row.cache_filepath == str(new)
    moved = f"http://cache.example/{short}/{resource_id}/data.csv"
    assert row.cache_url == moved and model.Resource.get(resource_id).cache_url == moved
    assert run("migrate-archive-dirs").stdout == "0 folders moved\n"


def test_report_and_delete_orphans(run: Any, tmp_path: Path, archive_dir: Path) -> None:
    """Files that nobody needs, and copies that are not there, are written to a table; the former can be deleted."""
    used, missing, deleted = make_dataset(), make_dataset(), make_dataset()
    kept = add_copy(used["resources"][0])
    os.unlink(gone := add_copy(missing["resources"][0]))
    unnamed = store_copy(used["resources"][0], b"second", "second.csv")
    of_deleted = store_copy(deleted["resources"][0], b"third", "third.csv")
    of_nobody = store_copy({"id": "00000000-0000-4000-8000-000000000000"}, b"fourth")
    act("package_delete", None, id=deleted["id"])
    (archive_dir / "stray.txt").write_text("stray")
    table = tmp_path / "report.csv"
    counts = json.loads(run("report", "--json", str(table)).stdout)
    with table.open(newline="") as stream:
        heading, *rows = csv.reader(stream)
    assert heading == ["Resource ID", "Filepath", "Problem"]
    found = {row[1]: row[2] for row in rows}
    assert found == {
        unnamed: "Resource not cached: active",
        of_deleted: f"Resource not cached: {model.Resource.get(deleted['resources'][0]['id']).state}",
        of_nobody: "Resource not found",
        gone: "File not found: active",
        str(archive_dir / "stray.txt"): "Malformed path (no UUID)",
    }
    assert counts["Resource not found"] == 1 and os.path.exists(unnamed)
    assert "3 deleted" in run("delete-orphans", str(table)).stdout
    assert [os.path.exists(path) for path in (kept, unnamed, of_deleted, of_nobody)] == [True, False, False, False]
    assert (archive_dir / "stray.txt").exists() and list(store().files()) == [kept]
    assert "is a directory" in run("report", str(tmp_path), code=2).stderr


# -- workers


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [([], ("priority", "bulk")), (["all"], ("priority", "bulk")), (["priority"], ("priority",)), (["bulk"], ("bulk",))],
)
def test_old_start_commands(
    cli: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: tuple[str, ...]
) -> None:
    """``celeryd2 run`` becomes a worker for the queues that its argument always meant."""
    calls: list[Any] = []
    monkeypatch.setattr(workers, "run_worker", lambda *given, **more: calls.append((given, more)))
    celeryd2 = get_commands()[1]
    assert cli.invoke(celeryd2, ["run", *arguments]).exit_code == 0
    (((concurrency, kinds, celery_args), more),) = calls
    assert (concurrency, kinds, more["lanes"]) == (1, ["archiver"], wanted) and "--beat" in celery_args
    assert cli.invoke(celeryd2, ["run", "fast"]).exit_code == 2
