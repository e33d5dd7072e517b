"""For third parties: who may delete, under the names that they import."""

from ckanext.harvest.logic.auth import get_auth_functions

_functions = get_auth_functions()

harvest_source_delete = _functions["harvest_source_delete"]
