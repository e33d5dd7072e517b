"""Actions on jobs."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import tasks
from ckanext.harvest.logic import HarvestJobExists, HarvestSourceInactiveError, dictization
from ckanext.harvest.logic.auth import get_job_object
from ckanext.harvest.model import HarvestJob, HarvestSource, jobs, record, stats

__all__ = [
    "harvest_job_abort",
    "harvest_job_create",
    "harvest_job_list",
    "harvest_job_report",
    "harvest_job_show",
    "harvest_jobs_run",
    "harvest_send_job_to_gather_queue",
]


def harvest_job_create(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Create a job for a source and, unless told otherwise, run it.

    :param source_id: id of the source
    :param run: hand the job to the workers at once (True)
    :returns: the job
    :raises HarvestSourceInactiveError: the source is inactive
    :raises HarvestJobExists: the source has a job that has not ended
    """
    tk.check_access("harvest_job_create", context, data_dict)
    source_id = tk.get_or_bust(data_dict, "source_id")
    run = tk.asbool(data_dict.get("run", True))
    try:
        job = jobs.create(source_id, run)
    except jobs.NoSource:
        raise tk.ObjectNotFound(tk._("Harvest source {0} does not exist").format(source_id)) from None
    except jobs.SourceInactive:
        raise HarvestSourceInactiveError(tk._("Can not create jobs on inactive sources")) from None
    except jobs.JobOpen:
        raise HarvestJobExists(tk._("There already is an unrun job for source {0}").format(source_id)) from None
    if run:
        tasks.gather_after_commit(job)
    model.Session.commit()
    return dictization.harvest_job_dictize(job, context)


def harvest_send_job_to_gather_queue(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Hand a job to the workers.

    :param id: id of the job
    :returns: the job
    """
    tk.check_access("harvest_send_job_to_gather_queue", context, data_dict)
    job = get_job_object(context, data_dict)
    if not job.source.active:
        raise tk.ValidationError({"source": [tk._("Source is not active")]})
    tasks.gather_after_commit(job)
    record.run(job)
    return dictization.harvest_job_dictize(job, context)


@tk.side_effect_free
def harvest_job_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a job with its counts and error summaries; while it runs, also its ``progress`` {gathered, done}.

    :param id: id of the job
    """
    tk.check_access("harvest_job_show", context, data_dict)
    return dictization.harvest_job_dictize(get_job_object(context, data_dict), context)


@tk.side_effect_free
def harvest_job_report(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return all errors of a job: ``gather_errors``, and ``object_errors`` by object id.

    :param id: id of the job
    """
    tk.check_access("harvest_job_report", context, data_dict)
    return dictization.harvest_job_report(get_job_object(context, data_dict))


@tk.side_effect_free
def harvest_job_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return jobs with their counts, newest first.

    :param source_id: only those of a source; only sysadmins may leave it out
    :param status: only those in a status
    """
    tk.check_access("harvest_job_list", context, data_dict)
    query = model.Session.query(HarvestJob).order_by(HarvestJob.created.desc())
    for field in ("source_id", "status"):
        if data_dict.get(field):
            query = query.filter_by(**{field: data_dict[field]})
    found = query.all()
    if not context.get("return_stats", True):
        return [job.as_dict() for job in found]
    counts = stats.job_stats([job.id for job in found])
    return [job.as_dict() | {"stats": counts[job.id]} for job in found]


def harvest_jobs_run(context: Any, data_dict: dict[str, Any]) -> list[Any]:
    """Start the sources that are due, end the jobs that are done, and send what nobody works on to the workers.

    Beat does the same every few seconds; cron may call this instead.

    :param source_id: look after this source only, and start nothing
    :returns: an empty list
    """
    tk.check_access("harvest_jobs_run", context, data_dict)
    tasks.sweep_now(data_dict.get("source_id"))
    return []


def harvest_job_abort(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """End a job now. Its objects that are not done become errors; a worker stops at the next object.

    :param source_id: id or name of a source, whose newest job is meant, or
    :param id: id of the job; id or name of a source does too
    :returns: the job
    """
    tk.check_access("harvest_job_abort", context, data_dict)
    reference = data_dict.get("source_id") or tk.get_or_bust(data_dict, "id")
    job = None if data_dict.get("source_id") else HarvestJob.get(reference)
    job = job or _newest_job(reference)
    return dictization.harvest_job_dictize(record.abort(job), context)


def _newest_job(source_reference: str) -> HarvestJob:
    package = model.Package.get(source_reference)
    source = HarvestSource.get(package.id) if package else None
    if source is None:
        raise tk.ObjectNotFound(tk._("There is no harvest job or source {0}").format(source_reference))
    job = HarvestJob.filter(source_id=source.id).order_by(HarvestJob.created.desc()).first()
    if job is None:
        raise tk.ObjectNotFound(tk._("Harvest source {0} has no job").format(source_reference))
    return job
