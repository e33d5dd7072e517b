"""What the pages of all plugins share, without a browser; ``browser`` has the tests with one."""

from __future__ import annotations

import contextvars
import csv
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from ckan.tests import factories

from ckanext.archiver.tests.portal import Client
from ckanext.relay import pages
from ckanext.relay.tests import paged_plugin
from ckanext.relay.tests.paged_plugin import NAME, PagedPlugin
from ckanext.relay.tests.plugin_classes import known
from ckanext.relay.tests.test_translation import CATALOGUES, catalogue


@pytest.fixture(scope="module")
def _app() -> Iterator[Any]:
    import ckan.plugins as p
    from ckan.common import config
    from ckan.tests.helpers import _get_test_app

    with pytest.MonkeyPatch.context() as patch, known({"paged": PagedPlugin}):
        patch.setitem(config, "ckan.plugins", ["paged"])
        p.load_all()
        yield _get_test_app()
        p.unload_all()


@pytest.fixture
def app(_app: Any, ckan_config: Any, non_clean_db: None) -> Client:
    paged_plugin.changes.clear()
    return Client(_app)


def shown(app: Client, path: str, **options: Any) -> BeautifulSoup:
    return BeautifulSoup(app.get(path, status=200, **options).body, "html.parser")


def one(page: BeautifulSoup, selector: str) -> Tag:
    found = page.select(selector)
    assert len(found) == 1, f"{selector}: {found}"
    return found[0]


def test_the_parts(app: Client) -> None:
    """Times are UTC and machines can read them; what others call things is text; each part is there without scripts."""
    page = shown(app, "/relay-tests/parts?a=1&a=2&page=3&b=%C3%A4%26c")
    assert one(page, "h1").text == f"Parts of {NAME}" and NAME in one(page, "title").text
    first, second = page.select("#times time")
    assert (first["datetime"], first.text) == ("2026-05-06T07:08:09Z", "2026-05-06 07:08 UTC")
    assert second["datetime"] == "2026-01-02T03:04:05.678901Z"
    assert one(page, "#badge .text-bg-warning").text.strip() == NAME
    assert one(page, "#csv")["href"] == "?a=1&a=2&b=%C3%A4%26c&format=csv"
    assert one(page, "figure details[open] table").select("th")[0].text == "Day"
    form = one(page, "form[data-relay-confirm]")
    assert form["data-relay-confirm"] == f"Really change {NAME}?"
    assert {field["name"] for field in form.select("input")} == {"_csrf_token", "name"}
    assert "<script>alert" not in str(page)


def test_nothing_is_inline(app: Client) -> None:
    """No script, style or handler stands in a page itself: a strict policy forbids that."""
    for path in ("/relay-tests/parts", "/relay-tests/change"):
        page = shown(app, path)
        assert all(script.get("src") for script in page.select("script"))
        main = one(page, ".primary")
        assert not main.select("[style], style")
        assert not [name for tag in main.find_all(True) for name in tag.attrs if name.startswith("on")]


def test_the_pager(app: Client) -> None:
    """The first and the last page, those around this one; all other arguments stay."""
    page = shown(app, "/relay-tests/parts?page=10&q=a%20b")
    links = [item.text.strip() for item in page.select(".pagination li")]
    assert links == ["Previous", "1", "…", "8", "9", "10", "11", "12", "…", "21", "Next"]
    assert one(page, "[aria-current=page]").text == "10"
    assert one(page, "[rel=next]")["href"] == "?q=a+b&page=11"


@pytest.mark.parametrize(
    ("asked", "number"), [("", 1), ("7", 7), ("0", 1), ("-1", 1), ("x", 1), ("²", 1), ("9" * 30, 1), ("99999", 99999)]
)
def test_the_number_of_a_page(app: Client, asked: str, number: int) -> None:
    """What is no number means the first page."""
    with app.flask_app.test_request_context(f"/?page={asked}"):
        assert pages.number() == number


@pytest.mark.parametrize(
    ("number", "total", "expected"),
    [
        (1, 0, (1, 1, 0, 0, 0)),
        (1, 10, (1, 1, 1, 10, 0)),
        (2, 11, (2, 2, 11, 11, 10)),
        (9, 11, (2, 2, 11, 11, 10)),
        (-3, 11, (1, 2, 1, 10, 0)),
    ],
)
def test_the_items_of_a_page(number: int, total: int, expected: tuple[int, ...]) -> None:
    """A page that is not there is the last one, or the first."""
    page = pages.Page(number, 10, total)
    assert (page.number, page.last, page.first_item, page.last_item, page.offset) == expected


def test_a_confirmation(app: Client) -> None:
    """It says what will happen, changes nothing, and its form is sent to the same address."""
    page = shown(app, "/relay-tests/change")
    form = one(page, ".primary form")
    assert (form["method"], form["action"]) == ("post", "")
    assert one(form, "button").text == "Change it"  # type: ignore[arg-type]
    assert [each.text for each in page.select(".primary li")] == ["It is another one.", NAME]
    assert one(page, ".primary form a")["href"] == "/relay-tests/parts"
    assert paged_plugin.changes == []


def test_a_form_without_its_token(app: Client, ckan_config: Any) -> None:
    """It is refused in words where somebody is logged in; programs with an API token need none."""
    user = factories.UserWithToken(password="correct-horse")
    client = app.flask_app.test_client()

    def post(path: str, **data: str) -> Any:
        call = functools.partial(client.post, data=data, environ_overrides={"CKAN_LANG": "en"})
        return contextvars.Context().run(call, path)

    post("/user/login", login=user["name"], password="correct-horse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ckan_config, "WTF_CSRF_ENABLED", True)
        patch.setitem(app.flask_app.config, "WTF_CSRF_ENABLED", True)
        answer = post("/relay-tests/change", name="forged")
        assert answer.status_code == 400 and "Load the page again" in answer.text
        assert paged_plugin.changes == []
        headers = {"Authorization": user["token"]}
        app.post("/relay-tests/change", data={"name": "asked"}, headers=headers, follow_redirects=False)
        assert paged_plugin.changes == ["asked"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.parts[-3]))
def test_a_page_in_another_language(app: Client, path: Path) -> None:
    """Visitors who ask for it read the texts of the catalogue."""
    word = catalogue(path).get("As a table")
    assert word
    environ = {"CKAN_LANG": path.parts[-3], "CKAN_LANG_IS_DEFAULT": False}
    page = shown(app, "/relay-tests/parts", environ_overrides=environ)
    assert one(page, "figure summary").text == word.string


def test_what_an_action_refuses(app: Client) -> None:
    """Who may not is told so, and so is who asks for what is not there."""
    organization = factories.Organization()
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    assert "not authorized" in app.get(f"/relay-tests/dataset/{dataset['id']}", status=403).body
    app.get("/relay-tests/dataset/no-such-dataset", status=404)
    headers = {"Authorization": factories.SysadminWithToken()["token"]}
    assert app.get(f"/relay-tests/dataset/{dataset['id']}", headers=headers, status=200).body == dataset["name"]


def test_downloads(app: Client) -> None:
    """As CSV and as JSON, whole, to be saved; anything else makes no sense."""
    answer = app.get("/relay-tests/export?format=csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=table.csv"
    rows = list(csv.reader(io.StringIO(answer.body)))
    assert rows[:2] == [["number", "name"], ["0", NAME]] and len(rows) == 1201
    answer = app.get("/relay-tests/export?format=json")
    assert json.loads(answer.body)[1199] == {"number": 1199, "name": NAME}
    for wrong in ("", "?format=exe"):
        app.get(f"/relay-tests/export{wrong}", status=400)


def test_the_end_of_polling(app: Client) -> None:
    """htmx asks no more after this answer."""
    headers = {"HX-Request": "true"}
    assert app.get("/relay-tests/live/2", headers=headers).status_code == 200
    answer = app.get("/relay-tests/live/3", headers=headers)
    assert answer.status_code == 286 and "Step 3" in answer.body
