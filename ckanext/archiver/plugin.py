"""The plugins ``archiver`` and ``testipipe``: what CKAN asks of them, and where the answer is."""

from __future__ import annotations

import os
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay import pages, redaction
from ckanext.relay.translation import Translated

from . import (
    cli,
    config,
    datasets,
    facets,
    helpers,
    reports,
    subscribers,
    tasks,  # noqa: F401  (a worker finds the tasks because the plugin loads them)
    views,
)
from .interfaces import IPipe
from .logic import action, auth


@tk.blanket.actions(action.get_actions)
@tk.blanket.auth_functions(auth.get_auth_functions)
@tk.blanket.blueprints(views.get_blueprints)
@tk.blanket.cli(cli.get_commands)
@tk.blanket.helpers(helpers.get_helpers)
class ArchiverPlugin(Translated, p.SingletonPlugin):
    """Checks of links, and copies of what they lead to."""

    p.implements(p.IConfigDeclaration)
    p.implements(p.IConfigurable)
    p.implements(p.IConfigurer)
    p.implements(p.IDomainObjectModification, inherit=True)
    p.implements(p.IFacets, inherit=True)
    p.implements(p.IPackageController, inherit=True)
    p.implements(p.ITranslation)
    p.implements(reports.IReport)

    # IConfigDeclaration

    def declare_config_options(self, declaration: Any, key: Any) -> None:
        relay_config.declare(declaration, os.path.join(os.path.dirname(__file__), "config_declaration.yaml"))

    # IReport

    def register_reports(self) -> list[dict[str, Any]]:
        return [reports.broken_links_report_info, reports.archive_usage_report_info]

    # IConfigurer

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
        pages.register(config_)

    # IConfigurable

    def configure(self, config_: Any) -> None:
        redaction.install()
        relay_config.run_check(config.check)

    # IDomainObjectModification

    def notify(self, entity: Any, operation: str) -> None:
        subscribers.notify(entity, operation)

    # IPackageController

    def after_dataset_show(self, context: Any, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        datasets.show(context, pkg_dict)
        return pkg_dict

    def before_dataset_index(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        return datasets.index(pkg_dict)

    def after_dataset_search(self, search_results: dict[str, Any], search_params: dict[str, Any]) -> dict[str, Any]:
        facets.label(search_results)
        return search_results

    # IFacets

    def dataset_facets(self, facets_dict: Any, package_type: str) -> Any:
        facets.add_to(facets_dict, package_type)
        return facets_dict

    def organization_facets(self, facets_dict: Any, organization_type: str, package_type: str | None) -> Any:
        facets.add_to(facets_dict, package_type)
        return facets_dict

    def group_facets(self, facets_dict: Any, group_type: str, package_type: str | None) -> Any:
        facets.add_to(facets_dict, package_type)
        return facets_dict


class TestIPipePlugin(p.SingletonPlugin):
    """For tests: writes down what the pipeline says."""

    __test__ = False  # pytest would take the name for a test

    p.implements(IPipe, inherit=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[list[Any]] = []

    def reset(self) -> None:
        """Forget what was said."""
        self.calls = []

    def receive_data(self, operation: str, queue: str, **params: Any) -> None:
        self.calls.append([operation, queue, params])
