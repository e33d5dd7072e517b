"""The choice of targets in CKAN's form for datasets."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.tests import factories
from werkzeug.datastructures import ImmutableMultiDict

from ckanext.archiver.tests.portal import make_user
from ckanext.syndicate.flag_control import with_extras
from ckanext.syndicate.tests.standing import ODP, PROFILE, rows

Form = dict[str, Any]


class Typed(p.SingletonPlugin, tk.DefaultDatasetForm):
    """A type of datasets that has the flag as a field of its own."""

    p.implements(p.IDatasetForm)

    def is_fallback(self) -> bool:
        return False

    def package_types(self) -> list[str]:
        return ["typed"]

    def update_package_schema(self) -> Any:
        own = [tk.get_validator("ignore_missing"), tk.get_converter("convert_to_extras")]
        return {**super().update_package_schema(), "syndicate": own}

    def show_package_schema(self) -> Any:
        own = [tk.get_converter("convert_from_extras"), tk.get_validator("ignore_missing")]
        return {**super().show_package_schema(), "syndicate": own}

    create_package_schema = update_package_schema


class Schemes(p.SingletonPlugin):
    """As much of ckanext-scheming as says which fields a type has."""

    p.implements(p.ITemplateHelpers)

    fields: list[str] = []

    def get_helpers(self) -> dict[str, Any]:
        return {"scheming_get_dataset_schema": self.schema}

    def schema(self, _dataset_type: str) -> dict[str, Any] | None:
        return {"dataset_fields": [{"field_name": name} for name in self.fields]} if self.fields else None


OWN_PLUGINS = {"typed": Typed, "schemes": Schemes}

pytestmark = ODP


def form_at(app: Any, path: str, headers: dict[str, str]) -> BeautifulSoup:
    form = BeautifulSoup(app.get(path, headers=headers, status=200).body, "html.parser").select_one("#dataset-edit")
    assert form is not None
    return form  # type: ignore[return-value]


def fields_of(form: BeautifulSoup) -> list[tuple[str, str]]:
    """What a browser sends of a form, with or without scripts."""
    found = []
    for field in form.select("input[name], textarea[name], select[name]"):
        if field.get("type") in ("checkbox", "radio") and not field.has_attr("checked"):
            continue
        value = field.get("value", "")
        if field.name == "textarea":
            value = field.text
        elif field.name == "select":
            chosen = field.select_one("option[selected]") or field.select_one("option")
            value = chosen.get("value", "") if chosen else ""
        found.append((str(field["name"]), str(value)))
    return found


def choose(fields: list[tuple[str, str]], *flags: str) -> Form:
    """The fields with other boxes ticked."""
    sent: Form = {}
    for name, value in fields:
        if name != "syndication-chosen":
            sent.setdefault(name, []).append(value)
    return {**sent, "syndication-chosen": list(flags), "save": "x"}


def save(app: Any, dataset: dict[str, Any], headers: dict[str, str], *flags: str, **changed: Any) -> None:
    """Tick the boxes of these flags, and no others, in the form of a dataset, and send it."""
    path = f"/dataset/edit/{dataset['name']}"
    sent = {**choose(fields_of(form_at(app, path, headers)), *flags), **changed}
    app.post(path, headers=headers, data=sent, follow_redirects=False, status=302)
    model.Session.remove()


def extras_of(dataset: dict[str, Any]) -> dict[str, str]:
    package = model.Package.get(dataset["name"])
    assert package is not None
    return dict(package.extras)


def boxes(form: BeautifulSoup) -> dict[str, bool]:
    """The boxes by the flag of each, and whether it is ticked."""
    return {str(box["value"]): box.has_attr("checked") for box in form.select("input[name=syndication-chosen]")}


def custom_keys(form: BeautifulSoup) -> list[str]:
    """The keys of the custom fields that the form shows."""
    return [str(field["value"]) for field in form.select("[name$=__key]") if field.get("value")]


def make(**extras: str) -> dict[str, Any]:
    listed = [{"key": key, "value": value} for key, value in extras.items()]
    return dict(factories.Dataset(extras=listed))


def test_the_box_says_what_the_extra_says(app: Any, admin: dict[str, str]) -> None:
    """It is ticked if the flag is set, names the targets, and the flag is not among the custom fields as well."""
    for dataset, is_set in ((make(syndicate="yes", other="1"), True), (make(other="1"), False)):
        form = form_at(app, f"/dataset/edit/{dataset['name']}", admin)
        assert boxes(form) == {"syndicate": is_set} and custom_keys(form) == ["other"]
        label = form.select_one("label[for=field-syndication-1]")
        assert label is not None and label.text.strip() == "Push to odp (odp.example)"


def test_choose_and_take_away(app: Any, admin: dict[str, str]) -> None:
    """The extra comes and goes with the box, and the workers are asked; all other extras stay as they are."""
    others = {"zeta": "ä <b>", "alpha": "1", "list": "[1, 2]"}
    dataset = make(**others)
    save(app, dataset, admin, "syndicate")
    assert extras_of(dataset) == {**others, "syndicate": "true"} and set(rows()) == {dataset["id"]}
    save(app, dataset, admin)
    assert extras_of(dataset) == others


@pytest.mark.parametrize("value", ["yes", "1", "True"])
def test_a_yes_keeps_its_words(app: Any, admin: dict[str, str], value: str) -> None:
    """What means yes already is not written otherwise."""
    dataset = make(syndicate=value)
    save(app, dataset, admin, "syndicate", title="Other")
    assert extras_of(dataset) == {"syndicate": value}
    assert model.Package.get(dataset["name"]).title == "Other"


@pytest.mark.parametrize("value", ["false", "nein"])
def test_a_no_keeps_its_words(app: Any, admin: dict[str, str], value: str) -> None:
    """What does not mean yes stays until the box is ticked; the form says so of what means neither."""
    dataset = make(syndicate=value)
    form = form_at(app, f"/dataset/edit/{dataset['name']}", admin)
    assert boxes(form) == {"syndicate": False} and ("neither yes nor no" in form.text) == (value == "nein")
    save(app, dataset, admin)
    assert extras_of(dataset) == {"syndicate": value}
    save(app, dataset, admin, "syndicate")
    assert extras_of(dataset) == {"syndicate": "true"}


def test_a_new_dataset(app: Any, admin: dict[str, str]) -> None:
    """The first form of a new dataset has the box, too."""
    sent = choose(fields_of(form_at(app, "/dataset/new", admin)), "syndicate")
    app.post("/dataset/new", headers=admin, data={**sent, "name": "new-one"}, follow_redirects=False, status=302)
    model.Session.remove()
    assert extras_of({"name": "new-one"}) == {"syndicate": "true"}


def test_a_form_that_is_refused_keeps_the_choice(app: Any, admin: dict[str, str]) -> None:
    """Who has to correct another field does not choose again."""
    dataset = make(other="1")
    path = f"/dataset/edit/{dataset['name']}"
    sent = {**choose(fields_of(form_at(app, path, admin)), "syndicate"), "name": "Not A Name"}
    answer = BeautifulSoup(app.post(path, headers=admin, data=sent, status=200).body, "html.parser")
    assert answer.select_one(".error-explanation, .alert-danger")
    assert boxes(answer) == {"syndicate": True} and custom_keys(answer) == ["other"]


def test_the_flag_as_a_custom_field(app: Any, admin: dict[str, str]) -> None:
    """Who types the flag as a custom field gets what was typed; twice is an error that CKAN tells."""
    dataset = make()
    typed = {"extras__0__key": "syndicate", "extras__0__value": "yes"}
    path = f"/dataset/edit/{dataset['name']}"
    sent = {**choose(fields_of(form_at(app, path, admin)), "syndicate"), **typed}
    assert "Duplicate key" in app.post(path, headers=admin, data=sent, status=200).body
    save(app, dataset, admin, **typed)
    assert extras_of(dataset) == {"syndicate": "yes"}


def test_one_box_for_each_flag(app: Any, admin: dict[str, str], ckan_config: Any) -> None:
    """Profiles that share a flag share the box; those that a predicate decides have none, and stay custom fields."""
    ckan_config[f"{PROFILE}twin.ckan_url"] = "https://twin.example"
    ckan_config[f"{PROFILE}else.flag"] = "elsewhere"
    ckan_config[f"{PROFILE}judged.flag"] = "judged"
    ckan_config[f"{PROFILE}judged.predicate"] = "ckanext.syndicate.helpers:organization_owns_dataset"
    ckan_config[f"{PROFILE}showcases.flag"] = "of_showcases"
    ckan_config[f"{PROFILE}showcases.types"] = "showcase"
    dataset = make(judged="true", of_showcases="true", elsewhere="true")
    form = form_at(app, f"/dataset/edit/{dataset['name']}", admin)
    assert boxes(form) == {"syndicate": False, "elsewhere": True}
    assert sorted(custom_keys(form)) == ["judged", "of_showcases"]
    assert "odp (odp.example), twin (twin.example)" in form.text
    save(app, dataset, admin, "syndicate")
    assert extras_of(dataset) == {"judged": "true", "of_showcases": "true", "syndicate": "true"}


def test_a_plugin_that_chooses(app: Any, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another plugin says what is pushed, the form is CKAN's own."""
    from ckanext.syndicate import selection

    monkeypatch.setattr(selection, "needs_code", lambda profile: True)
    dataset = make(syndicate="true")
    form = form_at(app, f"/dataset/edit/{dataset['name']}", admin)
    assert not form.select("#syndication-flags") and custom_keys(form) == ["syndicate"]


def test_without_targets(app: Any, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that pushes nowhere has CKAN's own form."""
    from ckanext.syndicate import config

    monkeypatch.setattr(config, "profile_options", dict)
    form = form_at(app, f"/dataset/edit/{make(syndicate='true')['name']}", admin)
    assert not form.select("#syndication-flags") and custom_keys(form) == ["syndicate"]


def test_a_type_with_a_field_of_that_name(app: Any, admin: dict[str, str], ckan_config: Any) -> None:
    """Where the schema has the flag as a field, the form of that schema is left alone, and so is its value."""
    ckan_config[f"{PROFILE}odp.types"] = "dataset typed"
    assert not form_at(app, "/typed/new", admin).select("#syndication-flags")
    dataset = dict(factories.Dataset(type="typed", syndicate="yes"))
    form = form_at(app, f"/typed/edit/{dataset['name']}", admin)
    assert not form.select("#syndication-flags")
    sent = {**choose(fields_of(form)), "syndicate": "no"}
    app.post(f"/typed/edit/{dataset['name']}", headers=admin, data=sent, follow_redirects=False, status=302)
    model.Session.remove()
    assert extras_of(dataset) == {"syndicate": "no"}


def test_a_schema_of_scheming(app: Any, admin: dict[str, str]) -> None:
    """ckanext-scheming is asked which fields a type has; the choice stands aside for one of that name only."""
    plugin = p.get_plugin("schemes")
    assert isinstance(plugin, Schemes)
    try:
        for field, is_there in (("syndicate", False), ("title", True)):
            plugin.fields = [field]
            assert bool(form_at(app, "/dataset/new", admin).select("#syndication-flags")) is is_there
    finally:
        plugin.fields = []


def test_only_who_may_edit(app: Any) -> None:
    """Nobody else sees the form, or gets the flag set by sending it."""
    dataset = dict(factories.Dataset(owner_org=factories.Organization()["id"]))
    sent = {"syndication-flag": "syndicate", "syndication-value": "", "syndication-chosen": "syndicate", "save": "x"}
    for headers in ({}, dict(make_user()["headers"])):
        answer = app.get(f"/dataset/edit/{dataset['name']}", headers=headers)
        assert answer.status_code == 403 or "syndication-flag" not in answer.body
        app.post(f"/dataset/edit/{dataset['name']}", headers=headers, data={**sent, "name": dataset["name"]})
    assert extras_of(dataset) == {} and rows() == {}


def test_groups_keep_their_form(app: Any, admin: dict[str, str]) -> None:
    """The forms of groups and organizations may have extras of that name, too, and have no choice of targets."""
    extras = [{"key": "syndicate", "value": "true"}]
    for kind, factory in (("group", factories.Group), ("organization", factories.Organization)):
        made = factory(extras=extras)
        form = BeautifulSoup(app.get(f"/{kind}/edit/{made['name']}", headers=admin, status=200).body, "html.parser")
        assert not form.select("#syndication-flags") and custom_keys(form) == ["syndicate"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("a", "1"), ("a", "2")], [("a", "1"), ("a", "2")]),
        ([("syndication-flag", "f"), ("syndication-value", "")], []),
        ([("syndication-flag", "f")], []),
        ([("syndication-chosen", "f")], []),
        (
            [("extras__7__key", "k"), ("syndication-flag", "f"), ("syndication-value", "no"), ("extras__x__key", "y")],
            [("extras__7__key", "k"), ("extras__x__key", "y"), ("extras__8__key", "f"), ("extras__8__value", "no")],
        ),
        (
            [
                *[("syndication-flag", "f"), ("syndication-value", "maybe")],
                *[("syndication-flag", "g"), ("syndication-value", "1")],
                *[("syndication-chosen", "f"), ("syndication-chosen", "other")],
            ],
            [("extras__0__key", "f"), ("extras__0__value", "true")],
        ),
    ],
)
def test_what_is_sent(fields: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    """Whatever a form holds, only the choice is taken out of it, and put among the extras."""
    assert list(with_extras(ImmutableMultiDict(fields)).items(multi=True)) == expected
