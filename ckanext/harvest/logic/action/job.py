"""Actions on jobs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import tasks
from ckanext.harvest.domain import job_state, life_span
from ckanext.harvest.logic import HarvestJobExists, HarvestSourceInactiveError, dictization, source_list
from ckanext.harvest.logic.auth import get_job_object
from ckanext.harvest.logic.parameters import flag, limit_and_offset
from ckanext.harvest.model import HarvestJob, HarvestSource, jobs, record, tally
from ckanext.relay import clock
from ckanext.relay.celery_app import BULK, PRIORITY

log = logging.getLogger(__name__)

__all__ = [
    "harvest_abort_failed_jobs",
    "harvest_job_abort",
    "harvest_job_create",
    "harvest_job_create_all",
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
    source_id, run = tk.get_or_bust(data_dict, "source_id"), flag(data_dict, "run", True)
    return dictization.harvest_job_dictize(_create(source_id, run, PRIORITY), context)


def _create(source_id: str, run: bool, lane: str) -> HarvestJob:
    with refusals(source_id):
        job = jobs.create(source_id, run, lane=lane)
    if run:
        tasks.gather_after_commit(job)
    model.Session.commit()
    return job


@contextlib.contextmanager
def refusals(source_id: str) -> Iterator[None]:
    """Say to whoever asked why a source gets no job."""
    try:
        yield
    except jobs.NoSource:
        raise tk.ObjectNotFound(tk._("Harvest source {0} does not exist").format(source_id)) from None
    except jobs.SourceInactive:
        raise HarvestSourceInactiveError(tk._("Can not create jobs on inactive sources")) from None
    except jobs.BeingCleared:
        message = tk._("Source {0} is being cleared. Try again when that has ended.")
        raise HarvestJobExists(message.format(source_id)) from None
    except jobs.JobOpen:
        raise HarvestJobExists(tk._("There already is an unrun job for source {0}").format(source_id)) from None


def harvest_job_create_all(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Create a job for each active source that has no open one, and unless told otherwise run it.

    :param run: hand the jobs to the workers at once (True)
    :param only_to_run, organization_id: only for these sources, see ``harvest_source_list``
    :returns: the jobs
    """
    tk.check_access("harvest_job_create_all", context, data_dict)
    run = flag(data_dict, "run", True)
    created = []
    for source in source_list.matching(data_dict | {"only_active": True}).all():
        try:
            created.append(_create(source.id, run, BULK))
        except (HarvestJobExists, HarvestSourceInactiveError, tk.ObjectNotFound) as error:
            log.info("No job for source %s: %s", source.id, error)
    return [dictization.harvest_job_dictize(job, context) for job in created]


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
    :param limit: how many at most (all)
    :param offset: how many of the newest to leave out (0)
    """
    tk.check_access("harvest_job_list", context, data_dict)
    limit, offset = limit_and_offset(data_dict)
    query = model.Session.query(HarvestJob).order_by(HarvestJob.created.desc())
    for field in ("source_id", "status"):
        if data_dict.get(field):
            query = query.filter_by(**{field: data_dict[field]})
    found = query.limit(limit).offset(offset).all()
    if not context.get("return_stats", True):
        return [job.as_dict() for job in found]
    progress = tally.of_jobs(found)
    return [job.as_dict() | {"stats": progress[job.id].counts} for job in found]


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
    job = job or newest_job(reference)
    return dictization.harvest_job_dictize(record.abort(job), context)


def newest_job(source_reference: str) -> HarvestJob:
    """Return the newest job of the source with this id or name.

    :raises ObjectNotFound: there is none
    """
    package = model.Package.get(source_reference)
    source = HarvestSource.get(package.id) if package else None
    if source is None:
        raise tk.ObjectNotFound(tk._("There is no harvest job or source {0}").format(source_reference))
    job = HarvestJob.filter(source_id=source.id).order_by(HarvestJob.created.desc()).first()
    if job is None:
        raise tk.ObjectNotFound(tk._("Harvest source {0} has no job").format(source_reference))
    return job


def harvest_abort_failed_jobs(context: Any, data_dict: dict[str, Any]) -> str:
    """End the jobs that run for longer than the period of their source: a day for daily ones, 30 for monthly ones.

    :param life_span: days for sources that are not harvested at fixed times (7)
    :param include: only these sources: ids with commas between them
    :param exclude: all but these sources, if none are included
    :returns: a sentence that says how many
    :raises ValidationError: a source has a frequency that there is not
    """
    tk.check_access("harvest_abort_failed_jobs", context, data_dict)
    days = life_span.days(data_dict.get("life_span"))
    included, excluded = (_ids(data_dict.get(name)) for name in ("include", "exclude"))
    query = HarvestJob.filter(status=job_state.RUNNING)
    if included:
        query = query.filter(HarvestJob.source_id.in_(included))
    elif excluded:
        query = query.filter(HarvestJob.source_id.notin_(excluded))
    running = query.all()
    if not running:
        return tk._("There is no jobs to abort")
    try:
        failed = [job.id for job in running if clock.now() - job.created > life_span.limit(job.source.frequency, days)]
    except ValueError as error:
        raise tk.ValidationError({"frequency": [str(error)]}) from None
    for job_id in failed:
        tk.get_action("harvest_job_abort")(dict(context), {"id": job_id})
    return tk._("Done. Aborted jobs: {0}").format(len(failed))


def _ids(given: Any) -> list[str]:
    parts = given if isinstance(given, list) else str(given or "").split(",")
    return [part.strip() for part in parts if part.strip()]
