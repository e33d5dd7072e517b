"""The tables as migrations make them: as the contract has them, as the model sees them, and as others left them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model

from ckanext.syndicate.model import SyndicationLog, copies, init_tables, metadata
from ckanext.syndicate.tests.rows import add_dataset

pytestmark = pytest.mark.usefixtures("clean_syndicate")

CONFIG, DROPPED, LOG, ENGINE = "f2304c5669f5", "dc12aa918b85", "b1c3e920f499", "6c1f0e83d7a4"
OURS = "a91d7c40be52"
TEXT, TIME, BOOL = "TEXT", "TIMESTAMP", "BOOLEAN"
CONTRACT = {
    "local_id": TEXT, "profile_id": "VARCHAR(255)", "target_id": "VARCHAR(255)", "state": "VARCHAR(50)",
    "error": TEXT, "timestamp": TIME,
}  # fmt: skip
OF_THE_ENGINE = set(metadata.tables) - {"syndication_log"}
#: As the releases of 2017 to 2021 made it.
CONFIG_TABLE = """
    CREATE TABLE syndicate_config (
        id TEXT PRIMARY KEY, syndicate_url TEXT UNIQUE, syndicate_api_key TEXT, syndicate_organization TEXT,
        syndicate_replicate_organization BOOLEAN, syndicate_author TEXT, predicate TEXT, syndicate_field_id TEXT,
        syndicate_flag TEXT, syndicate_prefix TEXT
    )
"""
#: Enough for PostgreSQL to choose between indexes.
MANY_ROWS = """
    INSERT INTO syndication_outbox (local_id, profile_id, version, rank, asked, due, attempts, state, force)
    SELECT n::text, 'one', 1, 1, now() + n * interval '1 second', now(), 0, 'waiting', false
    FROM generate_series(1, 5000) AS n;
    INSERT INTO syndication_copy (local_id, profile_id, name, target_id, presence, pushed)
    SELECT n::text, 'one', n::text, md5(n::text), 'active', now() + n * interval '1 second'
    FROM generate_series(1, 5000) AS n;
    ANALYZE syndication_outbox, syndication_copy;
"""


@pytest.fixture
def migrate(migrate_db_for: Any) -> Iterator[Callable[..., None]]:
    """Migrate the tables of the plugin to another revision; they are as they should be for the next test."""

    def to(revision: str, forward: bool = True) -> None:
        model.Session.remove()
        migrate_db_for("syndicate", revision, forward)

    yield to
    to("head")


@pytest.fixture
def old(migrate: Callable[..., None]) -> None:
    """A database without any of our tables."""
    migrate("base", forward=False)
    run("DROP TABLE IF EXISTS syndicate_config, syndication_log, syndicate_alembic_version")


def run(*statements: str, **values: Any) -> None:
    with model.meta.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)


def rows(query: str) -> list[Any]:
    with model.meta.engine.begin() as connection:
        return list(connection.execute(sa.text(query)))


def inspector() -> sa.engine.Inspector:
    return sa.inspect(model.meta.engine)


def tables() -> set[str]:
    return {name for name in inspector().get_table_names() if name.startswith("syndicat")}


def version() -> str:
    return str(rows("SELECT version_num FROM syndicate_alembic_version")[0][0])


def test_a_new_database_has_what_the_contract_names(old: None, migrate: Callable[..., None]) -> None:
    """Columns, key, index and foreign key, with the names that others use in SQL; a dataset takes its rows along."""
    migrate("head")
    assert version() == OURS
    assert tables() == {*metadata.tables, "syndicate_alembic_version"}
    log = {each["name"]: each for each in inspector().get_columns("syndication_log")}
    assert {name: str(each["type"]) for name, each in log.items()} == CONTRACT
    assert log["timestamp"]["type"].timezone  # type: ignore[attr-defined]
    assert log["target_id"]["nullable"]
    assert inspector().get_pk_constraint("syndication_log")["constrained_columns"] == ["local_id", "profile_id"]
    indexes = {each["name"]: each["column_names"] for each in inspector().get_indexes("syndication_log")}
    assert indexes == {"ix_syndication_log_local_profile": ["local_id", "profile_id"]}
    (key,) = inspector().get_foreign_keys("syndication_log")
    assert (key["referred_table"], key["referred_columns"]) == ("package", ["id"])
    assert key["options"] == {"ondelete": "CASCADE"}


def test_the_model_is_what_the_migrations_make(old: None, migrate: Callable[..., None]) -> None:
    """Neither lacks a table, column or index of the other."""
    migrate("head")
    ours = set(metadata.tables)

    def is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
        return kind != "table" or name in ours

    with model.meta.engine.connect() as connection:
        options = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_each_step_may_be_gone_back(old: None, migrate: Callable[..., None]) -> None:
    """Whoever goes back to ckanext-syndicate finds the tables that it knows, and may come again."""
    expected = {
        CONFIG: {"syndicate_config"},
        DROPPED: set(),
        LOG: {"syndication_log"},
        ENGINE: OF_THE_ENGINE | {"syndication_log"},
        OURS: OF_THE_ENGINE | {"syndication_log"},
    }
    for forward, order in ((True, list(expected)), (False, list(expected)[-2::-1])):
        for revision in order:
            migrate(revision, forward)
            assert (version(), tables()) == (revision, {*expected[revision], "syndicate_alembic_version"})
    migrate("base", forward=False)
    assert tables() == {"syndicate_alembic_version"}


@pytest.mark.parametrize("way", ["migrations", "init_tables"])
@pytest.mark.parametrize("versioned", [True, False])
def test_a_database_of_2017_to_2021(way: str, versioned: bool, old: None, migrate: Callable[..., None]) -> None:
    """Its table of targets goes, with the keys in it, as with ckanext-syndicate 3; it had it with or without a
    revision."""
    if versioned:
        migrate(CONFIG)
    else:
        run(CONFIG_TABLE)
    run("INSERT INTO syndicate_config (id, syndicate_url, syndicate_api_key) VALUES ('1', 'http://a', 'secret')")
    if way == "migrations":
        migrate("head")
    init_tables(model.meta.engine)
    migrate("head")
    assert (version(), tables()) == (OURS, {*metadata.tables, "syndicate_alembic_version"})


def fill_log() -> None:
    """What ckanext-syndicate 3 leaves: pushed, failed before and after there was a copy, stopped, pushed as deleted."""
    add_dataset("pushed", "failed", "never", "stopped", "unknown")
    add_dataset("deleted", state="deleted")
    said = [
        ("pushed", "one", "t1", "synced", None), ("pushed", "two", "t2", "synced", None),
        ("failed", "one", "t3", "failed", "away"), ("never", "one", "-", "failed", "refused"),
        ("stopped", "one", "t4", "stopped", None), ("unknown", "one", None, "stopped", None),
        ("deleted", "one", "t5", "synced", None),
    ]  # fmt: skip
    for local_id, profile_id, target_id, state, error in said:
        run(
            "INSERT INTO syndication_log VALUES (:local_id, :profile_id, :target_id, :state, :error,"
            " '2026-01-02 03:04:05+02')",
            local_id=local_id, profile_id=profile_id, target_id=target_id, state=state, error=error,
        )  # fmt: skip


def test_a_database_of_version_3(old: None, migrate: Callable[..., None]) -> None:
    """Its log stays as it is, and what it says of copies is known; what was pushed is sent once more, since nobody
    knows what was in it."""
    migrate(LOG)
    fill_log()
    before = rows("SELECT * FROM syndication_log ORDER BY local_id, profile_id")
    migrate("head")
    assert rows("SELECT * FROM syndication_log ORDER BY local_id, profile_id") == before
    found = {(copy.local_id, copy.profile_id): copy for name in ("one", "two") for copy in copies.page(name)}
    pushed = datetime.datetime(2026, 1, 2, 1, 4, 5)
    assert found == {
        ("pushed", "one"): copies.Copy("pushed", "one", "pushed", "t1", presence="active", pushed=pushed),
        ("pushed", "two"): copies.Copy("pushed", "two", "pushed", "t2", presence="active", pushed=pushed),
        ("failed", "one"): copies.Copy("failed", "one", "failed", "t3", presence="active"),
        ("stopped", "one"): copies.Copy("stopped", "one", "stopped", "t4", presence="active"),
        ("deleted", "one"): copies.Copy("deleted", "one", "deleted", "t5", pushed=pushed),
    }
    assert SyndicationLog.get("unknown", "one").target_id is None  # type: ignore[union-attr]


def test_tables_of_a_test_suite(old: None, migrate: Callable[..., None]) -> None:
    """What ``metadata.create_all`` made is as good."""
    metadata.create_all(model.meta.engine)
    fill_log()
    migrate("head")
    init_tables(model.meta.engine)
    assert version() == OURS
    assert len(copies.page("one")) == 4


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT local_id FROM syndication_outbox WHERE state = 'waiting' AND profile_id = 'one'"
            " ORDER BY rank, asked LIMIT 50",
            "syndication_outbox_waiting_idx",
        ),
        (
            "SELECT local_id FROM syndication_copy WHERE profile_id = 'one' AND target_id = 'a'",
            "syndication_copy_target_idx",
        ),
        (
            "SELECT local_id FROM syndication_copy WHERE profile_id = 'one' AND presence = 'active'"
            " ORDER BY pushed DESC LIMIT 50",
            "syndication_copy_pushed_idx",
        ),
    ],
)
def test_the_engine_finds_its_work_by_an_index(query: str, index: str) -> None:
    """What workers ask for all the time does not read all that there is."""
    with model.meta.engine.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.text(MANY_ROWS))
        plan = "\n".join(row[0] for row in connection.execute(sa.text(f"EXPLAIN {query}")))
        transaction.rollback()
    assert index in plan
