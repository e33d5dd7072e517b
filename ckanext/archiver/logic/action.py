"""The actions of the plugin, and what is done around those of CKAN that take datasets."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.archiver import datasets
from ckanext.archiver.model import Archival, aggregate_archivals_for_a_dataset


def get_actions() -> dict[str, Any]:
    """Return the actions by name."""
    return {
        "archiver_resource_show": archiver_resource_show,
        "archiver_dataset_show": archiver_dataset_show,
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
