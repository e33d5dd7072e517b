"""The tables as migrations make them: as the contract has them, as the model sees them, and as others left them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model

from ckanext.archiver.model import Archival, init_tables, metadata

pytestmark = pytest.mark.usefixtures("clean_archiver")

BASE, OURS = "67818770e95f", "a41c7e52d903"
TEXT, TIME, BOOL, INT, BIG = "TEXT", "TIMESTAMP", "BOOLEAN", "INTEGER", "BIGINT"
CONTRACT = {
    "id": TEXT, "package_id": TEXT, "resource_id": TEXT, "resource_timestamp": TIME, "status_id": INT,
    "is_broken": BOOL, "reason": TEXT, "url_redirected_to": TEXT, "cache_filepath": TEXT, "cache_url": TEXT,
    "size": BIG, "mimetype": TEXT, "hash": TEXT, "etag": TEXT, "last_modified": TEXT, "first_failure": TIME,
    "last_success": TIME, "failure_count": INT, "created": TIME, "updated": TIME,
}  # fmt: skip
ADDED = {
    "cause": TEXT, "verdict": TEXT, "suspect_since": TIME, "suspect_count": INT, "checked_url": TEXT, "sha256": TEXT,
    "redirects": TEXT,
}  # fmt: skip
#: As ckanext-archiver made it before 2016, by SQLAlchemy.
OLD_TABLE = """
    CREATE TABLE archival (
        id TEXT PRIMARY KEY, package_id TEXT NOT NULL, resource_id TEXT NOT NULL, resource_timestamp TIMESTAMP,
        status_id INTEGER, is_broken BOOLEAN, reason TEXT, url_redirected_to TEXT, cache_filepath TEXT,
        cache_url TEXT, size BIGINT, mimetype TEXT, hash TEXT, first_failure TIMESTAMP, last_success TIMESTAMP,
        failure_count INTEGER, created TIMESTAMP, updated TIMESTAMP
    )
"""


@pytest.fixture
def migrate(migrate_db_for: Any) -> Iterator[Callable[..., None]]:
    """Migrate the tables of the plugin to another revision; they are as they should be for the next test."""

    def to(revision: str, forward: bool = True) -> None:
        model.Session.remove()
        migrate_db_for("archiver", revision, forward)

    yield to
    to("head")


@pytest.fixture
def old(migrate: Callable[..., None]) -> None:
    """A database from before there were migrations: without any of our tables."""
    migrate("base", forward=False)
    run("DROP TABLE IF EXISTS archival, archiver_alembic_version")


def run(*statements: str, **values: Any) -> None:
    with model.meta.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)


def rows(query: str) -> list[Any]:
    with model.meta.engine.begin() as connection:
        return list(connection.execute(sa.text(query)))


def inspector() -> sa.engine.Inspector:
    return sa.inspect(model.meta.engine)


def columns(table: str = "archival") -> dict[str, str]:
    return {each["name"]: str(each["type"]) for each in inspector().get_columns(table)}


def version() -> str:
    return str(rows("SELECT version_num FROM archiver_alembic_version")[0][0])


def test_a_new_database_has_what_the_contract_names(migrate: Callable[..., None]) -> None:
    """Columns, which of them are required, and indexes, with the names that others use in SQL."""
    migrate("base", forward=False)
    assert not {"archival", "archiver_link"} & set(inspector().get_table_names())
    migrate("head")
    assert columns() == CONTRACT | ADDED
    assert list(columns())[:20] == list(CONTRACT)
    required = {each["name"] for each in inspector().get_columns("archival") if not each["nullable"]}
    assert required == {"id", "package_id", "resource_id"}
    indexes = {each["name"]: (each["column_names"], each["unique"]) for each in inspector().get_indexes("archival")}
    assert indexes == {
        "ix_archival_package_id": (["package_id"], False),
        "ix_archival_resource_id": (["resource_id"], True),
    }


def test_the_model_is_what_the_migrations_make() -> None:
    """Neither lacks a table, column or index of the other."""
    ours = set(metadata.tables)

    def is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
        return kind != "table" or name in ours

    with model.meta.engine.connect() as connection:
        options = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_each_step_may_be_gone_back(migrate: Callable[..., None]) -> None:
    """Whoever goes back to ckanext-archiver finds the table that it knows, and may come again."""
    assert version() == OURS
    migrate(BASE, forward=False)
    assert (version(), columns()) == (BASE, CONTRACT)
    run("INSERT INTO archival (id, package_id, resource_id) VALUES ('a', 'p', 'r'), ('b', 'p', 'r')")
    migrate("head")
    assert version() == OURS
    assert len(rows("SELECT id FROM archival")) == 1


@pytest.mark.parametrize("kind", [None, "VARCHAR"])
@pytest.mark.parametrize("way", ["migrations", "init_tables"])
def test_a_table_from_before_there_were_migrations(
    kind: str | None, way: str, old: None, migrate: Callable[..., None]
) -> None:
    """It is completed in place: two columns that came later, or came as varchar; what it says stays."""
    run(OLD_TABLE)
    if kind:
        run(f"ALTER TABLE archival ADD COLUMN etag {kind}, ADD COLUMN last_modified {kind}")
    run(
        "INSERT INTO archival (id, package_id, resource_id, status_id, is_broken, reason, failure_count)"
        " VALUES ('a', 'p', 'r1', 12, true, 'gone', 7), ('b', 'p', 'r2', 0, false, '', 0),"
        " ('c', 'p', 'r3', 24, NULL, 'forbidden', 1), ('d', 'p', 'r4', NULL, NULL, NULL, NULL)"
    )
    if way == "migrations":
        migrate("head")
    init_tables(model.meta.engine)
    migrate("head")
    assert columns() == CONTRACT | ADDED
    assert version() == OURS
    assert rows("SELECT id, status_id, is_broken, reason, failure_count, verdict FROM archival ORDER BY id") == [
        ("a", 12, True, "gone", 7, None),
        ("b", 0, False, "", 0, "ok"),
        ("c", 24, None, "forbidden", 1, None),
        ("d", None, None, None, None, None),
    ]
    assert {each["name"] for each in inspector().get_indexes("archival")} == {
        "ix_archival_package_id",
        "ix_archival_resource_id",
    }


def test_of_several_rows_of_a_resource_the_newest_stays(migrate: Callable[..., None]) -> None:
    """Jobs of ckanext-archiver that ran at the same time made them."""
    migrate(BASE, forward=False)
    run(
        "INSERT INTO archival (id, package_id, resource_id, updated, created) VALUES"
        " ('old', 'p', 'r', '2026-01-01', '2026-01-05'), ('new', 'p', 'r', '2026-01-02', NULL),"
        " ('never', 'p', 'r', NULL, '2026-01-09'), ('other', 'p', 'r2', NULL, NULL)"
    )
    migrate("head")
    assert [row.id for row in rows("SELECT id FROM archival ORDER BY id")] == ["new", "other"]


def test_tables_of_a_test_suite(old: None, migrate: Callable[..., None]) -> None:
    """What ``metadata.create_all`` made is as good."""
    metadata.create_all(model.meta.engine)
    migrate("head")
    init_tables(model.meta.engine)
    assert version() == OURS


def task_status(resource_id: str, value: str, error: str, key: str = "status", kind: str = "archiver") -> None:
    statement = (
        "INSERT INTO task_status (id, entity_id, entity_type, task_type, key, value, error, last_updated)"
        " VALUES (:id, :resource_id, 'resource', :kind, :key, :value, :error, '2013-05-06 07:08:09')"
    )
    values = {"resource_id": resource_id, "kind": kind, "key": key, "value": value, "error": error}
    run(statement, id=f"{resource_id} {kind} {key}", **values)


def test_what_the_first_version_recorded(migrate: Callable[..., None]) -> None:
    """Rows of ``task_status`` become archivals, with what the resource says of the file; whatever is in them."""
    migrate(BASE, forward=False)
    run("INSERT INTO package (id, name, type, state) VALUES ('p', 'data', 'dataset', 'active')")
    extras = json.dumps({"cache_filepath": "/archive/r1/data.csv"})
    for resource_id in ("r1", "r2", "r3", "r4", "r5"):
        run(
            "INSERT INTO resource (id, package_id, url, state, cache_url, hash, size, mimetype, extras)"
            " VALUES (:id, 'p', 'http://a/', 'active', 'http://cache/', 'abc', 5, 'text/csv', :extras)",
            id=resource_id,
            extras=extras,
        )
    said = {
        "reason": "Server reported status error: 404 Not Found", "last_success": "2013-01-01T01:02:03",
        "first_failure": "2013-02-01T00:00:00+02:00", "failure_count": "3", "url_redirected_to": "http://b/",
    }  # fmt: skip
    task_status("r1", "Download error", json.dumps(said))
    task_status("r2", "Archived successfully", "no JSON")
    task_status("r3", "A status of a fork", json.dumps({"failure_count": [], "first_failure": 5, "reason": {}}))
    task_status("r4", "Download error", "{}", key="other")
    task_status("r4", "Download error", "{}", kind="qa")
    task_status("r5", "Download error", json.dumps(said))
    task_status("unknown", "Download error", "{}")
    run("INSERT INTO archival (id, package_id, resource_id, status_id) VALUES ('mine', 'p', 'r5', 0)")
    migrate("head")
    found = {each.resource_id: each for each in model.Session.query(Archival)}
    assert sorted(found) == ["r1", "r2", "r3", "r5"]
    first = found["r1"]
    assert (first.status_id, first.is_broken, first.failure_count, first.verdict) == (12, True, 3, None)
    assert (first.reason, first.url_redirected_to) == (said["reason"], "http://b/")
    assert (first.cache_filepath, first.cache_url) == ("/archive/r1/data.csv", "http://cache/")
    assert (first.hash, first.size, first.mimetype, first.package_id) == ("abc", 5, "text/csv", "p")
    assert first.first_failure == datetime.datetime(2013, 1, 31, 22)
    assert first.created == first.last_success == datetime.datetime(2013, 1, 1, 1, 2, 3)
    assert first.updated == datetime.datetime(2013, 5, 6, 7, 8, 9)
    assert (found["r2"].is_broken, found["r2"].verdict, found["r2"].failure_count) == (False, "ok", 0)
    assert (found["r3"].status_id, found["r3"].failure_count, found["r3"].reason) == (None, 0, "")
    assert (found["r5"].id, found["r5"].status_id) == ("mine", 0)
    assert len(rows("SELECT id FROM task_status")) == 7


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT url_hash FROM archiver_link WHERE lane IS NOT NULL AND lane = 'bulk' AND host = 'a'"
            " AND due <= now() ORDER BY due LIMIT 50",
            "archiver_link_due_idx",
        ),
        (
            "SELECT resource_id FROM archiver_link WHERE lane IS NULL AND recheck_at <= now()"
            " ORDER BY suspect DESC, recheck_at, resource_id LIMIT 50",
            "archiver_link_recheck_idx",
        ),
        ("SELECT package_id FROM archiver_link WHERE notice IS NOT NULL", "archiver_link_notice_idx"),
        ("SELECT 1 FROM archiver_link WHERE lane IS NOT NULL AND package_id = 'p'", "archiver_link_open_package_idx"),
        ("SELECT 1 FROM archiver_link WHERE host = 'a' AND url_hash = 'h'", "archiver_link_url_idx"),
        ("SELECT path FROM archiver_removal WHERE due <= now() ORDER BY due LIMIT 5", "archiver_removal_due_idx"),
    ],
)
def test_the_engine_finds_its_work_by_an_index(query: str, index: str) -> None:
    """What workers ask for all the time does not read all that there is."""
    with model.meta.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        connection.execute(sa.text("SET LOCAL enable_bitmapscan = off"))
        plan = "\n".join(row[0] for row in connection.execute(sa.text(f"EXPLAIN {query}")))
    assert index in plan
