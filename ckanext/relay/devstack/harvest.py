"""The first harvest: register the source portal at this portal, run a job, follow it to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from ckanapi import RemoteCKAN
from ckanapi.errors import NotFound

Dict = dict[str, Any]

SOURCE = "quickstart-source"
OUTCOMES = ("added", "updated", "not modified", "deleted", "errored")
CONFIG = {"force_all": True, "remote_orgs": "create", "remote_groups": "create"}


def register(portal: RemoteCKAN, url: str) -> Dict:
    """The harvest source of this URL, created or pointed there."""
    wanted = {
        "name": SOURCE,
        "title": "Quickstart source",
        "url": url,
        "source_type": "ckan",
        "frequency": "MANUAL",
        "config": json.dumps(CONFIG),
    }
    try:
        source: Dict = portal.call_action("harvest_source_show", {"id": SOURCE})
    except NotFound:
        return portal.call_action("harvest_source_create", wanted)
    if source["url"] == url:
        return source
    return portal.call_action("harvest_source_update", {**wanted, "id": source["id"]})


def start(portal: RemoteCKAN, source: Dict) -> str:
    """The id of a new job, or of the one that an earlier, interrupted run left open: a source has one at a time."""
    last = portal.call_action("harvest_source_show_status", {"id": source["id"]})["last_job"]
    if last and last["status"] != "Finished":
        return last["id"]
    return portal.call_action("harvest_job_create", {"source_id": source["id"]})["id"]


def follow(portal: RemoteCKAN, job_id: str, check: Callable[[], None]) -> Iterator[Dict]:
    """The job, again and again until it has finished. ``check`` raises when a part of the stack has died."""
    while True:
        job = portal.call_action("harvest_job_show", {"id": job_id})
        yield job
        if job["status"] not in ("New", "Running"):
            return
        check()
        time.sleep(0.5)


def progress_line(job: Dict, seconds: float) -> str:
    stats, progress = job.get("stats") or {}, job.get("progress") or {}
    done = progress.get("done", sum(stats.get(outcome, 0) for outcome in OUTCOMES))
    gathered = progress.get("gathered", "…" if not job.get("gather_finished") else done)
    return (
        f"{job['status'].lower()}: {gathered} gathered, {done} imported, {stats.get('errored', 0)} errors, "
        f"{done / max(seconds, 0.1):.1f} datasets/s"
    )


def errors(portal: RemoteCKAN, job_id: str) -> list[str]:
    report = portal.call_action("harvest_job_report", {"id": job_id})
    found = [f"gather: {error['message']}" for error in report["gather_errors"]]
    for about in report["object_errors"].values():
        found += [f"{error['type']} of {about['guid']}: {error['message']}" for error in about["errors"]]
    return found


def summary(job: Dict) -> str:
    return ", ".join(f"{job['stats'].get(outcome, 0)} {outcome}" for outcome in OUTCOMES)
