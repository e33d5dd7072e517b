"""Who may see what: whoever may see the resource, or the dataset."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    return {
        "archiver_resource_show": archiver_resource_show,
        "archiver_dataset_show": archiver_dataset_show,
    }


@tk.auth_allow_anonymous_access
def archiver_resource_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    return _as("resource_show", context, data_dict)


@tk.auth_allow_anonymous_access
def archiver_dataset_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    return _as("package_show", context, data_dict)


def _as(action: str, context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Answer as for another action on the same id, whatever else the context is about."""
    own = {key: context[key] for key in ("model", "session", "user", "auth_user_obj") if key in context}
    try:
        tk.check_access(action, own, {"id": tk.get_or_bust(data_dict, "id")})
    except tk.NotAuthorized as error:
        return {"success": False, "msg": str(error)}
    return {"success": True}
