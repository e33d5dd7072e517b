"""For third parties: who may patch, under the names that they import."""

from ckanext.harvest.logic.auth import get_auth_functions

_functions = get_auth_functions()

harvest_source_patch = _functions["harvest_source_patch"]
