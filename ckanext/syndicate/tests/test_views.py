"""The pages for sysadmins."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup

from ckanext.archiver.tests.portal import make_user
from ckanext.syndicate import config
from ckanext.syndicate.tests.standing import (
    NOW,
    ODP,
    PROFILE,
    TOKEN,
    add_copy,
    add_failure,
    add_row,
    add_target,
    make_dataset,
    rows,
)
from ckanext.syndicate.views import targets as pages_of_targets

pytestmark = ODP

DASHBOARD = "/ckan-admin/syndicate/dashboard"
LOGS = "/ckan-admin/syndicate/profile/odp"


def page(app: Any, path: str, headers: dict[str, str]) -> BeautifulSoup:
    return BeautifulSoup(app.get(path, headers=headers, status=200).body, "html.parser")


@pytest.mark.parametrize("path", [DASHBOARD, LOGS])
def test_only_sysadmins(app: Any, sent: list[str], path: str) -> None:
    """Nobody else sees the pages, or lets them do anything."""
    dataset = make_dataset()
    for headers in ({}, dict(make_user()["headers"])):
        app.get(path, headers=headers, status=403)
        app.post(path, headers=headers, data={"dataset": dataset["id"], "action": "sync"}, status=403)
    assert sent == [] and rows() == {}


def test_the_dashboard(app: Any, admin: dict[str, str], ckan_config: Any) -> None:
    """Each target with how it is, and how many datasets are how; of the token only whether it is set."""
    ckan_config[f"{PROFILE}other.ckan_url"] = "javascript:alert(1)"
    ckan_config[f"{PROFILE}odp.extras"] = '{"password": "pa55word", "region": "north"}'
    add_copy(make_dataset())
    add_failure(make_dataset())
    add_target("odp", down_since=NOW, cause="unreachable", error="<b>refused</b>")
    shown = page(app, DASHBOARD, admin)
    first, second = shown.select("#targets tbody tr")
    assert first.select_one("th").text == "odp"  # type: ignore[union-attr]
    assert "synced: 1" in first.text and "failed: 1" in first.text
    assert "The target cannot be reached." in first.text and "<b>refused</b>" in first.text
    assert "set" in first.text and "missing" in second.text and "north" in first.text
    assert TOKEN[:4] not in str(shown) and "pa55word" not in str(shown)
    assert not [link for link in shown.select("a") if str(link.get("href")).startswith("javascript:")]


def test_no_target(app: Any, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that pushes nowhere is told how it would."""
    monkeypatch.setattr(config, "profile_options", dict)
    assert "ckanext.syndicate.profile.<ID>.ckan_url" in page(app, DASHBOARD, admin).text


def test_sync_of_profiles(app: Any, admin: dict[str, str], ckan_config: Any, sent: list[str]) -> None:
    """One target, or all of them, each of its datasets once; another one is not there."""
    ckan_config[f"{PROFILE}other.flag"] = "elsewhere"
    dataset, other = make_dataset(), make_dataset(flag="elsewhere")
    app.post(DASHBOARD, headers=admin, data={"profile": "odp"}, follow_redirects=False)
    assert (set(rows()), set(rows("other")), sent) == ({dataset["id"]}, set(), ["odp"])
    answer = app.post(DASHBOARD, headers=admin)
    assert (set(rows()), set(rows("other")), sent) == ({dataset["id"]}, {other["id"]}, ["odp", "odp", "other"])
    assert "2 datasets are handed to the workers." in answer.body
    app.post(DASHBOARD, headers=admin, data={"profile": "none"}, status=404)


def test_forms_carry_a_token(app: Any, admin: dict[str, str]) -> None:
    """Each form that writes has CKAN's token against forged requests."""
    add_copy(make_dataset())
    for path in (DASHBOARD, LOGS):
        forms = page(app, path, admin).select(".primary form[method=post]")
        assert forms and all(form.select_one("input[name=_csrf_token]") for form in forms)


def test_a_forged_form_does_nothing(app: Any, ckan_config: Any, sent: list[str]) -> None:
    """A form without the token of CKAN is refused where the browser is logged in."""
    from ckan.tests import factories

    user = factories.Sysadmin(password="correct-horse")
    app.flask_app.config["WTF_CSRF_ENABLED"] = True
    ckan_config["WTF_CSRF_ENABLED"] = True
    try:
        answer = app.post(DASHBOARD, environ_overrides={"REMOTE_USER": user["name"]}, follow_redirects=False)
    finally:
        app.flask_app.config["WTF_CSRF_ENABLED"] = False
    assert answer.status_code in (302, 400, 403) and sent == []


def test_the_datasets_of_a_target(app: Any, admin: dict[str, str]) -> None:
    """Each with its copy, state, error and what to do; what a target says is text, not markup."""
    synced, failed = make_dataset(title="Trees"), make_dataset(title="<i>Ponds</i>")
    add_copy(synced, target_id="<script>1</script>", target_name="trees")
    add_failure(failed, error="<script>2</script>")
    shown = page(app, LOGS, admin)
    texts = [row.text for row in shown.select("#datasets tbody tr")]
    assert len(texts) == 2 and not shown.select("#datasets script, #datasets i:not(.fa)")
    (of_synced,) = [text for text in texts if "Trees" in text]
    (of_failed,) = [text for text in texts if "<i>Ponds</i>" in text]
    assert "<script>1</script>" in of_synced and "synced" in of_synced
    assert "<script>2</script>" in of_failed and "does not take the dataset" in of_failed and "retry" in of_failed
    assert shown.select_one('a[href="https://odp.example/dataset/trees"]')
    assert TOKEN[:4] not in str(shown)


def test_pages_and_states(app: Any, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """So many on a page, and only those in a state; arguments that make no sense show the first page of all."""
    monkeypatch.setattr(pages_of_targets, "_ROWS", 2)
    for number in range(3):
        add_copy(make_dataset(title=f"D{number}"), pushed=NOW + datetime.timedelta(hours=number))
    add_failure(make_dataset(title="Bad"))

    def titles(query: str) -> list[str]:
        return [link.text for link in page(app, f"{LOGS}?{query}", admin).select("#datasets td:nth-of-type(2) a")]

    assert titles("state=synced") == ["D2", "D1"] and titles("state=synced&page=2") == ["D0"]
    assert titles("state=synced&page=99") == ["D0"] and titles("state=failed") == ["Bad"]
    everything = titles("")
    assert len(everything) == 2
    for nonsense in ("page=x", "page=-1", "page=0", "state=%3Cscript%3E", f"page={'9' * 50}&state=failed", "page=%00"):
        assert titles(nonsense) in (everything, ["Bad"])
    links = [str(link["href"]) for link in page(app, f"{LOGS}?state=synced", admin).select(".pagination a")]
    assert links == [f"?state=synced&page={number}" for number in (1, 2, 2)]


def test_push_chosen_datasets_again(app: Any, admin: dict[str, str], sent: list[str]) -> None:
    """What is chosen is pushed, also if nothing changed; ids that the target has nothing to do with are passed over."""
    chosen, other, foreign = make_dataset(), make_dataset(), make_dataset()
    add_copy(chosen)
    add_copy(other)
    data = {"action": "sync", "dataset": [chosen["id"], foreign["id"], "x' OR 1=1", "no-such"]}
    answer = app.post(f"{LOGS}?state=synced", headers=admin, data=data, follow_redirects=False)
    assert answer.headers["Location"].endswith(f"{LOGS}?state=synced")
    assert {each: row.force for each, row in rows().items()} == {chosen["id"]: True} and sent == ["odp"]
    assert "nothing was chosen" in app.post(LOGS, headers=admin, data={"action": "sync"}).body


def test_try_failures_again(app: Any, admin: dict[str, str], sent: list[str]) -> None:
    """All that failed waits again, and a target that is left alone is asked."""
    dataset = make_dataset()
    add_failure(dataset)
    add_target(down_since=NOW, failures=4, not_before=NOW + datetime.timedelta(days=3650))
    assert "1 dataset is handed" in app.post(LOGS, headers=admin, data={"action": "retry"}).body
    assert rows()[dataset["id"]].state == "waiting" and sent == ["odp"]
    assert "fails" not in page(app, LOGS, admin).select_one(".primary").text  # type: ignore[union-attr]


def test_a_profile_that_is_not_there(app: Any, admin: dict[str, str], sent: list[str]) -> None:
    """It is not found; one that is not configured any more can be looked at, not pushed to."""
    app.get("/ckan-admin/syndicate/profile/none", headers=admin, status=404)
    dataset = make_dataset()
    add_row(dataset, "gone")
    gone = page(app, "/ckan-admin/syndicate/profile/gone", admin)
    assert dataset["title"] in gone.text and not gone.select("#datasets input")
    app.post("/ckan-admin/syndicate/profile/gone", headers=admin, data={"action": "retry"}, status=404)
    assert "not configured any more" in page(app, DASHBOARD, admin).text and sent == []


def test_the_way_to_the_pages(app: Any, admin: dict[str, str]) -> None:
    """Sysadmins find them in the head of each page, others do not."""
    assert page(app, "/about", admin).select_one(f'header a[href="{DASHBOARD}"], .account a[href="{DASHBOARD}"]')
    assert DASHBOARD not in app.get("/about", headers=make_user()["headers"]).body
    assert DASHBOARD not in app.get("/about").body
