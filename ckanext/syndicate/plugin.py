"""The plugin ``syndicate``: what CKAN asks of it, and where the answer is."""

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
    helpers,
    profiles,
    reports,
    subscribers,
    tasks,  # noqa: F401  (a worker finds the tasks because the plugin loads them)
    views,
)
from .asking import syndicate_dataset
from .interfaces import ISyndicate
from .legacy import (
    get_syndicate_flag,
    get_syndicated_author,
    get_syndicated_id,
    get_syndicated_name_prefix,
    get_syndicated_organization,
    is_organization_preserved,
)
from .logic import action, auth

#: other extensions import them from here
__all__ = [
    "SyndicatePlugin",
    "get_syndicate_flag",
    "get_syndicated_author",
    "get_syndicated_id",
    "get_syndicated_name_prefix",
    "get_syndicated_organization",
    "is_organization_preserved",
    "syndicate_dataset",
]


@tk.blanket.actions(action.get_actions)
@tk.blanket.auth_functions(auth.get_auth_functions)
@tk.blanket.blueprints(views.get_blueprints)
@tk.blanket.cli(cli.get_commands)
@tk.blanket.helpers(helpers.get_helpers)
class SyndicatePlugin(Translated, p.SingletonPlugin):
    """Copies of datasets on other portals, kept up to date."""

    p.implements(p.IConfigDeclaration)
    p.implements(p.IConfigurable)
    p.implements(p.IConfigurer)
    p.implements(p.IDomainObjectModification, inherit=True)
    p.implements(p.IGroupController, inherit=True)
    p.implements(p.IOrganizationController, inherit=True)
    p.implements(p.ITranslation)
    p.implements(ISyndicate, inherit=True)
    p.implements(reports.IReport)

    # IConfigDeclaration

    def declare_config_options(self, declaration: Any, key: Any) -> None:
        relay_config.declare(declaration, os.path.join(os.path.dirname(__file__), "config_declaration.yaml"))

    # IConfigurable

    def configure(self, config_: Any) -> None:
        redaction.install()
        relay_config.run_check(config.check)
        profiles.all_profiles()  # says now what is wrong with them

    # IConfigurer

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
        pages.register(config_)

    # IReport

    def register_reports(self) -> list[dict[str, Any]]:
        return [reports.syndication_status_report_info]

    # IDomainObjectModification

    def notify(self, entity: Any, operation: str | None = None) -> None:
        subscribers.notify(entity, operation)

    # IGroupController and IOrganizationController

    def edit(self, entity: Any) -> None:
        subscribers.edited(entity)
