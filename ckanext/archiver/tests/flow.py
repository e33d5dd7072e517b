"""A portal that archives as it runs: real processes, driven through the HTTP API, the shell and signals."""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from ckanext.archiver.tests.web import Web, content
from ckanext.harvest.tests.flow import Site, emptied, restored
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

#: Plugins of the portal while archiving is tested; those of harvesting stay, as on a portal that does both.
PLUGINS = "activity harvest ckan_harvester archiver testipipe"


@contextlib.contextmanager
def archiving(stack: Stack, **settings: str) -> Iterator[Site]:
    """Start this portal, empty, with the archiver; afterwards it is as it was."""
    folder = archive_dir(stack)
    shutil.rmtree(folder, ignore_errors=True)
    own = {
        "ckanext-archiver.archive_dir": str(folder),
        "ckanext.archiver.host_delay": "0",
        # nothing is checked but what is asked for
        "ckanext.archiver.recheck_budget": "0",
    }
    with restored(stack, "this"):
        stack.this.plugins = PLUGINS
        stack.this.settings.update({**own, **settings})
        yield emptied(stack, "this")


def archive_dir(stack: Stack) -> Path:
    return stack.state / "archive"


def insert_links(site: Site, urls: list[str], each: int = 10) -> None:
    """Insert datasets with so many links each, by the shortest way."""
    now = datetime.datetime(2026, 1, 1)
    packages, resources = [], []
    for start in range(0, len(urls), each):
        package_id = str(uuid.uuid4())
        packages.append((package_id, f"links-{package_id}", "Links", "dataset", "active", False, now, now))
        mine = urls[start : start + each]
        resources += [
            (str(uuid.uuid4()), package_id, url, "CSV", f"Part {position}", position, "active", "{}", now, now)
            for position, url in enumerate(mine)
        ]
    with contextlib.closing(psycopg2.connect(site.stack.postgres.database("this"))) as connection, connection:
        cursor = connection.cursor()
        columns = "id, name, title, type, state, private, metadata_created, metadata_modified"
        execute_values(cursor, f"INSERT INTO package ({columns}) VALUES %s", packages)
        columns = "id, package_id, url, format, name, position, state, extras, created, metadata_modified"
        execute_values(cursor, f"INSERT INTO resource ({columns}) VALUES %s", resources)


def checked(site: Site) -> int:
    """Return how many links have a verdict."""
    return int(site.rows("SELECT count(*) FROM archival")[0][0])


def left(site: Site) -> int:
    """Return how many links are still to be checked, and datasets to be told of."""
    return int(site.rows("SELECT count(*) FROM archiver_link WHERE lane IS NOT NULL OR notice IS NOT NULL")[0][0])


def through(site: Site, seconds: float = 240) -> None:
    """Wait until nothing is left to do."""

    def is_through() -> bool:
        try:
            return left(site) == 0
        except psycopg2.Error:
            return False  # it is just being restarted

    try:
        wait_until(is_through, seconds)
    except AssertionError as error:
        lanes = site.rows("SELECT lane, notice, count(*) FROM archiver_link GROUP BY 1, 2")
        hosts = site.rows("SELECT count(*), count(claimed_by), count(not_before) FROM archiver_host")
        raise AssertionError(f"{error}; lane, notice, count: {lanes}; hosts, claimed, left alone: {hosts}") from error


def assert_one_verdict_each(site: Site, web: Web, expected: dict[str, int], seen_from: str = "") -> None:
    """Make sure that each resource has one archival with the right status, a whole file if it is well, and nothing else
    is in the archive.

    :param expected: status by URL
    :param seen_from: the root folder of whoever sees the archive, if it is not that of all
    """
    rows = site.rows(
        "SELECT r.url, a.status_id, a.failure_count, a.cache_filepath, a.size "
        "FROM resource r LEFT JOIN archival a ON a.resource_id = r.id"
    )
    found = {url: status for url, status, *_ in rows}
    assert len(rows) == len(expected)
    assert found == expected, Counter((expected[url], status) for url, status in found.items())
    assert {failures for _, status, failures, *_ in rows if status != 0} <= {1}, "judged once"
    for url, status, _, path, size in rows:
        if status == 0:
            whole = content(url.partition(f":{web.port}")[2])
            assert Path(f"{seen_from}{path}").read_bytes() == whole and size == len(whole)
    stored = {f"{seen_from}{path}" for *_, path, _ in rows if path}
    root = Path(f"{seen_from}{archive_dir(site.stack)}")
    assert {str(path) for path in root.glob("*/*/*") if path.is_file() and ".content" not in path.parts} == stored
    assert [path for path in (root / ".tmp").glob("**/*") if path.is_file()] == []


def doctor(site: Site, *options: str) -> dict[str, Any]:
    """Return what the doctor says."""
    return dict(json.loads(site.ckan("archiver", "doctor", "--json", *options).stdout))
