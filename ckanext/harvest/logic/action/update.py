"""For third parties: the actions that change, and the mails, under the names that they import them from."""

from __future__ import annotations

from ckanext.harvest.notifications import (
    get_mail_extra_vars,
    prepare_error_mail,
    prepare_summary_mail,
    send_error_email,
    send_mail,
    send_summary_email,
)

from .clear import (
    harvest_source_clear,
    harvest_source_index_clear,
    harvest_source_job_history_clear,
    harvest_sources_job_history_clear,
)
from .job import harvest_abort_failed_jobs, harvest_job_abort, harvest_jobs_run, harvest_send_job_to_gather_queue
from .object import harvest_objects_import
from .reindex import harvest_source_reindex, harvest_sources_reindex
from .retry import harvest_job_retry
from .source import harvest_source_update

__all__ = [
    "get_mail_extra_vars",
    "harvest_abort_failed_jobs",
    "harvest_job_abort",
    "harvest_job_retry",
    "harvest_jobs_run",
    "harvest_objects_import",
    "harvest_send_job_to_gather_queue",
    "harvest_source_clear",
    "harvest_source_index_clear",
    "harvest_source_job_history_clear",
    "harvest_source_reindex",
    "harvest_source_update",
    "harvest_sources_job_history_clear",
    "harvest_sources_reindex",
    "prepare_error_mail",
    "prepare_summary_mail",
    "send_error_email",
    "send_mail",
    "send_summary_email",
]
