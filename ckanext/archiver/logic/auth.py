"""Who may see what: whoever may see the resource, or the dataset; and who may have it checked: whoever may edit it."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    return {
        "archiver_resource_show": archiver_resource_show,
        "archiver_dataset_show": archiver_dataset_show,
        "archiver_check_now": archiver_check_now,
    }


@tk.auth_allow_anonymous_access
def archiver_resource_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    return _as("resource_show", context, data_dict)


@tk.auth_allow_anonymous_access
def archiver_dataset_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    return _as("package_show", context, data_dict)


def archiver_check_now(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    if data_dict.get("dataset_id"):
        return _as("package_update", context, data_dict, "dataset_id")
    return _as("resource_update", context, data_dict)


def _as(action: str, context: Any, data_dict: dict[str, Any], given_as: str = "id") -> dict[str, Any]:
    """Answer as for another action on the same id, whatever else the context is about."""
    own = {key: context[key] for key in ("model", "session", "user", "auth_user_obj") if key in context}
    try:
        tk.check_access(action, own, {"id": tk.get_or_bust(data_dict, given_as)})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": str(error)}
    return {"success": True}
