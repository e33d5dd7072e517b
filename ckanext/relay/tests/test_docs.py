"""The documentation keeps up with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import docutils.core
import pytest
import yaml

from ckanext.relay.tests.browser.strict_policy import POLICY

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the documentation is in the checkout only")


#: A setting of ours, as a ``config`` module reads it. The last one was made up by ckanext-archiver.
OURS = r'"(ckan(?:ext)?[-.](?:relay|harvest|archiver|report|syndicat(?:e|ion))\.[\w.]*\w|ckan\.site_url_internally)"'


def _declared() -> set[str]:
    files = ROOT.glob("ckanext/*/config_declaration.yaml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return {option["key"] for group in groups for option in group["options"]}


def test_each_setting_is_documented_and_no_other() -> None:
    """Who reads the configuration page knows every setting that the plugins declare."""
    text = (ROOT / "docs/configuration.rst").read_text()
    documented = set(re.findall(r"^``(ckan(?:ext)?[-.][\w.<>]+)``$", text, re.MULTILINE))
    assert documented == _declared()


def test_each_setting_that_is_read_is_declared() -> None:
    """A setting that is read but not declared would have no default and no documentation."""
    files = list(ROOT.glob("ckanext/*/config.py"))
    read = {key for file in files for key in re.findall(OURS, file.read_text())}
    # those with <ID> are options of a profile, which a test of the plugin compares
    assert read == {key for key in _declared() if "<" not in key}


def test_the_policy_that_is_documented_is_the_tested_one() -> None:
    """Who sends it with all pages sends what the browser tests run under."""
    assert f"Content-Security-Policy: {POLICY}\n" in (ROOT / "docs/operations.rst").read_text()


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    """A broken link or a malformed table fails here, not on the page."""
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


def test_the_readme_is_short_and_well_formed() -> None:
    """The first page is read to its end, and looks right wherever reStructuredText is shown."""
    text = (ROOT / "README.rst").read_text()
    assert len(text.splitlines()) <= 150
    docutils.core.publish_string(text, settings_overrides={"halt_level": 2, "report_level": 5})
