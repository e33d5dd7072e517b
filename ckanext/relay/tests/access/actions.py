"""Who may call which action: what the contracts say of each, and what the plugins say of those that they add."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ckanext.relay import ckan_211
from ckanext.relay.tests.access.roles import ADMINS, ANYBODY, CREATORS, EDITORS, LOGGED_IN, MEMBERS, SYSADMINS


@dataclass(frozen=True)
class Call:
    """A call of an action: what it is given, and who may make it.

    :param reads: whether the action may be called by GET
    :param status: what somebody who may is answered
    """

    action: str
    data: dict[str, Any]
    allowed: frozenset[str]
    reads: bool = False
    status: int = 200
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.action} {self.note}".strip()


_SOURCE, _PRIVATE = {"id": "{public_source}"}, {"id": "{private_source}"}
_TARGET = {"profile": "{profile}"}
_PUSH = {"id": "{public_dataset}", "topic": "update", **_TARGET}
_FIELDS = {"name": "new-name", "url": "http://new.example", "source_type": "ckan", "owner_org": "{organization}"}
_UNREACHABLE = {"url": "http://127.0.0.1:9", "source_type": "ckan"}
_NEW = {"name": "new-name", "owner_org": "{organization}"}
_REPORT, _STAFF = {"id": "tagless-datasets"}, {"id": "staff", "options": {"year": "2024", "verbose": "1"}}

HARVEST = (
    Call("harvest_source_show", _SOURCE, ANYBODY, reads=True),
    Call("harvest_source_show", _PRIVATE, MEMBERS, reads=True, note="private"),
    Call("harvest_source_show_status", _SOURCE, ANYBODY, reads=True),
    Call("harvest_source_show_status", _PRIVATE, MEMBERS, reads=True, note="private"),
    Call("harvest_source_list", {}, ANYBODY, reads=True),
    Call("harvest_source_create", _FIELDS, EDITORS),
    Call("harvest_source_test", _UNREACHABLE | {"owner_org": "{organization}"}, EDITORS),
    Call("harvest_source_test", _UNREACHABLE | _SOURCE, EDITORS, note="of a source"),
    Call("harvest_source_update", _SOURCE | _FIELDS, EDITORS),
    Call("harvest_source_patch", _SOURCE | {"title": "Other"}, EDITORS),
    Call("harvest_source_delete", _SOURCE, EDITORS),
    Call("harvest_source_clear", _SOURCE, EDITORS),
    Call("harvest_source_index_clear", _SOURCE, EDITORS),
    Call("harvest_source_job_history_clear", _SOURCE, EDITORS),
    Call("harvest_sources_job_history_clear", {}, SYSADMINS),
    Call("harvest_source_reindex", _SOURCE, EDITORS, reads=True),
    Call("harvest_sources_reindex", {}, SYSADMINS, reads=True),
    Call("harvest_job_create", {"source_id": "{public_source}"}, EDITORS),
    Call("harvest_job_create_all", {"run": False}, SYSADMINS),
    Call("harvest_job_list", {"source_id": "{public_source}"}, EDITORS, reads=True),
    Call("harvest_job_list", {}, SYSADMINS, reads=True, note="all"),
    Call("harvest_job_show", {"id": "{public_job}"}, EDITORS, reads=True),
    Call("harvest_job_report", {"id": "{public_job}"}, EDITORS, reads=True),
    Call("harvest_job_error_causes", {"id": "{public_job}"}, EDITORS, reads=True),
    Call("harvest_job_error_list", {"id": "{public_job}"}, EDITORS, reads=True),
    Call("harvest_job_retry", {"id": "{public_job}"}, EDITORS),
    Call("harvest_send_job_to_gather_queue", {"id": "{new_job}"}, EDITORS),
    Call("harvest_job_abort", {"id": "{running_job}"}, SYSADMINS),
    Call("harvest_job_abort", {"source_id": "{busy_source}"}, SYSADMINS, note="by source"),
    Call("harvest_abort_failed_jobs", {}, SYSADMINS),
    Call("harvest_jobs_run", {}, SYSADMINS),
    Call("harvest_jobs_run", {"source_id": "{public_source}"}, SYSADMINS, note="of a source"),
    Call("harvest_object_show", {"id": "{public_object}"}, ANYBODY, reads=True),
    Call("harvest_object_show", {"id": "{private_object}"}, MEMBERS, reads=True, note="private"),
    Call("harvest_object_show", {"dataset_id": "{private_dataset}"}, MEMBERS, reads=True, note="private dataset"),
    Call("harvest_object_list", {}, LOGGED_IN, reads=True),
    Call("harvest_object_create", {"job_id": "{running_job}", "guid": "two"}, SYSADMINS),
    Call("harvest_objects_import", {"harvest_object_id": "{public_object}"}, SYSADMINS),
    Call("harvest_objects_import", {"source_id": "{public_source}"}, SYSADMINS, note="of a source"),
    Call("harvest_object_show", {"id": "{failed_private_object}"}, MEMBERS, reads=True, note="of a private source"),
    Call("harvest_dashboard_show", {}, CREATORS, reads=True),
    Call("harvesters_info_show", {}, ANYBODY, reads=True),
    Call("harvest_get_notifications_recipients", {"source_id": "{public_source}"}, SYSADMINS),
    Call("harvest_log_list", {}, SYSADMINS, reads=True),
)

ARCHIVER = (
    Call("archiver_resource_show", {"id": "{public_resource}"}, ANYBODY, reads=True),
    Call("archiver_resource_show", {"id": "{private_resource}"}, MEMBERS, reads=True, note="private"),
    Call("archiver_dataset_show", {"id": "{public_dataset}"}, ANYBODY, reads=True),
    Call("archiver_dataset_show", {"id": "{private_dataset}"}, MEMBERS, reads=True, note="private"),
    Call("archiver_check_now", {"id": "{public_resource}"}, EDITORS),
    # CKAN's own, to which the plugin adds
    Call("package_create", _NEW, EDITORS),
    Call("package_update", {"id": "{public_dataset}", **_NEW}, EDITORS),
    Call("package_update", {"id": "{kept_dataset}", **_NEW}, SYSADMINS, note="of a read-only source"),
)

REPORT = (
    Call("report_list", {}, ANYBODY, reads=True),
    Call("report_show", _REPORT, ANYBODY, reads=True),
    Call("report_key_get", _REPORT, ANYBODY, reads=True),
    Call("report_data_get", _REPORT, ANYBODY, reads=True),
    Call("report_data_get", _STAFF, LOGGED_IN, reads=True, note="with authorize"),
    Call("report_status", _REPORT, ANYBODY, reads=True),
    Call("report_status", _STAFF, LOGGED_IN, reads=True, note="with authorize"),
    Call("report_refresh", _REPORT, SYSADMINS),
)

SYNDICATE = (
    Call("syndicate_prepare", _PUSH, SYSADMINS),
    Call("syndicate_sync", _PUSH, SYSADMINS),
    # nobody listens where the target should be
    Call("syndicate_sync_organization", {"id": "{organization}", **_TARGET}, SYSADMINS, status=409),
    Call("syndicate_sync_group", {"id": "{group}", **_TARGET}, SYSADMINS, status=409),
    Call("syndicate_plan", {"id": "{public_dataset}"}, EDITORS, reads=True),
    Call("syndicate_plan", _TARGET, SYSADMINS, reads=True, note="all"),
    Call("syndicate_status", {"id": "{public_dataset}"}, EDITORS, reads=True),
    Call("syndicate_status", {}, SYSADMINS, reads=True, note="all"),
    Call("syndicate_retry", {"id": "{public_dataset}"}, EDITORS),
    Call("syndicate_retry", {}, SYSADMINS, note="all"),
    Call("syndicate_push", {"id": "{public_dataset}"}, EDITORS),
    Call("syndicate_approve", _TARGET, SYSADMINS),
)

_BULK = {"datasets": ["{public_dataset}"], "org_id": "{organization}"}
#: CKAN's own, to which syndicate adds where they are written by SQL.
BULK = tuple(
    Call(action, _BULK, ADMINS) for action in ("bulk_update_private", "bulk_update_public", "bulk_update_delete")
)

CALLS = (*HARVEST, *ARCHIVER, *REPORT, *SYNDICATE, *(BULK if ckan_211.RUNS else ()))
