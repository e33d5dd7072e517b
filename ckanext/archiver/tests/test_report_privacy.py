"""Visitors see nothing of private datasets, in no report and in no format."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories

from ckanext.archiver.model import Archival
from ckanext.report.report_registry import ReportRegistry

PLUGINS = "report tagless_report harvest ckan_harvester"

REPORTS = {"broken-links", "archive-usage", "harvest-status", "tagless-datasets"}


@pytest.fixture
def private(archiver_portal: None, migrate_db_for: Any) -> dict[str, Any]:
    """A private dataset with a broken link and without a tag, in an organization with nothing else."""
    for plugin in ("report", "harvest"):
        migrate_db_for(plugin)
    organization = factories.Organization(title="Parks")
    resources = [{"url": "http://example.com/undisclosed.csv", "format": "CSV"}]
    made: dict[str, Any] = factories.Dataset(
        name="undisclosed-name", title="Undisclosed", private=True, owner_org=organization["id"], resources=resources
    )
    row = Archival.create(made["resources"][0]["id"])
    row.status_id, row.is_broken, row.verdict, row.reason = 12, True, "broken", "undisclosed reason"
    row.cache_filepath, row.size = "/archive/undisclosed", 4711
    model.Session.add(row)
    source = {
        "url": "http://undisclosed.example",
        "title": "Undisclosed source",
        "name": "undisclosed-source",
        "source_type": "ckan",
    }
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    context = {"ignore_auth": True, "user": user}
    harvest = tk.get_action("harvest_source_create")(context, {**source, "owner_org": organization["id"]})
    model.Session.get(model.Package, harvest["id"]).private = True
    model.Session.commit()
    return made


def outputs(app: Any, report: Any, options: dict[str, Any], **headers: str) -> dict[str, str]:
    """Return all that there is to see of a report, by format."""
    given = {name: int(value) if isinstance(value, bool) else value for name, value in options.items() if value}
    organization = given.pop("organization", None)
    path = f"/report/{report.name}" + (f"/{organization}" if organization else "")
    found = {
        shape: app.get(f"{path}?{urlencode({**given, 'format': shape})}", headers=headers).body
        for shape in ("html", "csv", "json")
    }
    query = json.dumps({"id": report.name, "options": options})
    answer = app.post(
        "/api/3/action/report_data_get", data=query, headers={"Content-Type": "application/json", **headers}
    )
    return {**found, "api": answer.body}


def test_no_report_in_no_format(app: Any, private: dict[str, Any]) -> None:
    """Neither row nor number tells a visitor of what is private; a sysadmin finds it in each report."""
    registry = ReportRegistry.instance()
    registry.refresh_cache_for_all_reports()
    reports = {report.name: report for report in registry.get_reports()}
    assert set(reports) == REPORTS
    token = {"Authorization": factories.SysadminWithToken()["token"]}
    for name, report in reports.items():
        seen = ""
        for options in report.combinations():
            for shape, text in outputs(app, report, options).items():
                assert "undisclosed" not in text.lower(), (name, options, shape)
                assert "4711" not in text and private["id"] not in text, (name, options, shape)
            data, _ = tk.get_action("report_data_get")(
                {"user": "", "ignore_auth": False}, {"id": name, "options": options}
            )
            assert not [value for key, value in data.items() if key.startswith("num_") and value], (name, options)
            seen += outputs(app, report, options, **token)["json"].lower()
        assert "undisclosed" in seen or "4711" in seen, name
