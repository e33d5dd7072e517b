"""The table as migrations make it, and databases of ckanext-report, taken over in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.report.model import DataCache, init_tables

pytestmark = pytest.mark.usefixtures("report_db")

INDEXES = {"idx_data_cache_object_id_key": ["object_id", "key"], "ix_data_cache_object_id": ["object_id"]}
BASE, HEAD = "8fda3d90a882", "c27e5b1f4d06"


@pytest.fixture
def migrate(migrate_db_for: Any) -> Iterator[Callable[..., None]]:
    """Migrate to another revision; the table is as it should be for the next test."""

    def to(revision: str, forward: bool = True) -> None:
        model.Session.remove()
        migrate_db_for("report", revision, forward)

    yield to
    to("head")


def run(*statements: str) -> None:
    with model.meta.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def indexes() -> dict[str, Any]:
    return {each["name"]: each["column_names"] for each in sa.inspect(model.meta.engine).get_indexes("data_cache")}


def is_as_it_should_be() -> bool:
    columns = sa.inspect(model.meta.engine).get_columns("data_cache")
    assert {each["name"]: str(each["type"]) for each in columns} == {
        "id": "TEXT", "object_id": "TEXT", "key": "TEXT", "value": "TEXT", "created": "TIMESTAMP",
    }  # fmt: skip
    assert [each["name"] for each in columns if not each["nullable"]] == ["id", "key"]
    with model.meta.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM report_alembic_version")) == HEAD
    return indexes() == INDEXES


def test_a_new_database(migrate: Callable[..., None]) -> None:
    """Each step may be gone back."""
    assert is_as_it_should_be()
    migrate(BASE, forward=False)
    assert indexes()["idx_data_cache_object_id_key"] == ["object_id"]
    migrate("base", forward=False)
    assert not sa.inspect(model.meta.engine).has_table("data_cache")
    migrate("head")
    assert is_as_it_should_be()


@pytest.mark.parametrize("stamped", [True, False], ids=["migrated", "from before there were migrations"])
def test_a_database_of_ckanext_report(migrate: Callable[..., None], stamped: bool) -> None:
    """Its rows stay, and the index becomes what its name says."""
    migrate("base", forward=False)
    run(
        "CREATE TABLE data_cache (id text PRIMARY KEY, object_id text, key text NOT NULL, value text,"
        " created timestamp)",
        "CREATE INDEX idx_data_cache_object_id_key ON data_cache (object_id)",
        "INSERT INTO data_cache VALUES ('1', NULL, 'a', '{}', now())",
    )
    if stamped:
        run("INSERT INTO report_alembic_version VALUES ('8fda3d90a882')")
    else:
        run("DROP TABLE report_alembic_version")
    migrate("head")
    assert is_as_it_should_be()
    assert DataCache.get(None, "a", convert_json=True)[0] == {}
    run("DELETE FROM data_cache")


def test_init_tables_and_migrations_in_any_order(migrate: Callable[..., None]) -> None:
    """``ckan report initdb`` makes the same table, and neither minds the other."""
    migrate("base", forward=False)
    init_tables()
    init_tables()
    migrate("head")
    init_tables()
    assert is_as_it_should_be()


def test_stored_data_are_found_by_the_index() -> None:
    """What each page asks for does not read the table."""
    with model.meta.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        query = "EXPLAIN SELECT id FROM data_cache WHERE object_id = 'a' AND key = 'b'"
        assert "idx_data_cache" in "".join(row[0] for row in connection.execute(sa.text(query)))
