"""The reports on broken links and on what the archive holds: what they count, and for whom."""

from __future__ import annotations

import contextvars
import datetime
import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories

from ckanext.archiver import config
from ckanext.archiver.model import Archival
from ckanext.archiver.reports import (
    archive_usage,
    broken_links,
    broken_links_for_organization,
    broken_links_index,
    broken_links_option_combinations,
    broken_links_report_info,
)
from ckanext.archiver.tests.portal import act
from ckanext.report.report_registry import ReportRegistry

PLUGINS = "report"

pytestmark = pytest.mark.usefixtures("reports_db")

AGO = datetime.datetime(2026, 1, 2, 3, 4, 5)
NOT_FOUND = "Server reported status error: 404 NOT FOUND"
BROKEN = {
    "status_id": 12,
    "is_broken": True,
    "reason": NOT_FOUND,
    "cause": "http_404",
}
OK = {"status_id": 0, "is_broken": False, "reason": "", "verdict": "ok"}


@pytest.fixture
def reports_db(archiver_portal: None, migrate_db_for: Any) -> None:
    """An empty portal with the plugins archiver and report."""
    migrate_db_for("report")


def dataset(organization: dict[str, Any], *archivals: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    """Make a dataset with a resource for each archival (None: it has none)."""
    resources = [{"url": f"http://example.com/{number}.csv", "format": "CSV"} for number, _ in enumerate(archivals)]
    made: dict[str, Any] = factories.Dataset(owner_org=organization["id"], resources=resources, **fields)
    for resource, archival in zip(made["resources"], archivals, strict=True):
        if archival is not None:
            row = Archival.create(resource["id"])
            for name, value in {"updated": AGO, "created": AGO, **archival}.items():
                setattr(row, name, value)
            model.Session.add(row)
    model.Session.commit()
    return made


def of(data: dict[str, Any], organization: dict[str, Any]) -> list[Any]:
    """Return the four counts of an organization."""
    row = next(row for row in data["table"] if row["organization_name"] == organization["name"])
    names = ("package_count", "resource_count", "broken_package_count", "broken_resource_count")
    return [row[name] for name in names]


def seen_by(user: str, **options: Any) -> dict[str, Any]:
    """Return the report on broken links as a user is answered by the API."""
    context = {"user": user, "ignore_auth": False}
    data, _ = tk.get_action("report_data_get")(context, {"id": "broken-links", "options": options})
    return json.loads(json.dumps(data))


def generate(**options: Any) -> None:
    report = ReportRegistry.instance().get_report("broken-links")
    report.refresh_cache({**report.option_defaults, **options})


def test_each_organization_is_counted() -> None:
    """One row an active organization, also one without datasets; the worst comes first, totals are over all."""
    worst, better, empty = (factories.Organization() for _ in range(3))
    dataset(better, {**BROKEN, "verdict": "broken"}, OK, None)
    dataset(worst, {**BROKEN, "verdict": "broken"}, {**BROKEN, "verdict": "broken"})
    dataset(worst, {**BROKEN, "verdict": "broken"})
    data = broken_links(None)
    assert [row["organization_name"] for row in data["table"]] == [worst["name"], better["name"], empty["name"]]
    assert of(data, worst) == [2, 3, 2, 3]
    assert of(data, better) == [1, 3, 1, 1]
    assert of(data, empty) == [0, 0, 0, 0]
    assert list(data["table"][1]) == [
        *("organization_title", "organization_name", "package_count", "resource_count", "broken_package_count"),
        *("broken_package_percent", "broken_resource_count", "broken_resource_percent"),
    ]
    assert data["table"][1]["broken_resource_percent"] == 33
    assert data["table"][2]["broken_resource_percent"] == 0
    assert (data["num_packages"], data["num_resources"]) == (3, 6)
    assert (data["num_broken_packages"], data["num_broken_resources"]) == (3, 4)
    assert (data["broken_package_percent"], data["broken_resource_percent"]) == (100, 66)


def test_only_confirmed_links_are_broken_by_default() -> None:
    """A link that failed once is not told of, unless one asks for the latest checks."""
    organization = factories.Organization()
    dataset(organization, {**BROKEN, "verdict": None}, {**BROKEN, "verdict": "broken"})
    assert of(broken_links(), organization) == [1, 2, 1, 1]
    assert of(broken_links(verdict="latest"), organization) == [1, 2, 1, 2]
    assert len(broken_links(organization["name"])["table"]) == 1
    assert len(broken_links(organization["id"], verdict="latest")["table"]) == 2


def test_what_is_below_an_organization() -> None:
    """It is counted with it if asked for, and not twice in the totals; a ring of organizations does no harm."""
    parent = factories.Organization()
    child = factories.Organization(groups=[{"name": parent["name"]}])
    dataset(child, {**BROKEN, "verdict": "broken"})
    dataset(parent, OK)
    assert of(broken_links(), parent) == [1, 1, 0, 0]
    deep = broken_links(include_sub_organizations=True)
    assert of(deep, parent) == [2, 2, 1, 1]
    assert of(deep, child) == [1, 1, 1, 1]
    assert (deep["num_packages"], deep["num_broken_resources"]) == (2, 1)
    assert broken_links(parent["name"])["table"] == []
    below = broken_links(parent["name"], include_sub_organizations=True)
    assert [row["organization_name"] for row in below["table"]] == [child["name"]]
    assert (below["num_packages"], below["num_broken_packages"]) == (2, 1)


def test_a_row_says_what_is_known_of_the_link() -> None:
    """All columns of the contract in their order, times in ISO format; ours follow."""
    organization = factories.Organization(title="Parks")
    archival = {
        **BROKEN,
        "verdict": "broken",
        "first_failure": AGO,
        "last_success": None,
        "failure_count": 4,
        "url_redirected_to": "http://example.com/gone",
        "checked_url": "http://example.com/before.csv",
    }
    extras = [{"key": "external_reference", "value": "ONSHUB"}]
    made = dataset(organization, archival, title="Trees", extras=extras)
    data = broken_links(organization["name"])
    assert data["table"] == [
        {
            "dataset_title": "Trees",
            "dataset_name": made["name"],
            "dataset_notes": "",
            "organization_title": "Parks",
            "organization_name": organization["name"],
            "resource_position": 0,
            "resource_id": made["resources"][0]["id"],
            "resource_url": "http://example.com/0.csv",
            "url_up_to_date": False,
            "via": "Stats Hub",
            "first_failure": "2026-01-02T03:04:05",
            "last_updated": "2026-01-02T03:04:05",
            "last_success": None,
            "url_redirected_to": "http://example.com/gone",
            "reason": NOT_FOUND,
            "status": "Download error",
            "failure_count": 4,
            "cause": "http_404",
            "verdict": "broken",
        }
    ]
    assert (data["organization_name"], data["organization_title"]) == (organization["name"], "Parks")


def test_what_is_gone_is_not_told_of() -> None:
    """Deleted datasets, resources and organizations, and harvest sources, do not count."""
    organization, gone = factories.Organization(), factories.Organization()
    deleted = dataset(organization, {**BROKEN, "verdict": "broken"})
    act("package_delete", None, id=deleted["id"])
    kept = dataset(organization, {**BROKEN, "verdict": "broken"}, OK)
    act("resource_delete", None, id=kept["resources"][0]["id"])
    act("organization_delete", None, id=gone["id"])
    data = broken_links()
    assert of(data, organization) == [1, 1, 0, 0]
    assert gone["name"] not in [row["organization_name"] for row in data["table"]]


def test_the_names_that_themes_import() -> None:
    """They answer the same as the report."""
    organization = factories.Organization()
    dataset(organization, {**BROKEN, "verdict": "broken"})
    assert broken_links_index() == broken_links()
    assert broken_links_for_organization(organization["name"]) == broken_links(organization["name"])
    assert next(broken_links_option_combinations())["organization"] is None


def test_an_organization_that_is_not_there() -> None:
    """It is said, as is a verdict that is none."""
    with pytest.raises(tk.ObjectNotFound, match="nowhere"):
        broken_links("nowhere")
    with pytest.raises(tk.ObjectNotFound, match="perhaps"):
        broken_links(verdict="perhaps")


def test_notes_on_datasets(ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal's setting for them is heeded."""
    monkeypatch.setitem(ckan_config, "ckanext-report.notes.dataset", "'Version ' + pkg.version")
    organization = factories.Organization()
    dataset(organization, {**BROKEN, "verdict": "broken"}, version="7")
    assert broken_links(organization["name"])["table"][0]["dataset_notes"] == "Version 7"


@pytest.mark.parametrize("of_one", [False, True])
def test_private_datasets_are_told_of_only_to_those_who_may_see_them(of_one: bool) -> None:
    """Visitors and editors elsewhere get neither row nor number of them; members of the organization do."""
    member, stranger = factories.User(), factories.User()
    organization = factories.Organization(users=[{"name": member["name"], "capacity": "member"}])
    factories.Organization(users=[{"name": stranger["name"], "capacity": "editor"}])
    broken = {**BROKEN, "verdict": "broken"}
    public = dataset(organization, broken)
    private = dataset(organization, broken, private=True)
    options = {"organization": organization["name"]} if of_one else {}
    generate(**options)
    for user, datasets in (
        ("", [public]),
        (stranger["name"], [public]),
        (member["name"], [public, private]),
        (factories.Sysadmin()["name"], [public, private]),
    ):
        data = seen_by(user, **options)
        assert data["num_packages"] == data["num_broken_resources"] == len(datasets)
        if of_one:
            assert {row["dataset_name"] for row in data["table"]} == {each["name"] for each in datasets}
        else:
            assert of(data, organization) == [len(datasets)] * 4
        assert "counts" not in data


def test_the_page(app: Any) -> None:
    """Organizations lead to their broken links; an address that is none is not linked; nothing private is shown."""
    organization = factories.Organization(title="Parks")
    dataset(organization, {**BROKEN, "verdict": "broken"}, title="Trees")
    script = dataset(organization, {"status_id": 10, "is_broken": True, "verdict": "broken", "reason": "URL invalid"})
    act("resource_patch", None, id=script["resources"][0]["id"], url="javascript:alert(1)")
    dataset(organization, {**BROKEN, "verdict": "broken"}, private=True, title="Secret")
    generate()
    generate(organization=organization["name"])
    overview = BeautifulSoup(app.get("/report/broken-links").body, "html.parser")
    (link,) = overview.select("#report-table tbody a")
    assert (link.text, link["href"]) == ("Parks", f"/report/broken-links?organization={organization['name']}")
    assert [cell.text.strip() for cell in overview.select("#report-table td")] == ["Parks", "2", "2", "100 %"]
    page = app.get(f"/report/broken-links/{organization['name']}")
    assert "Trees" in page.body and "Secret" not in page.body
    links = [str(each["href"]) for each in BeautifulSoup(page.body, "html.parser").select("#report-table a")]
    assert "http://example.com/0.csv" in links
    assert not [each for each in links if each.startswith("javascript")]
    csv = app.get(f"/report/broken-links/{organization['name']}?format=csv").body
    assert "Trees" in csv and "Secret" not in csv


def test_the_page_in_another_language(app: Any) -> None:
    """What is recorded of a link is said in words of the reader, by its cause if that is known; downloads have it as it
    is."""
    organization = factories.Organization()
    broken = {**BROKEN, "verdict": "broken", "status_id": 11}
    dataset(organization, {**broken, "cause": "http_404"}, {**broken, "cause": None, "reason": "nothing but this"})
    generate(organization=organization["name"])
    path = f"/report/broken-links/{organization['name']}"
    german = {"CKAN_LANG": "de", "CKAN_LANG_IS_DEFAULT": False}

    def get(path: str) -> str:
        return str(contextvars.Context().run(app.get, path, environ_overrides=german).body)

    cells = [
        [cell.text.strip() for cell in row.select("td")]
        for row in BeautifulSoup(get(path), "html.parser").select("#report-table tbody tr")
    ]
    failed, gone = "Anfrage an die URL fehlgeschlagen", "Der Server meldet, dass es unter dieser Adresse nichts gibt."
    assert {(row[3], row[4]) for row in cells} == {(failed, gone), (failed, "nothing but this")}
    csv = get(f"{path}?format=csv")
    assert "URL request failed" in csv and NOT_FOUND in csv and gone not in csv


def test_the_plots(app: Any) -> None:
    """The organizations with the most broken links, and the causes of those of one, in words; no link, no plot."""
    worst, better, well = (factories.Organization(title=title) for title in ("Worst", "Better", "Well"))
    broken = {**BROKEN, "verdict": "broken"}
    dataset(better, broken, OK)
    dataset(worst, broken, broken, {**broken, "cause": "dns"}, {**broken, "cause": "http_410"})
    dataset(well, OK)
    generate()
    generate(organization=worst["name"])
    generate(organization=well["name"])

    def plot(path: str) -> list[list[str]]:
        figure = BeautifulSoup(app.get(f"/report/broken-links{path}").body, "html.parser").select("#report-plot tr")
        return [[cell.text for cell in row.select("th, td")] for row in figure]

    assert plot("") == [["Organization", "Broken links"], ["Worst", "4"], ["Better", "1"]]
    assert plot("?q=better") == [["Organization", "Broken links"], ["Better", "1"]]
    assert plot(f"/{worst['name']}") == [
        ["Cause", "Broken links"],
        ["The server says that there is nothing at this address.", "3"],
        ["The name of the server is not known.", "1"],
    ]
    assert plot(f"/{well['name']}") == []


def test_every_combination_is_generated() -> None:
    """All together and each organization, with and without those below, by both verdicts."""
    organization = factories.Organization()
    combinations = list(broken_links_report_info["option_combinations"]())
    assert len(combinations) == 8
    assert {each["organization"] for each in combinations} == {None, organization["name"]}
    report = ReportRegistry.instance().get_report("broken-links")
    report.refresh_cache_for_all_options()
    assert all(report.get_cached_date(**each) for each in combinations)


def test_what_the_archive_holds(app: Any) -> None:
    """Copies and their sizes by organization; uploads are no copies, unless they were fetched from a cloud; private
    ones count for who may see them."""
    organization = factories.Organization(title="Parks")
    copy = {**OK, "cache_filepath": "/archive/a", "size": 2048}
    fetched = {**OK, "cache_filepath": f"{config.archive_dir()}/ab/ab/data.csv", "size": 512}
    made = dataset(organization, copy, OK, copy, fetched)
    for upload in made["resources"][2:]:
        model.Session.get(model.Resource, upload["id"]).url_type = "upload"
    model.Session.commit()
    dataset(organization, {**copy, "size": 1024}, private=True)
    assert archive_usage()["table"] == [
        {
            "organization_title": "Parks",
            "organization_name": organization["name"],
            "resource_count": 5,
            "copy_count": 3,
            "size": 3584,
            "size_percent": 100,
        }
    ]
    ReportRegistry.instance().get_report("archive-usage").refresh_cache({})
    page = BeautifulSoup(app.get("/report/archive-usage").body, "html.parser")
    assert [cell.text.strip() for cell in page.select("#report-table td")] == ["Parks", "4", "2", "2.5 KiB", "100 %"]
    assert [cell.text for cell in page.select("#report-plot tbody > tr > *")] == ["Parks", "0.0"]
