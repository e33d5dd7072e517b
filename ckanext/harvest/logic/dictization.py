"""Rows as the dictionaries that actions return (contract: every key, nothing of the engine)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest import registry
from ckanext.harvest.model import (
    HarvestJob,
    HarvestLog,
    HarvestObject,
    HarvestObjectError,
    HarvestSource,
    source_jobs,
    stats,
    tally,
)
from ckanext.relay import secrets
from ckanext.relay.errors import redact

#: How many messages an error summary holds unless the context says otherwise.
SUMMARY_LIMIT = 20


def harvest_source_dictize(
    source: HarvestSource, context: Any, last_job_status: bool = False, may_edit: bool = False
) -> dict[str, Any]:
    """Return a source as ``harvest_source_list`` shows it.

    :param last_job_status: add the status of the newest job
    :param may_edit: show secrets of the config, which are masked for everybody else
    """
    return harvest_source_dicts([source], last_job_status, lambda source_id: may_edit)[0]


def harvest_source_dicts(
    sources: Sequence[HarvestSource],
    last_job_status: bool = False,
    may_edit: Callable[[str], bool] = lambda source_id: False,
) -> list[dict[str, Any]]:
    """Return sources as ``harvest_source_list`` shows them, with a few queries for all of them.

    :param may_edit: tells by the id of a source whether its secrets are shown; asked only where there is one
    """
    jobs = source_jobs.of_sources([source.id for source in sources])
    publisher_ids = {source.publisher_id for source in sources if source.publisher_id}
    publishers = sa.select(model.Group.id, model.Group.title).where(model.Group.id.in_(publisher_ids))
    titles = {row.id: row.title for row in model.Session.execute(publishers)} if publisher_ids else {}
    return [
        source.as_dict()
        | _without_secrets(source, may_edit)
        | {"publisher_title": titles.get(source.publisher_id, ""), "status": _status(jobs[source.id])}
        | ({"last_job_status": jobs[source.id].last_status or "Not yet harvested"} if last_job_status else {})
        for source in sources
    ]


def _without_secrets(source: HarvestSource, may_edit: Callable[[str], bool]) -> dict[str, str | None]:
    masked = {"url": redact(source.url), "config": secrets.mask_json(source.config)}
    has_secrets = masked != {"url": source.url, "config": source.config}
    return {} if has_secrets and may_edit(source.id) else masked


def _get_source_status(source: HarvestSource, context: Any) -> dict[str, Any]:
    """Kept for third parties: the ``status`` of a source in a list of sources."""
    return _status(source_jobs.of_sources([source.id])[source.id])


def _status(jobs: source_jobs.SourceJobs) -> dict[str, Any]:
    if not jobs.count:
        return {"job_count": 0, "next_harvest": "", "last_harvest_request": "", "msg": "No jobs yet"}
    return {
        "job_count": jobs.count,
        "next_harvest": "Scheduled" if jobs.waiting else "Not yet scheduled",
        "last_harvest_request": str(jobs.last_gathered) if jobs.last_gathered else "Not yet harvested",
    }


def harvest_job_dictize(job: HarvestJob, context: Any) -> dict[str, Any]:
    """Return a job with its counts and its most frequent errors.

    ``return_stats``, ``return_error_summary`` (both True) and ``error_summmary_limit`` (20; spelt so) of the context
    say what it holds. A job that is at work also says how far it is: ``progress`` {gathered, done}.
    """
    shown = job.as_dict()
    if context.get("return_stats", True):
        if job.status == "Running":
            found = tally.progress(job)
            shown |= {"stats": found.counts, "progress": {"gathered": found.gathered, "done": found.done}}
        else:
            shown["stats"] = stats.job_stats([job.id])[job.id]
    if context.get("return_error_summary", True):
        shown |= stats.error_summaries(job.id, int(context.get("error_summmary_limit", SUMMARY_LIMIT)))
    return shown


def harvest_object_dictize(obj: HarvestObject, context: Any) -> dict[str, Any]:
    """Return an object with its errors and its extras."""
    shown = obj.as_dict()
    shown["source"] = obj.harvest_source_id
    shown["job"] = obj.harvest_job_id
    if obj.package_id:
        shown["package"] = obj.package_id
    shown["errors"] = [error.as_dict() for error in obj.errors]
    shown["extras"] = {extra.key: extra.value for extra in obj.extras}
    return shown


def harvest_log_dictize(entry: HarvestLog, context: Any) -> dict[str, Any]:
    """Return an entry of the log: ``content``, ``level`` and ``created``."""
    shown = entry.as_dict()
    return {key: shown[key] for key in ("content", "level", "created")}


def harvest_error_dictize(error: HarvestObjectError, context: Any) -> dict[str, Any]:
    """Return an error of an object in a report: ``message``, ``line``, and its stage as ``type``."""
    return {"message": error.message, "line": error.line, "type": error.stage}


def harvest_job_report(job: HarvestJob) -> dict[str, Any]:
    """Return all errors of a job: of the gather stage, and of each object that has any."""
    harvester = registry.find(job.source.type)
    objects: dict[str, dict[str, Any]] = {}
    # all objects at once, and kept: harvesters that are asked for the URL of one find it in the session
    for error, obj in stats.object_errors(job.id):
        if (entry := objects.get(error.harvest_object_id)) is None:
            entry = objects[error.harvest_object_id] = {"guid": obj.guid, "errors": []}
            original = getattr(harvester, "get_original_url", None)
            if original and (url := original(error.harvest_object_id)):
                entry["original_url"] = url
        entry["errors"].append(harvest_error_dictize(error, {}))
    gather_errors = [{"message": error.message} for error in job.get_gather_errors()]
    return {"gather_errors": gather_errors, "object_errors": objects}
