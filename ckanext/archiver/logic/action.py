"""The actions of the plugin, and what is done around those of CKAN that take datasets."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.archiver import config, datasets, tasks
from ckanext.archiver.model import Archival, aggregate_archivals_for_a_dataset, requests, waiting
from ckanext.archiver.model.resources import Wanted
from ckanext.relay.celery_app import PRIORITY


def get_actions() -> dict[str, Any]:
    """Return the actions by name."""
    return {
        "archiver_resource_show": archiver_resource_show,
        "archiver_dataset_show": archiver_dataset_show,
        "archiver_check_now": archiver_check_now,
        "package_create": package_create,
        "package_update": package_update,
    }


@tk.side_effect_free
def archiver_resource_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the link of a resource, and of the copy.

    :param id: of the resource
    :returns: the archival; ``cache_filepath`` is shown to sysadmins only
    """
    tk.check_access("archiver_resource_show", context, data_dict)
    archival = Archival.get_for_resource(resource_id=tk.get_or_bust(data_dict, "id"))
    if archival is None:
        raise tk.ObjectNotFound(tk._("This resource has not been checked yet."))
    return datasets.for_reader(archival.as_dict(), context)


@tk.side_effect_free
def archiver_dataset_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the links of a dataset together.

    :param id: id or name of the dataset
    :returns: ``status_id``, ``status``, ``reason`` and ``is_broken`` of the worst one, all None if none was checked
    """
    tk.check_access("archiver_dataset_show", context, data_dict)
    package = model.Package.get(tk.get_or_bust(data_dict, "id"))
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return aggregate_archivals_for_a_dataset(Archival.get_for_package(package.id))


def archiver_check_now(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Let the workers check a link now, or all links of a dataset, before what nobody waits for.

    :param id: of a resource; or
    :param dataset_id: id or name of a dataset
    :returns: how many links are ``asked`` for now, are ``waiting`` already, and were checked a moment ago, which is
        ``too_soon`` to do it again: see ``ckanext.archiver.check_now_seconds``
    :raises ValidationError: there is no link that could be checked, or both or none of the ids are given
    """
    tk.check_access("archiver_check_now", context, data_dict)
    found = waiting.sort_out(_wanted(data_dict), config.check_now_pause())
    counts = {"asked": len(found.ask), "waiting": len(found.waiting), "too_soon": len(found.too_soon)}
    if not any(counts.values()):
        message = tk._("Only links of datasets that are published and not deleted are checked.")
        raise tk.ValidationError({"dataset_id" if "dataset_id" in data_dict else "id": [message]})
    if found.ask:
        requests.request(PRIORITY, Wanted(resources=found.ask))
        tasks.archive_after_commit(PRIORITY)
        if not context.get("defer_commit"):
            model.repo.commit()
    return counts


def _wanted(data_dict: dict[str, Any]) -> Wanted:
    if bool(data_dict.get("id")) == bool(data_dict.get("dataset_id")):
        raise tk.ValidationError({"id": [tk._("Name a resource by id, or a dataset by dataset_id.")]})
    if data_dict.get("id"):
        resource = model.Resource.get(data_dict["id"])
        if resource is None:
            raise tk.ObjectNotFound(tk._("Resource not found"))
        return Wanted(resources=[resource.id])
    package = model.Package.get(data_dict["dataset_id"])
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return Wanted(packages=[package.id])


@tk.chained_action
def package_create(original: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Create a dataset as CKAN does, without what ``package_show`` had added to the data."""
    # access is checked by CKAN's own action
    return original(context, datasets.without_archivals(data_dict))


@tk.chained_action
def package_update(original: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Update a dataset as CKAN does, without what ``package_show`` had added to the data."""
    # access is checked by CKAN's own action
    with datasets.original(context, data_dict):
        return original(context, datasets.without_archivals(data_dict))
