"""The pages on syndicate keep up with the code, and their example runs."""

from __future__ import annotations

import logging
import re
from typing import Any

import docutils.core
import docutils.nodes
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay.tests.compatibility import ROOT
from ckanext.syndicate import hooks, planning, selection, status
from ckanext.syndicate.comparison import Kind
from ckanext.syndicate.domain.states import Cause
from ckanext.syndicate.types import Profile

PAGE = ROOT / "docs" / "syndicate.rst"
pytestmark = [
    pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is in the checkout only"),
    pytest.mark.usefixtures("clean_syndicate"),
]


def _example() -> dict[str, Any]:
    """Return the names that the example of the page defines."""
    names: dict[str, Any] = {"__name__": "licensed"}
    if PAGE.is_file():
        found = re.search(r"\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", PAGE.read_text())
        assert found is not None
        exec(re.sub(r"^ {4}", "", found[1], flags=re.MULTILINE), names)
    return names


_NAMES = _example()
OWN_PLUGINS = {"licensed": _NAMES["LicensedPlugin"]} if _NAMES.get("LicensedPlugin") else {}


def _column(path: str, title: str) -> set[str]:
    """Return the first column of the table in a section of a page."""
    document = docutils.core.publish_doctree((ROOT / "docs" / path).read_text(), settings_overrides={"report_level": 5})
    for section in document.findall(docutils.nodes.section):
        if section.next_node(docutils.nodes.title).astext() == title:
            rows = section.next_node(docutils.nodes.tbody).findall(docutils.nodes.row)
            return {row.next_node(docutils.nodes.entry).astext() for row in rows}
    raise AssertionError(f"{path} has no section {title}")


def test_causes_and_states() -> None:
    """Each cause, state and kind of difference is explained, and no other."""
    assert _column("syndicate.rst", "What went wrong") == {cause.value for cause in Cause}
    assert _column("syndicate.rst", "States") == set(status.STATES)
    assert _column("syndicate.rst", "Plan, reconcile, doctor") == {kind.value for kind in Kind}


def test_what_a_plan_says() -> None:
    """Each word of a plan is on the page."""
    section = PAGE.read_text().partition("Plan, reconcile, doctor\n---")[2].partition("\n---")[0]
    assert [action for action in planning.ACTIONS if f"``{action}``" not in section] == []


def test_what_the_doctor_finds() -> None:
    """Each code that the doctor may say is in the list for operators, and no other."""
    package = ROOT / "ckanext" / "syndicate"
    own = (package / "doctor.py").read_text() + (package / "preflight.py").read_text()
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', own)) | set(re.findall(r'_finding\(profile, "([a-z-]+)"', own))
    codes |= set(re.findall(r'code = "([a-z-]+)"', own))
    codes |= {"broker-away", "no-worker", "migrations-pending", "no-beat"}  # what all doctors find
    assert _column("operations.rst", "Doctor of syndicate") == codes


def test_the_example_chooses_and_prepares() -> None:
    """Copied from the page and named before ``syndicate``, it does what the page says."""
    profile = Profile("open-data")
    flag = [{"key": "syndicate", "value": "true"}]
    without = factories.Dataset(extras=flag)
    licensed = factories.Dataset(extras=flag, license_id="cc-by", author_email="someone@example.org")
    unflagged = factories.Dataset(license_id="cc-by")
    reasons = [selection.skips(model.Package.get(each["id"]), profile) for each in (without, licensed, unflagged)]
    assert reasons == ["it has no licence", None, "syndication flag disabled on package"]
    assert "author_email" not in hooks.prepare_dataset(licensed["id"], dict(licensed), profile)


def test_the_example_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once a dataset is at its target."""
    # one that was made before CKAN read its logging configuration may be off
    monkeypatch.setitem(_NAMES, "log", logging.getLogger("licensed.told"))
    caplog.set_level(logging.INFO, "licensed.told")
    hooks.after_dataset("an-id", Profile("open-data"), {"id": "there", "name": "rivers"})
    assert "an-id is at open-data as rivers" in caplog.text
