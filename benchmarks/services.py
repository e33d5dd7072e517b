"""The servers of the development stack, and what a benchmark needs beside that: copies of a state, and counters."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
import requests
from psycopg2 import sql

from ckanext.relay.devstack import postgres, solr, valkey

#: Sites with a database, a Solr core and a Redis number of their own, beside those of the development stack.
EXTRA_SITES = ("reference", "floor", "target")
#: The role that looks and copies: what it does is not counted.
OBSERVER = "observer"

_COUNTS = """
SELECT coalesce(sum(calls) FILTER (WHERE NOT control), 0), coalesce(sum(calls) FILTER (WHERE ended), 0)
FROM (
    SELECT calls,
        query ~* '^\\s*(begin|start transaction|commit|end|rollback|abort|savepoint|release)\\y' AS control,
        query ~* '^\\s*(commit|end|rollback|abort)\\s*;?\\s*$' AS ended
    FROM pg_stat_statements AS counted
    JOIN pg_database ON pg_database.oid = counted.dbid JOIN pg_roles ON pg_roles.oid = counted.userid
    WHERE datname = %s AND rolname = %s
) AS of_site
"""


class Postgres(postgres.Postgres):
    """PostgreSQL that counts statements with its own extension pg_stat_statements."""

    def command(self) -> list[str]:
        counting = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
        return [*super().command(), *(part for key, value in counting.items() for part in ("-c", f"{key}={value}"))]

    def make_observer(self) -> None:
        with self._cursor(postgres.ROLE) as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OBSERVER])
            if cursor.fetchone() is None:
                statement = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
                cursor.execute(statement.format(sql.Identifier(OBSERVER), sql.Literal(self.password)))
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def version(self) -> str:
        return self.query("postgres", "SHOW server_version")[0][0]

    def query(self, database: str, statement: str, given: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._cursor(OBSERVER, database) as cursor:
            cursor.execute(statement, given)
            return cursor.fetchall() if cursor.description else []

    def connect(self, database: str, role: str = OBSERVER) -> Any:
        url = self._server.set(database=database, username=role, drivername="postgresql")
        connection = psycopg2.connect(url.render_as_string(hide_password=False))
        connection.autocommit = True
        return connection

    def has(self, database: str) -> bool:
        return bool(self.query("postgres", "SELECT 1 FROM pg_database WHERE datname = %s", (database,)))

    def copy(self, database: str, to: str) -> None:
        """Replace the database ``to`` by a copy of another, with whoever is connected to either one thrown out."""
        connection = self.connect("postgres")
        names = {"origin": sql.Identifier(database), "copy": sql.Identifier(to)}
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {copy} WITH (FORCE)").format(**names))
                cursor.execute(sql.SQL("ALTER DATABASE {origin} ALLOW_CONNECTIONS false").format(**names))
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
                self._copy_when_free(cursor, sql.SQL("CREATE DATABASE {copy} TEMPLATE {origin}").format(**names))
                cursor.execute(sql.SQL("ALTER DATABASE {origin} ALLOW_CONNECTIONS true").format(**names))
        finally:
            connection.close()

    def _copy_when_free(self, cursor: Any, statement: sql.Composed) -> None:
        for _ in range(50):
            try:
                cursor.execute(statement)
                return
            except psycopg2.errors.ObjectInUse:
                time.sleep(0.1)  # A connection that was thrown out takes a moment to go.
        cursor.execute(statement)

    def forget_counts(self) -> None:
        self.query("postgres", "SELECT pg_stat_statements_reset()")

    def counts(self, database: str) -> tuple[int, int]:
        """Statements (other than those that begin and end transactions) and transactions of CKAN since the last
        ``forget_counts``."""
        statements, transactions = self.query("postgres", _COUNTS, (database, postgres.ROLE))[0]
        return int(statements), int(transactions)

    def calls(self, database: str, pattern: str) -> int:
        """How often CKAN ran the statements like a pattern since the last ``forget_counts``."""
        statement = (
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS counted"
            " JOIN pg_database ON pg_database.oid = counted.dbid WHERE datname = %s AND query LIKE %s"
        )
        return int(self.query("postgres", statement, (database, pattern))[0][0])

    @contextmanager
    def _cursor(self, role: str, database: str = "postgres") -> Iterator[Any]:
        connection = self.connect(database, role)
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


class Solr(solr.Solr):
    """Solr with cores for all sites, each of which can be backed up and put back."""

    def prepare(self) -> None:
        super().prepare()
        for name in EXTRA_SITES:
            shutil.copytree(self.home / "this" / "conf", self.home / name / "conf", dirs_exist_ok=True)
            (self.home / name / "core.properties").write_text(f"name={name}\n")

    def version(self) -> str:
        answer = requests.get(f"http://127.0.0.1:{self.port}/solr/admin/info/system", timeout=30).json()
        return answer["lucene"]["solr-spec-version"]

    def commits(self, name: str) -> int:
        """Hard commits that were asked for since the core was loaded; not those that Solr makes by itself."""
        asked = {"group": "core", "prefix": "UPDATE.updateHandler", "wt": "json"}
        answer = requests.get(f"http://127.0.0.1:{self.port}/solr/admin/metrics", asked, timeout=30).json()
        handler = answer["metrics"][f"solr.core.{name}"]
        commits = handler["UPDATE.updateHandler.commits"]
        by_itself = handler["UPDATE.updateHandler.autoCommits"]
        return int(commits["count"] if isinstance(commits, dict) else commits) - int(
            by_itself["count"] if isinstance(by_itself, dict) else by_itself
        )

    def empty(self, core: str) -> None:
        answer = requests.post(f"{self.core(core)}/update?commit=true", json={"delete": {"query": "*:*"}}, timeout=60)
        answer.raise_for_status()

    def back_up(self, core: str, label: str) -> None:
        shutil.rmtree(self.home / core / "data" / f"snapshot.{label}", ignore_errors=True)
        before = self._backup(core)
        self._replication(core, "backup", name=label)
        self._wait(core, lambda: self._backup(core), lambda told: told != before)

    def put_back(self, core: str, label: str) -> None:
        self._replication(core, "restore", name=label)
        self._wait(core, lambda: self._replication(core, "restorestatus")["restorestatus"], lambda told: True)

    def _backup(self, core: str) -> dict[str, Any]:
        return self._replication(core, "details")["details"].get("backup", {})

    def _replication(self, core: str, command: str, **options: str) -> dict[str, Any]:
        given = {"command": command, "wt": "json", **options}
        answer = requests.get(f"{self.core(core)}/replication", given, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _wait(self, core: str, ask: Callable[[], dict[str, Any]], new: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 60
        while (told := ask()).get("status") != "success" or not new(told):
            if told.get("status") == "failed" or time.monotonic() > deadline:
                raise self.failed(f"could not save or put back the core {core}: {told}")
            time.sleep(0.05)


class Valkey(valkey.Valkey):
    def url(self, portal: str) -> str:
        if portal not in EXTRA_SITES:
            return super().url(portal)
        number = len(valkey.NUMBERS) + EXTRA_SITES.index(portal)
        # Without a longer timeout the consumers of ckanext-harvest die when no message comes for 5 seconds: they wait
        # with no end, and redis-py 8, which CKAN 2.12 pins, ends that.
        return f"redis://127.0.0.1:{self.port}/{number}?socket_timeout=86400"
