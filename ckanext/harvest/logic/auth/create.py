"""For third parties: who may create, under the names that they import."""

from ckanext.harvest.logic.auth import get_auth_functions

_functions = get_auth_functions()

harvest_source_create = _functions["harvest_source_create"]
harvest_job_create = _functions["harvest_job_create"]
harvest_job_create_all = _functions["harvest_job_create_all"]
harvest_object_create = _functions["harvest_object_create"]
harvest_source_test = _functions["harvest_source_test"]
