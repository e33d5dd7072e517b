"""Which reports there are, what they are made of, and who generates them when."""

from __future__ import annotations

import datetime
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ckan.plugins as p
import pytest
from ckan import model

from ckanext.relay import lease
from ckanext.relay.clock import now
from ckanext.relay.tests.plugin_classes import loaded
from ckanext.report import runner
from ckanext.report.interfaces import IReport
from ckanext.report.model import DataCache
from ckanext.report.report_registry import Report, ReportRegistry, extract_entity_name
from ckanext.report.tests.browsing import generate, report
from ckanext.report.tests.third_party import ThirdPartyReport

PLUGINS = {"third_party_report": ThirdPartyReport}
pytestmark = pytest.mark.usefixtures("portal")


def info(**changed: Any) -> dict[str, Any]:
    return {
        "name": "a-report_of_mine",
        "generate": lambda **options: {"table": [options]},
        "template": "report/staff.html",
        "option_defaults": OrderedDict(organization=None, deep=False, on=True, number=1),
        "option_combinations": None,
        **changed,
    }


def test_the_reports_of_all_plugins() -> None:
    """By plugin and by title, each with what the plugin says of it."""
    registry = ReportRegistry.instance()
    assert registry.get_names() == [
        ("TaglessReportPlugin (tagless_report)", "tagless-datasets", "Tagless datasets"),
        ("ThirdPartyReport (third_party_report)", "publisher-activity", "Publisher activity"),
        ("ThirdPartyReport (third_party_report)", "staff", "Staff only"),
    ]
    assert [each.name for each in registry.get_reports()] == ["publisher-activity", "staff", "tagless-datasets"]
    staff = registry.get_report("staff")
    assert staff.as_dict() == {
        "name": "staff", "title": "Staff only", "description": "", "template": "report/staff.html",
        "option_defaults": OrderedDict([("year", "2024"), ("verbose", True)]),
    }  # fmt: skip
    assert staff.get_template() == "report/staff.html"
    assert "post_access_filter" in registry.get_report("publisher-activity").info
    with pytest.raises(KeyError):
        registry.get_report("not there")
    assert ReportRegistry.instance() is registry


class Later(p.SingletonPlugin):
    """A plugin that is loaded when the registry was built already."""

    p.implements(IReport)

    def register_reports(self) -> list[dict[str, Any]]:
        return [info(name="later")]


def test_plugins_that_are_loaded_later() -> None:
    """They count, and do not when they are unloaded."""
    before = ReportRegistry.instance().get_names()
    with loaded("later", Later):
        assert report("later").plugin == "Later (later)"
    assert ReportRegistry.instance().get_names() == before


@pytest.mark.parametrize("missing", ["name", "generate", "template", "option_defaults", "option_combinations"])
def test_an_info_that_lacks_something(missing: str) -> None:
    """The author is told what."""
    wrong = info()
    del wrong[missing]
    with pytest.raises(AssertionError, match=missing):
        Report(wrong, "Somebody (some)")
    with pytest.raises(AssertionError, match="OrderedDict"):
        Report(info(option_defaults=["organization"]), "Somebody (some)")


def test_two_reports_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said whose they are."""
    twice = [info(name="staff"), info(name="staff")]
    monkeypatch.setattr(ThirdPartyReport, "register_reports", lambda self: twice)
    with pytest.raises(AssertionError, match=r"staff.*ThirdPartyReport \(third_party_report\)"):
        ReportRegistry()


def test_options() -> None:
    """Boxes that are not ticked are False, what is no boolean is the default, and the rest is left alone."""
    mine = Report(info(), "Somebody (some)")
    assert mine.title == "A report of mine"
    with_defaults = Report.add_defaults_to_options({"deep": "1", "other": "x"}, mine.option_defaults)
    assert with_defaults == {"deep": True, "other": "x", "organization": None, "on": False, "number": 1}
    assert Report.add_defaults_to_options({"on": "perhaps"}, mine.option_defaults)["on"] is True
    assert mine.generate_key({"organization": "parks"}) == "a-report_of_mine?organization=parks&deep=0&on=1&number=1"
    with pytest.raises(KeyError):
        mine.generate_key({"organization": "parks"}, defaults_for_missing_keys=False)
    assert Report(info(option_defaults=None), "x").generate_key({}) == "a-report_of_mine"
    assert extract_entity_name({"organization": "parks"}) == "parks"
    assert mine.is_visible_to_user(None) is True
    assert report("staff").is_visible_to_user(None) is False


def test_fresh_data_for_python_code() -> None:
    """What is missing or older than two days is generated then and there; what is fresh is not."""
    calls: list[dict[str, Any]] = []

    def counted(**options: Any) -> dict[str, Any]:
        calls.append(options)
        return {"table": [{"number": len(calls)}]}

    mine = Report(info(generate=counted), "Somebody (some)")
    assert mine.get_cached_date(deep=True) is None
    data, created = mine.get_fresh_report(deep=True)
    assert data == {"table": [{"number": 1}]} and now() - created < datetime.timedelta(minutes=1)
    assert calls == [{"organization": None, "deep": True, "on": True, "number": 1}]
    assert mine.get_fresh_report(deep=True) == (data, created)
    assert mine.get_cached_date(deep=True) == created
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(days=3)})
    assert mine.get_fresh_report(deep=True)[0] == {"table": [{"number": 2}]}


def test_all_combinations() -> None:
    """Each is stored; options that a combination leaves out have their defaults."""
    mine = Report(info(option_combinations=lambda: [{}, {"deep": True}]), "Somebody (some)")
    mine.refresh_cache_for_all_options()
    keys = {row.key for row in model.Session.query(DataCache)}
    assert keys == {mine.generate_key({}), mine.generate_key({"deep": True})}
    with pytest.raises(KeyError):
        mine.refresh_cache({"deep": True})
    ReportRegistry.instance().refresh_cache_for_all_reports()
    assert report("tagless-datasets").get_cached_date() is not None


def test_a_report_that_fails() -> None:
    """The data of before stay, the error is raised, and it is noted until the report does well again."""
    staff = report("staff")
    bad = {"year": "2000", "verbose": True}
    DataCache.set(None, staff.generate_key(bad), {"table": []}, convert_json=True)
    model.Session.commit()
    with pytest.raises(RuntimeError, match="millennium"):
        staff.refresh_cache(bad)
    assert DataCache.get(None, staff.generate_key(bad), convert_json=True)[0] == {"table": []}
    said = runner.failure(staff, bad)
    assert said and said[0] == "RuntimeError: the millennium bug"
    secret = ValueError("http://user:pa55word@example.org/ \x00")
    assert "pa55word" not in runner.described(secret) and "\x00" not in runner.described(secret)
    runner.note_failure(staff, bad, runner.described(ValueError("half \ud83d of it")))
    found = runner.failure(staff, bad)
    assert found and found[0] == "ValueError: half ? of it"
    staff.generate = lambda **options: {"table": [1]}
    try:
        staff.refresh_cache(bad)
    finally:
        staff.generate = staff.info["generate"]
    assert runner.failure(staff, bad) is None


def test_many_who_want_the_same_generate_it_once(flask_app: Any) -> None:
    """The others wait, and take what the first has made."""
    calls: list[int] = []

    def slow(**options: Any) -> dict[str, Any]:
        calls.append(1)
        time.sleep(0.5)
        return {"table": []}

    mine = Report(info(name="slow", generate=slow), "Somebody (some)")

    def ask(_: int) -> Any:
        with flask_app.app_context():
            data, _created = mine.get_fresh_report()
            model.Session.remove()
            return data

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(ask, range(5)))
    assert len(calls) == 1
    assert found == [{"table": []}] * 5


def test_what_the_workers_generate(ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was never generated, and only that until it is old; one process does, for a while, and errors wait."""
    mine = Report(info(option_combinations=lambda: [{"number": n} for n in range(3)]), "Somebody (some)")
    failing = Report(info(name="failing", generate=lambda: 1 / 0, option_defaults=None), "Somebody (some)")
    vague = Report(info(name="vague", option_combinations=lambda: 1 / 0), "Somebody (some)")
    both = [vague, failing, mine]
    assert len(runner.due(both)) == 4
    with lease.only_one("ckanext-report due"):
        assert list(runner.generate_due(both)) == []
    with monkeypatch.context() as patch:
        patch.setattr(runner, "TURN_SECONDS", 0)
        assert len(list(runner.generate_due(both))) == 1
    outcomes = list(runner.generate_due(both))
    assert len(outcomes) == 3
    assert runner.due(both) == []
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(days=3)})
    assert len(runner.due(both)) == 4
    monkeypatch.setitem(ckan_config, "ckanext.report.generate_hours", "0")
    assert runner.due(both) == []


def test_generating_again_keeps_one_row() -> None:
    """However often."""
    generate("tagless-datasets")
    generate("tagless-datasets")
    assert model.Session.query(DataCache).count() == 1
