"""What pages say of links and copies."""

from __future__ import annotations

import datetime
import re
from typing import Any

import ckan.plugins.toolkit as tk
import flask
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.archiver import explanations
from ckanext.archiver.domain.cause import Cause
from ckanext.archiver.tests.portal import (
    CHECKED,
    act,
    add_archival,
    add_copy,
    archival_of,
    make_dataset,
    make_sysadmin,
    make_user,
)

pytestmark = pytest.mark.usefixtures("archiver_portal")

FAILED = {
    "status_id": 12, "is_broken": True, "reason": "Server reported status error: 404 NOT FOUND", "cause": "http_404",
    "first_failure": CHECKED, "failure_count": 1,
}  # fmt: skip
SUSPECT = {**FAILED, "suspect_since": CHECKED}


def page(app: Any, resource: dict[str, Any], user: dict[str, Any] | None = None) -> str:
    """The page of a resource, one space between words, times as they are read."""
    path = f"/dataset/{resource['package_id']}/resource/{resource['id']}"
    body = app.get(path, headers=user["headers"] if user else {}, status=200).body
    return re.sub(r"\s+", " ", re.sub(r"</?time[^>]*>", "", body))


def broken_html(resource: dict[str, Any]) -> str:
    return str(tk.h.archiver_is_resource_broken_html(act("resource_show", id=resource["id"])))


def test_nothing_is_known(app: Any, resource: dict[str, Any]) -> None:
    """The helpers answer with a comment that themes know; the page says nothing."""
    comment = "<!-- No archival info for this resource -->"
    assert tk.h.archiver_is_resource_broken_html({}) == comment
    assert tk.h.archiver_is_resource_cached_html({"archiver": "saved by mistake"}) == comment
    assert "archiver" not in page(app, resource)


@pytest.mark.parametrize(
    ("columns", "css", "texts"),
    [
        ({}, "link-not-broken", ["Link is ok", "Last checked: 2026-03-01 12:00 UTC"]),
        (
            {**FAILED, "verdict": "broken", "failure_count": 3, "last_success": datetime.datetime(2026, 1, 2)},
            "link-broken",
            [
                "Link is broken", "nothing at this address", "404 NOT FOUND",
                "failed 3 times in a row since 2026-03-01 12:00 UTC", "last worked on 2026-01-02 00:00 UTC",
            ],
        ),
        (
            {**FAILED, "verdict": "broken", "last_success": None},
            "link-broken",
            ["failed once so far", "has not worked since the first check on 2026-03-01 12:00 UTC"],
        ),
        (
            {"status_id": 21, "is_broken": None, "verdict": "unsure", "cause": "too_large", "reason": "Content-length"},
            "link-not-sure",
            ["Not sure whether the link works", "too large"],
        ),
    ],
)  # fmt: skip
def test_the_page_of_a_resource(
    app: Any, resource: dict[str, Any], columns: dict[str, Any], css: str, texts: list[str]
) -> None:
    """Each state has the class that themes know, its headline, why, and when."""
    add_archival(resource, **columns)
    shown = page(app, resource)
    assert re.findall(r"archiver (link-[a-z-]*)", shown) == [css, "link-not-cached"]
    for text in texts:
        assert text in shown, text
    assert "archiver-suspect" not in shown


@pytest.mark.parametrize(
    ("verdict", "css", "headline"),
    [("ok", "link-not-broken", "Link is ok"), (None, "link-not-sure", "Not sure whether the link works")],
)
def test_what_is_not_confirmed_is_for_those_who_may_edit(
    app: Any, verdict: str | None, css: str, headline: str
) -> None:
    """One failed check marks no link broken; who may mend it hears of it at once, and what to do."""
    resource = make_dataset(owner_org=factories.Organization()["id"])["resources"][0]
    add_archival(resource, **SUSPECT, verdict=verdict)
    for user in (None, make_user()):
        shown = page(app, resource, user)
        assert f"archiver {css}" in shown and headline in shown
        assert (
            "404 NOT FOUND" not in shown
            and "latest check failed" not in shown
            and "nothing at this address" not in shown
        )
    shown = page(app, resource, make_sysadmin())
    assert f"archiver {css}" in shown
    assert "The latest check failed." in shown
    assert "failing since 2026-03-01 12:00 UTC" in shown
    assert "404 NOT FOUND" in shown and "nothing at this address" in shown
    assert "What to do:</strong> Look up where the publisher keeps the file now" in shown


def test_the_copy(app: Any, resource: dict[str, Any]) -> None:
    """A link to it, its size and its date; and that it is from before the link broke."""
    add_copy(resource)
    shown = page(app, resource)
    url = archival_of(resource).cache_url
    assert "archiver link-cached" in shown
    assert re.search(
        rf'<a href="{re.escape(str(url))}" rel="nofollow">(<i [^>]*></i> )?Download cached copy</a>', shown
    )
    assert "Size: 8 bytes" in shown
    assert "Cached on: 2026-03-01 12:00 UTC" in shown
    assert "before it was broken" not in shown
    archival = archival_of(resource)
    archival.is_broken, archival.verdict, archival.status_id = True, "broken", 12
    archival.first_failure, archival.failure_count = CHECKED, 3
    model.Session.commit()
    assert "(before it was broken)" in page(app, resource)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "", None])
def test_an_address_that_does_harm_is_no_link(app: Any, resource: dict[str, Any], url: str | None) -> None:
    """Whatever a row says."""
    add_archival(resource, cache_url=url, cache_filepath="/x")
    shown = page(app, resource)
    assert "archiver link-not-cached" in shown
    assert "javascript:" not in shown and "data:text" not in shown


def test_what_a_server_says_is_text(app: Any, resource: dict[str, Any]) -> None:
    """Reasons hold what servers answer, and those of older archivers whole addresses."""
    reason = '<script>alert(1)</script> http://user:secret@host/ "><img src=x>' + "x" * 2000
    add_archival(resource, **{**FAILED, "verdict": "broken", "reason": reason, "cause": None})
    shown = page(app, resource)
    assert "<script>alert" not in shown and "<img src=x>" not in shown
    assert "secret" not in shown
    assert "x" * 600 not in shown


def test_a_portal_may_show_neither(app: Any, resource: dict[str, Any], ckan_config: Any) -> None:
    """Two settings, as in the Greek portal."""
    add_copy(resource)
    ckan_config["ckanext.archiver.show_broken_status"] = False
    shown = page(app, resource)
    assert "link-not-broken" not in shown and "link-cached" in shown
    ckan_config["ckanext.archiver.show_cached_url"] = False
    assert "archiver-info" not in page(app, resource)
    assert tk.h.archiver_show_broken_status() is tk.h.archiver_show_cached_url() is False


def test_the_table_of_fields_has_none_of_ours(app: Any, resource: dict[str, Any]) -> None:
    """CKAN's own helper would print the dictionary; both it and the helper that themes call leave it out."""
    add_copy(resource)
    items = {"archiver": {"a": 1}, "qa": {"b": 2}, "format": "CSV", "position": 0}.items()
    assert [key for key, _ in tk.h.archiver_format_resource_items(items)] == ["format", "position"]
    assert [key for key, _ in tk.h.format_resource_items(items)] == ["format", "position"]
    shown = page(app, resource)
    assert "Additional Information" in shown
    assert "is_broken_printable" not in shown


def test_the_archival_of_a_resource(resource: dict[str, Any]) -> None:
    """The helper that never worked in ckanext-archiver."""
    assert tk.h.archiver_resource_show(resource["id"]) is None
    assert tk.h.archiver_resource_show("none") is None
    add_archival(resource)
    assert tk.h.archiver_resource_show(resource["id"])["status_id"] == 0


def test_texts_for_people(resource: dict[str, Any]) -> None:
    """A status and a reason in words; what is unknown stays as it is."""
    assert tk.h.archiver_status_label("Download error") == "Download error"
    assert tk.h.archiver_status_label("Forbidden error") == "Forbidden error"
    assert tk.h.archiver_status_label(None) == ""
    assert "nothing at this address" in tk.h.archiver_reason_label("Server reported status error: 404", "http_404")
    assert (
        tk.h.archiver_reason_label("Too many redirects at http://a:b@c/") == "Too many redirects at http://********@c/"
    )
    assert tk.h.archiver_reason_label(None) == ""


def test_each_cause_is_explained(resource: dict[str, Any]) -> None:
    """No cause leaves people with a word for machines; those they can do something about say what."""
    advised = set()
    for cause in [*Cause, *(Cause(f"http_{status}") for status in (202, 304, 400, 404, 418, 429, 451, 500, 503))]:
        said = explanations.explain(cause.value)
        assert said and said.summary.endswith("."), cause
        advised |= {cause.value} if said.advice else set()
    assert {"http_404", "dns", "url_invalid"} <= advised
    address = explanations.explain("http_400")
    for passing in ("http_202", "http_408", "http_425", "http_503"):
        said = explanations.explain(passing)
        assert said and address and said.advice and said.advice != address.advice, passing
    assert explanations.explain(None) is explanations.explain("never heard of") is None


@pytest.mark.parametrize("inner", ["their own table", "{{ super() }} their own table"])
def test_other_extensions_fill_the_table(app: Any, resource: dict[str, Any], inner: str) -> None:
    """ckanext-scheming puts its own table into the inner block, ckanext-qa adds to it: what we say stays beside it."""
    add_copy(resource)
    page_of = '{% extends "package/resource_read.html" %}{% block resource_additional_information_inner %}'
    shown = act("package_show", id=resource["package_id"])
    variables = {
        "pkg": shown,
        "package": shown,
        "pkg_dict": shown,
        "resource": shown["resources"][0],
        "resource_views": [],
        "current_resource_view": {},
    }
    path = f"/dataset/{resource['package_id']}"
    with app.flask_app.test_request_context(path, environ_overrides={"CKAN_LANG": "en", "CKAN_CURRENT_URL": path}):
        app.flask_app.preprocess_request()
        found = flask.render_template_string(f"{page_of}{inner}{{% endblock %}}", dataset_type="dataset", **variables)
    assert "their own table" in found
    assert "archiver link-not-broken" in found and "archiver link-cached" in found
    assert ("Additional Information" in found) == ("super" in inner)
