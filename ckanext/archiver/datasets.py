"""The key ``archiver`` of datasets and resources: added whenever one is shown, taken out of what is saved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import authz, model

from . import facets
from .model import Archival, aggregate_archivals_for_a_dataset

KEY = "archiver"
#: What a resource is not told of itself again.
_KNOWN = ("id", "package_id", "resource_id")


def show(context: Any, pkg_dict: dict[str, Any]) -> None:
    """Add what is known of the links, as the database has it now; what an index or an older save had is dropped.

    Nothing is added for an update, which would save it, nor for the activity stream, which says that it is not for
    view: each check would be a change there.
    """
    without_archivals(pkg_dict)
    if context.get("for_update") or context.get("for_view") is False:
        return
    resources = {resource["id"]: resource for resource in _resources(pkg_dict) if resource.get("id")}
    archivals = _archivals(resources)
    sees_paths = bool(archivals) and _sees_paths(context)
    for archival in archivals:
        shown = {key: value for key, value in archival.as_dict().items() if key not in _KNOWN}
        resources[archival.resource_id][KEY] = shown if sees_paths else {**shown, "cache_filepath": None}
    if archivals:
        pkg_dict[KEY] = aggregate_archivals_for_a_dataset(archivals)


def for_reader(shown: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return an archival as the user may see it: where files are on the server is for sysadmins."""
    return shown if _sees_paths(context) else {**shown, "cache_filepath": None}


def _sees_paths(context: Any) -> bool:
    # what runs with all rights (indexing, for one) may pass on what it is given, so the rights do not count here
    return not context.get("ignore_auth") and authz.is_sysadmin(context.get("user"))


def index(document: dict[str, Any]) -> dict[str, Any]:
    """Take our key out of a search document; in the dictionaries that are stored in it, it stays as it was shown. What
    searches ask for is in a field of its own."""
    document.pop(KEY, None)
    facets.index(document)
    for blob in ("data_dict", "validated_data_dict"):
        # somebody indexed what a sysadmin was shown
        if '"cache_filepath": "' in (text := document.get(blob) or ""):
            document[blob] = _without_paths(text)
    return document


def without_archivals(data_dict: dict[str, Any]) -> dict[str, Any]:
    """Take our key out of a dataset that is to be saved, and out of its resources; return it."""
    for each in (data_dict, *_resources(data_dict)):
        each.pop(KEY, None)
    return data_dict


@contextlib.contextmanager
def original(context: Any, data_dict: dict[str, Any]) -> Iterator[None]:
    """In the block, CKAN 2.12's ``package_update`` finds the dataset without our key to compare the new one with.

    Else it would take each dataset that has an archival for changed, whatever it is given.
    """
    package = None
    if "original_package" not in context and tk.check_ckan_version(min_version="2.12"):
        package = model.Package.get(data_dict.get("id") or data_dict.get("name"))
    if package is None:  # it is there, or there is no such dataset, and CKAN says so
        yield
        return
    own = {key: context[key] for key in ("session", "user", "auth_user_obj", "defer_commit") if key in context}
    shown = tk.get_action("package_show")({**own, "ignore_auth": True}, {"id": package.id})
    context["original_package"] = without_archivals(shown)
    try:
        yield
    finally:
        # who uses the context for another update of the dataset must not compare with this state of it
        context.pop("original_package", None)


def _archivals(resource_ids: Iterable[str]) -> list[Archival]:
    wanted = list(resource_ids)
    if not wanted:
        return []
    return model.Session.query(Archival).filter(Archival.resource_id.in_(wanted)).all()


def _resources(pkg_dict: dict[str, Any]) -> list[dict[str, Any]]:
    resources = pkg_dict.get("resources")
    # of what is to be saved nothing is validated yet
    return [each for each in resources if isinstance(each, dict)] if isinstance(resources, list) else []


def _without_paths(text: str) -> str:
    shown = json.loads(text)
    for resource in _resources(shown):
        if isinstance(resource.get(KEY), dict):
            resource[KEY]["cache_filepath"] = None
    if isinstance(other := shown.get("validated_data_dict"), str):  # CKAN 2.11 has one in the other
        shown["validated_data_dict"] = _without_paths(other)
    return json.dumps(shown)
