"""Searches are narrowed to datasets with broken links, as the confirmed verdict has it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ckan import model
from ckan.lib import search as ckan_search

from ckanext.archiver import runner
from ckanext.archiver.facets import FIELD
from ckanext.archiver.tests.portal import (
    act,
    add_archival,
    archival_of,
    make_dataset,
    make_sysadmin,
    make_user,
    private_dataset,
)
from ckanext.archiver.tests.web import Web, says
from ckanext.relay.search import index

pytestmark = pytest.mark.usefixtures("archiver_portal")

BROKEN = {"status_id": 12, "is_broken": True, "verdict": "broken", "cause": "http_404"}
UNSURE = {"status_id": 21, "is_broken": None, "verdict": "unsure", "cause": "too_large"}
SUSPECT = {"status_id": 12, "is_broken": True, "verdict": "ok", "cause": "http_404"}


def of(*archivals: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    """A dataset with a link for each of these archivals; None: it was not checked."""
    resources = [{"url": f"http://data.example/{number}"} for number, _ in enumerate(archivals)]
    dataset = make_dataset(resources=resources, **fields)
    for resource, columns in zip(dataset["resources"], archivals, strict=True):
        if columns is not None:
            add_archival(resource, **columns)
    index([dataset["id"]])
    return dataset


def found(value: str, name: str = "") -> set[str]:
    result = act("package_search", name, fq=f"{FIELD}:{value}", include_private=True)
    return {each["id"] for each in result["results"]}


def facet_items() -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"facet.field": [FIELD]}
    return list(act("package_search", **asked)["search_facets"][FIELD]["items"])


def value_of(dataset: dict[str, Any]) -> str | None:
    return next((value for value in ("broken", "unsure", "ok") if dataset["id"] in found(value)), None)


@pytest.mark.parametrize(
    ("archivals", "value"),
    [
        ([{}, {}], "ok"),
        ([{}, BROKEN, UNSURE], "broken"),
        ([{}, UNSURE], "unsure"),
        ([{}, SUSPECT], "ok"),
        ([{"verdict": None, "is_broken": True, "status_id": 12}], "unsure"),
        ([{"verdict": None, "is_broken": False}], "ok"),
        ([None, None], None),
        ([None, BROKEN], "broken"),
    ],
)
def test_the_worst_link_counts(archivals: list[Any], value: str | None) -> None:
    """By the confirmed verdict: what failed once makes no dataset one with broken links."""
    assert value_of(of(*archivals)) == value


def test_searches_are_narrowed_by_the_facet(app: Any) -> None:
    """The page offers it in words, with numbers, and a click leaves those datasets; so it is for an organization."""
    of(BROKEN, title="Lost")
    of({}, title="Found")
    shown = re.sub(r"\s+", " ", app.get("/dataset/", status=200).body)
    assert re.search(r'<h2 class="module-heading"> <i class="fa fa-filter"></i> Links </h2>', shown)
    assert f"?{FIELD}=broken" in shown and "With broken links" in shown and "Without broken links" in shown
    chosen = app.get(f"/dataset/?{FIELD}=broken", status=200).body
    assert "Lost" in chosen and "Found" not in chosen


def test_the_words_are_in_the_answer_of_the_api() -> None:
    """For whoever shows facets elsewhere."""
    of(BROKEN), of(UNSURE), of({})
    items = facet_items()
    assert {each["name"]: each["display_name"] for each in items} == {
        "broken": "With broken links", "unsure": "Not sure about some links", "ok": "Without broken links",
    }  # fmt: skip


def test_a_portal_that_says_nothing_of_links_has_no_facet(app: Any, ckan_config: Any) -> None:
    """As its pages have no badges."""
    of(BROKEN)
    ckan_config["ckanext.archiver.show_broken_status"] = False
    assert FIELD not in app.get("/dataset/", status=200).body


def test_it_follows_the_verdict(web: Web, ckan_config: Any) -> None:
    """When checks confirm that a link is broken, and when it works again, searches find the dataset accordingly."""
    ckan_config["ckanext.archiver.confirm_tries"], ckan_config["ckanext.archiver.confirm_hours"] = 2, 0
    ckan_config["ckanext.archiver.check_now_seconds"] = 0
    dataset = make_dataset(resources=[{"url": web.url("/data.csv")}])
    resource = dataset["resources"][0]
    seen = []
    for status in (200, 404, 404, 200):
        web.pages["/data.csv"] = says(status, b"a,b\n1,2\n", Content_Type="text/csv")
        act("archiver_check_now", None, id=resource["id"])
        list(runner.archive_batch("priority"))
        runner.tell()
        model.Session.expire_all()
        seen.append((archival_of(resource).verdict, value_of(dataset)))
    assert seen == [("ok", "ok"), ("ok", "ok"), ("broken", "broken"), ("ok", "ok")]


def test_it_stays_when_the_dataset_is_edited() -> None:
    """Whoever saves it, and whatever its extras say; a broken link that is removed counts no more."""
    dataset = of(BROKEN, {})
    sysadmin = make_sysadmin()["name"]
    act("package_patch", sysadmin, id=dataset["id"], notes="new", extras=[{"key": FIELD, "value": "ok"}])
    assert value_of(dataset) == "broken"
    ckan_search.rebuild(dataset["id"])
    assert value_of(dataset) == "broken"
    act("resource_delete", sysadmin, id=dataset["resources"][0]["id"])
    assert value_of(dataset) == "ok"


def test_private_datasets_are_counted_for_their_members_only() -> None:
    """The facet tells nobody of links that they may not see."""
    member = make_user()
    dataset = private_dataset(member)
    add_archival(dataset["resources"][0], **BROKEN)
    index([dataset["id"]])
    assert found("broken", member["name"]) == {dataset["id"]}
    assert found("broken") == set()
    assert facet_items() == []
