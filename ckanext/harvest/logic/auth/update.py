"""For third parties: who may change, under the names that they import."""

from ckanext.harvest.logic.auth import get_auth_functions

_functions = get_auth_functions()

harvest_source_update = _functions["harvest_source_update"]
harvest_sources_clear = _functions["harvest_sources_clear"]
harvest_source_clear = _functions["harvest_source_clear"]
harvest_source_index_clear = _functions["harvest_source_index_clear"]
harvest_source_job_history_clear = _functions["harvest_source_job_history_clear"]
harvest_sources_job_history_clear = _functions["harvest_sources_job_history_clear"]
harvest_objects_import = _functions["harvest_objects_import"]
harvest_jobs_run = _functions["harvest_jobs_run"]
harvest_send_job_to_gather_queue = _functions["harvest_send_job_to_gather_queue"]
harvest_job_retry = _functions["harvest_job_retry"]
harvest_job_abort = _functions["harvest_job_abort"]
harvest_abort_failed_jobs = _functions["harvest_abort_failed_jobs"]
harvest_sources_reindex = _functions["harvest_sources_reindex"]
harvest_source_reindex = _functions["harvest_source_reindex"]
