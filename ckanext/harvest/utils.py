"""For third parties: what the commands and pages do, under the names that they import.

Functions return the text that their command prints, except for those that run a harvest or become a worker. Those whose
name ends with ``view`` answer a request.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from ckanext.relay import pages

from .cli.jobs import abort_failed_jobs, abort_job, create_job, job_all, list_jobs
from .cli.maintenance import clean_harvest_log, harvesters_info, import_stage, purge_queues, reindex
from .cli.sources import (
    clear_harvest_source,
    clear_harvest_source_history,
    create_harvest_source,
    list_sources,
    remove_harvest_source,
    show_harvest_source,
)
from .cli.workers import fetch_consumer, gather_consumer, run_harvester, run_test_harvester
from .sources import DATASET_TYPE_NAME
from .views.jobs import job_abort as job_abort_view
from .views.jobs import job_list as job_list_view
from .views.jobs import job_show as _job_show
from .views.jobs import job_show_last as job_show_last_view
from .views.objects import object_show as _object_show
from .views.sources import about as about_view
from .views.sources import admin as admin_view
from .views.sources import clear as clear_view
from .views.sources import delete as delete_view
from .views.sources import refresh as refresh_view

__all__ = [
    "DATASET_TYPE_NAME",
    "abort_failed_jobs",
    "abort_job",
    "about_view",
    "admin_view",
    "clean_harvest_log",
    "clear_harvest_source",
    "clear_harvest_source_history",
    "clear_view",
    "create_harvest_source",
    "create_job",
    "delete_view",
    "fetch_consumer",
    "gather_consumer",
    "harvesters_info",
    "import_stage",
    "job_abort_view",
    "job_all",
    "job_list_view",
    "job_show_last_view",
    "job_show_view",
    "list_jobs",
    "list_sources",
    "object_show_view",
    "purge_queues",
    "refresh_view",
    "reindex",
    "remove_harvest_source",
    "run_harvester",
    "run_test_harvester",
    "show_harvest_source",
]


def job_show_view(id: str, source_dict: Any = False, is_last: bool = False) -> str:
    """Show a job, whose source need not be given."""
    job = pages.call("harvest_job_show", {"id": id})
    return _job_show(job["source_id"], id)


def object_show_view(id: str, ref_type: str = "object") -> Response:
    """Answer with a record as it was harvested.

    :param ref_type: ``dataset`` if the id is that of the dataset that came of it
    """
    if ref_type == "dataset":
        id = pages.call("harvest_object_show", {"dataset_id": id})["id"]
    return _object_show(id)
