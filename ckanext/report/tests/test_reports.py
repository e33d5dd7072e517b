"""The report on datasets without tags."""

from __future__ import annotations

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.report.reports import tagless
from ckanext.report.tests.browsing import dataset, report

pytestmark = pytest.mark.usefixtures("portal")


def tag(package: model.Package, *names: str) -> None:
    for name in names:
        tag_ = model.Tag.get(name) or model.Tag(name)
        model.Session.add_all([tag_, model.PackageTag(package, tag_)])
    model.Session.commit()


def test_the_rows() -> None:
    """Active datasets without any tag, what they are called and who made them when."""
    user = model.User.get(factories.User()["name"])
    tag(dataset("tagged"), "one", "two")
    dataset("deleted", state="deleted")
    made = dataset("tagless", title="No tags", notes="Some notes", creator_user_id=user.id)
    data = tagless()
    assert data["table"] == [
        {
            "name": "tagless",
            "title": "No tags",
            "notes": "Some notes",
            "user": user.name,
            "created": made.metadata_created.isoformat(),
        }
    ]
    figures = {"num_packages": 2, "packages_without_tags_percent": 50, "average_tags_per_package": 1.0}
    assert data == {"table": data["table"], **figures, "public": figures}


def test_a_tag_that_was_taken_away() -> None:
    """It does not count."""
    package = dataset("tagless")
    tag(package, "one")
    assert tagless()["table"] == []
    model.Session.query(model.PackageTag).update({"state": "deleted"})
    assert len(tagless()["table"]) == 1


def test_an_organization() -> None:
    """Only its datasets are rows and counted."""
    parks = factories.Organization(name="parks")
    dataset("of-parks", owner_org=parks["id"])
    dataset("of-nobody")
    data = tagless(organization="parks", include_sub_organizations=True)
    assert [row["name"] for row in data["table"]] == ["of-parks"] and data["num_packages"] == 1
    assert report("tagless-datasets").combinations() == [
        {"organization": organization, "include_sub_organizations": below}
        for organization in (None, "parks")
        for below in (False, True)
    ]


def test_datasets_that_do_not_say_whether_they_are_private() -> None:
    """Old databases have some; they are public, and counted with the others."""
    dataset("old")
    dataset("new")
    model.Session.query(model.Package).filter_by(name="old").update({"private": None})
    data = tagless()
    assert data["num_packages"] == data["public"]["num_packages"] == 2


def test_an_empty_portal() -> None:
    """No rows, and nothing is divided by zero."""
    assert tagless() == {
        "table": [],
        "num_packages": 0,
        "packages_without_tags_percent": 0,
        "average_tags_per_package": 0,
        "public": {"num_packages": 0, "packages_without_tags_percent": 0, "average_tags_per_package": 0},
    }


def test_no_more_than_a_hundred() -> None:
    """Those that everybody may see, first."""
    model.Session.add_all(model.Package(name=f"p-{number}", type="dataset") for number in range(99))
    for number in range(3):
        dataset(f"private-{number}", private=True)
    names = [row["name"] for row in tagless()["table"]]
    assert len(names) == 100 and sum(name.startswith("private") for name in names) == 1
