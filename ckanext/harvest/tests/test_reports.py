"""The report on how harvesting goes."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories

import ckanext.report.plugin
from ckanext.harvest.model import HarvestSource, stats
from ckanext.harvest.reports import harvest_status
from ckanext.harvest.tests.harvesting import act, harvest, make_source, sql
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester, package_id
from ckanext.report.report_registry import ReportRegistry

PLUGINS = {"scripted_harvester": ScriptedHarvester, "report": ckanext.report.plugin.ReportPlugin}

pytestmark = pytest.mark.usefixtures("portal", "script", "report_tables")


@pytest.fixture
def report_tables(portal: None, migrate_db_for: Any) -> None:
    """The table of the report plugin."""
    migrate_db_for("report")


def row_of(data: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in data["table"] if row["source_name"] == source["name"])


def test_a_source_that_was_harvested(script: Any) -> None:
    """What its newest job brought, when, and how many datasets come from it."""
    organization = factories.Organization(title="Parks")
    source = make_source("scripted", owner_org=organization["id"], frequency="MANUAL", title="Trees")
    harvest(source["id"])
    row = row_of(harvest_status(), source)
    assert (row["source_title"], row["organization_title"], row["source_type"]) == ("Trees", "Parks", "scripted")
    assert (row["state"], row["last_status"]) == ("ok", "Finished")
    assert row["added"] == row["datasets"] > 0
    assert datetime.datetime.fromisoformat(row["last_finished"]) >= datetime.datetime.fromisoformat(row["last_started"])


def test_which_datasets_are_counted(script: Any) -> None:
    """The public ones, as everywhere; one of an old database that does not say whether it is private is public."""
    source = make_source("scripted")
    harvest(source["id"])
    for private, count in ((None, 1), (True, 0)):
        sql("UPDATE package SET private = :private WHERE id = :id", private=private, id=package_id("one"))
        assert row_of(harvest_status(), source)["datasets"] == count
        assert stats.source_counts(source["id"])["total_datasets"] == count


def test_what_needs_somebody_stands_first() -> None:
    """A source that is late, one without a job, one that is inactive; and how many there are of each."""
    never, late, inactive = (make_source("scripted", title=title) for title in ("never", "late", "inactive"))
    row: Any = model.Session.get(HarvestSource, late["id"])
    row.frequency, row.next_run = "DAILY", datetime.datetime.utcnow() - datetime.timedelta(days=2)
    model.Session.get(HarvestSource, inactive["id"]).active = False
    model.Session.commit()
    data = harvest_status()
    assert [each["source_name"] for each in data["table"]] == [late["name"], never["name"], inactive["name"]]
    assert data["num_sources"] == 3
    assert {state: number for state, number in data["states"].items() if number} == {
        "late": 1,
        "never run": 1,
        "inactive": 1,
    }


def test_deleted_sources_and_secrets_are_left_out() -> None:
    """A source that was deleted has no row; what is secret in the URL of one is not shown."""
    deleted = make_source("scripted")
    act("harvest_source_delete", id=deleted["id"])
    kept = make_source("scripted", url="http://somebody:pa55@example.com/?token=t0ken")
    data = harvest_status()
    assert [each["source_name"] for each in data["table"]] == [kept["name"]]
    assert "pa55" not in data["table"][0]["source_url"]
    assert "t0ken" not in data["table"][0]["source_url"]


def test_who_sees_private_sources() -> None:
    """A private source is neither shown to nor counted for visitors."""
    private, public = make_source("scripted"), make_source("scripted")
    model.Session.get(model.Package, private["id"]).private = True
    model.Session.commit()
    ReportRegistry.instance().get_report("harvest-status").refresh_cache({})
    data, _ = tk.get_action("report_data_get")({"user": "", "ignore_auth": False}, {"id": "harvest-status"})
    assert ([row["source_name"] for row in data["table"]], data["num_sources"]) == ([public["name"]], 1)
    sysadmin = factories.Sysadmin()["name"]
    data, _ = tk.get_action("report_data_get")({"user": sysadmin, "ignore_auth": False}, {"id": "harvest-status"})
    assert data["num_sources"] == 2
