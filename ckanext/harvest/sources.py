"""A source is a dataset of type ``harvest`` for people and a row for the workers; this keeps the two together."""

from __future__ import annotations

import json
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.relay import secrets
from ckanext.relay.errors import redact

from .logic.auth import may_edit_source
from .logic.dictization import harvest_job_dictize
from .model import HarvestJob, HarvestSource, record, stats

DATASET_TYPE_NAME = "harvest"

#: Solr refuses a string field beyond 32766 bytes; a status with long error messages is cut well before.
_STATUS_MESSAGE = 200
#: How many messages of each kind it has.
_STATUS_MESSAGES = 3


def create_row(pkg_dict: dict[str, Any]) -> HarvestSource:
    """Make the row of a new source dataset, in the session's transaction."""
    source = HarvestSource(
        id=pkg_dict["id"],
        url=pkg_dict["url"].strip(),
        type=pkg_dict.get("source_type") or _extra(pkg_dict, "source_type"),
        active=pkg_dict.get("state") in (None, "active"),
    )
    _copy_fields(source, pkg_dict)
    model.Session.add(source)
    model.Session.flush()
    return source


def update_row(pkg_dict: dict[str, Any]) -> HarvestSource:
    """Bring the row of a source dataset up to date, in the session's transaction.

    :raises ObjectNotFound: the dataset has no row
    """
    source = HarvestSource.get(pkg_dict["id"])
    if source is None:
        raise tk.ObjectNotFound(tk._("Harvest Source was not found."))
    if pkg_dict.get("url"):
        source.url = pkg_dict["url"].strip()
    source_type = pkg_dict.get("source_type") or _extra(pkg_dict, "source_type")
    if source_type:
        source.type = source_type
    _copy_fields(source, pkg_dict)
    if "state" in pkg_dict:
        _set_active(source, pkg_dict["state"] == "active")
    model.Session.flush()
    return source


def delete_row(source_id: str) -> None:
    """Deactivate the row of a deleted source; does nothing for a dataset that is no source."""
    source = HarvestSource.get(source_id)
    if source is not None:
        _set_active(source, False)
        model.Session.flush()


def _set_active(source: HarvestSource, active: bool) -> None:
    source.active = active
    if not active:
        record.abort_new(source.id)


def _copy_fields(source: HarvestSource, pkg_dict: dict[str, Any]) -> None:
    for field, key in (
        ("title", "title"),
        ("description", "notes"),
        ("user_id", "user_id"),
        ("publisher_id", "publisher_id"),
    ):
        if pkg_dict.get(key) is not None:
            setattr(source, field, pkg_dict[key])
    for field in ("config", "frequency"):
        value = pkg_dict[field] if field in pkg_dict else _extra(pkg_dict, field)
        if value is not None or field in pkg_dict:
            setattr(source, field, value or ("MANUAL" if field == "frequency" else ""))


def _extra(pkg_dict: dict[str, Any], key: str) -> str | None:
    """Return a field where validation has put it: among the extras."""
    return next((extra["value"] for extra in pkg_dict.get("extras", ()) if extra["key"] == key), None)


def status(source_id: str, context: Any) -> dict[str, Any]:
    """Return ``{job_count, last_job, total_datasets}`` of a source; ``last_job`` is None or a job dict."""
    last = HarvestJob.filter(source_id=source_id).order_by(HarvestJob.created.desc()).first()
    if last is None:
        return {"job_count": 0, "last_job": None, "total_datasets": 0}
    counts = stats.source_counts(source_id)
    return {
        "job_count": counts["job_count"],
        "last_job": harvest_job_dictize(last, context),
        "total_datasets": counts["total_datasets"],
    }


def show(context: Any, pkg_dict: dict[str, Any]) -> None:
    """Complete a shown source: its status, and its configuration, with secrets masked for those who may not edit it."""
    source = HarvestSource.get(pkg_dict["id"])
    if source is None:
        return
    if not context.get("for_update"):  # nobody sees it, it is shown again when it is written
        summary = context.get("return_error_summary", True)
        pkg_dict["status"] = status(source.id, {"return_error_summary": summary})
    # the row has the truth: what comes from the search index is masked already
    pkg_dict["url"], shown = redact(source.url), secrets.mask_json(source.config)
    if (pkg_dict["url"], shown) != (source.url, source.config) and may_edit_source(context, source.id):
        pkg_dict["url"], shown = source.url, source.config
    for extra in pkg_dict.get("extras", ()):
        if extra["key"] == "config":  # shown by CKAN's own schema
            extra["value"] = shown
    if not pkg_dict.get("config"):
        return
    pkg_dict["config"] = shown
    for name, value in _config_keys(shown).items():
        if name in pkg_dict and name not in ("config", "url", "title"):
            pkg_dict[name] = value


def _config_keys(text: str | None) -> dict[str, Any]:
    try:
        config = json.loads(text) if text else {}
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def index(document: dict[str, Any]) -> dict[str, Any]:
    """Make the search document of a source: its status as text, no configuration in it, no secret in what it caches."""
    for name in _config_keys(document.get("config")):
        if name not in ("url", "title", "name", "id"):
            document.pop(name, None)
    for blob in ("data_dict", "validated_data_dict"):
        shown = json.loads(document[blob])
        if "status" in document:
            shown.setdefault("status", document["status"])  # CKAN 2.11 validates after show(), which drops it
        document[blob] = json.dumps(without_secrets(shown))
    if document.get("config"):
        document["config"] = document["extras_config"] = ""
    document["url"] = redact(document.get("url") or "")
    document["frequency"] = document.get("frequency") or "MANUAL"  # what the row says that was given none
    document["status"] = json.dumps(_short(shown.get("status") or status(document["id"], {})))
    return document


def without_secrets(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a shown source with the secrets of its configuration and of its URL masked."""
    shown = secrets.mask(shown)
    if shown.get("config"):
        shown["config"] = secrets.mask_json(shown["config"])
    for extra in shown.get("extras", ()):
        if extra["key"] == "config":
            extra["value"] = secrets.mask_json(extra["value"])
    return shown


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value[:_STATUS_MESSAGES]]
    return value[:_STATUS_MESSAGE] if isinstance(value, str) else value
