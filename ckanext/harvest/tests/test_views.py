"""The pages of the plugin, as a browser gets them."""

from __future__ import annotations

import contextvars
import functools
import json
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories
from flask import current_app

from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestObjectExtra
from ckanext.harvest.tests.harvesting import act, start
from ckanext.harvest.tests.logic.people import KINDS, People

pytestmark = pytest.mark.usefixtures("portal")


def get(path: str, **headers: str) -> Any:
    """Ask for a page, as somebody whose request is not part of the one that surrounds the tests."""
    # the language is said by what CKAN 2.11 has around the application
    ask = functools.partial(current_app.test_client().get, headers=headers, environ_overrides={"CKAN_LANG": "en"})
    return contextvars.Context().run(ask, path)


def record(content: str | None, **fields: Any) -> HarvestObject:
    """Save an object with some content."""
    people = People()
    obj = HarvestObject(guid="one", job=HarvestJob.get(start(people.source["id"])), content=content, **fields)
    obj.save()
    return obj


XML = '<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="x">Grüße</rdf:RDF>'


@pytest.mark.parametrize("path", ["/harvest/object", "/dataset/harvest_object"])
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (XML, "text/xml"),
        ("\ufeff" + XML, "text/xml"),
        ('{"title": "Grüße"}', "application/json"),
        ("[1, 2]", "application/json"),
        ("<html><script>alert(1)</script>", "text/plain"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "text/plain"),
        ("title: Grüße", "text/plain"),
        ("[" * 100_000, "text/plain"),
    ],
)
def test_the_record_as_it_was_harvested(path: str, content: str, media_type: str) -> None:
    """Byte for byte, said to be what it is, and never a page that runs scripts in the name of this portal."""
    answer = get(f"{path}/{record(content).id}")
    assert answer.status_code == 200
    assert answer.data == content.encode()
    assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(content.encode()))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_the_document_that_a_harvester_kept() -> None:
    """Without content, the extra ``original_document`` is shown."""
    obj = record(None)
    HarvestObjectExtra(object=obj, key="original_document", value="<a/>").save()
    assert get(f"/harvest/object/{obj.id}").data == b"<a/>"


def test_where_nothing_is_shown() -> None:
    """An object without content, and one that is not there."""
    assert get(f"/harvest/object/{record(None).id}").status_code == 404
    assert get("/harvest/object/no-such-object").status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_of_a_private_dataset(kind: str) -> None:
    """It is for those who may see the dataset."""
    people = People()
    package = act("package_create", name="hidden", private=True, owner_org=people.organization["id"])
    job = HarvestJob.get(start(people.source["id"]))
    obj = HarvestObject(guid="one", job=job, content=json.dumps({}), package_id=package["id"], current=True)
    obj.save()
    headers = {}
    if kind != "anonymous":
        headers["Authorization"] = factories.APIToken(user=people.names[kind])["token"]
    model.Session.commit()
    expected = 200 if kind in KINDS[2:] else 403
    assert get(f"/harvest/object/{obj.id}", **headers).status_code == expected
