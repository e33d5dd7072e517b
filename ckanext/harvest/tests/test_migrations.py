"""The tables as migrations make them: as the contract has them, and as the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model

from ckanext.harvest.model import HarvestSource

pytestmark = pytest.mark.usefixtures("harvest_db", "clean_db")

TEXT, TIME, BOOL, INT = "TEXT", "TIMESTAMP", "BOOLEAN", "INTEGER"
COLUMNS = {
    "harvest_source": {
        "id": TEXT, "url": TEXT, "title": TEXT, "description": TEXT, "config": TEXT, "created": TIME, "type": TEXT,
        "active": BOOL, "user_id": TEXT, "publisher_id": TEXT, "frequency": TEXT, "next_run": TIME,
    },
    "harvest_job": {
        "id": TEXT, "created": TIME, "gather_started": TIME, "gather_finished": TIME, "finished": TIME,
        "source_id": TEXT, "status": TEXT,
    },
    "harvest_object": {
        "id": TEXT, "guid": TEXT, "current": BOOL, "gathered": TIME, "fetch_started": TIME, "content": TEXT,
        "fetch_finished": TIME, "import_started": TIME, "import_finished": TIME, "state": TEXT,
        "metadata_modified_date": TIME, "retry_times": INT, "harvest_job_id": TEXT, "harvest_source_id": TEXT,
        "package_id": TEXT, "report_status": TEXT,
    },
    "harvest_object_extra": {"id": TEXT, "harvest_object_id": TEXT, "key": TEXT, "value": TEXT},
    "harvest_gather_error": {"id": TEXT, "harvest_job_id": TEXT, "message": TEXT, "created": TIME},
    "harvest_object_error": {
        "id": TEXT, "harvest_object_id": TEXT, "message": TEXT, "stage": TEXT, "line": INT, "created": TIME,
    },
    "harvest_log": {"id": TEXT, "content": TEXT, "level": "VARCHAR(8)", "created": TIME},
}  # fmt: skip
OURS = {
    "harvest_job": {"claimed_by": TEXT, "attempts": INT, "stats": TEXT, "lane": TEXT, "tally": TEXT, "counts": "ARRAY"},
    "harvest_object": {"claimed_by": TEXT, "published": BOOL, "content_hash": TEXT, "needs_index": BOOL},
    "harvest_object_error": {"harvest_job_id": TEXT, "cause": TEXT},
    "harvest_gather_error": {"cause": TEXT},
    "harvest_lease": {"id": TEXT, "task": TEXT, "started": TIME, "expires": TIME},
    "harvest_clearing": {
        "source_id": TEXT,
        "user_name": TEXT,
        "asked": TIME,
        "done": INT,
        "total": INT,
        "error": TEXT,
    },
}
REQUIRED = {
    ("harvest_source", "url"), ("harvest_source", "type"), ("harvest_job", "status"), ("harvest_log", "content"),
    ("harvest_lease", "task"), ("harvest_lease", "started"), ("harvest_lease", "expires"),
    ("harvest_clearing", "source_id"), ("harvest_clearing", "user_name"), ("harvest_clearing", "asked"),
}  # fmt: skip
#: table → constraint → column and the table that it refers to
REFERENCES = {
    "harvest_job": {"harvest_job_source_id_fkey": ("source_id", "harvest_source")},
    "harvest_object": {
        "harvest_object_harvest_job_id_fkey": ("harvest_job_id", "harvest_job"),
        "harvest_object_harvest_source_id_fkey": ("harvest_source_id", "harvest_source"),
        "harvest_object_package_id_fkey": ("package_id", "package"),
    },
    "harvest_object_extra": {
        "harvest_object_extra_harvest_object_id_fkey": ("harvest_object_id", "harvest_object"),
    },
    "harvest_gather_error": {"harvest_gather_error_harvest_job_id_fkey": ("harvest_job_id", "harvest_job")},
    "harvest_object_error": {
        "harvest_object_error_harvest_object_id_fkey": ("harvest_object_id", "harvest_object"),
    },
    "harvest_clearing": {"harvest_clearing_source_id_fkey": ("source_id", "harvest_source")},
}
INDEXES = {
    "harvest_object": {
        "harvest_job_id_idx": "harvest_job_id",
        "harvest_source_id_idx": "harvest_source_id",
        "package_id_idx": "package_id",
        "guid_idx": "guid",
    },
    "harvest_object_extra": {"harvest_object_id_idx": "harvest_object_id"},
    "harvest_object_error": {"harvest_error_harvest_object_id_idx": "harvest_object_id"},
}


@pytest.fixture
def migrate(migrate_db_for: Any) -> Iterator[Callable[..., None]]:
    """Migrate the tables of the plugin to another revision; they are as they should be for the next test."""

    def to(revision: str, forward: bool = True) -> None:
        model.Session.remove()
        migrate_db_for("harvest", revision, forward)

    yield to
    to("head")


def inspector() -> sa.engine.Inspector:
    return sa.inspect(model.meta.engine)


def tables() -> set[str]:
    return {name for name in inspector().get_table_names() if name.startswith("harvest_")}


def columns(table: str) -> dict[str, str]:
    return {each["name"]: str(each["type"]) for each in inspector().get_columns(table)}


def version() -> str:
    with model.meta.engine.connect() as connection:
        return str(connection.scalar(sa.text("SELECT version_num FROM harvest_alembic_version")))


def test_a_new_database_has_what_the_contract_names(migrate: Callable[..., None]) -> None:
    """Tables, columns, references and indexes, with the names that others use in SQL."""
    migrate("base", forward=False)
    assert tables() <= {"harvest_alembic_version"}
    migrate("head")
    assert tables() == {*COLUMNS, *OURS, "harvest_alembic_version"}
    for table in {*COLUMNS, *OURS}:
        assert columns(table) == COLUMNS.get(table, {}) | OURS.get(table, {}), table
        for each in inspector().get_columns(table):
            assert each["nullable"] is ((table, each["name"]) not in REQUIRED and each["name"] != "id"), each
            assert each["default"] is None, each
        key = "source_id" if table == "harvest_clearing" else "id"
        assert inspector().get_pk_constraint(table)["constrained_columns"] == [key]
    for table, indexes in INDEXES.items():
        found = {each["name"]: each["column_names"] for each in inspector().get_indexes(table)}
        assert indexes == {name: found.get(name, [None])[0] for name in indexes}


def test_references() -> None:
    """What belongs to something that is deleted goes with it; the reference to a dataset may be checked at the end."""
    for table in COLUMNS:
        found = {each["name"]: each for each in inspector().get_foreign_keys(table)}
        assert {
            name: (each["constrained_columns"][0], each["referred_table"]) for name, each in found.items()
        } == REFERENCES.get(table, {})
        for name, each in found.items():
            assert each["referred_columns"] == ["id"]
            assert each["options"].get("ondelete") == "CASCADE"
            assert bool(each["options"].get("deferrable")) is (name == "harvest_object_package_id_fkey")
            assert not each["options"].get("initially")


def test_levels_of_the_log() -> None:
    """The type has the name that existing databases have."""
    levels = {each["name"]: each["labels"] for each in inspector().get_enums()}  # type: ignore[attr-defined]
    assert levels["log_level"] == ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def test_the_model_sees_what_the_migrations_make() -> None:
    """No column, type or reference of the model differs from the tables; indexes are the migrations' alone."""

    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or bool(name and name.startswith("harvest_") and name != "harvest_alembic_version")

    with model.meta.engine.connect() as connection:
        options = {"compare_type": True, "include_name": ours, "include_object": _is_ours}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, HarvestSource.metadata)
    assert [each for each in differences if each[0] != "remove_index"] == []


def _is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    return kind != "table" or bool(name and name.startswith("harvest_"))


def test_each_step_may_be_gone_back(migrate: Callable[..., None]) -> None:
    """The revisions that existing databases have are in the chain, and each can be reached from either side."""
    ours = ["e6b2d94f1c08", "a4e0b7f3c912", "7f20c4b9e1d6", "2c7d91e5a0f3", "9d3f6a20c8b4", "5e1a7c0d9b21"]
    revisions = [*ours, "75d650dfd519", "3b4894672727"]
    assert version() == revisions[0]
    for revision in revisions[1:]:
        migrate(revision, forward=False)
        assert version() == revision
        assert ("claimed_by" in columns("harvest_object")) is (revision in ours)
    migrate("base", forward=False)
    assert "log_level" not in {each["name"] for each in inspector().get_enums()}  # type: ignore[attr-defined]
    for revision in reversed(revisions):
        migrate(revision)
        assert version() == revision
    assert "claimed_by" in columns("harvest_object")


def test_tables_from_before_there_were_migrations(migrate: Callable[..., None]) -> None:
    """A database that has the tables and no revision is taken as it is, with its rows."""
    migrate("75d650dfd519", forward=False)
    with model.meta.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO harvest_source (id, url, type) VALUES ('one', 'http://city', 'ckan')"))
        connection.execute(sa.text("DROP TABLE harvest_alembic_version"))
    migrate("head")
    assert version() == "e6b2d94f1c08"
    with model.meta.engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT url FROM harvest_source WHERE id = 'one'")) == "http://city"
        connection.execute(sa.text("DELETE FROM harvest_source"))


def test_errors_that_are_there_get_their_job_and_cause(migrate: Callable[..., None]) -> None:
    """Those of a database that is taken over are found on the pages of their jobs."""
    migrate("9d3f6a20c8b4", forward=False)
    inserts = (
        "INSERT INTO harvest_source (id, url, type) VALUES ('s', 'u', 't')",
        "INSERT INTO harvest_job (id, source_id, status) VALUES ('j', 's', 'Finished')",
        "INSERT INTO harvest_object (id, harvest_job_id, harvest_source_id) VALUES ('o', 'j', 's')",
        "INSERT INTO harvest_object_error (id, harvest_object_id, message) VALUES ('1', 'o', 'Bad line 12'), "
        "('2', 'o', 'Bad line 3456'), ('3', 'o', NULL), ('4', NULL, 'of nothing')",
        "INSERT INTO harvest_gather_error (id, harvest_job_id, message) VALUES ('1', 'j', 'Bad line 7')",
    )
    with model.meta.engine.begin() as connection:
        for statement in inserts:
            connection.execute(sa.text(statement))
    migrate("head")
    with model.meta.engine.begin() as connection:
        found = connection.execute(
            sa.text("SELECT id, harvest_job_id, cause FROM harvest_object_error ORDER BY id")
        ).all()
        of_gather = connection.scalar(sa.text("SELECT cause FROM harvest_gather_error"))
        connection.execute(sa.text("DELETE FROM harvest_object_error"))
        connection.execute(sa.text("DELETE FROM harvest_source"))
    assert [row.harvest_job_id for row in found] == ["j", "j", "j", None]
    assert found[0].cause == found[1].cause == of_gather
    assert len({row.cause for row in found}) == 3


def test_what_is_deleted_takes_along_what_belongs_to_it() -> None:
    """One statement deletes a source with its jobs, objects, extras and errors."""
    inserts = (
        "INSERT INTO harvest_source (id, url, type) VALUES ('s', 'u', 't')",
        "INSERT INTO harvest_job (id, source_id, status) VALUES ('j', 's', 'New')",
        "INSERT INTO harvest_object (id, harvest_job_id, harvest_source_id) VALUES ('o', 'j', 's')",
        "INSERT INTO harvest_object_extra (id, harvest_object_id) VALUES ('e', 'o')",
        "INSERT INTO harvest_object_error (id, harvest_object_id) VALUES ('oe', 'o')",
        "INSERT INTO harvest_gather_error (id, harvest_job_id) VALUES ('ge', 'j')",
        "DELETE FROM harvest_source WHERE id = 's'",
    )
    with model.meta.engine.begin() as connection:
        for statement in inserts:
            connection.execute(sa.text(statement))
        for table in ("job", "object", "object_extra", "object_error", "gather_error"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM harvest_{table}")) == 0


#: So many rows that one index is better than another.
FILLED = (
    "INSERT INTO harvest_source (id, url, type) SELECT 's' || n, 'u', 't' FROM generate_series(1, 20) AS n",
    "INSERT INTO package (id, name) SELECT 'p' || n, 'p' || n FROM generate_series(1, 2000) AS n",
    "INSERT INTO harvest_object (id, harvest_source_id, package_id, current) "
    "SELECT 'o' || n, 's' || 1 + n % 20, 'p' || n, true FROM generate_series(1, 2000) AS n",
    "ANALYZE harvest_object",
    "ANALYZE package",
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL enable_bitmapscan = off",
)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT id FROM harvest_object WHERE harvest_source_id = 's' AND state IN ('FETCH', 'IMPORT', 'WAITING')"
            " ORDER BY gathered, id LIMIT 50",
            "harvest_object_open_idx",
        ),
        (
            "SELECT id FROM harvest_object WHERE needs_index AND harvest_source_id = 's'",
            "harvest_object_needs_index_idx",
        ),
        ("SELECT id FROM harvest_job WHERE status IN ('New', 'Running')", "harvest_job_open_idx"),
        (
            "SELECT id FROM harvest_object WHERE current AND package_id = 'p'",
            "harvest_object_current_package_idx",
        ),
        (
            "SELECT DISTINCT package_id FROM harvest_object WHERE harvest_source_id = 's' AND current",
            "harvest_object_current_source_idx",
        ),
        (
            "SELECT stage, cause, count(*) FROM harvest_object_error WHERE harvest_job_id = 'j' GROUP BY stage, cause",
            "harvest_object_error_cause_idx",
        ),
        ("SELECT stats FROM harvest_job WHERE finished >= '2026-01-01'", "harvest_job_finished_idx"),
        ("SELECT count(*) FROM package WHERE state != 'active' OR private", "harvest_package_hidden_idx"),
    ],
)
def test_the_engine_finds_its_work_by_an_index(query: str, index: str) -> None:
    """What workers ask for all the time does not read all that was ever harvested."""
    with model.meta.engine.connect() as connection, connection.begin() as filled:
        for statement in FILLED:
            connection.execute(sa.text(statement))
        plan = "\n".join(row[0] for row in connection.execute(sa.text(f"EXPLAIN {query}")))
        filled.rollback()
    assert index in plan
