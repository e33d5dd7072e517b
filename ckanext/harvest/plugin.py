"""The plugin ``harvest``: what CKAN asks of it, and where the answer is."""

from __future__ import annotations

import importlib
import os
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
from ckan.lib.plugins import DefaultDatasetForm

from ckanext.relay import config as relay_config
from ckanext.relay import pages, redaction, search
from ckanext.relay.translation import Translated

from . import (
    activities,
    cli,
    config,
    datasets,
    helpers,
    reports,
    sources,
    tasks,  # noqa: F401  (a worker finds the tasks because the plugin loads them)
    views,
)
from .logic import schema
from .logic.action import get_actions
from .logic.auth import get_auth_functions
from .model import HarvestJob, HarvestObject, HarvestSource, db_log  # noqa: F401  (third parties import them here)
from .sources import DATASET_TYPE_NAME


@tk.blanket.actions(get_actions)
@tk.blanket.auth_functions(get_auth_functions)
@tk.blanket.blueprints(views.get_blueprints)
@tk.blanket.cli(cli.get_commands)
@tk.blanket.helpers(helpers.get_helpers)
class Harvest(Translated, p.SingletonPlugin, DefaultDatasetForm):
    """Sources, jobs, and the dataset type of sources."""

    p.implements(p.IConfigDeclaration)
    p.implements(p.IConfigurable)
    p.implements(p.IConfigurer)
    p.implements(p.IDatasetForm, inherit=True)
    p.implements(p.IFacets, inherit=True)
    p.implements(p.IPackageController, inherit=True)
    p.implements(p.ITranslation)
    p.implements(reports.IReport)

    #: Whether CKAN is configuring the plugin just now.
    startup = False

    # IConfigDeclaration

    def declare_config_options(self, declaration: Any, key: Any) -> None:
        relay_config.declare(declaration, os.path.join(os.path.dirname(__file__), "config_declaration.yaml"))

    # IConfigurer

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
        tk.add_resource("assets", "ckanext-harvest")
        tk.add_resource("assets/extra_field", "harvest-extra-field")
        pages.register(config_)

    # IConfigurable

    def configure(self, config_: Any) -> None:
        Harvest.startup = True
        relay_config.add_older_broker_setting(config.broker_url)
        redaction.install()
        relay_config.run_check(config.check)
        _configure_db_logger(config_)
        activities.keep_secrets_out()
        Harvest.startup = False

    # IDatasetForm

    def is_fallback(self) -> bool:
        return False

    def package_types(self) -> list[str]:
        return [DATASET_TYPE_NAME]

    def package_form(self) -> str:
        return "source/new_source_form.html"

    def search_template(self) -> str:
        return "source/search.html"

    def search_template_htmx(self) -> str:
        return "source/search.html"  # which knows that it is asked for less than a page

    def read_template(self) -> str:
        return "source/read.html"

    def new_template(self) -> str:
        return "source/new.html"

    def edit_template(self) -> str:
        return "source/edit.html"

    def setup_template_variables(self, context: Any, data_dict: dict[str, Any]) -> None:
        super().setup_template_variables(context, data_dict)
        tk.g.dataset_type = DATASET_TYPE_NAME

    def create_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_create_package_schema()

    def update_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_update_package_schema()

    def show_package_schema(self) -> dict[str, Any]:
        return schema.harvest_source_show_package_schema()

    # IFacets

    def dataset_facets(self, facets_dict: Any, package_type: str) -> Any:
        return _facets() if package_type == DATASET_TYPE_NAME else facets_dict

    def organization_facets(self, facets_dict: Any, organization_type: str, package_type: str | None) -> Any:
        return _facets() if package_type == DATASET_TYPE_NAME else facets_dict

    # IReport

    def register_reports(self) -> list[dict[str, Any]]:
        return [reports.harvest_status_report_info]

    # IPackageController

    def after_dataset_create(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        if pkg_dict.get("type") == DATASET_TYPE_NAME:
            sources.create_row(pkg_dict)

    def after_dataset_update(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        search.changed(context, pkg_dict["id"])
        if pkg_dict.get("type") == DATASET_TYPE_NAME:
            sources.update_row(pkg_dict)

    def edit(self, entity: Any) -> None:
        datasets.keep_as_it_was(entity)

    def delete(self, entity: Any) -> None:
        sources.delete_row(entity.id)

    def after_dataset_show(self, context: Any, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        of_type = sources if pkg_dict.get("type") == DATASET_TYPE_NAME else datasets
        of_type.show(context, pkg_dict)
        return pkg_dict

    def before_dataset_index(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        of_type = sources if pkg_dict.get("type") == DATASET_TYPE_NAME else datasets
        return of_type.index(pkg_dict)

    def before_dataset_search(self, search_params: dict[str, Any]) -> dict[str, Any]:
        if f"dataset_type:{DATASET_TYPE_NAME}" not in (fq := search_params.get("fq") or ""):
            search_params["fq"] = f"{fq} -dataset_type:{DATASET_TYPE_NAME}".strip()
        return search_params


def _facets() -> dict[str, str]:
    """Return by what sources are narrowed down."""
    return {"frequency": tk._("Frequency"), "source_type": tk._("Type")}


def _configure_db_logger(config_: Any) -> None:
    """Keep the log messages in the database that the settings ask for."""
    db_log.configure(config.log_scope(), config.log_level())


def _create_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> HarvestSource:
    """Kept for third parties; see :func:`ckanext.harvest.sources.create_row`."""
    return sources.create_row(data_dict)


def _update_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> HarvestSource:
    """Kept for third parties; see :func:`ckanext.harvest.sources.update_row`."""
    return sources.update_row(data_dict)


def _delete_harvest_source_object(context: Any, data_dict: dict[str, Any]) -> None:
    """Kept for third parties; see :func:`ckanext.harvest.sources.delete_row`."""
    sources.delete_row(data_dict["id"])


def _get_logic_functions(module_root: str, logic_functions: dict[str, Any] | None = None) -> dict[str, Any]:
    """Kept for third parties: return the functions of a package's modules get, create, update, patch and delete."""
    found = {} if logic_functions is None else logic_functions
    for name in ("get", "create", "update", "patch", "delete"):
        try:
            module = importlib.import_module(f"{module_root}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{module_root}.{name}":
                raise
            continue  # a plugin need not have all of them
        found.update((key, each) for key, each in vars(module).items() if not key.startswith("_") and callable(each))
    return found
