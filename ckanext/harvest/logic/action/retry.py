"""Trying the failed records of a job again."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import tasks
from ckanext.harvest.domain import job_state
from ckanext.harvest.logic import HarvestJobExists, dictization
from ckanext.harvest.model import HarvestJob, retry
from ckanext.relay.celery_app import PRIORITY

from .job import newest_job, refusals

__all__ = ["harvest_job_retry"]


def harvest_job_retry(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Try the failed records of a job again, and nothing else: a new job of its source takes them as they were gathered
    and fetches and imports them. Records that a later job gathered again are left out.

    :param id: id of a job that has ended; with the id or name of a source its newest job is meant
    :returns: the new job
    :raises ValidationError: no record of the job failed, or all that did were gathered again since
    :raises HarvestSourceInactiveError: the source is inactive
    :raises HarvestJobExists: the source has a job that has not ended
    """
    tk.check_access("harvest_job_retry", context, data_dict := _with_job(data_dict))
    failed = HarvestJob.get(data_dict["id"])
    if failed.status in job_state.lifecycle.open:
        raise HarvestJobExists(tk._("Job {0} has not ended, its failed records can be retried then").format(failed.id))
    with refusals(failed.source_id):
        job = retry.create(failed, PRIORITY)
    if job is None:
        message = tk._("Job {0} has no failed record that was not gathered again since")
        raise tk.ValidationError({"id": [message.format(data_dict["id"])]})
    model.Session.commit()
    tasks.process_now(job.source_id)
    return dictization.harvest_job_dictize(job, context)


def _with_job(data_dict: dict[str, Any]) -> dict[str, Any]:
    reference = tk.get_or_bust(data_dict, "id")
    return {"id": reference if HarvestJob.get(reference) else newest_job(reference).id}
