"""Who may do what: sysadmins everything, and who may update a dataset may look at it and have it pushed."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    of_groups = ("syndicate_sync_organization", "syndicate_sync_group")
    of_sysadmins = ("syndicate_prepare", "syndicate_sync", *of_groups, "syndicate_approve")
    of_editors = ("syndicate_plan", "syndicate_status", "syndicate_retry", "syndicate_push")
    return {**dict.fromkeys(of_sysadmins, only_sysadmins), **dict.fromkeys(of_editors, who_may_update)}


def only_sysadmins(context: Any, data_dict: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"success": False, "msg": tk._("Only sysadmins may do this.")}


def who_may_update(context: Any, data_dict: dict[str, Any] | None = None) -> dict[str, Any]:
    """Admit who may update the dataset; without one, it is about all, which is for sysadmins."""
    dataset_id = (data_dict or {}).get("id")
    if not dataset_id:
        return only_sysadmins(context, data_dict)
    own = {key: context[key] for key in ("model", "session", "user", "auth_user_obj") if key in context}
    try:
        tk.check_access("package_update", own, {"id": dataset_id})
    except (tk.NotAuthorized, tk.ObjectNotFound):
        return {"success": False, "msg": tk._("Only those who may update the dataset may do this.")}
    return {"success": True}
