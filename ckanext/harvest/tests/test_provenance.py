"""What the page of a dataset says of where it comes from, and the page of a record."""

from __future__ import annotations

import datetime
import html
import json
import re

import pytest
from ckan import model

from ckanext.harvest import provenance
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.harvest.tests.harvesting import act, by_guid, harvest, make_source, start
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id
from ckanext.harvest.tests.test_views import get, record
from ckanext.relay import clock

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")
EVIL = "<script>alert(1)</script>"


def text(path: str) -> str:
    """Return what a page says."""
    answer = get(path)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def panel(name: str) -> str:
    """Return what the page of a dataset says of where it comes from, nothing if it does not."""
    answer = get(f"/dataset/{name}")
    assert answer.status_code == 200
    found = re.search(r'<section class="harvest-provenance.*?</section>', answer.text, re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[0])).split()) if found else ""


def said(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")


def age(obj: HarvestObject, days: int) -> datetime.datetime:
    """Let an object have been imported so many days ago."""
    obj.import_finished = clock.now() - datetime.timedelta(days=days)
    obj.save()
    return obj.import_finished


def test_where_a_dataset_comes_from(script: Script) -> None:
    """Its source, when it came, was seen and was changed last, when the source is looked at next, and the record."""
    source = make_source("scripted", title="Parks of the city", frequency="WEEKLY")
    first = age(by_guid(harvest(source["id"]))["one"], 9)
    second = by_guid(harvest(source["id"]))["one"]
    changed = age(second, 5)
    script.fetch = "unchanged"
    seen = age(by_guid(harvest(source["id"]))["one"], 1)
    model.Session.commit()
    page = panel("record-one")
    assert "Source Parks of the city " in page
    assert f"First harvested {said(first)} Last seen there {said(seen)} Last changed {said(changed)} " in page
    assert "Next check As soon as a worker is free" in page
    answer = get("/dataset/record-one").text
    assert f'href="/harvest/{source["name"]}"' in answer
    assert f'href="/harvest/object/{second.id}/view"' in answer


def test_a_dataset_of_our_own() -> None:
    """Nothing is said of one that was not harvested, nor of a source."""
    act("package_create", name="our-own", owner_org=make_source("scripted")["owner_org"])
    assert panel("our-own") == ""
    assert provenance.of_dataset("no such dataset") is None


def test_a_source_that_the_visitor_may_not_see() -> None:
    """Its name is said, as in the dataset itself, and no link leads there."""
    source = make_source("scripted", title=f"Secret {EVIL}")
    harvest(source["id"])
    act("package_patch", id=source["id"], private=True)
    model.Session.commit()
    assert f"Source Secret {EVIL}" in panel("record-one")
    answer = get("/dataset/record-one").text
    assert f'href="/harvest/{source["name"]}"' not in answer
    assert EVIL not in answer


def test_a_record_without_guid() -> None:
    """A harvester may give none; the times are those of the dataset's own records then."""
    source = make_source("scripted")
    job = harvest(source["id"])
    obj = by_guid(job)["one"]
    obj.guid = ""
    when = age(obj, 3)
    found = provenance.of_dataset(package_id("one"))
    assert found is not None
    assert (found.first, found.last, found.changed) == (when, when, when)


# -- the page of a record


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ('{"title": "Grüße"}', '{ "title": "Grüße" } '),
        (f"<html>{EVIL}</html>", f"<html>{EVIL}</html>"),
        ("[" * 5000, "[" * 5000),
        ("plain", "plain"),
        ('{"title": "\\ud800"}', '{ "title": "?" } '),
    ],
    ids=["JSON", "HTML", "hostile JSON", "text", "half a character"],
)
def test_a_record_as_text(content: str, shown: str) -> None:
    """What was harvested is a text on the page, never a part of it; JSON has a line for each of its parts."""
    obj = record(content)
    answer = get(f"/harvest/object/{obj.id}/view")
    assert answer.status_code == 200
    inside = re.search(r"<pre[^>]*>(.*?)</pre>", answer.text, re.S)
    assert inside
    assert EVIL not in answer.text
    assert "<" not in inside[1]
    assert " ".join(html.unescape(inside[1]).split()) == shown.strip()
    assert f'href="/harvest/object/{obj.id}"' in answer.text


def test_a_long_record() -> None:
    """Only its beginning is shown, and where all of it is."""
    page = get(f"/harvest/object/{record(json.dumps(['x' * 300_000])).id}/view").text
    assert len(page) < 300_000
    assert "Only the beginning is shown here." in page


def test_what_became_of_a_record(script: Script) -> None:
    """The page says it, with the errors and the dataset."""
    source = make_source("scripted")
    obj = by_guid(harvest(source["id"]))["one"]
    page = text(f"/harvest/object/{obj.id}/view")
    assert "Its dataset was added. The dataset is as this record says." in page
    assert "Dataset Record one" in page
    script.imports = lambda obj: 1 / 0
    failed = by_guid(harvest(source["id"]))["one"]
    page = text(f"/harvest/object/{failed.id}/view")
    assert "It failed." in page
    assert "Import ZeroDivisionError: division by zero" in page


def test_nothing_to_show() -> None:
    """A record of which nothing is kept, and one that is not there."""
    obj = HarvestObject(guid="one", job=HarvestJob.get(start(make_source("scripted")["id"])))
    obj.save()
    page = text(f"/harvest/object/{obj.id}/view")
    assert "Nothing is kept of its content." in page
    assert "waits for that" in page
    assert get("/harvest/object/no-such-object/view").status_code == 404
