"""Reports of a large portal, as benchmarks/reports runs it."""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import psycopg2
import requests

from ckanext.relay.devstack.processes import environment
from ckanext.relay.devstack.stack import Stack

from . import machine

say = partial(click.echo, err=True)
PLUGINS = "activity harvest ckan_harvester archiver report tagless_report"
CALLS = 5

#: Organizations with datasets of three resources; one link in ten is broken, one dataset in five is private.
_PORTAL = """
INSERT INTO "group" (id, name, title, type, is_organization, state, approval_status)
SELECT 'org-' || n, 'org-' || n, 'Organization ' || n, 'organization', true, 'active', 'approved'
FROM generate_series(1, %(organizations)s) AS n;
INSERT INTO package (id, name, title, type, state, private, owner_org, metadata_created, metadata_modified)
SELECT 'dataset-' || n, 'dataset-' || n, 'Dataset ' || n, 'dataset', 'active', n %% 5 = 0,
    'org-' || (1 + n %% %(organizations)s), now(), now()
FROM generate_series(1, %(resources)s / 3) AS n;
INSERT INTO resource (id, package_id, url, format, position, state, extras)
SELECT 'resource-' || n, 'dataset-' || (1 + n / 3), 'http://host-' || n %% 500 || '.example/' || n || '.csv', 'CSV',
    n %% 3, 'active', '{}'
FROM generate_series(0, %(resources)s - 1) AS n;
INSERT INTO archival (id, package_id, resource_id, status_id, is_broken, verdict, reason, cause, cache_filepath, size,
    first_failure, failure_count, created, updated)
SELECT 'archival-' || n, 'dataset-' || (1 + n / 3), 'resource-' || n, CASE WHEN bad THEN 12 ELSE 0 END, bad,
    CASE WHEN bad THEN 'broken' ELSE 'ok' END, CASE WHEN bad THEN 'Server reported status error: 404 Not Found' END,
    CASE WHEN bad THEN 'http_404' END, CASE WHEN NOT bad THEN '/archive/' || n END, 100000, now(), 3, now(), now()
FROM (SELECT n, n %% 10 = 0 AS bad FROM generate_series(0, %(resources)s - 1) AS n) AS link;
ANALYZE;
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--organizations", type=click.IntRange(1), default=50)
@click.option("--resources", type=click.IntRange(30), default=30_000)
@click.option("--record", is_flag=True, help="Write benchmarks/results/reports-DATE.md.")
@machine.state_option
def main(organizations: int, resources: int, record: bool, state: Path) -> None:
    """Generate all reports of a portal with so many organizations and resources, and ask for their pages."""
    stack = Stack(state / "reports", plugins=PLUGINS, say=say)
    stack.down()
    lines = []
    try:
        stack.up(portals=(), worker=0, beat=False)
        stack.postgres.drop_database("this")
        stack.up(portals=("this",), worker=0, beat=False)
        with psycopg2.connect(stack.postgres.database("this")) as connection, connection.cursor() as cursor:
            cursor.execute(_PORTAL, {"organizations": organizations, "resources": resources})
        lines.append(f"{organizations:,} organizations, {resources:,} resources, a tenth of the links broken")
        for line in (*_generated(stack), *_pages(stack)):
            say(line)
            lines.append(line)
    finally:
        stack.down()
    if record:
        path = machine.record("reports", "Reports of a large portal", machine.here(lines))
        say(f"recorded in {path}")


def _generated(stack: Stack) -> Iterator[str]:
    ckan = str(Path(sys.executable).with_name("ckan"))
    command = [ckan, "report", "generate", "--json"]
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment(stack.this.variables()), capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise click.ClickException(f"{shlex.join(command)} failed:\n{done.stderr[-3000:]}{done.stdout[-1000:]}")
    yield f"{'ckan report generate, all reports':<64}{seconds:>8.1f} s"
    told = json.loads(done.stdout[done.stdout.index("{") :])
    yield f"  {told}"


def _pages(stack: Stack) -> Iterator[str]:
    paths = (
        *("/report", "/report/broken-links", "/report/broken-links/org-1", "/report/broken-links/org-1?page=2"),
        *("/report/broken-links/org-1?q=example+77", "/report/broken-links/org-1?q=example&sort=dataset_title"),
        *("/report/broken-links/org-1?format=csv", "/report/broken-links/org-1?format=json"),
        *("/report/archive-usage", "/report/harvest-status", "/report/tagless-datasets"),
    )
    token = {"Authorization": stack.this.api_token}
    for who, headers in (("visitor", {}), ("sysadmin", token)):
        with requests.Session() as session:
            session.headers.update(headers)
            for path in paths:
                times = [_seconds(session, f"{stack.this.url}{path}") for _ in range(CALLS)]
                first, rest = times[0] * 1000, statistics.median(times[1:]) * 1000
                yield f"{path:<48}{who:<16}{rest:>8.0f} ms, the first time {first:.0f} ms"


def _seconds(session: requests.Session, url: str) -> float:
    begun = time.perf_counter()
    session.get(url).raise_for_status()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
