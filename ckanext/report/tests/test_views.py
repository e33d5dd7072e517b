"""The pages and files, as a browser gets them."""

from __future__ import annotations

import contextvars
import copy
import csv
import datetime
import functools
import io
import json
import re
from collections import OrderedDict
from typing import Any

import ckan.plugins as p
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay.clock import now
from ckanext.report.interfaces import IReport
from ckanext.report.model import DataCache
from ckanext.report.report_registry import ReportRegistry
from ckanext.report.tests.browsing import Browser, act, dataset, generate, report, work
from ckanext.report.tests.third_party import ThirdPartyReport


def numbers(size: str, start: str) -> dict[str, Any]:
    rows = range(int(start), int(start) + int(size))
    return {"table": [OrderedDict(number=number, formula="=1+1", nothing=None) for number in rows], "size": size}


class Numbers(p.SingletonPlugin):
    """A report of many rows."""

    p.implements(IReport)

    def register_reports(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "numbers",
                "option_defaults": OrderedDict(size="5", start="0"),
                "option_combinations": lambda: [{"size": "5"}, {"size": "250"}],
                "generate": numbers,
                "template": "report/numbers.html",
            }
        ]


PLUGINS = {"third_party_report": ThirdPartyReport, "numbers": Numbers}
pytestmark = pytest.mark.usefixtures("portal")


@pytest.fixture
def sysadmin() -> str:
    return str(factories.Sysadmin()["name"])


def where(answer: Any) -> str:
    """Return where an answer leads to."""
    assert answer.status_code in (302, 303), answer.status_code
    return str(re.sub(r"^https?://[^/]+", "", answer.headers["Location"]))


def test_the_list(browser: Browser) -> None:
    """All reports that are for visitors, with a link to each that keeps what is on by default."""
    page = browser.get("/report")
    assert page.status_code == 200
    for text in ("Reports", "Tagless datasets", 'href="/report/tagless-datasets"', "Not generated yet"):
        assert text in page.text
    assert "Staff only" not in page.text
    assert where(browser.get("/reports")) == "/report"
    staff = browser.get("/report", factories.User()["name"])
    assert 'href="/report/staff?verbose=1"' in staff.text


def test_a_report(browser: Browser) -> None:
    """What it is about, when it was generated, and its rows."""
    dataset("no-tags", notes="Some *notes*")
    generate("tagless-datasets")
    page = browser.get("/report/tagless-datasets")
    assert page.status_code == 200
    date = report("tagless-datasets").get_cached_date()
    assert date
    for text in (
        "Datasets which have no tags.",
        'href="/dataset/no-tags"',
        f"Generated: {date.strftime('%d/%m/%Y %H:%M')}",
        'href="/report/tagless-datasets?format=csv"',
        'href="/report/tagless-datasets?format=json"',
    ):
        assert text in page.text
    assert "Generate now" not in page.text and "Out of date" not in page.text


def test_nothing_is_generated_while_somebody_looks(browser: Browser, sysadmin: str) -> None:
    """A report that is not there is said not to be there, also to sysadmins, who get a button."""
    for user in ("", sysadmin):
        for path in ("/report/tagless-datasets", "/report/tagless-datasets?refresh=1"):
            page = browser.get(path, user)
            assert page.status_code == 200
            assert "This report was not generated yet." in page.text
            assert ("Generate now" in page.text) == bool(user)
        for kind in ("csv", "json"):
            assert browser.get(f"/report/tagless-datasets?format={kind}", user).status_code == 404
        api = browser.get("/api/3/action/report_data_get?id=tagless-datasets", user)
        assert api.status_code == 404 and "not generated yet" in api.text
    assert model.Session.query(DataCache).count() == 0


def test_an_old_report(browser: Browser) -> None:
    """It is shown as it is, and that it is old is said."""
    generate("numbers")
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(days=3)})
    assert "Out of date" in browser.get("/report/numbers").text


def test_a_sysadmin_has_a_worker_generate(browser: Browser, sysadmin: str) -> None:
    """By a POST, which leads back to the page; nobody else may."""
    for user in ("", factories.User()["name"]):
        assert browser.post("/report/numbers?size=5", user).status_code == 401
    assert model.Session.query(DataCache).count() == 0
    assert where(browser.post("/report/numbers?size=7&page=2&refresh=1", sysadmin)) == "/report/numbers?size=7"
    assert report("numbers").get_cached_date(size="7") is None
    work()
    assert report("numbers").get_cached_date(size="7") is not None
    assert model.Session.query(DataCache).count() == 1


def test_a_form_without_the_token(browser: Browser, ckan_config: Any, flask_app: Any) -> None:
    """Another page cannot make the browser of a sysadmin generate a report, whoever was here before; the form of this
    page can."""
    name = factories.Sysadmin(password="correct-horse")["name"]
    assert browser.get("/report/numbers").status_code == 200
    client = flask_app.test_client()

    def ask(method: str, path: str, **data: str) -> Any:
        call = functools.partial(getattr(client, method), data=data, environ_overrides={"CKAN_LANG": "en"})
        return contextvars.Context().run(call, path)

    ask("post", "/user/login", login=name, password="correct-horse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ckan_config, "WTF_CSRF_ENABLED", True)
        patch.setitem(flask_app.config, "WTF_CSRF_ENABLED", True)
        assert ask("post", "/report/numbers").status_code == 400
        assert model.Session.query(DataCache).count() == 0
        page = ask("get", "/report/numbers").text
        field, token = re.findall(r'<input type="hidden" name="(_csrf[^"]+)" value="([^"]+)"', page)[0]
        assert where(ask("post", "/report/numbers", **{field: token})) == "/report/numbers"
    assert model.Session.query(DataCache).count() == 1


def test_what_is_shown_stays_as_it_is_kept(browser: Browser) -> None:
    """A page and a download change nothing of what the next visitor gets, in whatever form he wants it."""
    dataset("tree", owner_org=factories.Organization(name="parks")["id"])
    generate("publisher-activity")
    before = copy.deepcopy(act("report_data_get", id="publisher-activity")[0])
    for _ in range(2):
        for form in ("", "?format=json", "?format=csv"):
            assert "Tree" in browser.get(f"/report/publisher-activity/parks{form}").text
            assert act("report_data_get", id="publisher-activity")[0] == before


def test_a_report_that_cannot_be_generated(browser: Browser, sysadmin: str) -> None:
    """The sysadmin is told why, at once and later; visitors are not."""
    assert where(browser.post("/report/staff?year=2000", sysadmin)) == "/report/staff?year=2000"
    work()
    page = browser.get("/report/staff?year=2000", sysadmin)
    assert "The last attempt to generate it failed" in page.text and "the millennium bug" in page.text
    page = browser.get("/report/staff?year=2000", factories.User()["name"])
    assert page.status_code == 200 and "millennium bug" not in page.text
    assert browser.post("/report/publisher-activity/no-such-organization", sysadmin).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/report/no-such-report", 404),
        ("/report/numbers?colour=red", 400),
        ("/report/numbers?format=pdf", 400),
        ("/report/tagless-datasets/no-such-organization", 404),
        ("/report/staff", 401),
        ("/report/numbers?format=html", 200),
        ("/report/numbers?page=abc", 200),
        ("/report/numbers?_scheme=javascript", 400),
    ],
)
def test_what_there_is_not(browser: Browser, path: str, status: int) -> None:
    """Unknown reports, options, formats and organizations; reports for others."""
    assert browser.get(path).status_code == status


@pytest.mark.parametrize(
    ("path", "better"),
    [
        ("/report/tagless-datasets?organization=parks", "/report/tagless-datasets/parks"),
        (
            "/report/tagless-datasets?organization=parks&include_sub_organizations=1",
            "/report/tagless-datasets/parks?include_sub_organizations=1",
        ),
        ("/report/tagless-datasets?organization=", "/report/tagless-datasets"),
        ("/report/tagless-datasets/parks?organization=", "/report/tagless-datasets"),
        ("/report/tagless-datasets/parks?organization=trees", "/report/tagless-datasets/trees"),
        ("/report/numbers/parks?size=3", "/report/numbers?size=3"),
        ("/report/numbers?organization=parks", "/report/numbers"),
        ("/report/publisher-activity", "/report/publisher-activity/parks"),
        ("/report/publisher-activity?format=csv", "/report/publisher-activity/parks?format=csv"),
    ],
)
def test_the_organization_is_part_of_the_path(browser: Browser, path: str, better: str) -> None:
    """Whoever says it otherwise is led there."""
    assert where(browser.get(path)) == better


def test_a_plugin_that_was_written_for_ckanext_report(browser: Browser) -> None:
    """Rows that are lists, and a template that reads ``c.data`` and ``c.options``."""
    parks = factories.Organization(name="parks")
    dataset("trees", owner_org=parks["id"], title="Trees <b>of</b> the city")
    generate("publisher-activity", organization="parks")
    page = browser.get("/report/publisher-activity/parks")
    assert "1 datasets of parks" in page.text and "Trees &lt;b&gt;of&lt;/b&gt; the city" in page.text
    rows = list(csv.reader(io.StringIO(browser.get("/report/publisher-activity/parks?format=csv").text)))
    assert rows[0] == ["Dataset", "package_id", "Notes", "When"] and rows[1][3] == "2020-01-02T03:04:00"
    data = json.loads(browser.get("/report/publisher-activity/parks?format=json").text)
    assert data["table"][0]["Dataset"] == "Trees <b>of</b> the city" and "columns" not in data


def test_a_report_that_is_not_for_all(browser: Browser) -> None:
    """Who it is for depends on the user and on the options."""
    generate("staff")
    user = factories.User()["name"]
    assert browser.get("/report/staff?verbose=1").status_code == 401
    assert "staff: 2024, True, =1+1" in browser.get("/report/staff?verbose=1", user).text
    assert browser.get("/report/staff?year=1999", user).status_code == 401


def test_pages_of_a_long_table(browser: Browser) -> None:
    """A hundred rows each; what is beyond the last is the last; options are kept on the way."""
    generate("numbers", size="250")
    for page, expected in (("1", range(0, 100)), ("3", range(200, 250)), ("99", range(200, 250)), ("-1", range(100))):
        text = browser.get(f"/report/numbers?size=250&page={page}").text
        assert [int(found) for found in re.findall(r"<li>(\d+) of 250</li>", text)] == list(expected)
        assert f"Rows {expected[0] + 1} to {expected[-1] + 1} of 250" in text
    assert 'href="?size=250&amp;page=2"' in browser.get("/report/numbers?size=250").text
    generate("numbers")
    assert "Rows 1 to" not in browser.get("/report/numbers").text


def test_csv(browser: Browser) -> None:
    """All rows, as a file that a spreadsheet opens without running anything."""
    generate("numbers", size="250")
    answer = browser.get("/report/numbers?size=250&format=csv&page=2")
    assert answer.headers["Content-Type"] == "application/csv"
    name = "report_numbers_size=250&start=0.csv"
    assert answer.headers["Content-Disposition"] in (f'attachment; filename="{name}"', f"attachment; filename={name}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["number"]) for row in rows] == list(range(250))
    assert {row["formula"] for row in rows} == {"'=1+1"} and {row["nothing"] for row in rows} == {""}


def test_json(browser: Browser) -> None:
    """All that was generated, and when."""
    data = generate("numbers", size="250")
    answer = browser.get("/report/numbers?size=250&format=json")
    assert answer.headers["Content-Type"] == "application/json"
    date = report("numbers").get_cached_date(size="250")
    assert date
    assert json.loads(answer.text) == {**json.loads(json.dumps(data)), "generated_at": date.isoformat()}


def test_a_report_without_results(browser: Browser) -> None:
    """It says so, and offers no files."""
    generate("numbers", size="0")
    page = browser.get("/report/numbers?size=0")
    assert "No results found." in page.text and "format=csv" not in page.text


def test_an_organization_by_its_id(browser: Browser) -> None:
    """Data are stored by its name."""
    parks = factories.Organization(name="parks")
    generate("tagless-datasets", organization="parks")
    assert browser.get(f"/report/tagless-datasets/{parks['id']}?format=json").status_code == 200


def test_hostile_values(browser: Browser) -> None:
    """What is in a query ends up as text, and in the form, as text, too."""
    page = browser.get("/report/numbers?size=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&start=%0d%0a&page=1e9")
    assert page.status_code == 200 and "<script>alert(1)" not in page.text
    assert browser.get("/report/numbers?size=%00").status_code == 400
    for path in ("/report/%00", "/report/tagless-datasets/%00", "/report/tagless-datasets/a%00"):
        assert browser.get(path).status_code == 404


def test_the_options_that_are_chosen(browser: Browser) -> None:
    """The form shows them; one without a widget is kept."""
    factories.Organization(name="parks", title="The parks")
    page = browser.get("/report/tagless-datasets/parks?include_sub_organizations=1").text
    assert re.search(r'<option value="parks"\s+selected>The parks</option>', page)
    assert re.search(r'name="include_sub_organizations" value="1"\s+checked', page)
    page = browser.get("/report/numbers?size=250").text
    assert re.search(r'<input type="hidden" name="size" value="250">', page)


def test_what_portals_call() -> None:
    """The routes have the names that other plugins and themes link to."""
    import ckan.plugins.toolkit as tk

    assert tk.url_for("report.index") == "/report"
    assert tk.url_for("report.reports") == "/reports"
    assert tk.url_for("report.view", report_name="numbers") == "/report/numbers"
    assert tk.url_for("report.org", report_name="numbers", organization="parks") == "/report/numbers/parks"
    assert ReportRegistry.instance().get_report("numbers")
