"""Who may do what. Rights on a source are rights on its dataset."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import authz, model

from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource

from . import read_only

AuthResult = dict[str, Any]


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    return {
        "harvest_source_show": harvest_source_show,
        "harvest_source_show_status": harvest_source_show,
        "harvest_source_list": anybody,
        "harvest_source_create": harvest_source_create,
        "harvest_source_update": harvest_source_edit,
        "harvest_source_patch": harvest_source_edit,
        "harvest_source_delete": harvest_source_delete,
        "harvest_source_test": harvest_source_test,
        "harvest_source_clear": harvest_source_edit,
        "harvest_source_index_clear": as_source_clear,
        "harvest_source_job_history_clear": as_source_clear,
        "harvest_sources_clear": sysadmin_only,
        "harvest_sources_job_history_clear": as_sources_clear,
        "harvest_source_reindex": harvest_source_edit,
        "harvest_sources_reindex": sysadmin_only,
        "harvesters_info_show": anybody,
        "harvest_get_notifications_recipients": sysadmin_only,
        "harvest_log_list": sysadmin_only,
        "harvest_job_create": harvest_job_of_source,
        "harvest_job_create_all": sysadmin_only,
        "harvest_abort_failed_jobs": sysadmin_only,
        "harvest_job_list": harvest_job_of_source,
        "harvest_job_show": harvest_job_show,
        "harvest_job_report": harvest_job_show,
        "harvest_job_error_causes": harvest_job_show,
        "harvest_job_error_list": harvest_job_show,
        "harvest_job_retry": harvest_job_show,
        "harvest_job_abort": sysadmin_only,
        "harvest_jobs_run": sysadmin_only,
        "harvest_send_job_to_gather_queue": harvest_job_show,
        "harvest_object_show": harvest_object_show,
        "harvest_object_list": logged_in,
        "harvest_object_create": sysadmin_only,
        "harvest_objects_import": sysadmin_only,
        "harvest_dashboard_show": harvest_dashboard_show,
    } | read_only.get_auth_functions()


def user_is_sysadmin(context: Any) -> bool:
    """Tell whether the user of the context is a sysadmin."""
    return bool(authz.is_sysadmin(context.get("user")))


def may_edit_source(context: Any, source_id: str) -> bool:
    """Tell whether the user may edit a source, whatever the context allows to skip; they see its secrets then."""
    user = context.get("user")
    mine = {"model": model, "user": user}  # the auth functions of CKAN 2.11 take the model from there
    return bool(user) and authz.is_authorized_boolean("package_update", mine, {"id": source_id})


def get_source_object(context: Any, data_dict: Any) -> HarvestSource:
    """Return the source whose id or name ``data_dict['id']`` is.

    :raises ObjectNotFound: there is none
    """
    package = None
    if data_dict.get("id") and HarvestSource.get(data_dict["id"]) is None:
        package = model.Package.get(data_dict["id"])
    return _find(HarvestSource, {"id": package.id} if package else data_dict, "Harvest Source was not found.")


def get_job_object(context: Any, data_dict: Any) -> HarvestJob:
    """Return the job that ``data_dict['id']`` names.

    :raises ObjectNotFound: there is none
    """
    return _find(HarvestJob, data_dict, tk._("Harvest Job was not found."))


def get_obj_object(context: Any, data_dict: Any) -> HarvestObject:
    """Return the object that ``data_dict['id']`` names.

    :raises ObjectNotFound: there is none
    """
    return _find(HarvestObject, data_dict, tk._("Harvest Object was not found."))


def _find(cls: Any, data_dict: Any, message: str) -> Any:
    row = cls.get(tk.get_or_bust(data_dict, "id"), attr=data_dict.get("attr"))
    if row is None:
        raise tk.ObjectNotFound(message)
    return row


def _on_source(function: str, context: Any, source_id: str) -> AuthResult:
    """Answer as CKAN does for the dataset of the source."""
    try:
        tk.check_access(function, {"user": context.get("user"), "model": context.get("model")}, {"id": source_id})
    except tk.NotAuthorized:
        return {
            "success": False,
            "msg": tk._("User {0} not authorized for harvest source {1}").format(context.get("user"), source_id),
        }
    return {"success": True}


@tk.auth_allow_anonymous_access
def anybody(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody."""
    return {"success": True}


def logged_in(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody who is logged in. CKAN turns anonymous visitors away by itself, but not those of its API."""
    return {"success": bool(context.get("user"))}


def sysadmin_only(context: Any, data_dict: Any) -> AuthResult:
    """Allow sysadmins, whom CKAN lets through before this is called."""
    return {"success": False, "msg": tk._("Only sysadmins can do this")}


@tk.auth_allow_anonymous_access
def harvest_source_show(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may see the dataset of the source."""
    return _on_source("package_show", context, tk.get_or_bust(data_dict, "id"))


def harvest_source_create(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may create datasets, in the organization that is named."""
    organization = {"owner_org": data_dict["owner_org"]} if data_dict and data_dict.get("owner_org") else None
    try:
        tk.check_access("package_create", {"user": context.get("user")}, organization)
    except tk.NotAuthorized:
        message = tk._("User {0} not authorized to create harvest sources").format(context.get("user"))
        return {"success": False, "msg": message}
    return {"success": True}


def harvest_source_edit(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may edit the dataset of the source."""
    return _on_source("package_update", context, tk.get_or_bust(data_dict, "id"))


def harvest_source_test(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may edit the source, or create one if none is named."""
    return harvest_source_edit(context, data_dict) if data_dict.get("id") else harvest_source_create(context, data_dict)


def harvest_source_delete(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may delete the dataset of the source."""
    return _on_source("package_delete", context, tk.get_or_bust(data_dict, "id"))


def as_source_clear(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may clear the source, for this is a part of it."""
    return authz.is_authorized("harvest_source_clear", context, data_dict)


def as_sources_clear(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may clear all sources, for this is a part of it."""
    return authz.is_authorized("harvest_sources_clear", context, data_dict)


def harvest_dashboard_show(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may edit the datasets of any organization; it shows what they may edit."""
    if authz.has_user_permission_for_some_org(context.get("user"), "update_dataset"):
        return {"success": True}
    return {"success": False, "msg": tk._("Only those who may edit harvest sources can see how they are doing")}


def harvest_job_of_source(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may edit the source ``source_id``; without one, sysadmins."""
    source_id = data_dict.get("source_id")
    if not source_id:
        return sysadmin_only(context, data_dict)
    return _on_source("package_update", context, source_id)


def harvest_job_show(context: Any, data_dict: Any) -> AuthResult:
    """Allow who may edit the source of the job."""
    return _on_source("package_update", context, get_job_object(context, data_dict).source_id)


@tk.auth_allow_anonymous_access
def harvest_object_show(context: Any, data_dict: Any) -> AuthResult:
    """Allow everybody, but the records of a private dataset or source only those who may see that."""
    obj = get_obj_object(context, data_dict)
    if obj.package_id:
        return _on_source("package_show", context, obj.package_id)
    source = model.Package.get(obj.harvest_source_id) if obj.harvest_source_id else None
    return _on_source("package_show", context, source.id) if source and source.private else {"success": True}
