"""For third parties: who may show, under the names that they import."""

from ckanext.harvest.logic.auth import get_auth_functions

_functions = get_auth_functions()

harvest_source_show = _functions["harvest_source_show"]
harvest_source_show_status = _functions["harvest_source_show_status"]
harvest_source_list = _functions["harvest_source_list"]
harvest_job_show = _functions["harvest_job_show"]
harvest_job_report = _functions["harvest_job_report"]
harvest_job_list = _functions["harvest_job_list"]
harvest_object_show = _functions["harvest_object_show"]
harvest_object_list = _functions["harvest_object_list"]
harvesters_info_show = _functions["harvesters_info_show"]
harvest_get_notifications_recipients = _functions["harvest_get_notifications_recipients"]
harvest_log_list = _functions["harvest_log_list"]
harvest_job_error_causes = _functions["harvest_job_error_causes"]
harvest_job_error_list = _functions["harvest_job_error_list"]
harvest_dashboard_show = _functions["harvest_dashboard_show"]
