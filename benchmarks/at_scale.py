"""Large sources and full tables, as benchmarks/scale runs it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import psycopg2

from ckanext.relay.devstack.processes import environment
from ckanext.relay.devstack.stack import Stack

from . import machine
from .sites import HERE

say = partial(click.echo, err=True)
SIZES = (1_000, 10_000, 100_000)
OBJECTS = 1_000_000
BATCHES = 6

#: What a first harvest of the whole source would have left, except what CKAN keeps beside the dataset.
_IMPORT = """
INSERT INTO package (id, name, title, type, state, private, metadata_created, metadata_modified)
SELECT guid, guid, guid, 'dataset', 'active', false, now(), now()
FROM harvest_object WHERE harvest_job_id = %(job)s AND package_id IS NULL;
UPDATE harvest_object SET state = 'COMPLETE', current = true, package_id = guid, report_status = 'added',
    import_finished = now(), claimed_by = NULL, needs_index = false
WHERE harvest_job_id = %(job)s AND NOT current;
"""
_FINISH = "UPDATE harvest_job SET status = 'Finished', finished = now() WHERE id = %(job)s"
#: The history of 1,000 runs of 50 sources: 1,000 objects each with an extra, one in 50 failed; 10 gather errors a run.
_HISTORY = """
INSERT INTO harvest_source (id, url, title, type, active, config, frequency, created)
SELECT 'past-' || n, 'http://past.example/' || n, 'Past ' || n, 'ckan', true, '', 'MANUAL', now()
FROM generate_series(1, 50) AS n;
INSERT INTO harvest_job (id, source_id, status, created, gather_started, gather_finished, finished)
SELECT 'past-job-' || n, CASE WHEN n <= 100 THEN %(source)s ELSE 'past-' || (1 + n %% 50) END, 'Finished',
    now() - interval '1 day' * (1000 - n), now(), now(), now()
FROM generate_series(1, 1000) AS n;
INSERT INTO harvest_object (id, guid, current, gathered, state, report_status, harvest_job_id, harvest_source_id,
    content, retry_times, import_finished)
SELECT 'past-object-' || n, 'past-' || n, false, now(), 'COMPLETE',
    CASE WHEN (n + n / 1000) %% 50 = 0 THEN 'errored' ELSE 'updated' END, 'past-job-' || (1 + n %% 1000),
    CASE WHEN 1 + n %% 1000 <= 100 THEN %(source)s ELSE 'past-' || (1 + (1 + n %% 1000) %% 50) END,
    repeat('x', 500), 1, now()
FROM generate_series(1, %(objects)s) AS n;
INSERT INTO harvest_object_error (id, harvest_object_id, message, stage, created)
SELECT 'past-error-' || n, 'past-object-' || n, 'Failed for reason ' || n %% 7, 'Import', now()
FROM generate_series(1, %(objects)s) AS n WHERE (n + n / 1000) %% 50 = 0;
INSERT INTO harvest_object_extra (id, key, value, harvest_object_id)
SELECT 'past-extra-' || n, 'status', 'change', 'past-object-' || n FROM generate_series(1, %(objects)s) AS n;
INSERT INTO harvest_gather_error (id, harvest_job_id, message, created)
SELECT 'past-gather-error-' || n, 'past-job-' || (1 + n %% 1000), 'Page ' || n || ' does not answer', now()
FROM generate_series(1, 10000) AS n;
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--size", "sizes", type=click.IntRange(500), multiple=True, default=SIZES, help="Records of a source.")
@click.option("--objects", type=click.IntRange(1000), default=OBJECTS, help="Objects in the tables for the actions.")
@click.option("--record", is_flag=True, help="Write benchmarks/results/scale-DATE.md.")
@machine.state_option
def main(sizes: tuple[int, ...], objects: int, record: bool, state: Path) -> None:
    """Gather large sources, import a part of them into an empty and into a full portal, call actions on full tables."""
    stack = Stack(state / "scale", say=say)
    stack.down()
    lines: list[str] = []
    try:
        stack.up(portals=(), worker=0, beat=False)
        stack.postgres.drop_database("this")
        stack.up(portals=("this",), worker=0, beat=False)
        with _large_source() as url:
            portal = _Portal(stack, url)
            for figure in _figures(portal, sorted(sizes), objects):
                say(figure)
                lines.append(figure)
    finally:
        stack.down()
    if record:
        path = machine.record("scale", "Large sources and full tables", machine.here(lines))
        say(f"recorded in {path}")


def _figures(portal: _Portal, sizes: list[int], objects: int) -> Iterator[str]:
    for size in sizes:
        source = portal.source(size)
        job = portal.job(source)
        yield _gather_line("gather, first", size, portal.measure("gather", job))
        told = portal.measure("process", job, str(BATCHES))
        kept = portal.query("SELECT count(*) FROM package WHERE type = 'dataset'")[0][0]
        yield _line(f"import, first, {kept:,} datasets on the portal", told["processed"], told["seconds"], told)
        portal.query(_IMPORT + _FINISH, job=job)
        portal.query("VACUUM ANALYZE")
        again = portal.job(source)
        yield _gather_line("gather, forced, unchanged", size, portal.measure("gather", again))
        portal.query(_FINISH, job=again)
    more = portal.source(501)
    job = portal.job(more)
    portal.measure("gather", job)
    told = portal.measure("process", job, str(BATCHES))
    kept = portal.query("SELECT count(*) FROM package WHERE type = 'dataset'")[0][0]
    yield _line(f"import, first, {kept:,} datasets on the portal", told["processed"], told["seconds"], told)
    portal.query(_IMPORT + _FINISH, job=job)
    portal.query(_HISTORY, source=source, objects=objects)
    portal.query("VACUUM ANALYZE")
    told = portal.measure("actions", source, "past-job-50")
    told.pop("peak_mb")
    yield f"actions with {objects:,} more objects in the tables"
    for name, figures in told.items():
        scans = f", reads all of {', '.join(figures['scans'])}" if figures["scans"] else ""
        yield f"  {name:<44}{figures['ms']:>9.1f} ms{scans}"


def _gather_line(what: str, size: int, told: dict[str, Any]) -> str:
    own = told["seconds"] - told["answers"]
    return f"{_line(what, size, told['seconds'], told)}; {own:.1f} s beyond the source's answers"


def _line(what: str, count: int, seconds: float, told: dict[str, Any]) -> str:
    each = seconds * 1000 / count
    return f"{what:<52}{count:>8,} records{seconds:>9.1f} s{each:>8.2f} ms a record, peak {told['peak_mb']:.0f} MB"


class _Portal:
    """The harvesting portal: its API, its database, and processes that measure one thing each."""

    def __init__(self, stack: Stack, url: str) -> None:
        self.stack, self.url = stack, url
        self.portal = stack.this
        self.sources: dict[int, str] = {}

    def call(self, action: str, **given: Any) -> Any:
        from ckanapi import RemoteCKAN

        with RemoteCKAN(self.portal.url, apikey=self.portal.api_token) as api:
            return api.call_action(action, given)

    def source(self, size: int) -> str:
        name = f"source-{size}"
        config = json.dumps({"force_all": True})
        made = self.call("harvest_source_create", name=name, title=name, url=f"{self.url}/{size}", source_type="ckan",
                         config=config)  # fmt: skip
        return made["id"]

    def job(self, source_id: str) -> str:
        job_id = self.call("harvest_job_create", source_id=source_id, run=False)["id"]
        self.query("UPDATE harvest_job SET status = 'Running' WHERE id = %(job)s", job=job_id)
        return job_id

    def query(self, statement: str, **given: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.stack.postgres.database("this"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, given or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def measure(self, *command: str) -> dict[str, Any]:
        arguments = [sys.executable, "-m", "benchmarks.scale_worker", *command]
        variables = environment(self.portal.variables())
        done = subprocess.run(arguments, cwd=HERE.parent, env=variables, capture_output=True, text=True)
        if done.returncode:
            raise click.ClickException(f"{shlex.join(command)} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def _large_source() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.large_source"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
