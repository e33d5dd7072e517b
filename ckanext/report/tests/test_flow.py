"""A portal that has nothing but reports enabled: its worker and beat generate them, its command does, too."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from ckanext.relay.devstack.portal import Beat, Portal, Services, Worker
from ckanext.relay.devstack.processes import environment

if TYPE_CHECKING:
    from ckanext.relay.devstack.stack import Stack

PLUGINS = "report tagless_report"


@pytest.fixture
def portal(stack: Stack, tmp_path: Path) -> Portal:
    """A portal of its own, migrated; no web server runs."""
    stack.postgres.drop_database("reports")
    stack.valkey.flush("test")
    made = Portal(tmp_path, "reports", "Reports", 0, PLUGINS, {"ckanext.relay.sweep_seconds": "2"})
    services = (
        stack.postgres.database("reports"),
        stack.solr.core("test"),
        stack.valkey.url("test"),
        "secret",
        "p4ss-word",
    )
    made.configure(Services(*services))
    made.log.parent.mkdir(exist_ok=True)
    made.prepare()
    return made


@pytest.fixture
def workers(portal: Portal, tmp_path: Path) -> Iterator[None]:
    """Worker and beat of the portal."""
    parts = (Worker(tmp_path, portal, "reports-worker", 1), Beat(tmp_path, portal))
    for part in parts:
        part.start()
    yield
    for part in reversed(parts):
        part.stop()


def stored(portal: Portal) -> list[Any]:
    assert portal.services
    connection = psycopg2.connect(portal.services.sqlalchemy_url)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT key, value FROM data_cache ORDER BY key")
        return cursor.fetchall()
    finally:
        connection.close()


def test_workers_generate_what_is_missing(portal: Portal, workers: None) -> None:
    """Without anybody asking for it, soon after the portal is set up."""
    until = time.monotonic() + 60
    while len(stored(portal)) < 2 and time.monotonic() < until:
        time.sleep(0.5)
    assert [key for key, _ in stored(portal)] == [
        f"tagless-datasets?organization=None&include_sub_organizations={each}" for each in (0, 1)
    ]
    assert json.loads(stored(portal)[0][1])["num_packages"] == 0


def test_the_command_generates(portal: Portal) -> None:
    """As cron calls it."""
    command = [str(Path(sys.executable).parent / "ckan"), "-c", str(portal.ini), "report", "generate", "--json"]
    done = subprocess.run(command, env=environment(portal.variables()), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == []
    assert len(stored(portal)) == 2
