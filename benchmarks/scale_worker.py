"""One measurement of ``benchmarks/scale`` in a process of its own, on the portal of CKAN_INI; prints JSON.

``gather JOB`` · ``process JOB BATCHES`` · ``actions SOURCE JOB``
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app

#: tables that grow with each record
BIG = ("harvest_object", "harvest_object_error", "harvest_object_extra", "harvest_gather_error")
CALLS = 5


def gather(job_id: str) -> dict[str, Any]:
    """Gather a job, and read the same pages once more without doing anything with them."""
    from ckanext.harvest import runner
    from ckanext.harvest.harvesters import CKANHarvester
    from ckanext.harvest.model import HarvestJob, HarvestObject

    begun = time.perf_counter()
    for _step in runner.gather(job_id):
        pass
    seconds = time.perf_counter() - begun
    job = model.Session.get(HarvestJob, job_id)
    gathered = model.Session.query(HarvestObject).filter_by(harvest_job_id=job_id).count()
    harvester: Any = CKANHarvester.__new__(CKANHarvester)
    harvester._set_config(job.source.config)
    begun = time.perf_counter()
    base_url = job.source.url + harvester._get_search_api_offset()
    for start in range(0, gathered, 100):
        harvester._get_content(f"{base_url}?rows=100&start={start}&sort=id+asc")
    return {"gathered": gathered, "seconds": seconds, "answers": time.perf_counter() - begun}


def process(job_id: str, batches: str) -> dict[str, Any]:
    """Process so many batches of a gathered job."""
    from ckanext.harvest import runner
    from ckanext.harvest.model import HarvestJob, HarvestObject

    source_id = model.Session.get(HarvestJob, job_id).source_id

    def done() -> int:
        query = model.Session.query(HarvestObject).filter_by(harvest_job_id=job_id, report_status="added")
        return query.count()

    before, cpu, begun = done(), time.process_time(), time.perf_counter()
    for _ in range(int(batches)):
        runner.process_batch(source_id)
        model.Session.remove()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {"processed": done() - before, "seconds": seconds, "cpu": cpu}


def actions(source_id: str, job_id: str) -> dict[str, Any]:
    """Call actions, and look for queries that read one of the big tables from end to end."""
    object_id = tk.get_action("harvest_object_list")({"ignore_auth": True}, {"source_id": source_id})[0]
    calls: dict[str, dict[str, Any]] = {
        "harvest_source_show": {"id": source_id},
        "harvest_source_show_status": {"id": source_id},
        "harvest_source_list": {},
        "harvest_source_patch": {"id": source_id, "notes": "changed"},
        "harvest_job_show": {"id": job_id},
        "harvest_job_list": {"source_id": source_id},
        "harvest_job_report": {"id": job_id},
        "harvest_job_create": {"source_id": source_id, "run": False},
        "harvest_job_abort": {"source_id": source_id},
        "harvest_jobs_run": {},
        "harvest_object_show": {"id": object_id},
    }
    return {name: _call(name, given) for name, given in calls.items()}


def _call(name: str, given: dict[str, Any]) -> dict[str, Any]:
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    times, scans = [], set()
    for _ in range(1 if name in ("harvest_job_create", "harvest_job_abort") else CALLS):
        with _statements() as statements:
            begun = time.perf_counter()
            tk.get_action(name)({"user": user}, dict(given))
            times.append((time.perf_counter() - begun) * 1000)
        model.Session.remove()
        scans |= _scans(statements)
    return {"ms": statistics.median(times), "scans": sorted(scans)}


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, many: bool) -> None:
        if not many and statement.lstrip().upper().startswith(("SELECT", "UPDATE", "WITH")):
            seen.append((statement, given))

    sa.event.listen(model.meta.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(model.meta.engine, "before_cursor_execute", note)


def _scans(statements: list[tuple[str, Any]]) -> set[str]:
    found = set()
    with model.meta.engine.connect() as connection:
        for statement, given in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", given)
            lines = [row[0] for row in plan]
            found |= {table for table in BIG if any(f"Seq Scan on {table} " in f"{line} " for line in lines)}
    return found


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {"gather": gather, "process": process, "actions": actions}


def main() -> None:
    app = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        told = COMMANDS[sys.argv[1]](*sys.argv[2:])
    told["peak_mb"] = _peak_mb()
    print(json.dumps(told))


def _peak_mb() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
