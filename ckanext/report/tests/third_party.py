"""A plugin of somebody else, written as those for ckanext-report are."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from typing import Any

import ckan.model as model
import ckan.plugins as p

from ckanext.report import lib
from ckanext.report.interfaces import IReport


def publisher_activity(organization: Any, include_sub_organizations: bool = False) -> dict[str, Any]:
    query = model.Session.query(model.Package).filter(model.Package.state == "active")
    query = lib.filter_by_organizations(query, organization, include_sub_organizations)
    columns = ("Dataset", "package_id", "Notes", "When")
    rows = [
        [pkg.title, pkg.id, lib.dataset_notes(pkg), datetime.datetime(2020, 1, 2, 3, 4)]
        for pkg in query.order_by(model.Package.name)
    ]
    return {"table": rows, "columns": columns, "num_packages": len(rows)}


def publisher_activity_combinations() -> Any:
    for organization in lib.all_organizations(include_none=False):
        for include_sub_organizations in (False, True):
            yield {"organization": organization, "include_sub_organizations": include_sub_organizations}


def staff_authorize(user_object: Any, options: dict[str, Any]) -> bool:
    return bool(user_object) and options["year"] != "1999"


def staff(year: str, verbose: bool) -> dict[str, Any]:
    if year == "2000":
        raise RuntimeError("the millennium bug")
    return {"table": [OrderedDict([("year", year), ("formula", "=1+1")])], "verbose": verbose}


class ThirdPartyReport(p.SingletonPlugin):
    """Rows that are lists, legacy variables in the template, and a report that is not for visitors."""

    p.implements(p.IConfigurer)
    p.implements(IReport)

    def update_config(self, config: Any) -> None:
        p.toolkit.add_template_directory(config, "templates")

    def register_reports(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "publisher-activity",
                "description": "A quarterly list of what changed.",
                "option_defaults": OrderedDict((("organization", "parks"), ("include_sub_organizations", False))),
                "option_combinations": publisher_activity_combinations,
                "generate": publisher_activity,
                "template": "report/publisher_activity.html",
                "post_access_filter": None,
            },
            {
                "name": "staff",
                "title": "Staff only",
                "option_defaults": OrderedDict((("year", "2024"), ("verbose", True))),
                "option_combinations": None,
                "generate": staff,
                "template": "report/staff.html",
                "authorize": staff_authorize,
            },
        ]
