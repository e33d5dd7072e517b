"""What the tests do with portals that push: datasets to push, and how a copy is compared with what it is a copy of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckanapi.errors import NotFound

from ckanext.harvest.tests.flow import Site
from ckanext.syndicate.domain.marker import ORIGIN, PATH
from ckanext.syndicate.tests.portals import name_for, through

Dataset = dict[str, Any]

#: What each portal decides itself.
OWN = {
    *("id", "name", "organization", "owner_org", "creator_user_id", "metadata_created", "metadata_modified"),
    *("relationships_as_object", "relationships_as_subject"),
}
OWN_IN_RESOURCE = {"id", "package_id", "created", "metadata_modified"}


def dataset(flag: str = "syndicate", **fields: Any) -> Dataset:
    """Return a dataset that uses most of what CKAN knows, and is to be pushed.

    :param flag: the extra that says so
    """
    name = name_for("dataset")
    return {
        "name": name,
        "title": f"Dataset „{name}“",
        "notes": "First line.\n\n*Second* line, with <b>tags</b> & ümläuts.",
        "author": "Statistics Office",
        "author_email": "office@city.example",
        "maintainer": "Data Team",
        "maintainer_email": "data@city.example",
        "license_id": "cc-by",
        "url": "https://city.example/data?a=1&b=2",
        "version": "1.2",
        "tags": [{"name": "water"}, {"name": "air quality"}],
        "extras": [{"key": flag, "value": "true"}, {"key": "spatial", "value": '{"type": "Point"}'}],
        "resources": [resource(1), resource(2, format="JSON", url="https://files.city.example/2.json")],
    } | fields


def resource(number: int, **fields: Any) -> Dataset:
    return {
        "name": f"Table {number}",
        "description": f"All that there is in part {number}.",
        "url": f"https://files.city.example/{number}.csv",
        "format": "CSV",
        "mimetype": "text/csv",
        "size": 1234 + number,
        "hash": f"sha256:{number:064}",
        "resource_type": "file",
        "license": "of its own",
    } | fields


def create(site: Site, flag: str = "syndicate", **fields: Any) -> Dataset:
    """Create such a dataset on a portal."""
    return dict(site.call("package_create", **dataset(flag, **fields)))


def extra(shown: Mapping[str, Any], key: str) -> str | None:
    return next((each["value"] for each in shown["extras"] if each["key"] == key), None)


def copies(origin: Site, at: Site, dataset_id: str) -> list[Dataset]:
    """Return the copies of a dataset at a portal, deleted ones left out.

    A CKAN whose database died while it created one has it in its index and nowhere else: that is none.
    """
    fq = f'syndication_origin:"{origin.portal.url}/dataset/{dataset_id}"'
    found = at.call("package_search", fq=fq, rows=100, include_private=True, include_drafts=True)
    return [
        at.call("package_show", id=each["id"]) for each in found["results"] if state_at(at, each["id"]) != "missing"
    ]


def the_copy(origin: Site, at: Site, dataset_id: str) -> Dataset:
    """Return the copy of a dataset at a portal, which must be there exactly once."""
    found = copies(origin, at, dataset_id)
    assert len(found) == 1, [each["name"] for each in found]
    return found[0]


def content(shown: Mapping[str, Any]) -> Dataset:
    """Return what is the same on all portals, as ``package_show`` has it."""
    told = {key: value for key, value in shown.items() if key not in OWN}
    told["extras"] = {
        each["key"]: each["value"] for each in shown["extras"] if each["key"] not in (ORIGIN, PATH, "syndicated_id")
    }
    told["tags"] = sorted(each["name"] for each in shown["tags"])
    told["groups"] = sorted(each["name"] for each in shown["groups"])
    told["resources"] = [
        {key: value for key, value in each.items() if key not in OWN_IN_RESOURCE and value is not None}
        for each in shown["resources"]
    ]
    return told


def assert_equal(origin: Site, at: Site, dataset_id: str, name: str | None = None) -> Dataset:
    """Make sure that a dataset is at a portal exactly once, and the same field by field; returns the copy.

    :param name: of the copy, by default that of the dataset
    """
    source = origin.call("package_show", id=dataset_id)
    copy = the_copy(origin, at, dataset_id)
    assert content(copy) == content(source)
    assert copy["name"] == (name or source["name"])
    return copy


def pushed(origin: Site, at: Site, dataset_id: str, name: str | None = None) -> Dataset:
    """Wait until a portal has pushed all, and make sure that the copy is the same; returns it."""
    through(origin)
    return assert_equal(origin, at, dataset_id, name)


def resource_ids(shown: Mapping[str, Any]) -> list[str]:
    return [each["id"] for each in shown["resources"]]


def state_at(at: Site, dataset_id: str) -> str:
    """Return what a dataset is at a portal: ``active``, ``private``, ``deleted`` or ``missing``."""
    try:
        shown = at.call("package_show", id=dataset_id)
    except NotFound:
        return "missing"
    return "private" if shown["private"] else str(shown["state"])
