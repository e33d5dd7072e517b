"""The plugins ``report`` and ``tagless_report``: what CKAN asks of them, and where the answer is."""

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
    reports,
    tasks,  # noqa: F401  (a worker finds the tasks because the plugin loads them)
    views,
)
from .interfaces import IReport
from .logic.action import get_actions
from .logic.auth import get_auth_functions


@tk.blanket.actions(get_actions)
@tk.blanket.auth_functions(get_auth_functions)
@tk.blanket.blueprints(views.get_blueprints)
@tk.blanket.cli(cli.get_commands)
@tk.blanket.helpers(helpers.get_helpers)
class ReportPlugin(Translated, p.SingletonPlugin):
    """The engine: pages, actions and commands for the reports that other plugins bring."""

    p.implements(p.IConfigDeclaration)
    p.implements(p.IConfigurable)
    p.implements(p.IConfigurer)
    p.implements(p.ITranslation)

    # IConfigDeclaration

    def declare_config_options(self, declaration: Any, key: Any) -> None:
        relay_config.declare(declaration, os.path.join(os.path.dirname(__file__), "config_declaration.yaml"))

    # IConfigurer

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
        pages.register(config_)
        tk.add_resource("assets", "ckanext-report")

    # IConfigurable

    def configure(self, config_: Any) -> None:
        redaction.install()
        relay_config.run_check(config.check)


class TaglessReportPlugin(p.SingletonPlugin):
    """The report on datasets without tags."""

    p.implements(IReport)

    # IReport

    def register_reports(self) -> list[dict[str, Any]]:
        return [reports.tagless_report_info]
