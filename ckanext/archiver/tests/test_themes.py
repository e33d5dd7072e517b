"""Our pages between those of others: ckanext-qa comes before us in the chain of templates, and a plugin such as
ckanext-scheming has schemas and pages of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from bs4 import BeautifulSoup
from ckan.lib import search

from ckanext.archiver.facets import FIELD
from ckanext.archiver.tests.portal import CHECKED, act, add_archival, add_copy, make_dataset

pytestmark = pytest.mark.usefixtures("archiver_portal")

BROKEN: dict[str, Any] = {
    "status_id": 12, "is_broken": True, "verdict": "broken", "cause": "http_404", "reason": "404",
    "first_failure": CHECKED, "failure_count": 3,
}  # fmt: skip

QA = {
    "package/resource_read.html": (
        "{% ckan_extends %}{% block resource_additional_information_inner %}{{ super() }}<p id='qa'>3 stars</p>"
        "{% endblock %}"
    ),
    "package/read.html": (
        "{% ckan_extends %}{% block package_resources %}{{ super() }}<p id='qa'>2 stars</p>{% endblock %}"
    ),
    "package/snippets/resource_item.html": (
        "{% ckan_extends %}{% block resource_item_title %}{{ super() }}<i class='qa'>1 star</i>{% endblock %}"
    ),
}
SCHEMA = {
    "schema/resource_read.html": (
        "{% extends 'package/resource_read.html' %}{% block resource_additional_information_inner %}"
        "<p id='fields'>Fields of the schema</p>{{ super() }}{% endblock %}"
    ),
    "schema/read.html": (
        "{% extends 'package/read.html' %}{% block package_additional_info %}<p id='fields'>Fields of the schema</p>"
        "{% endblock %}"
    ),
}


def folder(templates: dict[str, str]) -> str:
    root = Path(tempfile.mkdtemp())
    for name, text in templates.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


class QaLike(p.SingletonPlugin):
    """Overrides the same templates as we do, and calls what it overrides."""

    p.implements(p.IConfigurer)

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, folder(QA))


class SchemaLike(p.SingletonPlugin, tk.DefaultDatasetForm):
    """Has a schema and pages of its own for all datasets."""

    p.implements(p.IConfigurer)
    p.implements(p.IDatasetForm)

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, folder(SCHEMA))

    def is_fallback(self) -> bool:
        return True

    def package_types(self) -> list[str]:
        return []

    def read_template(self) -> str:
        return "schema/read.html"

    def resource_template(self) -> str:
        return "schema/resource_read.html"

    def show_package_schema(self) -> Any:
        return {**super().show_package_schema(), "river": [tk.get_validator("ignore_missing")]}


PLUGINS_BEFORE, PLUGINS = "qa_like", "schema_like"
CLASSES = {"qa_like": QaLike, "schema_like": SchemaLike}


@pytest.fixture
def dataset() -> dict[str, Any]:
    made = make_dataset()
    add_copy(made["resources"][0], **BROKEN)
    return made


def page(app: Any, path: str) -> BeautifulSoup:
    return BeautifulSoup(app.get(path, status=200).body, "html.parser")


def test_the_page_of_a_resource(app: Any, dataset: dict[str, Any]) -> None:
    """Each adds what is its own, once."""
    shown = page(app, f"/dataset/{dataset['name']}/resource/{dataset['resources'][0]['id']}")
    for selector in ("#qa", "#fields", "#archiver-panel .link-broken", "#archiver-panel .link-cached"):
        assert len(shown.select(selector)) == 1, selector
    assert len(shown.select(".archiver-badge")) == 1
    assert "Additional Information" in shown.text


def test_the_page_of_a_dataset(app: Any, dataset: dict[str, Any]) -> None:
    """The same in the list of resources, and below it."""
    shown = page(app, f"/dataset/{dataset['name']}")
    for selector in ("#qa", "#fields", "#archiver-panel", ".resource-item .qa", ".resource-item .archiver-badge"):
        assert len(shown.select(selector)) == 1, selector


def test_a_schema_does_not_hide_verdicts_from_searches() -> None:
    """Where CKAN indexes a dataset as its own schema has it, too, the facet is there all the same."""
    made = make_dataset()
    add_archival(made["resources"][0], **BROKEN)
    search.rebuild(made["id"])
    assert act("package_search", fq=f"{FIELD}:broken")["count"] == 1
