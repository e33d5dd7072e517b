"""What reports are written with, and the helpers of their templates."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.exceptions import CkanConfigurationException
from ckan.tests import factories

from ckanext.relay.errors import ConfigurationError
from ckanext.report import helpers, lib
from ckanext.report.plugin import ReportPlugin
from ckanext.report.tests.browsing import dataset

pytestmark = pytest.mark.usefixtures("portal")


def organizations() -> dict[str, model.Group]:
    """Make a city with parks, which have trees; and a museum. One is deleted."""
    for name in ("city", "parks", "trees", "museum", "closed"):
        factories.Organization(name=name, title=name.title())
    made = {name: model.Group.get(name) for name in ("city", "parks", "trees", "museum", "closed")}
    for above, below in (("city", "parks"), ("parks", "trees"), ("trees", "city")):
        member = model.Member(
            group=made[below], table_id=made[above].id, table_name="group", capacity="parent", state="active"
        )
        model.Session.add(member)
    made["closed"].state = "deleted"
    model.Session.commit()
    return made


def test_organizations() -> None:
    """The active ones, by name; a tree from the top, even if it is a circle."""
    made = organizations()
    assert lib.all_organizations() == ["city", "museum", "parks", "trees"]
    assert lib.all_organizations(include_none=True)[0] is None
    assert [each.name for each in lib.go_down_tree(made["city"])] == ["city", "parks", "trees"]
    assert [each.name for each in lib.go_down_tree(made["museum"])] == ["museum"]
    assert dict(helpers.report__organization_list())["parks"] == "Parks"


def test_datasets_of_organizations() -> None:
    """By name, id or object, with those below or without."""
    made = organizations()
    for name, group in made.items():
        dataset(f"of-{name}", owner_org=group.id)
    dataset("of-nobody")

    def found(organization: Any, below: bool) -> set[str]:
        query = model.Session.query(model.Package.name)
        return {row.name for row in lib.filter_by_organizations(query, organization, below)}

    assert len(found(None, True)) == 6
    for parks in ("parks", made["parks"].id, made["parks"]):
        assert found(parks, False) == {"of-parks"}
    assert found("city", True) == {"of-city", "of-parks", "of-trees"}
    with pytest.raises(tk.ObjectNotFound):
        found("no-such-organization", False)


def test_notes_on_a_dataset(ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the setting says; a setting that is not understood keeps CKAN from starting."""
    package = dataset("trees", version="2")
    package.extras = {"unpublished": "true"}
    assert lib.dataset_notes(package) == ""
    expression = "'Unpublished' if asbool(pkg.extras.get('unpublished')) else pkg.version"
    monkeypatch.setitem(ckan_config, "ckanext-report.notes.dataset", expression)
    assert lib.dataset_notes(package) == "Unpublished"
    monkeypatch.setitem(ckan_config, "ckanext-report.notes.dataset", "__import__('os').getcwd()")
    with pytest.raises(ConfigurationError, match=r"ckanext-report\.notes\.dataset"):
        lib.dataset_notes(package)
    with pytest.raises(CkanConfigurationException, match="__import__"):
        ReportPlugin.configure(ReportPlugin(name="report"), ckan_config)


@pytest.mark.parametrize("hours", ["-1", "many"])
def test_a_wrong_number_of_hours(ckan_config: Any, monkeypatch: pytest.MonkeyPatch, hours: str) -> None:
    """It keeps CKAN from starting."""
    monkeypatch.setitem(ckan_config, "ckanext.report.generate_hours", hours)
    with pytest.raises(CkanConfigurationException, match="generate_hours"):
        ReportPlugin.configure(ReportPlugin(name="report"), ckan_config)


def test_what_is_kept_for_old_callers() -> None:
    """CSV as a text, and a function that did something on one portal only."""
    assert lib.make_csv_from_dicts([{"a": 1}]) == '"a"\r\n"1"\r\n'
    data = {"table": [{"user": "mary"}]}
    lib.anonymise_user_names(data, organization="parks")
    assert data == {"table": [{"user": "mary"}]}


def test_the_url_of_this_page(flask_app: Any) -> None:
    """With other arguments; what a visitor put into the address cannot lead elsewhere."""
    with flask_app.test_request_context("/report/tagless-datasets/parks?a=1&b=&_scheme=javascript&qualified=1"):
        url = helpers.report__relative_url_for(a=2, c="x y", d=None)
        assert url == "/report/tagless-datasets/parks?a=2&_scheme=javascript&qualified=1&c=x+y"
        assert helpers.report__relative_url_for(a="", _scheme=None, qualified="") == "/report/tagless-datasets/parks"


def test_small_helpers() -> None:
    """Chunks, times, and the options that a link must name."""
    assert list(helpers.report__chunks([1, 2, 3], 2)) == [[1, 2], [3]]
    time = datetime.datetime(2020, 1, 2, 3, 4)
    for value in (time, time.isoformat()):
        assert helpers.report__render_datetime(value) == "02 Jan 2020"
        assert helpers.report__render_datetime(value, "%d/%m/%Y", with_hours=True) == "02/01/2020 03:04"
    assert helpers.report__render_datetime(None) == ""
    assert helpers.report__explicit_default_options("tagless-datasets") == {}
