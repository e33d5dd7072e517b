"""Who may do what. A report may say itself who sees it."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from . import parameters

AuthResult = dict[str, Any]


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    return {
        "report_list": report_list,
        "report_show": report_show,
        "report_data_get": report_data_get,
        "report_key_get": report_key_get,
        "report_refresh": report_refresh,
        "report_status": report_data_get,
    }


def user_object(context: Any) -> model.User | None:
    """Return the user of a context, or None for a visitor."""
    name = context.get("user")
    return model.User.get(name) if name else None


@tk.auth_allow_anonymous_access
def report_list(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody; each sees the reports that are for them."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def report_show(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def report_data_get(context: Any, data_dict: Any) -> AuthResult:
    """Allow whom the report allows, which is everybody unless it says otherwise."""
    report = parameters.report(data_dict, context)
    # the action reads the options, few reports ask for them before
    if report.authorize is None:
        return {"success": True}
    _, options = parameters.report_with_options(data_dict, context)
    if report.authorize(user_object(context), options):
        return {"success": True}
    return {"success": False, "msg": tk._("Not authorized to see the report {0}").format(report.title)}


@tk.auth_allow_anonymous_access
def report_key_get(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody."""
    return {"success": True}


def report_refresh(context: Any, data_dict: Any) -> AuthResult:
    """Allow sysadmins, whom CKAN lets through before this is called."""
    return {"success": False, "msg": tk._("Only sysadmins can generate reports")}
