"""The pages of sources, as a browser gets them: searching, reading, editing, testing a connection, and what changes."""

from __future__ import annotations

import contextvars
import datetime
import functools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import ckan.plugins.toolkit as tk
import pytest
from bs4 import BeautifulSoup, Tag
from ckan import model
from ckan.tests import factories
from flask import current_app

from ckanext.harvest import registry, source_status, tasks
from ckanext.harvest.harvesters import CKANHarvester
from ckanext.harvest.model import HarvestJob, HarvestSource, clearings, jobs, lease_table
from ckanext.harvest.model.tables import clearing_table
from ckanext.harvest.tests.harvesting import act, harvest, make_source, start
from ckanext.harvest.tests.logic.people import KINDS, People
from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset, error_500, hang, html, no_results, trickle
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester
from ckanext.relay import clock, lease, pages, search

SCRIPT: dict[str, Any] = {}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")

EVIL = "<script>alert('x')</script>"
#: What CKAN 2.11 has around the application says the language; redirects lead to the address of the site.
_ASKING = {"environ_overrides": {"CKAN_LANG": "en"}, "base_url": "http://test.ckan.example"}


def ask(method: str, path: str, user: str = "", headers: Any = None, follow: bool = False, **options: Any) -> Any:
    """Send a request as somebody, apart from the one that surrounds the tests.

    :param follow: go where the answer leads
    """
    headers = dict(headers or {})
    if user:
        headers["Authorization"] = factories.APIToken(user=user)["token"]
    model.Session.commit()
    client = current_app.test_client()

    def send(method: str, path: str, **options: Any) -> Any:
        call = functools.partial(getattr(client, method), path, headers=headers, **_ASKING, **options)
        return contextvars.Context().run(call)

    answer = send(method, path, **options)
    while follow and answer.status_code == 302:
        answer = send("get", urlsplit(answer.headers["Location"]).path)
    return answer


def shown(path: str, user: str = "", status: int = 200, **options: Any) -> BeautifulSoup:
    """Return a page."""
    answer = ask("get", path, user, **options)
    assert answer.status_code == status, answer.data.decode()[-2000:]
    return BeautifulSoup(answer.data, "html.parser")


def posted(path: str, user: str, **fields: str) -> BeautifulSoup:
    """Send a form and return the page that comes after it."""
    answer = ask("post", path, user, data=fields, follow=True)
    assert answer.status_code == 200, answer.data.decode()[-2000:]
    return BeautifulSoup(answer.data, "html.parser")


def one(page: Any, selector: str) -> Tag:
    found = page.select(selector)
    assert len(found) == 1, f"{selector}: {found}"
    return found[0]


def text(tag: Any) -> str:
    return " ".join(tag.text.split())


@pytest.fixture
def sysadmin() -> str:
    return str(factories.Sysadmin()["name"])


@pytest.fixture
def people() -> People:
    return People("scripted", title=f"City {EVIL}", notes=f"About {EVIL}", url=f"http://city.example/{EVIL}")


# -- searching


def test_the_list_of_sources() -> None:
    """Each with its state, when it ran, when it runs next, and whose it is; what people typed is text."""
    organization = factories.Organization(title="Parks")
    ran = make_source("scripted", title=f"Ran {EVIL}", owner_org=organization["id"], frequency="DAILY")
    make_source("scripted", title="Fresh", frequency="WEEKLY")
    by_hand = make_source("ckan", title="By hand")
    harvest(ran["id"])
    row = HarvestSource.get(ran["id"])
    row.next_run = datetime.datetime(2099, 1, 2, 3, 4)
    row.save()
    search.index([])
    page = shown("/harvest/")
    assert text(one(page, "h1")) == "3 harvest sources found"
    items = {text(item.select_one("h2 a")): item for item in page.select(".harvest-list > li")}
    assert set(items) == {f"Ran {EVIL}", "Fresh", "By hand"}
    assert one(items[f"Ran {EVIL}"], "h2 a")["href"] == f"/harvest/{ran['name']}"
    first = text(items[f"Ran {EVIL}"])
    for part in ("OK", "Type: Scripted", "Frequency: Daily", "Organization: Parks", "Next run: 2099-01-02 03:04 UTC"):
        assert part in first
    assert "Never run" in text(items["Fresh"]) and "As soon as a worker is free" in text(items["Fresh"])
    assert "When somebody starts it" in text(items["By hand"]) and "Type: CKAN" in text(items["By hand"])
    assert by_hand["url"] in [a["href"] for a in items["By hand"].select("a")]
    assert not page.select(".page_primary_action a")


def test_narrowing_the_list_down(sysadmin: str) -> None:
    """By words, type and frequency, which are called what the form calls them; other datasets are not there."""
    make_source("scripted", title="Water", frequency="DAILY")
    make_source("ckan", title="Wood")
    act("package_create", name="a-dataset", title="Water table", owner_org=factories.Organization()["id"])
    search.index([])
    page = shown("/harvest/", sysadmin)
    assert [text(a) for a in page.select(".page_primary_action a")] == ["Add harvest source", "Dashboard"]
    facets = {text(each.select_one("h2")): each for each in page.select(".filters section")}
    assert set(facets) == {"Frequency", "Type"}
    assert {text(label) for label in facets["Frequency"].select(".item-label")} == {"Daily", "Manual"}
    assert {text(label) for label in facets["Type"].select(".item-label")} == {"CKAN", "Scripted"}
    narrowed = shown("/harvest/?source_type=ckan")
    assert [text(a) for a in narrowed.select(".harvest-list h2 a")] == ["Wood"]
    assert text(one(narrowed, ".filter-list .pill")) == "CKAN"
    assert text(one(shown("/harvest/?q=water"), "h1")) == '1 harvest source found for "water"'
    assert text(one(shown("/harvest/?q=nothing-like-it"), "h1")) == 'No harvest sources found for "nothing-like-it"'
    assert text(one(shown("/dataset/?q=water"), "h1")) == '1 dataset found for "water"'


def test_narrowing_down_without_a_new_page(sysadmin: str) -> None:
    """A click on a facet of CKAN 2.12 asks with htmx, and gets the same list."""
    make_source("ckan", title="Wood")
    search.index([])
    page = shown("/harvest/?source_type=ckan", sysadmin, headers={"HX-Request": "true"})
    assert [text(a) for a in page.select(".harvest-list h2 a")] == ["Wood"]
    assert {str(each["id"]) for each in page.select("[hx-swap-oob]")} == {"search-results", "search-facets"}
    whole = shown("/harvest/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert one(whole, "head") and not page.select("head")


def test_the_way_to_the_pages(sysadmin: str) -> None:
    """The administration of the portal has a tab for the sources."""
    [tab] = [a for a in shown("/ckan-admin/", sysadmin).select(".nav-tabs a") if text(a) == "Harvest"]
    assert tab["href"] == "/harvest/"


def test_the_assets(sysadmin: str) -> None:
    """Each page has the style, the form has the modules of the extra fields; they are where the page says."""
    assert "harvest.css" in str(shown("/").head)
    page = shown("/harvest/new", sysadmin)
    [script] = [each["src"] for each in page.select("script[src]") if "extra_field" in str(each["src"])]
    assert "harvest-source-type-select" in ask("get", str(script)).text


# -- how a source is doing


def test_how_sources_are_doing(script: Script) -> None:
    """Never run, running, ended with errors, late, inactive; and when each is due."""
    ids = {name: make_source("scripted", frequency="DAILY")["id"] for name in ("never", "runs", "fails", "late", "off")}
    by_hand = make_source("scripted")["id"]
    start(ids["runs"])
    script.imports = False
    harvest(ids["fails"])
    for name, hours in (("late", -7), ("fails", 1)):
        row = HarvestSource.get(ids[name])
        row.next_run = clock.now() + datetime.timedelta(hours=hours)
        row.save()
    act("harvest_source_delete", id=ids["off"])
    found = source_status.of_sources([*ids.values(), by_hand, "no-such-source"])
    assert {name: found[each].state for name, each in ids.items()} == {
        "never": "never run", "runs": "running", "fails": "errors", "late": "late", "off": "inactive",
    }  # fmt: skip
    assert "no-such-source" not in found and source_status.of_sources([]) == {}
    assert {name: found[each].is_due for name, each in ids.items()} == {
        "never": True, "runs": False, "fails": False, "late": True, "off": False,
    }  # fmt: skip
    assert found[ids["off"]].next_run is None and found[by_hand].next_run is None and not found[by_hand].is_due
    assert (found[ids["fails"]].counts or {})["errored"] == 1
    assert found[ids["runs"]].job_status == "Running" and found[ids["runs"]].counts is None
    assert source_status.of_source("no-such-source") is None


# -- one source


def test_the_page_of_a_source(script: Script, people: People) -> None:
    """Its datasets, and what there is to say of it; what people or other portals typed is text."""
    script.guids = ("one", "two")
    script.imports = None
    harvest(people.source["id"])
    search.index([])
    page = shown(f"/harvest/{people.source['name']}")
    assert EVIL in one(page, "h1").text and EVIL not in str(page)
    assert len(page.select(".dataset-heading")) == 2
    facts = text(one(page, ".harvest-facts"))
    for part in (
        "State OK",
        "Datasets 2",
        "Last run 20",
        "Next run When somebody",
        "Frequency Manual",
        "Type Scripted",
    ):
        assert part in facts
    assert not page.select(".content_action a")
    with_rights = shown(f"/harvest/{people.source['name']}", people.names["editor"])
    assert text(one(with_rights, ".content_action a")) == "Admin"


def test_a_source_without_datasets_says_so() -> None:
    """In the words of the template that themes replace."""
    assert "There are no datasets from this source." in text(shown(f"/harvest/{make_source('scripted')['name']}"))


def test_an_address_that_no_browser_may_follow() -> None:
    """It is text, and no link."""
    source = make_source("scripted", url="javascript:alert(1)")
    for path in (f"/harvest/{source['name']}", f"/harvest/about/{source['name']}", "/harvest/"):
        search.index([])
        page = shown(path)
        assert "javascript:alert(1)" in page.text
        assert not page.select("a[href^=javascript]")


def test_what_is_set_for_a_source() -> None:
    """The configuration is for those who may edit the source, others get the rest."""
    people = People("ckan", config='{"api_key": "hidden-word", "force_all": true}', notes="About *it*")
    path = f"/harvest/about/{people.source['name']}"
    for kind in ("anonymous", "member"):
        page = shown(path, people.names[kind])
        assert "force_all" not in str(page) and "hidden-word" not in str(page)
        assert "Harvests remote CKAN instances" in page.text and "Manual" in page.text
    edited = text(one(shown(path, people.names["editor"]), "pre"))
    assert '"force_all": true' in edited and "hidden-word" in edited


@pytest.mark.parametrize(
    ("config", "expected"), [('{"text": "\\ud800"}', '"text": "?"'), ("[" * 5000, "[" * 5000), ("{", "{")]
)
def test_a_configuration_that_is_hard_to_show(monkeypatch: pytest.MonkeyPatch, config: str, expected: str) -> None:
    """Half a character, an endless depth, no JSON: each is shown as far as a page can hold it."""
    people = People("ckan")
    source = act("harvest_source_show", id=people.source["id"])
    monkeypatch.setattr(pages, "call", lambda *_, **__: {**source, "config": config})
    assert expected in text(one(shown(f"/harvest/about/{source['name']}", people.names["editor"]), "pre"))


def test_what_is_no_source() -> None:
    """A dataset of another type, and something that is not there, are not found."""
    act("package_create", name="a-dataset", owner_org=factories.Organization()["id"])
    admin = factories.Sysadmin()["name"]
    for page in ("about", "admin", "refresh", "clear", "delete"):
        assert ask("get", f"/harvest/{page}/a-dataset", admin).status_code == 404
        assert ask("get", f"/harvest/{page}/no-such-source", admin).status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_open_the_pages_that_change_a_source(kind: str) -> None:
    """Those who may edit it; everybody may read what is public."""
    people = People("scripted")
    name = people.source["name"]
    expected = 200 if kind in KINDS[3:] else 403
    for page in ("admin", "refresh", "clear", "delete"):
        assert ask("get", f"/harvest/{page}/{name}", people.names[kind]).status_code == expected, page
        if page != "admin" and expected == 403:
            assert ask("post", f"/harvest/{page}/{name}", people.names[kind]).status_code == 403, page
    assert ask("get", f"/harvest/about/{name}", people.names[kind]).status_code == 200
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 0


def test_the_admin_page(people: People) -> None:
    """What the newest job came to, and what can be done now."""
    path, editor = f"/harvest/admin/{people.source['name']}", people.names["editor"]
    assert "never harvested" in text(shown(path, editor))
    harvest(people.source["id"])
    page = shown(path, editor)
    assert [text(cell) for cell in page.select(".module-content tbody td")] == ["1", "0", "0", "0", "0"]
    assert EVIL in one(page, "h1").text and EVIL not in str(page)
    assert text(one(page, "form[action*='/refresh/'] button")) == "Harvest now"
    start(people.source["id"])
    assert one(shown(path, editor), "button[disabled]")
    assert not shown(path, editor).select("form[action*='/refresh/']")


# -- changing it


def test_each_change_is_asked_for_first(people: People) -> None:
    """GET changes nothing: it shows a form, which says what will be gone."""
    harvest(people.source["id"])
    before = HarvestJob.filter(source_id=people.source["id"]).count()
    for page, button in (("refresh", "Harvest now"), ("clear", "Clear"), ("delete", "Delete the source")):
        shown_page = shown(f"/harvest/{page}/{people.source['name']}", people.names["editor"])
        form = one(shown_page, ".primary form[method=post]")
        assert text(one(form, "button")) == button
        assert EVIL in one(shown_page, "h1").text and EVIL not in str(shown_page)
        assert f"/harvest/admin/{people.source['name']}" in [a["href"] for a in form.select("a")]
    model.Session.remove()
    assert HarvestJob.filter(source_id=people.source["id"]).count() == before
    assert HarvestSource.get(people.source["id"]).active
    assert act("harvest_source_show_status", id=people.source["id"])["total_datasets"] == 1


def test_starting_a_job(people: People) -> None:
    """A job runs after it; a second one has to wait, and the page says so."""
    path, editor = f"/harvest/refresh/{people.source['name']}", people.names["editor"]
    answer = ask("post", path, editor)
    assert (answer.status_code, answer.headers["Location"].rpartition("/harvest/")[2]) == (
        302, f"admin/{people.source['name']}",
    )  # fmt: skip
    assert [job.status for job in HarvestJob.filter(source_id=people.source["id"])] == ["Running"]
    assert "running or waits already" in text(posted(path, editor))
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 1
    act("harvest_source_delete", id=people.source["id"])
    act("harvest_job_abort", source_id=people.source["id"])
    assert "This source is inactive" in text(posted(path, editor))


def test_clearing(people: People) -> None:
    """A worker does it, and the page says how far it is; the datasets and jobs are gone then, the source is there."""
    harvest(people.source["id"])
    name, editor = people.source["name"], people.names["editor"]
    page = posted(f"/harvest/clear/{name}", editor)
    panel = one(page, "#source-clearing")
    assert "waits for a worker" in text(panel) and "None has come" not in text(panel)
    assert panel["hx-get"] == f"/harvest/clear/{name}/progress"
    tasks.clear(people.source["id"])
    answer = ask("get", f"/harvest/clear/{name}/progress", editor)
    assert (answer.status_code, answer.headers["HX-Refresh"], answer.text.strip()) == (286, "true", "")
    page = shown(f"/harvest/admin/{name}", editor)
    assert "never harvested" in text(page) and not page.select("#source-clearing")
    model.Session.remove()
    assert HarvestSource.get(people.source["id"]).active
    assert act("harvest_source_show_status", id=people.source["id"])["total_datasets"] == 0


def test_deleting_a_source_and_bringing_it_back(people: People) -> None:
    """Its datasets stay; in its form it is made active again."""
    harvest(people.source["id"])
    name, editor = people.source["name"], people.names["editor"]
    page = posted(f"/harvest/delete/{name}", editor)
    assert "The source was deleted." in text(page) and "Inactive" in text(one(page, "h1"))
    model.Session.remove()
    assert not HarvestSource.get(people.source["id"]).active
    assert act("harvest_source_show_status", id=people.source["id"])["total_datasets"] == 1
    form = filled(shown(f"/harvest/edit/{name}", editor))
    assert form["state"] == "deleted"
    posted(f"/harvest/edit/{name}", editor, **form | {"state": "active", "save": "save"})
    model.Session.remove()
    assert HarvestSource.get(people.source["id"]).active


@pytest.mark.parametrize("value", ["true", "1", "True"])
def test_deleting_a_source_with_its_datasets(people: People, value: str) -> None:
    """As ``?clear=`` in the address says, also in the old addresses that themes have."""
    harvest(people.source["id"])
    path = f"/harvest/delete/{people.source['name']}?clear={value}"
    page = shown(path, people.names["editor"])
    assert "1 public dataset is deleted" in text(page) and one(page, "input[name=clear]")["value"] == "true"
    form = one(page, ".primary form")
    page = posted(str(form["action"]), people.names["editor"], clear="true")
    assert "The source was deleted." in text(page) and "is to be cleared" in text(one(page, "#source-clearing"))
    tasks.clear(people.source["id"])
    model.Session.remove()
    assert not HarvestSource.get(people.source["id"]).active
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 0
    assert act("package_search", fq=f"harvest_source_id:{people.source['id']}")["count"] == 0


def test_a_source_that_is_being_cleared(people: People) -> None:
    """The page says so, and how far that is, and so does who asks for a job or clears it, too."""
    editor = people.names["editor"]
    clearings.ask(people.source["id"], editor)
    clearings.note(people.source["id"], 1500, 4000)
    with lease.held(lease_table, jobs.clear_task(people.source["id"]), longest=60):
        for page in (
            shown(f"/harvest/admin/{people.source['name']}", editor),
            posted(f"/harvest/refresh/{people.source['name']}", editor),
            posted(f"/harvest/clear/{people.source['name']}", editor),
        ):
            assert "is being cleared" in text(page)
        clearings.note(people.source["id"], 1500, 4000)
        part = shown(f"/harvest/clear/{people.source['name']}/progress", editor)
        bar = one(part, "progress")
        assert (bar["value"], bar["max"]) == ("1500", "4000")
        assert "1,500 of 4,000 datasets are removed." in text(part)
    assert "is being cleared" not in text(shown(f"/harvest/admin/{people.source['name']}", editor))


def test_a_source_that_cannot_be_cleared(people: People) -> None:
    """The page says why, as text, and what to do; who comes when no worker does is told that, too."""
    name, editor = people.source["name"], people.names["editor"]
    clearings.ask(people.source["id"], editor)
    clearings.failed(people.source["id"], f"ValidationError: {EVIL}")
    page = shown(f"/harvest/admin/{name}", editor)
    assert f"could not be cleared: ValidationError: {EVIL}" in text(page) and EVIL not in str(page)
    assert ask("get", f"/harvest/clear/{name}/progress", editor).status_code == 286
    clearings.ask(people.source["id"], editor)
    lease.execute(clearing_table.update().values(asked=lease.now - datetime.timedelta(minutes=5)))
    assert "None has come." in text(shown(f"/harvest/clear/{name}/progress", editor))


@pytest.fixture
def checked_forms(ckan_config: Any) -> Iterator[None]:
    """Forms are checked, as they are in a portal, but for the tests."""
    before = current_app.config.get("WTF_CSRF_ENABLED")
    ckan_config["WTF_CSRF_ENABLED"] = current_app.config["WTF_CSRF_ENABLED"] = True
    yield
    current_app.config["WTF_CSRF_ENABLED"] = before


def test_a_form_of_another_site(people: People, checked_forms: None) -> None:
    """Without the token that the form has, nothing is done; a program with an API token needs none."""
    name, editor = people.source["name"], people.names["editor"]
    act("user_patch", id=editor, password="correct-horse")
    model.Session.commit()
    client = current_app.test_client()

    def send(path: str, **data: str) -> Any:
        call = functools.partial(client.post, path, data=data, **_ASKING)
        return contextvars.Context().run(call)

    current_app.config["WTF_CSRF_ENABLED"] = tk.config["WTF_CSRF_ENABLED"] = False
    send("/user/login", login=editor, password="correct-horse")
    current_app.config["WTF_CSRF_ENABLED"] = tk.config["WTF_CSRF_ENABLED"] = True
    for path in (f"refresh/{name}", f"clear/{name}", f"delete/{name}", "connection-test", "new", f"edit/{name}"):
        assert send(f"/harvest/{path}").status_code == 400, path
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 0
    assert clearings.find(people.source["id"]) is None
    assert ask("post", f"/harvest/refresh/{name}", editor).status_code == 302
    page = contextvars.Context().run(functools.partial(client.get, f"/harvest/clear/{name}", **_ASKING)).text
    token = one(BeautifulSoup(page, "html.parser"), ".primary form input[name=_csrf_token]")["value"]
    assert send(f"/harvest/clear/{name}", _csrf_token=str(token)).status_code == 302
    assert clearings.find(people.source["id"]) is not None


# -- the form


def filled(page: BeautifulSoup) -> dict[str, str]:
    """Return what the form of a page would send, without its button."""
    form = one(page, "form#source-new")
    values = {each["name"]: each.get("value", "") for each in form.select("input[type=text], input[type=hidden]")}
    values |= {each["name"]: each.text.strip("\n") for each in form.select("textarea")}
    values |= {each["name"]: each["value"] for each in form.select("input[type=radio][checked]")}
    for select in form.select("select"):
        values[select["name"]] = (select.select_one("option[selected]") or select.select("option")[0])["value"]
    return {str(name): str(value) for name, value in values.items()}


def test_creating_a_source_with_the_form() -> None:
    """An editor fills it in and gets to the page of the source."""
    people = People("scripted")
    editor = people.names["editor"]
    page = shown("/harvest/new", editor)
    form = filled(page)
    assert form["owner_org"] == people.organization["id"] and form["frequency"] == "MANUAL" and form["source_type"]
    labels = {label["for"] for label in page.select("#source-new label[for]")}
    fields = page.select("#source-new input:not([type=hidden]), #source-new select, #source-new textarea")
    assert {field["id"] for field in fields} <= labels
    given = {"url": " http://new.example ", "name": "new-source", "title": f"New {EVIL}", "source_type": "scripted"}
    page = posted("/harvest/new", editor, **form | given | {"frequency": "WEEKLY", "private": "True", "save": "save"})
    assert EVIL in one(page, "h1").text and EVIL not in str(page)
    source = act("harvest_source_show", id="new-source")
    assert (source["url"], source["source_type"], source["frequency"]) == ("http://new.example", "scripted", "WEEKLY")
    assert (source["private"], source["owner_org"]) == (True, people.organization["id"])


def test_a_form_with_mistakes() -> None:
    """Each field says what is wrong with it, and keeps what was typed."""
    people = People("scripted")
    editor = people.names["editor"]
    given = {"url": "", "name": f"No {EVIL}", "title": EVIL, "source_type": "no-such-type", "config": "{"}
    page = posted("/harvest/new", editor, owner_org=people.organization["id"], frequency="NOW", save="save", **given)
    form = one(page, "form#source-new")
    assert one(page, ".error-explanation")
    for field in ("url", "name", "source_type", "frequency"):
        assert one(form, f"#field-{field}-error").text
    for field in ("url", "name", "frequency"):
        assert f"field-{field}-error" in str(one(form, f"#field-{field}")["aria-describedby"])
    assert one(form, "#field-title")["value"] == EVIL and one(form, "#field-config").text.strip() == "{"
    assert EVIL not in str(form)


def test_editing_keeps_what_the_form_has_no_field_for() -> None:
    """Tags, extras, groups and that a source is private are there after it; secrets stay what they are."""
    group = factories.Group(user=factories.Sysadmin())
    source = make_source(
        "ckan", url="http://me:word@city.example", private=True, tags=[{"name": "water"}],
        groups=[{"id": group["id"]}], extras=[{"key": "contact", "value": "somebody"}],
        config='{"api_key": "hidden-word"}',
    )  # fmt: skip
    admin = str(factories.Sysadmin()["name"])
    path = f"/harvest/edit/{source['name']}"
    page = shown(path, admin)
    assert text(one(page, "h1")).startswith("Edit")
    posted(path, admin, **filled(page) | {"title": "Renamed", "save": "save"})
    after = act("harvest_source_show", id=source["id"])
    assert (after["title"], after["private"], [tag["name"] for tag in after["tags"]]) == ("Renamed", True, ["water"])
    assert [(extra["key"], extra["value"]) for extra in after["extras"]] == [("contact", "somebody")]
    assert [each["id"] for each in after["groups"]] == [group["id"]]
    row = HarvestSource.get(source["id"])
    assert (row.url, json.loads(row.config)["api_key"]) == ("http://me:word@city.example", "hidden-word")


def test_where_the_delete_button_leads() -> None:
    """To the page that asks; a new source has none."""
    people = People("scripted")
    page = shown(f"/harvest/edit/{people.source['name']}", people.names["editor"])
    assert one(page, "#source-new a.btn-danger")["href"] == f"/harvest/delete/{people.source['name']}"
    assert not shown("/harvest/new", people.names["editor"]).select("#source-new a.btn-danger")


def test_a_form_where_there_is_nothing_to_choose(ckan_config: Any) -> None:
    """Who may not create datasets gets no form."""
    ckan_config["ckan.auth.create_unowned_dataset"] = False
    ckan_config["ckan.auth.create_dataset_if_not_in_organization"] = False
    assert ask("get", "/harvest/new", People("scripted").names["member"]).status_code == 403


# -- the connection test


def connected(url: str, source_type: str = "ckan", **fields: Any) -> dict[str, Any]:
    return act("harvest_source_test", url=url, source_type=source_type, **fields)


def test_a_portal_that_answers(remote: RemotePortal) -> None:
    """It is there, it is a CKAN, how many datasets it has, and five of them; nothing is saved."""
    remote.datasets = [dataset(number, title=f"Title {number}") for number in range(7)]
    found = connected(f" {remote.url}/ ")
    assert (found["reachable"], found["right_type"], found["count"], found["message"]) == (True, True, 7, "")
    assert len(found["records"]) == 5 and all(each["title"].startswith("Title ") for each in found["records"])
    assert len(remote.requests) == 1
    assert HarvestSource.filter().count() == 0


def test_what_the_filters_and_headers_of_the_source_find(remote: RemotePortal) -> None:
    """The same as a run would: filters and the key of the configuration count."""
    remote.datasets = [dataset(1, organization={"name": "parks"}), dataset(2)]
    config = {"organizations_filter_include": ["parks"], "api_key": "word", "user_agent": "Somebody"}
    assert connected(remote.url, config=json.dumps(config))["count"] == 1
    _, _, headers = remote.requests[-1]
    assert (headers["Authorization"], headers["User-Agent"]) == ("word", "Somebody")
    none = connected(remote.url, config='{"organizations_filter_include": ["nobody"]}')
    assert (none["right_type"], none["count"]) == (True, 0) and "filters" in none["message"]


@pytest.mark.parametrize(
    ("answer", "reachable", "right_type", "said"),
    [
        (html, True, False, "not JSON"),
        (no_results, True, False, "no list of datasets"),
        (error_500, False, None, "500"),
        (lambda request, params: request.send_text("?", status=404), True, False, "404"),
        (lambda request, params: request.send_text("?", status=403), False, None, "403"),
    ],
)
def test_a_portal_that_is_none(remote: RemotePortal, answer: Any, reachable: bool, right_type: Any, said: str) -> None:
    """What is there instead is said in words."""
    remote.instead = answer
    found = connected(remote.url)
    assert (found["reachable"], found["right_type"], found["count"], found["records"]) == (
        reachable,
        right_type,
        None,
        [],
    )
    assert said in found["message"]


@pytest.mark.parametrize("answer", [hang, trickle])
def test_a_portal_that_takes_too_long(remote: RemotePortal, answer: Any, monkeypatch: Any) -> None:
    """The whole test has one deadline."""
    import dataclasses

    from ckanext.harvest import connection

    assert (connection.LIMITS.total, connection.LIMITS.tries) == (10, 1)
    monkeypatch.setattr(connection, "LIMITS", dataclasses.replace(connection.LIMITS, total=0.5))
    remote.instead = answer
    for source_type in ("ckan", "scripted"):
        begun = clock.now()
        found = connected(remote.url, source_type)
        assert (clock.now() - begun).total_seconds() < 5
        if source_type == "ckan" or answer is hang:
            assert not found["reachable"] and found["message"]


def test_an_address_that_the_portal_may_not_ask(ckan_config: Any) -> None:
    """The policy that holds for harvesting holds here."""
    ckan_config["ckanext.relay.allowed_networks"] = ""
    for source_type in ("ckan", "scripted"):
        found = connected("http://127.0.0.1:1/", source_type)
        assert not found["reachable"] and "refused" in found["message"]
    assert not connected("file:///etc/passwd", "scripted")["reachable"]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("<!doctype html><p>Hello", "text/html", "a web page"),
        ('<?xml version="1.0"?><rdf:RDF xmlns:rdf="x"/>', "text/xml", "XML, <rdf:RDF>"),
        ('{"a": 1}', "application/json", "JSON"),
        ("", "text/plain", "the answer is empty"),
        ("a,b", "text/csv", "text/csv"),
    ],
)
def test_a_harvester_that_cannot_look(remote: RemotePortal, body: str, kind: str, said: str) -> None:
    """Then the test says what answers, and leaves it to the person whether that is right."""
    remote.instead = lambda request, params: request.send_text(body, content_type=kind)
    found = connected(remote.url, "scripted")
    assert (found["reachable"], found["right_type"], found["count"]) == (True, None, None)
    assert said in found["message"]


def test_a_harvester_that_gathers_in_its_own_way() -> None:
    """What its base class sees at an address says nothing of what it would bring, unless it says so itself."""

    class Own(CKANHarvester):
        def gather_stage(self, harvest_job: Any) -> list[str]:
            return []

    class OwnAndLooks(Own):
        preview = CKANHarvester.preview

    expected = {CKANHarvester: True, Own: False, OwnAndLooks: True, ScriptedHarvester: False}
    assert {cls: registry.speaks(object.__new__(cls), "preview") for cls in expected} == expected


def test_what_is_wrong_before_anything_is_asked() -> None:
    """Mistakes of the form are those of the form."""
    with pytest.raises(tk.ValidationError) as refused:
        connected("", "no-such-type", config="{")
    assert {"url", "source_type"} <= set(refused.value.error_dict)
    with pytest.raises(tk.ValidationError) as refused:
        connected("http://city.example", config="{")
    assert set(refused.value.error_dict) == {"config"}


def test_secrets_that_come_back_masked(remote: RemotePortal) -> None:
    """Of a source that is there, a masked key means the stored one; without its id it means nothing."""
    people = People("ckan", url=remote.url, config='{"api_key": "hidden-word"}')
    masked = {"url": remote.url, "source_type": "ckan", "config": '{"api_key": "********"}'}
    people.call("editor", "harvest_source_test", id=people.source["name"], **masked)
    assert remote.requests[-1][2]["Authorization"] == "hidden-word"
    people.call("editor", "harvest_source_test", **masked)
    assert "Authorization" not in remote.requests[-1][2]


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_test_a_connection(kind: str, ckan_config: Any) -> None:
    """Who may create a source; with the secrets of one, who may edit it."""
    ckan_config["ckan.auth.create_unowned_dataset"] = False
    ckan_config["ckan.auth.create_dataset_if_not_in_organization"] = False
    people = People("ckan")
    assert people.may(kind, "harvest_source_test", url="http://x.example") == (kind in ("editor elsewhere", *KINDS[3:]))
    assert people.may(kind, "harvest_source_test", id=people.source["id"]) == (kind in KINDS[3:])


def test_the_button_of_the_form(remote: RemotePortal) -> None:
    """Without JavaScript the form comes back as it was typed, with what was found; with it, only that."""
    remote.datasets = [dataset(1, title=f"First {EVIL}")]
    people = People("scripted")
    editor = people.names["editor"]
    button = one(shown("/harvest/new", editor), "#source-new [formaction]")
    assert (button["formaction"], button["hx-post"]) == (
        "/harvest/connection-test#harvest-connection", "/harvest/connection-test",
    )  # fmt: skip
    typed = {
        "url": remote.url,
        "source_type": "ckan",
        "title": EVIL,
        "name": "half",
        "owner_org": people.elsewhere["id"],
    }
    typed["owner_org"] = people.organization["id"]
    page = posted("/harvest/connection-test", editor, **typed)
    form = one(page, "form#source-new")
    assert form["action"] == "/harvest/new" and one(form, "#field-title")["value"] == EVIL
    assert one(form, "input[name=source_type][checked]")["value"] == "ckan"
    assert "1 record is there." in text(one(form, "#harvest-connection")) and EVIL not in str(page)
    part = ask("post", "/harvest/connection-test", editor, data=typed, headers={"HX-Request": "true"}).data.decode()
    assert "1 record is there." in part and "<form" not in part and EVIL not in part
    wrong = posted("/harvest/connection-test", editor, **typed | {"url": ""})
    assert "Not tested" in text(one(wrong, "#harvest-connection")) and one(wrong, "#field-url-error")


def test_the_button_in_the_form_of_a_source(remote: RemotePortal) -> None:
    """The form is still that of the source."""
    people = People("ckan", url=remote.url)
    editor = people.names["editor"]
    form = filled(shown(f"/harvest/edit/{people.source['name']}", editor))
    page = posted("/harvest/connection-test", editor, **form | {"title": "Typed"})
    assert one(page, "#source-new")["action"] == f"/harvest/edit/{people.source['id']}"
    assert one(page, "#field-title")["value"] == "Typed"
    assert ask("post", "/harvest/connection-test", people.names["member"], data=form).status_code == 403
