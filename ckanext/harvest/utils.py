"""For third parties: what the commands do, under the names that they import.

Functions return the text that their command prints, except for those that run a harvest or become a worker.
"""

from __future__ import annotations

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

__all__ = [
    "DATASET_TYPE_NAME",
    "abort_failed_jobs",
    "abort_job",
    "clean_harvest_log",
    "clear_harvest_source",
    "clear_harvest_source_history",
    "create_harvest_source",
    "create_job",
    "fetch_consumer",
    "gather_consumer",
    "harvesters_info",
    "import_stage",
    "job_all",
    "list_jobs",
    "list_sources",
    "purge_queues",
    "reindex",
    "remove_harvest_source",
    "run_harvester",
    "run_test_harvester",
    "show_harvest_source",
]
