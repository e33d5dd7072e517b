"""The bulk actions of CKAN 2.11 write by SQL and tell nobody, so what they change is asked for before.

Those of CKAN 2.12 save each dataset, of which CKAN tells.
"""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.relay import ckan_211
from ckanext.syndicate import subscribers


def get_actions() -> dict[str, Any]:
    """Return the actions that are chained, by name."""
    chained = (bulk_update_private, bulk_update_public, bulk_update_delete) if ckan_211.RUNS else ()
    return {action.__name__: action for action in chained}


@tk.chained_action
def bulk_update_private(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Ask for the datasets, and make them private."""
    tk.check_access("bulk_update_private", context, data_dict)
    subscribers.bulk_updated(data_dict, private=True)
    return original_action(context, data_dict)


@tk.chained_action
def bulk_update_public(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Ask for the datasets, and make them public."""
    tk.check_access("bulk_update_public", context, data_dict)
    subscribers.bulk_updated(data_dict, private=False)
    return original_action(context, data_dict)


@tk.chained_action
def bulk_update_delete(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Ask for the datasets, and delete them."""
    tk.check_access("bulk_update_delete", context, data_dict)
    subscribers.bulk_updated(data_dict)
    return original_action(context, data_dict)
