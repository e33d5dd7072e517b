"""``ckan report``: what it does and what it prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories
from click.testing import Result

from ckanext.report.cli import report as command
from ckanext.report.model import DataCache
from ckanext.report.tests.browsing import generate, report
from ckanext.report.tests.third_party import ThirdPartyReport

PLUGINS = {"third_party_report": ThirdPartyReport}
pytestmark = pytest.mark.usefixtures("portal")


@pytest.fixture
def ckan(cli: Any) -> Any:
    cli.mix_stderr = False  # as click does from 8.2 on; CKAN 2.11 has an older one

    def run(*arguments: str, exit_code: int = 0) -> Result:
        result: Result = cli.invoke(command, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.stderr
        return result

    return run


def keys() -> set[str]:
    return {row.key for row in model.Session.query(DataCache)}


def test_initdb(ckan: Any) -> None:
    """However often."""
    assert ckan("initdb").stdout == ckan("initdb").stdout == "Report table is setup\n"


def test_list(ckan: Any) -> None:
    """Each report with its plugin and when it was generated."""
    generate("tagless-datasets")
    date = report("tagless-datasets").get_cached_date()
    assert date
    assert ckan("list").stdout.splitlines() == [
        f"TaglessReportPlugin (tagless_report): tagless-datasets {date.strftime('%d/%m/%Y %H:%M')}",
        "ThirdPartyReport (third_party_report): publisher-activity (not cached)",
        "ThirdPartyReport (third_party_report): staff (not cached)",
    ]


def test_generate_all(ckan: Any) -> None:
    """All combinations of all reports."""
    factories.Organization(name="parks")
    said = ckan("generate")
    assert said.stdout.startswith("Report generation complete {'All Reports': ")
    assert keys() == {
        "staff?year=2024&verbose=1",
        *(f"publisher-activity?organization=parks&include_sub_organizations={each}" for each in (0, 1)),
        *(f"tagless-datasets?organization={org}&include_sub_organizations={each}"
          for org in ("None", "parks") for each in (0, 1)),
    }  # fmt: skip


def test_generate_some(ckan: Any) -> None:
    """Those that are named, with the seconds that each took; as JSON for scripts."""
    said = ckan("generate", "staff, tagless-datasets").stdout
    assert said.startswith("Report generation complete {'staff': ") and "'tagless-datasets': " in said
    assert len(keys()) == 3
    answer = json.loads(ckan("generate", "--json", "staff").stdout)
    assert set(answer) == {"timings", "failed"} and set(answer["timings"]) == {"staff"} and answer["failed"] == []


def test_one_that_fails(ckan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; the others are generated; the exit code tells scripts."""
    staff = report("staff")
    monkeypatch.setattr(staff, "option_combinations", lambda: [{"year": "2000"}, {"year": "2001"}])
    monkeypatch.setattr(report("publisher-activity"), "option_combinations", lambda: 1 / 0)
    said = ckan("generate", exit_code=1)
    assert "staff (year=2000, verbose=True): RuntimeError: the millennium bug" in said.stderr
    assert "publisher-activity: ZeroDivisionError" in said.stderr
    assert "staff?year=2001&verbose=1" in keys() and report("tagless-datasets").get_cached_date()
    assert len(json.loads(ckan("generate", "--json", exit_code=1).stdout)["failed"]) == 2


def test_a_report_that_is_not_there(ckan: Any) -> None:
    """Nothing is generated, and what there is is named."""
    said = ckan("generate", "staff,no-such-report", exit_code=1).stderr
    assert "There is no report no-such-report" in said and "tagless-datasets" in said
    assert keys() == set()


def test_generate_for_options(ckan: Any) -> None:
    """One combination: what is left out has its default, what is empty is None."""
    ckan("generate-for-options", "tagless-datasets", "include_sub_organizations=1")
    ckan("generate-for-options", "tagless-datasets", "organization=")
    ckan("generate-for-options", "staff", "year=2001")
    assert keys() == {
        "tagless-datasets?organization=None&include_sub_organizations=1",
        "tagless-datasets?organization=None&include_sub_organizations=0",
        "staff?year=2001&verbose=1",
    }


def test_wrong_options(ckan: Any) -> None:
    """What is wrong with them is said."""
    said = ckan("generate-for-options", "staff", "year", exit_code=1).stderr
    assert 'Option needs an "=" sign in it: "year"' in said
    assert "has no option colour" in ckan("generate-for-options", "staff", "colour=red", exit_code=1).stderr
    assert "the millennium bug" in ckan("generate-for-options", "staff", "year=2000", exit_code=1).stderr
    said = ckan("generate-for-options", "tagless-datasets", "organization=no-such-organization", exit_code=1).stderr
    assert "There is no organization no-such-organization" in said
