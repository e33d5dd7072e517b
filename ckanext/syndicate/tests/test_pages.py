"""What the page of a dataset says of it at the targets, and what the buttons there and on the targets' pages do."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from bs4 import BeautifulSoup, Tag
from ckan import model
from ckan.tests import factories

from ckanext.archiver.tests.portal import make_user
from ckanext.relay import lease
from ckanext.syndicate import selection
from ckanext.syndicate.domain.states import Cause
from ckanext.syndicate.explanations import advise, advise_publisher, explain
from ckanext.syndicate.model.tables import outbox_table
from ckanext.syndicate.panel import of as panel_of
from ckanext.syndicate.tests.rows import clear
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
from ckanext.syndicate.types import Profile

pytestmark = ODP

DASHBOARD = "/ckan-admin/syndicate/dashboard"
LOGS = "/ckan-admin/syndicate/profile/odp"
APPROVE = f"{LOGS}/approve"
FAR = datetime.datetime(2999, 1, 1)


@pytest.fixture
def editor() -> dict[str, Any]:
    return make_user()


def owned_by(editor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A dataset of an organization in which somebody is an editor."""
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    return make_dataset(owner_org=organization["id"], **fields)


def page(app: Any, path: str, headers: dict[str, str]) -> BeautifulSoup:
    return BeautifulSoup(app.get(path, headers=headers, status=200).body, "html.parser")


def panel(app: Any, dataset: dict[str, Any], headers: dict[str, str]) -> Tag | None:
    return page(app, f"/dataset/{dataset['name']}", headers).select_one("#syndication")


def shown(app: Any, dataset: dict[str, Any], headers: dict[str, str]) -> Tag:
    found = panel(app, dataset, headers)
    assert found is not None
    return found


def text_of(tag: Tag) -> str:
    return " ".join(tag.text.split())


def buttons(tag: Tag) -> list[str]:
    return [str(button["value"]) for button in tag.select("button[name=action]")]


def address(dataset: dict[str, Any]) -> str:
    return f"/syndicate/dataset/{dataset['id']}"


# -- the panel


def test_who_sees_the_panel(app: Any, editor: dict[str, Any], admin: dict[str, str]) -> None:
    """Only who may edit the dataset, and only if there are targets."""
    dataset = owned_by(editor)
    member = make_user()
    factories.Organization(users=[{"name": member["name"], "capacity": "editor"}])
    assert panel(app, dataset, {}) is None and panel(app, dataset, member["headers"]) is None
    assert panel(app, dataset, editor["headers"]) is not None and panel(app, dataset, admin) is not None
    for headers, code in (({}, 403), (member["headers"], 403), (editor["headers"], 302)):
        app.get(address(dataset), headers=headers, follow_redirects=False, status=code)
        if code == 403:
            app.post(address(dataset), headers=headers, data={"action": "push", "profile": "odp"}, status=code)
    assert rows() == {}


def test_without_targets(app: Any, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that pushes nowhere shows nothing of it."""
    from ckanext.syndicate import config

    monkeypatch.setattr(config, "profile_options", dict)
    assert panel(app, make_dataset(), admin) is None


def test_a_dataset_that_is_there(app: Any, editor: dict[str, Any]) -> None:
    """When it was pushed, the way to the copy, and a button to push it again; nothing is asked again by itself."""
    dataset = owned_by(editor)
    add_copy(dataset, target_name="trees")
    found = shown(app, dataset, editor["headers"])
    assert "synced" in found.text and "Last pushed 2026-03-01 12:00 UTC." in text_of(found)
    assert found.select_one('a[href="https://odp.example/dataset/trees"]') and buttons(found) == ["push"]
    assert not found.select("[hx-get]") and "Refresh" not in found.text
    assert TOKEN[:4] not in str(found)


def test_a_dataset_on_its_way(app: Any, editor: dict[str, Any]) -> None:
    """The page asks while a worker is to come, less often while the target does not answer, and there is a link."""
    dataset = owned_by(editor)
    add_row(dataset)
    found = shown(app, dataset, editor["headers"])
    asks = found.select_one("[hx-get]")
    assert asks is not None and asks["hx-trigger"] == "every 2s"
    assert str(asks["hx-get"]).startswith(f"{address(dataset)}?mark=")
    assert found.select_one(f'a[href="{address(dataset)}"]') and buttons(found) == []
    add_target("odp", down_since=NOW, cause="unreachable", error="refused")
    asks = shown(app, dataset, editor["headers"]).select_one("[hx-get]")
    assert asks is not None and asks["hx-trigger"] == "every 20s" and "does not answer since" in asks.text


def test_the_part_that_is_asked_for(app: Any, editor: dict[str, Any]) -> None:
    """It says the same as the page, nothing while that has not changed, and ends the asking when nothing is on its way;
    by itself it leads to the page."""
    dataset = owned_by(editor)
    add_row(dataset)
    headers = {**editor["headers"], "HX-Request": "true"}
    answer = app.get(address(dataset), headers=headers)
    assert answer.status_code == 200 and "hx-trigger" in answer.body and "<html" not in answer.body
    asks = BeautifulSoup(answer.body, "html.parser").select_one("[hx-get]")
    assert asks is not None and app.get(asks["hx-get"], headers=headers).status_code == 204
    lease.execute(sa.update(outbox_table).values(attempts=1, cause="timeout"))
    assert "1 attempt failed." in app.get(asks["hx-get"], headers=headers, status=200).body
    clear()
    add_copy(dataset)
    answer = app.get(address(dataset), headers=headers)
    assert answer.status_code == 286 and "hx-trigger" not in answer.body and "synced" in answer.body
    assert BeautifulSoup(answer.body, "html.parser").select_one("#syndication-said[hx-swap-oob]")
    answer = app.get(address(dataset), headers=editor["headers"], follow_redirects=False)
    assert answer.headers["Location"].endswith(f"/dataset/{dataset['name']}#syndication")


def test_a_dataset_that_failed(app: Any, editor: dict[str, Any], admin: dict[str, str]) -> None:
    """What went wrong in plain words, what the target said as text, and what who looks can do: not the same for all."""
    dataset = owned_by(editor)
    add_failure(dataset, error="<script>alert(1)</script>")
    found = shown(app, dataset, editor["headers"])
    assert "The target does not take the dataset as it is." in found.text and not found.select("script")
    assert "<script>alert(1)</script>" in found.text and "Correct what the error names" in found.text
    assert buttons(found) == ["retry"] and DASHBOARD not in str(found)
    of_admin = shown(app, dataset, admin)
    assert "the dataset or the plugin" in of_admin.text and of_admin.select(f'a[href="{DASHBOARD}"]')


@pytest.mark.parametrize(
    ("skipped", "shown"),
    [
        ("package is private", "Der Datensatz ist privat."),
        (
            "datasets of the type harvest are not syndicated to odp",
            "Datensätze des Typs harvest werden nicht an dieses Ziel syndiziert.",
        ),
        ("the plugin chooser skips it", "Das Plugin chooser lässt ihn aus."),
        ("the predicate a.b:{c} says no", "Das Prädikat a.b:{c} sagt Nein."),
        ("the dataset was purged", "Der Datensatz wurde endgültig gelöscht."),
        ("nobody knows: KeyError: 'a\nb'", "Niemand weiß es: KeyError: 'a\nb'"),
        ("because of the weather", "because of the weather"),
        (None, ""),
    ],
)
def test_why_it_is_not_there_in_the_language_of_the_reader(app: Any, skipped: str | None, shown: str) -> None:
    """What the bundle says; plugins and predicates say it in their own words."""
    found = {"profile_id": "odp", "skipped": skipped, "entry": None, "ckan_url": "", "down_since": None}
    with app.flask_app.test_request_context(environ_overrides={"CKAN_LANG": "de"}):
        (line,) = [*(made := panel_of([found])).lines, *made.others]
        assert line.reason == shown


def test_what_the_bundle_says_is_known() -> None:
    """The reasons that the code gives are those that are translated."""
    dataset = make_dataset(flag="other")
    package = model.Package.get(dataset["id"])
    for profile, expected in (
        (Profile(id="odp", types=("apps",)), "Datasets of the type dataset are not syndicated to this target."),
        (Profile(id="odp", predicate="builtins:callable"), "The predicate builtins:callable says no."),
        (Profile(id="odp"), "It is not chosen for this target."),
    ):
        skipped = selection.skips(package, profile)
        found = {"profile_id": "odp", "skipped": skipped, "entry": None, "ckan_url": "", "down_since": None}
        assert [line.reason for line in panel_of([found]).others] == [expected]


def test_advice_for_publishers() -> None:
    """Each cause has advice that somebody without a shell can follow."""
    for cause in Cause:
        assert advise_publisher(cause.value) and "ckan " not in advise_publisher(cause.value)
    assert advise_publisher(None) == "" == advise_publisher("no-such-cause")
    for advice in (advise, advise_publisher):
        assert "by itself" in advice("timeout") and "given up" in advice("timeout", given_up=True)
        assert "given up" not in advice("refused", given_up=True)


def test_causes_are_explained() -> None:
    """Each has a sentence, and says what to do, to those who run the portal."""
    for cause in Cause:
        assert explain(cause.value).endswith(".") and advise(cause.value)
    assert explain("held") == explain("guard") and explain(None) == ""


def test_what_is_held_or_put_off(app: Any, editor: dict[str, Any]) -> None:
    """What is held waits for an administrator; what failed for now says when it is tried, and can be tried at once."""
    held, waiting = owned_by(editor), owned_by(editor)
    add_copy(held)
    add_row(held, state="held", cause="held", error="it was deselected")
    found = shown(app, held, editor["headers"])
    assert "An administrator of this portal must approve it." in found.text and buttons(found) == []
    add_row(waiting, attempts=2, cause="timeout", error="60 seconds", failing_since=NOW, due=FAR)
    found = shown(app, waiting, editor["headers"])
    assert "2 attempts failed." in text_of(found) and "2999-01-01" in found.text and buttons(found) == ["retry"]


def test_why_a_dataset_is_not_there(app: Any, editor: dict[str, Any], ckan_config: Any) -> None:
    """Targets that it is not chosen for say why; a copy that is not kept up to date any more says so."""
    ckan_config[f"{PROFILE}other.ckan_url"] = "https://other.example"
    ckan_config[f"{PROFILE}other.flag"] = "elsewhere"
    dataset = owned_by(editor)
    found = shown(app, dataset, editor["headers"])
    assert "not there yet" in found.text and buttons(found) == ["push"]
    others = found.select_one("details")
    assert others is not None and "other (other.example): It is not chosen for this target." in text_of(others)
    add_copy(dataset, "other")
    found = shown(app, dataset, editor["headers"])
    assert "It is not kept up to date there: It is not chosen for this target." in text_of(found)
    assert not found.select("details") and buttons(found) == ["push"]


def test_push_now(app: Any, editor: dict[str, Any], ckan_config: Any, sent: list[str]) -> None:
    """The workers are told to push to that target, changed or not; where it has nothing to do, nothing is asked."""
    ckan_config[f"{PROFILE}other.ckan_url"] = "https://other.example"
    ckan_config[f"{PROFILE}other.flag"] = "elsewhere"
    dataset = owned_by(editor)
    add_copy(dataset)
    data = {"action": "push", "profile": "odp"}
    answer = app.post(address(dataset), headers=editor["headers"], data=data, follow_redirects=False)
    assert answer.headers["Location"].endswith(f"/dataset/{dataset['name']}#syndication")
    assert rows()[dataset["id"]].force is True and rows("other") == {} and sent == ["odp"]
    answer = app.post(address(dataset), headers=editor["headers"], data={"action": "push", "profile": "other"})
    assert "There is nothing to push" in answer.body and rows("other") == {}


def test_retry(app: Any, editor: dict[str, Any], sent: list[str]) -> None:
    """What failed waits again."""
    dataset = owned_by(editor)
    add_failure(dataset)
    app.post(address(dataset), headers=editor["headers"], data={"action": "retry", "profile": "odp"})
    assert rows()[dataset["id"]].state == "waiting" and sent == ["odp"]


@pytest.mark.parametrize("profile", ["none", "<script>", "\x00", "a" * 5000])
def test_a_target_that_is_not_there(app: Any, editor: dict[str, Any], sent: list[str], profile: str) -> None:
    """It is an error that the page says, as text."""
    dataset = owned_by(editor)
    for action in ("push", "retry"):
        answer = app.post(address(dataset), headers=editor["headers"], data={"action": action, "profile": profile})
        assert answer.status_code == 200 and "does not exist" in answer.body and "<script>&" not in answer.body
    assert sent == [] and rows() == {}


def test_a_dataset_that_is_not_here(app: Any, admin: dict[str, str]) -> None:
    """There is no such page."""
    app.get("/syndicate/dataset/no-such", headers=admin, status=404)
    app.post("/syndicate/dataset/no-such", headers=admin, data={"action": "retry"}, status=404)


# -- the targets


def test_the_way_to_the_targets(app: Any, admin: dict[str, str]) -> None:
    """The short address leads there, for sysadmins only."""
    answer = app.get("/ckan-admin/syndicate", headers=admin, follow_redirects=False)
    assert answer.headers["Location"].endswith(DASHBOARD)
    app.get("/ckan-admin/syndicate", headers=make_user()["headers"], status=403)
    app.get(APPROVE, headers=make_user()["headers"], status=403)
    app.post(APPROVE, headers=make_user()["headers"], status=403)


def test_lag_and_rate(app: Any, admin: dict[str, str]) -> None:
    """Since when the oldest waits, and how many were written in the last hour."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    add_copy(make_dataset(), pushed=now - datetime.timedelta(minutes=59))
    add_copy(make_dataset(), pushed=now - datetime.timedelta(minutes=61))
    assert "Nothing waits" in page(app, DASHBOARD, admin).text
    add_row(make_dataset())
    add_row(make_dataset(), asked=NOW + datetime.timedelta(days=1))
    text = text_of(page(app, DASHBOARD, admin))
    assert "The oldest waits since 2026-03-01 12:00 UTC" in text and "1 dataset written in the last hour" in text


def test_what_needs_somebody(app: Any, admin: dict[str, str]) -> None:
    """What failed or is held, by reason, what most suffer of first; what waits for another try is not among it."""
    for _ in range(2):
        add_failure(make_dataset(), cause="forbidden", failing_since=NOW)
    add_failure(make_dataset(), cause="refused")
    held = make_dataset()
    add_copy(held)
    add_row(held, state="held", cause="held", error="too many")
    add_row(make_dataset(), cause="timeout", attempts=1, due=FAR)
    found = page(app, DASHBOARD, admin).select("#troubles tbody tr")
    assert ["failed: 2" in text_of(row) for row in found] == [True, False, False] and "token" in found[0].text
    assert [bool(row.select(f'a[href="{APPROVE}"]')) for row in found].count(True) == 1
    link = found[0].select_one("a")
    assert link is not None and link["href"] == f"{LOGS}?state=failed&cause=forbidden"
    of_cause = page(app, str(link["href"]), admin)
    assert len(of_cause.select("#datasets tbody tr")) == 2
    assert len(page(app, f"{LOGS}?state=failed", admin).select("#datasets tbody tr")) == 3
    assert len(page(app, f"{LOGS}?state=synced&cause=forbidden", admin).select("#datasets tbody tr")) == 0
    assert "No dataset is here" in page(app, f"{LOGS}?state=failed&cause=%3Cscript%3E", admin).text


def test_nothing_needs_anybody(app: Any, admin: dict[str, str]) -> None:
    """A page without troubles says so."""
    assert "no dataset failed for good" in page(app, DASHBOARD, admin).text


def test_retry_one(app: Any, admin: dict[str, str], sent: list[str]) -> None:
    """The button in a row tries that dataset and no other."""
    one, other = make_dataset(), make_dataset()
    add_failure(one)
    add_failure(other)
    values = {str(button["value"]) for button in page(app, LOGS, admin).select("button[name=retry]")}
    assert values == {one["id"], other["id"]}
    answer = app.post(LOGS, headers=admin, data={"retry": one["id"]})
    assert "1 dataset is handed to the workers." in answer.body and sent == ["odp"]
    assert {each: row.state for each, row in rows().items()} == {one["id"]: "waiting", other["id"]: "failed"}
    app.post(LOGS, headers=admin, data={"retry": "no-such"}, status=404)


def test_approve(app: Any, admin: dict[str, str], sent: list[str]) -> None:
    """It is asked for once more, with what follows; then what is held is let go, and the page says for how long."""
    dataset = make_dataset()
    add_copy(dataset)
    add_row(dataset, state="held", cause="held", error="too many")
    assert page(app, LOGS, admin).select(f'a[href="{APPROVE}"]')
    asked = page(app, APPROVE, admin)
    form = asked.select_one(".primary form")
    assert form is not None and form["method"] == "post" and form.select("[name=_csrf_token]")
    assert "1 copy at odp is held" in asked.text and "24 hours" in asked.text
    assert rows()[dataset["id"]].state == "held" and sent == []
    assert "The workers take 1 copy away." in app.post(APPROVE, headers=admin).body
    assert rows()[dataset["id"]].state == "waiting" and sent == ["odp"]
    assert "may be taken away until" in page(app, LOGS, admin).text
    app.get("/ckan-admin/syndicate/profile/none/approve", headers=admin, status=404)
