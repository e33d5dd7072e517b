"""The report on syndication: what it counts and shows, and to whom."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories
from sqlalchemy import event

from ckanext.archiver.tests.portal import make_sysadmin, make_user
from ckanext.report.report_registry import ReportRegistry
from ckanext.syndicate import status
from ckanext.syndicate.reports import (
    syndication_status,
    syndication_status_option_combinations,
    syndication_status_report_info,
)
from ckanext.syndicate.tests.standing import NOW, PROFILE, TOKEN, add_copy, add_failure, add_row, make_dataset

PLUGINS = "report"
NAME = "syndication-status"

pytestmark = [
    pytest.mark.ckan_config(f"{PROFILE}odp.ckan_url", "https://somebody:pa55word@odp.example"),
    pytest.mark.ckan_config(f"{PROFILE}odp.api_key", TOKEN),
    pytest.mark.ckan_config(f"{PROFILE}other.ckan_url", "https://other.example"),
    pytest.mark.ckan_config(f"{PROFILE}other.api_key", TOKEN),
    pytest.mark.usefixtures("syndicate_portal", "ckan_config", "report_tables"),
]


@pytest.fixture
def report_tables(syndicate_portal: None, migrate_db_for: Any) -> None:
    """The table of the report plugin."""
    migrate_db_for("report")


def generate() -> None:
    """Generate the report with the options that are generated beforehand."""
    ReportRegistry.instance().get_report(NAME).refresh_cache_for_all_options()


def seen_by(user: str, **options: str) -> dict[str, Any]:
    """Return what of the report somebody sees."""
    context = {"user": user, "ignore_auth": False}
    data, _ = tk.get_action("report_data_get")(context, {"id": NAME, "options": options})
    return dict(data)


def numbers(data: dict[str, Any], profile_id: str = "odp") -> dict[str, int]:
    row = next(row for row in data["table"] if row["profile"] == profile_id)
    return {state: row[state] for state in status.STATES if row[state]}


def test_how_many_are_in_which_state() -> None:
    """A row for each target, also for one where there is nothing, and when it was written to last."""
    add_copy(make_dataset(), pushed=NOW - datetime.timedelta(days=1))
    add_copy(make_dataset())
    add_failure(make_dataset())
    add_row(make_dataset(), "gone")
    data = syndication_status()
    assert [row["profile"] for row in data["table"]] == ["odp", "other", "gone"]
    assert numbers(data) == {"synced": 2, "failed": 1} and numbers(data, "other") == {}
    assert data["table"][0]["last_pushed"] == NOW.isoformat() and data["num_datasets"] == 4


def test_the_datasets_of_a_target_or_a_state() -> None:
    """Each with its organization, where the copy is, and what went wrong."""
    organization = factories.Organization(title="Parks")
    failed = make_dataset(title="Trees", owner_org=organization["id"])
    add_copy(failed, target_name="trees")
    add_failure(failed)
    synced = make_dataset()
    add_copy(synced, "other")
    (row,) = syndication_status(profile="odp")["table"]
    assert (row["dataset_title"], row["organization_title"], row["state"]) == ("Trees", "Parks", "failed")
    assert row["target_url"] == "https://********@odp.example/dataset/trees"
    assert (row["cause"], row["error"], row["since"]) == ("refused", "title: Missing value", NOW.isoformat())
    assert [row["dataset_id"] for row in syndication_status(state="synced")["table"]] == [synced["id"]]
    assert syndication_status(profile="odp", state="synced")["table"] == []


def test_options_that_make_no_sense() -> None:
    """A target or a state that there is not is an error that names what there is."""
    with pytest.raises(tk.ObjectNotFound, match="no profile none, only odp, other"):
        syndication_status(profile="none")
    with pytest.raises(tk.ObjectNotFound, match="no state none, only failed"):
        syndication_status(state="none")


def test_what_is_generated_beforehand() -> None:
    """All that a person can choose on the page."""
    found = list(syndication_status_option_combinations())
    assert len(found) == 3 * (1 + len(status.STATES))
    assert {"profile": None, "state": None} in found and {"profile": "odp", "state": "held"} in found


def test_the_sums_take_one_statement() -> None:
    """However many datasets, organizations and targets there are."""
    for _ in range(3):
        add_copy(make_dataset(owner_org=factories.Organization()["id"]))
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(model.meta.engine, "before_cursor_execute", note)
    try:
        syndication_status()
    finally:
        event.remove(model.meta.engine, "before_cursor_execute", note)
    assert len([each for each in statements if "syndication_copy" in each]) == 1 == len(statements)


def test_who_sees_what() -> None:
    """Members see what is about datasets of their organizations; sysadmins see all, also what is gone."""
    member = factories.User()
    organization = factories.Organization(users=[{"name": member["name"], "capacity": "member"}])
    mine = make_dataset(owner_org=organization["id"], private=True)
    others = make_dataset(owner_org=factories.Organization()["id"])
    gone = {"id": "0a6b8a4e-7b3c-4a0e-9f55-3d5d3a5d6f00", "name": "gone"}
    for dataset in (mine, others, gone):
        add_copy(dataset)
    generate()
    admin = factories.Sysadmin()["name"]
    assert numbers(seen_by(admin)) == {"synced": 3} and seen_by(admin)["num_datasets"] == 3
    assert len(seen_by(admin, profile="odp")["table"]) == 3
    assert numbers(seen_by(member["name"])) == {"synced": 1} and "counts" not in seen_by(member["name"])
    rows = seen_by(member["name"], state="synced")["table"]
    assert [row["dataset_id"] for row in rows] == [mine["id"]]


def test_who_may_not_see_it() -> None:
    """Visitors, and users who are in no organization, do not see to whom is pushed."""
    generate()
    for user in ("", factories.User()["name"]):
        with pytest.raises(tk.NotAuthorized):
            seen_by(user)
        names = [each["name"] for each in tk.get_action("report_list")({"user": user, "ignore_auth": False}, {})]
        assert NAME not in names


def test_no_secret_is_in_it() -> None:
    """Neither the token nor a password of an address, in no combination of options."""
    add_copy(make_dataset(), target_name="x")
    add_failure(make_dataset(), error="https://x:pa55word@h.example said token=s3cret9")
    generate()
    admin = factories.Sysadmin()["name"]
    for options in syndication_status_option_combinations():
        given = {name: value for name, value in options.items() if value}
        shown = repr(seen_by(admin, **given))
        assert "pa55word" not in shown and TOKEN not in shown and "s3cret9" not in shown


def test_the_page(app: Any) -> None:
    """The sums lead to the datasets; what a target said is text; options can be chosen."""
    failed = make_dataset(title="=Trees")
    add_failure(failed, error="<script>1</script>")
    generate()
    headers = make_sysadmin()["headers"]

    def page(query: str = "") -> BeautifulSoup:
        return BeautifulSoup(app.get(f"/report/{NAME}?{query}", headers=headers, status=200).body, "html.parser")

    sums = page()
    links = [str(link["href"]) for link in sums.select("#report-table a")]
    assert any("profile=odp" in link and "state=failed" in link for link in links)
    assert [cell.text for cell in sums.select("#report-plot tbody > tr > *")] == ["odp", "1", "other", "0"]
    assert [cell.text for cell in page("profile=odp").select("#report-plot tbody > tr > *")] == ["failed", "1"]
    assert [option["value"] for option in sums.select("#option-profile option")] == ["", "odp", "other"]
    assert [option["value"] for option in sums.select("#option-state option")] == ["", *status.STATES]
    shown = page("profile=odp&state=failed")
    assert "=Trees" in shown.text and "<script>1</script>" in shown.text and not shown.select("#report-table script")
    assert shown.select_one("#option-state option[selected]")["value"] == "failed"  # type: ignore[index]
    assert app.get(f"/report/{NAME}", headers=make_user()["headers"], follow_redirects=False).status_code in (
        302,
        401,
        403,
    )
    lines = app.get(f"/report/{NAME}?profile=odp&format=csv", headers=headers, status=200).body
    assert '"\'=Trees"' in lines


def test_options_of_other_reports(app: Any) -> None:
    """Another report with an option of the same name keeps the widget that it had."""
    made = {**syndication_status_report_info, "name": "another"}
    from ckanext.report.report_registry import Report

    report = Report(made, "a test")
    with app.flask_app.test_request_context("/report/another"):
        for name in ("profile", "state"):
            variables = {"report": report, "report_name": "another", "name": name, "value": "x"}
            shown = tk.render(f"report/option_{name}.html", variables)
            assert "select" not in shown and 'value="x"' in shown


def test_purged_datasets_keep_their_names() -> None:
    """A dataset that is gone is shown by the name that it had."""
    dataset = make_dataset()
    add_copy(dataset)
    gone = {"id": "0a6b8a4e-7b3c-4a0e-9f55-3d5d3a5d6f00", "name": "gone"}
    add_copy(gone)
    assert {row["dataset_title"] for row in syndication_status(profile="odp")["table"]} == {dataset["title"], "gone"}
