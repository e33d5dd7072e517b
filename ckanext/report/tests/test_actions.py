"""The API of the plugin."""

from __future__ import annotations

import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan.tests import factories

from ckanext.report.tests.browsing import Browser, act, generate, report
from ckanext.report.tests.third_party import ThirdPartyReport

PLUGINS = {"third_party_report": ThirdPartyReport}
pytestmark = pytest.mark.usefixtures("portal")


@pytest.fixture
def user() -> str:
    return str(factories.User()["name"])


@pytest.fixture
def sysadmin() -> str:
    return str(factories.Sysadmin()["name"])


def test_list_and_show(user: str, sysadmin: str) -> None:
    """Visitors are listed what is for them, sysadmins all."""
    assert [each["name"] for each in act("report_list")] == ["publisher-activity", "tagless-datasets"]
    for name in (user, sysadmin):
        assert [each["name"] for each in act("report_list", name)] == [
            "publisher-activity",
            "staff",
            "tagless-datasets",
        ]
    shown = act("report_show", id="staff")
    assert shown == report("staff").as_dict()
    assert set(shown) == {"name", "title", "description", "option_defaults", "template"}


@pytest.mark.parametrize("action", ["report_show", "report_data_get", "report_key_get", "report_refresh"])
def test_a_report_that_is_not_there(action: str, sysadmin: str) -> None:
    """It is not found, whoever asks, and not an error of the server."""
    with pytest.raises(tk.ObjectNotFound, match="no-such-report"):
        act(action, sysadmin, id="no-such-report")
    with pytest.raises(tk.ValidationError):
        act(action, sysadmin)
    for wrong in ("{", ["a"], "3", {"year": "\x00"}):
        if action != "report_show":
            with pytest.raises(tk.ValidationError, match="options"):
                act(action, sysadmin, id="staff", options=wrong)


def test_data(user: str) -> None:
    """Data and date, of the options that are given and the defaults of the others, also as JSON text."""
    data = generate("staff", year="2001", verbose=False)
    date = report("staff").get_cached_date(year="2001", verbose=False)
    assert date
    for options in ({"year": "2001"}, '{"year": "2001"}', {"year": "2001", "verbose": "no", "other": 1}):
        assert act("report_data_get", user, id="staff", options=options) == [data, date.isoformat()]
    with pytest.raises(tk.ObjectNotFound, match="not generated yet"):
        act("report_data_get", user, id="staff", options={"year": "2002"})
    with pytest.raises(tk.ObjectNotFound):
        act("report_data_get", user, id="staff")


def test_whom_the_report_allows(user: str) -> None:
    """Without any options, too."""
    for name, options in (("", {}), (user, {"year": "1999"})):
        with pytest.raises(tk.NotAuthorized):
            act("report_data_get", name, id="staff", options=options)
    generate("staff", year="1999", verbose=False)
    assert tk.get_action("report_data_get")({"ignore_auth": True}, {"id": "staff", "options": {"year": "1999"}})


def test_keys() -> None:
    """They are parts of file names."""
    options = {"include_sub_organizations": "on", "organization": "parks"}
    key = act("report_key_get", id="tagless-datasets", options=options)
    assert key == "tagless-datasets_organization=parks&include_sub_organizations=1"


def test_refresh(user: str, sysadmin: str) -> None:
    """Sysadmins generate; what goes wrong is said."""
    for name in ("", user):
        with pytest.raises(tk.NotAuthorized):
            act("report_refresh", name, id="tagless-datasets")
    assert act("report_refresh", sysadmin, id="tagless-datasets") is None
    assert report("tagless-datasets").get_cached_date() is not None
    with pytest.raises(tk.ValidationError, match="millennium"):
        act("report_refresh", sysadmin, id="staff", options={"year": "2000"})
    with pytest.raises(tk.ObjectNotFound, match="no-such"):
        act("report_refresh", sysadmin, id="tagless-datasets", options={"organization": "no-such"})


def test_over_http(browser: Browser, sysadmin: str) -> None:
    """What reads may be asked for by GET, what writes may not."""
    generate("tagless-datasets")
    for path in (
        "report_list",
        "report_show?id=staff",
        "report_data_get?id=tagless-datasets",
        "report_key_get?id=staff",
    ):
        answer = browser.get(f"/api/3/action/{path}")
        assert answer.status_code == 200 and json.loads(answer.text)["success"]
    assert browser.get("/api/3/action/report_refresh?id=tagless-datasets", sysadmin).status_code == 400
    assert browser.get("/api/3/action/report_data_get?id=nothing").status_code == 404
    answer = browser.post("/api/3/action/report_refresh", sysadmin, json={"id": "tagless-datasets"})
    assert answer.status_code == 200


def test_what_others_import(ckan_config: Any) -> None:
    """Modules and names that third-party plugins use."""
    from ckanext.report import helpers, lib
    from ckanext.report.interfaces import IReport
    from ckanext.report.model import DataCache, init_tables
    from ckanext.report.plugin import ReportPlugin, TaglessReportPlugin
    from ckanext.report.report_registry import Report, ReportRegistry, extract_entity_name

    used = (IReport, DataCache, init_tables, ReportPlugin, TaglessReportPlugin, Report, ReportRegistry)
    assert all(map(callable, (*used, extract_entity_name)))
    assert all(callable(getattr(lib, name)) for name in lib.__all__)
    assert set(helpers.get_helpers()) <= set(tk.h)
