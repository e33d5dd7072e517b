"""What people do with a report: choose rows, sort them, take them along, have them generated anew, look at a plot."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections import OrderedDict
from typing import Any

import ckan.plugins as p
import pytest
from bs4 import BeautifulSoup, Tag
from ckan import model
from ckan.tests import factories

from ckanext.relay.clock import now
from ckanext.report import tasks, wanted
from ckanext.report.interfaces import IReport
from ckanext.report.lib import Plot, largest
from ckanext.report.model import DataCache
from ckanext.report.runner import failure
from ckanext.report.tests.browsing import Browser, act, dataset, generate, report, work

TREES = ["Oak", "birch", "Äspe", "beech", "<b>fir</b>"]
PLUGINS: dict[str, Any] = {}
pytestmark = pytest.mark.usefixtures("portal")


def trees(height: str) -> dict[str, Any]:
    if height == "too high":
        raise RuntimeError("the sky is in the way")
    rows = [OrderedDict(tree=tree, height=int(height) + number) for number, tree in enumerate(TREES)]
    return {"table": [*rows, OrderedDict(tree="stump", height=None)], "kinds": len(TREES)}


def plot(data: dict[str, Any], options: dict[str, Any]) -> Plot | None:
    rows = largest(data["table"], "tree", "height")
    return Plot(f"Trees from {options['height']} m", ("Tree", "Height"), rows) if rows else None


class Trees(p.SingletonPlugin):
    """A report with a plot, one whose options are called as the arguments of pages, and one without pages."""

    p.implements(p.IConfigurer)
    p.implements(IReport)

    def update_config(self, config: Any) -> None:
        p.toolkit.add_template_directory(config, "templates")

    def register_reports(self) -> list[dict[str, Any]]:
        height = OrderedDict(height="10")
        trees_info = {
            "name": "trees", "option_defaults": height, "option_combinations": None, "generate": trees,
            "template": "report/trees.html", "plot": plot,
        }  # fmt: skip
        odd: dict[str, Any] = {
            **trees_info,
            "name": "odd",
            "plot": None,
            "option_defaults": OrderedDict(q="all", sort="up", seen="no"),
        }
        odd["generate"] = lambda q, sort, seen: {"table": [{"tree": q}, {"tree": sort}], "kinds": 0}
        whole = {**trees_info, "name": "whole", "plot": None, "page_size": 0}
        return [trees_info, odd, whole]


PLUGINS["trees"] = Trees


@pytest.fixture
def sysadmin() -> str:
    return str(factories.Sysadmin()["name"])


def shown(answer: Any) -> BeautifulSoup:
    assert answer.status_code == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def names(page: BeautifulSoup) -> list[str]:
    return [row.find("td").text for row in page.select("#report-table tbody tr")]  # type: ignore[union-attr]


def header(page: BeautifulSoup, name: str) -> Tag:
    return next(each for each in page.select("#report-table th") if each.text.strip() == name)


# -- rows


def test_a_filter(browser: Browser) -> None:
    """Rows that hold all words; how many they are is said, and how to come back; what is asked stays in the field."""
    generate("trees")
    assert names(shown(browser.get("/report/trees?q=b"))) == ["birch", "beech", "<b>fir</b>"]
    assert names(shown(browser.get("/report/trees?q=H%20e"))) == ["beech"]
    page = shown(browser.get("/report/trees?q=BEE"))
    assert names(page) == ["beech"]
    assert "1 of 6 rows hold “BEE”." in page.text
    field = page.select_one("#report-filter")
    assert field and field["value"] == "BEE" and field["aria-describedby"] == "report-filter-help"
    assert page.select_one('label[for="report-filter"]')
    assert page.select_one('a[href="/report/trees"]:-soup-contains("Show all rows")')


def test_a_filter_that_nothing_passes(browser: Browser) -> None:
    """It is said, the field is still there, and what was typed is text."""
    generate("trees")
    page = shown(browser.get("/report/trees?q=%3Cscript%3E%22"))
    assert '0 of 6 rows hold “<script>"”.' in page.text and not page.select("#report-table, #content script")
    assert page.select_one("#report-filter")["value"] == '<script>"'  # type: ignore[index]
    assert not page.select("#report-plot")


def test_the_filter_keeps_what_is_chosen(browser: Browser) -> None:
    """Options and order go with the form of the filter, page and format do not; the filter goes with the headers."""
    generate("trees", height="20")
    page = shown(browser.get("/report/trees?height=20&sort=-tree&page=1&q=e&format=html"))
    form = page.select_one("form:has(#report-filter)")
    assert form and form["action"] == "/report/trees" and form["method"] == "get"
    assert {str(each["name"]): each["value"] for each in form.select("input[type=hidden]")} == {
        "height": "20",
        "sort": "-tree",
    }
    link = header(page, "Height").find("a")
    assert isinstance(link, Tag)
    assert link["href"] == "/report/trees?height=20&sort=-height&q=e&format=html"


@pytest.mark.parametrize(
    ("sort", "first", "last", "tree", "height"),
    [
        ("", "Oak", "stump", None, None),
        ("tree", "<b>fir</b>", "stump", "ascending", None),
        ("-tree", "stump", "<b>fir</b>", "descending", None),
        ("-height", "<b>fir</b>", "stump", None, "descending"),
        ("height", "Oak", "stump", None, "ascending"),
        ("no-such-column", "Oak", "stump", None, None),
    ],
)
def test_the_order(browser: Browser, sort: str, first: str, last: str, tree: Any, height: Any) -> None:
    """Headers say how the rows are sorted; what is missing stands last."""
    generate("trees")
    page = shown(browser.get(f"/report/trees?sort={sort}"))
    assert (names(page)[0], names(page)[-1]) == (first, last)
    assert (header(page, "Tree").get("aria-sort"), header(page, "Height").get("aria-sort")) == (tree, height)


def test_headers_lead_to_the_other_order(browser: Browser) -> None:
    """Texts begin at A, numbers with the largest; a second click turns it round; not all columns sort."""
    generate("trees")

    def where(sort: str, name: str) -> Any:
        return header(shown(browser.get(f"/report/trees?sort={sort}")), name).find("a")["href"]  # type: ignore[index]

    assert where("", "Tree") == "/report/trees?sort=tree" and where("tree", "Tree") == "/report/trees?sort=-tree"
    assert where("", "Height") == "/report/trees?sort=-height"
    assert where("-height", "Height") == "/report/trees?sort=height"
    assert where("height", "Height") == "/report/trees?sort=-height"
    assert header(shown(browser.get("/report/trees")), "Nothing").find("a") is None


def test_files_hold_what_is_chosen(browser: Browser) -> None:
    """The rows of the filter in the order that is chosen; the links to the files say so."""
    generate("trees")
    page = shown(browser.get("/report/trees?q=b&sort=-height"))
    links = [str(each["href"]) for each in page.select('[aria-labelledby="report-download"] a')]
    assert links == [f"/report/trees?q=b&sort=-height&format={kind}" for kind in ("csv", "json")]
    rows = list(csv.DictReader(io.StringIO(browser.get(links[0]).text)))
    assert [row["tree"] for row in rows] == ["<b>fir</b>", "beech", "birch"]
    data = json.loads(browser.get(links[1]).text)
    assert [row["tree"] for row in data["table"]] == ["<b>fir</b>", "beech", "birch"] and data["kinds"] == 5


def test_options_that_are_called_as_arguments_of_pages(browser: Browser) -> None:
    """They are the options of the report, as ever; it has no filter then."""
    generate("odd", q="oak", sort="elm", seen="no")
    page = shown(browser.get("/report/odd?q=oak&sort=elm"))
    assert names(page) == ["oak", "elm"] and not page.select("#report-filter")


def test_a_report_that_wants_all_its_rows(browser: Browser) -> None:
    """One without pages may add them up: it has no filter."""
    generate("whole")
    assert not shown(browser.get("/report/whole")).select("#report-filter")


# -- plots


def test_a_plot(browser: Browser) -> None:
    """It is a table whose first column names the rows; it shows the rows that are chosen."""
    generate("trees")
    page = shown(browser.get("/report/trees?q=B"))
    figure = page.select_one("#report-plot")
    assert figure and "Trees from 10 m" in figure.text and figure["data-module"] == "relay-plot"
    assert [each.text for each in figure.select("thead th")] == ["Tree", "Height"]
    assert [each.text for each in figure.select("tbody th")] == ["<b>fir</b>", "beech", "birch"]
    assert [each.text for each in figure.select("tbody td")] == ["14", "13", "11"]
    assert not shown(browser.get("/report/trees?q=stump")).select("#report-plot")


# -- generating


def test_what_a_visitor_sees_meanwhile(browser: Browser, sysadmin: str) -> None:
    """Everybody is told that the report is being generated; nobody can press the button twice."""
    assert shown(browser.get("/report/trees", sysadmin)).select('form[method="post"] button')
    browser.post("/report/trees", sysadmin)
    for user in ("", sysadmin):
        page = shown(browser.get("/report/trees", user))
        assert "waits for a worker" in page.text and "Generate now" not in page.text
        polling = page.select_one('[aria-live="polite"] [hx-get]')
        assert polling and polling["hx-trigger"] == "every 2s"
        assert polling["hx-get"] == "/report-progress/trees?seen=waiting"
    browser.post("/report/trees", sysadmin)
    assert len(wanted.waiting()) == 1
    work()
    page = shown(browser.get("/report/trees", sysadmin))
    assert not page.select("[hx-get]") and "Generate now" in page.text and wanted.waiting() == []


def test_how_the_page_learns_of_it(browser: Browser, sysadmin: str) -> None:
    """It asks: there is no answer while nothing has changed, and the page is loaded anew when the report is there."""
    browser.post("/report/trees?height=20", sysadmin)
    url = "/report-progress/trees?height=20&seen="
    assert browser.get(url + "waiting").status_code == 204
    assert "waits for a worker" in browser.get(url + "generating").text
    [note_id] = wanted.waiting()
    seen: list[Any] = []

    def generating(height: str) -> dict[str, Any]:
        seen.append(browser.get(url + "waiting"))
        return {"table": []}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report("trees"), "generate", generating)
        tasks.generate_wanted(note_id)
    assert seen[0].status_code == 200 and "A worker generates the report, since" in seen[0].text
    assert "seen=generating" in seen[0].text
    done = browser.get(url + "generating")
    assert (done.status_code, done.headers["HX-Refresh"]) == (286, "true")
    assert 'href="/report/trees?height=20"' in done.text


def test_nobody_comes(browser: Browser, sysadmin: str) -> None:
    """After a minute those who can do something about it are told what; others are not bothered."""
    browser.post("/report/trees", sysadmin)
    row = model.Session.query(DataCache).one()
    asked = now() - datetime.timedelta(minutes=2)
    row.value = json.dumps({**json.loads(row.value), "asked": asked.isoformat()})
    assert "ckan relay worker" in browser.get("/report/trees", sysadmin).text
    visitor = browser.get("/report/trees").text
    assert "waits for a worker" in visitor and "ckan relay worker" not in visitor


def test_it_fails_in_the_background(browser: Browser, sysadmin: str) -> None:
    """The page stops asking and says so; why, only to those who may generate."""
    browser.post("/report/trees?height=too%20high", sysadmin)
    work()
    url = "/report-progress/trees?height=too+high&seen=generating"
    for user, told in ((sysadmin, "RuntimeError: the sky is in the way"), ("", "The report could not be generated.")):
        answer = browser.get(url, user)
        assert answer.status_code == 286 and told in answer.text and "HX-Refresh" not in answer.headers
    assert "sky" not in browser.get(url).text


def test_the_status_of_a_report(sysadmin: str) -> None:
    """What programs ask for after they had a report generated in the background."""
    nothing = {"generated": None, "asked": None, "begun": None, "failed": None}
    assert act("report_status", id="trees") == nothing
    assert act("report_refresh", sysadmin, id="trees", background=True) is None
    status = act("report_status", sysadmin, id="trees")
    assert status == {**nothing, "asked": status["asked"], "error": None} and status["asked"]
    work()
    assert set(act("report_status", id="trees").items()) - set(nothing.items()) == {
        ("generated", str(report("trees").get_cached_date().isoformat()))  # type: ignore[union-attr]
    }


def test_a_message_that_comes_twice(sysadmin: str) -> None:
    """Or late: nothing is generated again."""
    act("report_refresh", sysadmin, id="trees", background=True)
    [note_id] = wanted.waiting()
    tasks.generate_wanted(note_id)
    date = report("trees").get_cached_date()
    tasks.generate_wanted(note_id)
    assert report("trees").get_cached_date() == date and date


def test_a_message_that_is_lost(monkeypatch: pytest.MonkeyPatch, sysadmin: str) -> None:
    """The sweep sends it again, as long as there is something to do."""
    act("report_refresh", sysadmin, id="trees", background=True)
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(tasks, "send", lambda task, *args, **_: sent.append((task.name, *args)))
    tasks.sweep()
    assert ("report.generate_wanted", *wanted.waiting()) in sent
    work()
    sent.clear()
    tasks.sweep()
    assert [name for name, *_ in sent] == ["report.generate"] or sent == []


def test_a_worker_that_ends_on_the_way(sysadmin: str) -> None:
    """It is tried once more; a report that takes its worker down each time is given up, and that is said."""
    act("report_refresh", sysadmin, id="trees", background=True)
    [note_id] = wanted.waiting()

    def dying(height: str) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report("trees"), "generate", dying)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                tasks.generate_wanted(note_id)
            model.Session.remove()
            assert wanted.waiting() == [note_id]
    tasks.generate_wanted(note_id)
    found = failure(report("trees"), {"height": "10"})
    assert found and "The worker ended on the way" in found[0] and wanted.waiting() == []
    assert report("trees").get_cached_date() is None


def test_a_report_that_is_gone(sysadmin: str) -> None:
    """Its plugin was taken out since it was asked for: the note goes, too."""
    act("report_refresh", sysadmin, id="trees", background=True)
    row = model.Session.query(DataCache).one()
    row.value = json.dumps({**json.loads(row.value), "report": "gone"})
    model.Session.commit()
    work()
    assert model.Session.query(DataCache).count() == 0


def test_progress_is_for_those_who_may_see_the_report(browser: Browser) -> None:
    """Reports and options that there are not are refused as on the page."""
    assert browser.get("/report-progress/nothing").status_code == 404
    assert browser.get("/report-progress/trees?colour=red").status_code == 400
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report("trees"), "authorize", lambda user, options: False)
        assert browser.get("/report-progress/trees").status_code == 401


# -- what is around


def test_the_organization_is_named(browser: Browser) -> None:
    """In the title, the heading and the trail, which leads back to all of them."""
    parks = factories.Organization(name="parks", title="The <i>parks</i>")
    dataset("no-tags", owner_org=parks["id"])
    generate("tagless-datasets", organization="parks")
    page = shown(browser.get("/report/tagless-datasets/parks"))
    assert "Tagless datasets: The <i>parks</i>" in page.title.text  # type: ignore[union-attr]
    assert [re.sub(r"\s+", " ", each.text).strip() for each in page.select("h1")] == [
        "Tagless datasets: The <i>parks</i>"
    ]
    trail = [(each.text.strip(), each["href"]) for each in page.select(".breadcrumb a")][-2:]
    assert trail == [
        ("Tagless datasets", "/report/tagless-datasets"),
        ("The <i>parks</i>", "/report/tagless-datasets/parks"),
    ]


def test_what_is_old_is_marked_in_the_list(browser: Browser) -> None:
    """There, too."""
    generate("trees")
    assert "Out of date" not in browser.get("/report").text
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(days=3)})
    assert "Out of date" in browser.get("/report").text
