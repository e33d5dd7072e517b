"""The plugin ``harvest``: what CKAN asks of it, and where the answer is."""

from __future__ import annotations

import os
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
from ckan.lib.plugins import DefaultDatasetForm

from ckanext.relay.config import declare as declare_relay

from . import cli, datasets, sources, tasks  # noqa: F401  (a worker finds the tasks because the plugin loads them)
from .logic import schema
from .logic.action import get_actions
from .logic.auth import get_auth_functions
from .model import HarvestJob, HarvestObject, HarvestSource  # noqa: F401  (third parties import them from here)
from .sources import DATASET_TYPE_NAME


@tk.blanket.actions(get_actions)
@tk.blanket.auth_functions(get_auth_functions)
@tk.blanket.cli(cli.get_commands)
class Harvest(p.SingletonPlugin, DefaultDatasetForm):
    """Sources, jobs, and the dataset type of sources."""

    p.implements(p.IConfigDeclaration)
    p.implements(p.IDatasetForm, inherit=True)
    p.implements(p.IPackageController, inherit=True)

    # IConfigDeclaration

    def declare_config_options(self, declaration: Any, key: Any) -> None:
        declare_relay(declaration, os.path.join(os.path.dirname(__file__), "config_declaration.yaml"))

    # IDatasetForm

    def is_fallback(self) -> bool:
        return False

    def package_types(self) -> list[str]:
        return [DATASET_TYPE_NAME]

    def create_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_create_package_schema()

    def update_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_update_package_schema()

    def show_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_show_package_schema()

    # IPackageController

    def after_dataset_create(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        if pkg_dict.get("type") == DATASET_TYPE_NAME:
            sources.create_row(pkg_dict)

    def after_dataset_update(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        if pkg_dict.get("type") == DATASET_TYPE_NAME:
            sources.update_row(pkg_dict)

    def delete(self, entity: Any) -> None:
        sources.delete_row(entity.id)

    def after_dataset_show(self, context: Any, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        if pkg_dict.get("type") == DATASET_TYPE_NAME:
            sources.show(context, pkg_dict)
        return pkg_dict

    def before_dataset_index(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        of_type = sources if pkg_dict.get("type") == DATASET_TYPE_NAME else datasets
        return of_type.index(pkg_dict)

    def before_dataset_search(self, search_params: dict[str, Any]) -> dict[str, Any]:
        if f"dataset_type:{DATASET_TYPE_NAME}" not in (fq := search_params.get("fq") or ""):
            search_params["fq"] = f"{fq} -dataset_type:{DATASET_TYPE_NAME}".strip()
        return search_params


def _create_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> HarvestSource:
    """Kept for third parties; see :func:`ckanext.harvest.sources.create_row`."""
    return sources.create_row(data_dict)


def _update_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> HarvestSource:
    """Kept for third parties; see :func:`ckanext.harvest.sources.update_row`."""
    return sources.update_row(data_dict)


def _delete_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> None:
    """Kept for third parties; see :func:`ckanext.harvest.sources.delete_row`."""
    sources.delete_row(data_dict["id"])
