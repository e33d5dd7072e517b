"""Nobody sees a private dataset that is not for them: on the page, in the files, in the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay.tests.plugin_classes import loaded
from ckanext.report.interfaces import IReport
from ckanext.report.report_registry import UNSAID, Report, ReportRegistry
from ckanext.report.tests.browsing import Browser, act, dataset, generate
from ckanext.report.visibility import Viewer, visible_rows

SECRET = "hush-hush"


def rows_of_all(column: str | None = None, as_lists: bool = False) -> Callable[[], dict[str, Any]]:
    """Return a report's function: a row a dataset, that names it by some column."""

    def generate_rows() -> dict[str, Any]:
        of = "name" if column is None or column.endswith("name") else "id"
        packages = model.Session.query(model.Package).order_by(model.Package.name)
        rows = [{"title": each.title, column or "about": getattr(each, of)} for each in packages]
        if as_lists:
            return {"table": [list(row.values()) for row in rows], "columns": ["title", column]}
        return {"table": rows}

    return generate_rows


class AllKinds(p.SingletonPlugin):
    """Reports that name datasets in every way that there is."""

    p.implements(IReport)

    def register_reports(self) -> list[dict[str, Any]]:
        made: dict[str, dict[str, Any]] = {
            "by-id": {"generate": rows_of_all("package_id")},
            "by-dataset-id": {"generate": rows_of_all("dataset_id")},
            "by-name": {"generate": rows_of_all("dataset_name")},
            "by-package-name": {"generate": rows_of_all("package_name")},
            "by-plain-name": {"generate": rows_of_all("name")},
            "by-plain-id": {"generate": rows_of_all("id")},
            "by-lists": {"generate": rows_of_all("package_id", as_lists=True)},
            "by-own-column": {"generate": rows_of_all(), "dataset_column": "about"},
            "by-function": {"generate": rows_of_all(), "visible": lambda data, who: visible_rows(data, who, "about")},
        }
        shared = {"template": "report/rows.html", "option_defaults": None, "option_combinations": None}
        return [{"name": name, **shared, **info} for name, info in made.items()]

    p.implements(p.IConfigurer)

    def update_config(self, config: Any) -> None:
        tk.add_template_directory(config, "templates")


class OpenToAll(p.SingletonPlugin):
    """Lets everybody see what is called ``shown``, as plugins that change who may see a dataset do."""

    p.implements(p.IAuthFunctions)

    def get_auth_functions(self) -> dict[str, Any]:
        @tk.chained_auth_function
        @tk.auth_allow_anonymous_access
        def package_show(next_auth: Any, context: Any, data_dict: Any) -> Any:
            package = model.Package.get(data_dict["id"])
            if package.name in ("shown", "public"):
                return {"success": package.name == "shown"}
            return next_auth(context, data_dict)

        return {"package_show": package_show}


PLUGINS = {"all_kinds": AllKinds}
pytestmark = pytest.mark.usefixtures("portal")


class Catalogue:
    """A public, a private and a deleted dataset, a draft, and somebody of each kind."""

    def __init__(self) -> None:
        self.member = factories.User()["name"]
        self.stranger = factories.User()["name"]
        self.sysadmin = factories.Sysadmin()["name"]
        self.organization = factories.Organization(users=[{"name": self.member, "capacity": "member"}])
        self.author = model.User.get(self.stranger)
        dataset("public", title="For all")
        owned = {"owner_org": self.organization["id"], "title": SECRET}
        self.private = dataset("private", private=True, **owned)
        dataset("deleted", state="deleted", **owned)
        dataset("draft", state="draft", creator_user_id=self.author.id, title="A draft")

    #: who sees which titles
    def sees(self) -> dict[str, set[str]]:
        return {
            "": {"For all"},
            self.stranger: {"For all", "A draft"},
            self.member: {"For all", SECRET},
            self.sysadmin: {"For all", "A draft", SECRET},
        }


def titles(data: dict[str, Any]) -> set[str]:
    return {row["title"] if isinstance(row, dict) else row[0] for row in data["table"]}


def names() -> list[str]:
    return [name for _plugin, name, _title in ReportRegistry.instance().get_names()]


def test_each_report_in_each_format(browser: Browser) -> None:
    """A visitor, a user from elsewhere, a member of the organization and a sysadmin see what they may."""
    catalogue = Catalogue()
    for name in names():
        generate(name)
        for user, expected in catalogue.sees().items():
            expected -= {"A draft"} if name == "tagless-datasets" else set()
            assert titles(act("report_data_get", user, id=name)[0]) == expected, (name, user)
            seen = {kind: browser.get(f"/report/{name}?format={kind}", user).text for kind in ("html", "csv", "json")}
            for kind, text in seen.items():
                for title in ("For all", "A draft", SECRET):
                    assert (title in text) == (title in expected), (name, user, kind, title)
            api = browser.get(f"/api/3/action/report_data_get?id={name}", user)
            assert titles(json.loads(api.text)["result"][0]) == expected


def test_rights_of_the_moment(browser: Browser) -> None:
    """What turned private, was deleted or was purged since the report was generated is gone from it at once."""
    catalogue = Catalogue()
    generate("by-id")
    generate("by-name")
    public = model.Package.get("public")
    for change in ({"private": True}, {"private": False, "state": "deleted"}):
        model.Session.query(model.Package).filter_by(id=public.id).update(change)
        for name in ("by-id", "by-name"):
            assert titles(act("report_data_get", id=name)[0]) == set()
            assert "For all" not in browser.get(f"/report/{name}").text
    model.Session.query(model.Package).filter_by(id=public.id).delete()
    assert titles(act("report_data_get", id="by-id")[0]) == set()
    assert titles(act("report_data_get", catalogue.member, id="by-id")[0]) == {SECRET}


def test_others_do_not_see_what_a_sysadmin_looked_at() -> None:
    """What is kept in memory is the same for all; what is shown of it is not."""
    catalogue = Catalogue()
    generate("by-id")
    for user in (catalogue.sysadmin, "", catalogue.sysadmin, catalogue.stranger):
        assert titles(act("report_data_get", user, id="by-id")[0]) == catalogue.sees()[user]


def test_callers_may_change_what_they_get() -> None:
    """The rows that one caller changes are not those that the next one gets."""
    dataset("public", title="For all")
    generate("by-id")
    data, _ = act("report_data_get", id="by-id")
    data["table"][0]["title"] = "changed"
    data["table"].append({})
    assert titles(act("report_data_get", id="by-id")[0]) == {"For all"}


def test_a_plugin_that_decides_who_sees_a_dataset() -> None:
    """It is asked, for public datasets, too."""
    Catalogue()
    dataset("shown", private=True, title="Shown by a plugin")
    generate("by-id")
    with loaded("open", OpenToAll):
        assert titles(act("report_data_get", id="by-id")[0]) == {"Shown by a plugin"}


def test_who_looks() -> None:
    """What a report's own rule may ask."""
    catalogue = Catalogue()
    assert Viewer("").user is None and Viewer("").organizations == frozenset()
    assert Viewer(catalogue.member).organizations == {catalogue.organization["id"]}
    assert [Viewer(name).sees_all for name in ("", catalogue.member, catalogue.sysadmin)] == [False, False, True]
    assert Viewer("", ignore_auth=True).sees_all
    asked = ["public", "private", catalogue.private.id, "no such dataset", None, 7]
    assert Viewer("").datasets(asked) == {"public"}
    assert Viewer(catalogue.member).datasets(asked) == {"public", "private", catalogue.private.id}


@pytest.mark.parametrize(
    ("row", "column", "seen"),
    [
        ({"package_id": None}, UNSAID, True),
        ({"package_id": "no such dataset"}, UNSAID, False),
        ({"name": "an organization"}, UNSAID, True),
        ({"name": "private"}, UNSAID, False),
        ({"name": "private", "package_id": "public"}, UNSAID, True),
        ({"name": "private"}, None, True),
        ({"about": "private"}, "about", False),
        ({"about": "no such dataset"}, "about", False),
        ({"about": "private"}, "another", True),
        ({"id": 5}, UNSAID, True),
        ({"name": ["private"]}, UNSAID, True),
        ({"package_id": "public\x1fpublic"}, UNSAID, False),
        ({"package_id": "\x00"}, UNSAID, False),
        ({"package_id": "0123abcd-0123-0123-0123-0123456789ab"}, UNSAID, True),
        ({"package_id": "0123abcd-0123-0123-0123-0123456789ac"}, UNSAID, False),
        ({"title": "private"}, UNSAID, True),
    ],
)
def test_which_rows_are_about_a_dataset(row: dict[str, Any], column: Any, seen: bool) -> None:
    """A column that is sure to name datasets must name one that the viewer may see; ``name`` may be anybody's."""
    Catalogue()
    dataset("0123abcd-0123-0123-0123-0123456789ab")  # a name that looks like an id
    data = {"table": [row], "other": 1}
    found = visible_rows(data, Viewer(""), column)
    assert found == {"table": [row] if seen else [], "other": 1}
    assert data == {"table": [row], "other": 1}


def test_figures_that_are_not_for_all() -> None:
    """The tagless report counts private datasets for sysadmins alone."""
    catalogue = Catalogue()
    data = generate("tagless-datasets")
    assert data["num_packages"] == 2 and data["public"]["num_packages"] == 1
    tagless: Report = ReportRegistry.instance().get_report("tagless-datasets")
    for user, expected in (("", 1), (catalogue.member, 1), (catalogue.sysadmin, 2)):
        shown = tagless.visible_to(data, Viewer(user))
        assert shown["num_packages"] == expected and "public" not in shown
