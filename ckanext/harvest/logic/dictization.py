"""Rows as the dictionaries that actions return (contract: every key, nothing of the engine)."""

from __future__ import annotations

from typing import Any

from ckan import model

from ckanext.harvest import registry
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource, stats
from ckanext.relay import secrets

#: How many messages an error summary holds unless the context says otherwise.
SUMMARY_LIMIT = 20


def harvest_source_dictize(
    source: HarvestSource, context: Any, last_job_status: bool = False, may_edit: bool = False
) -> dict[str, Any]:
    """Return a source as ``harvest_source_list`` shows it.

    :param last_job_status: add the status of the newest job
    :param may_edit: show secrets of the config, which are masked for everybody else
    """
    shown = source.as_dict()
    if not may_edit:
        shown["config"] = secrets.mask_json(shown["config"])
    publisher = model.Group.get(source.publisher_id) if source.publisher_id else None
    shown["publisher_title"] = publisher.title if publisher else ""
    shown["status"] = _source_status(source)
    if last_job_status:
        last = _last_job(source.id)
        shown["last_job_status"] = last.status if last else "Not yet harvested"
    return shown


def _last_job(source_id: str) -> HarvestJob | None:
    return HarvestJob.filter(source_id=source_id).order_by(HarvestJob.created.desc()).first()


def _source_status(source: HarvestSource) -> dict[str, Any]:
    count = HarvestJob.filter(source_id=source.id).count()
    if not count:
        return {"job_count": 0, "next_harvest": "", "last_harvest_request": "", "msg": "No jobs yet"}
    waiting = HarvestJob.filter(source_id=source.id, status="New").count()
    gathered = HarvestJob.filter(source_id=source.id).filter(HarvestJob.gather_finished.isnot(None))
    last = gathered.order_by(HarvestJob.created.desc()).first()
    return {
        "job_count": count,
        "next_harvest": "Scheduled" if waiting else "Not yet scheduled",
        "last_harvest_request": str(last.gather_finished) if last else "Not yet harvested",
    }


def harvest_job_dictize(job: HarvestJob, context: Any) -> dict[str, Any]:
    """Return a job with its counts and its most frequent errors.

    ``return_stats``, ``return_error_summary`` (both True) and ``error_summmary_limit`` (20; spelt so) of the context
    say what it holds. A job that is at work also says how far it is: ``progress`` {gathered, done}.
    """
    shown = job.as_dict()
    if context.get("return_stats", True):
        shown["stats"] = stats.job_stats([job.id])[job.id]
        if job.status == "Running":
            shown["progress"] = stats.progress(job.id)
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


def harvest_job_report(job: HarvestJob) -> dict[str, Any]:
    """Return all errors of a job: of the gather stage, and of each object that has any."""
    harvester = registry.find(job.source.type)
    objects: dict[str, dict[str, Any]] = {}
    for error, guid in stats.object_errors(job.id):
        if (entry := objects.get(error.harvest_object_id)) is None:
            entry = objects[error.harvest_object_id] = {"guid": guid, "errors": []}
            original = getattr(harvester, "get_original_url", None)
            if original and (url := original(error.harvest_object_id)):
                entry["original_url"] = url
        entry["errors"].append({"message": error.message, "line": error.line, "type": error.stage})
    gather_errors = [{"message": error.message} for error in job.get_gather_errors()]
    return {"gather_errors": gather_errors, "object_errors": objects}
