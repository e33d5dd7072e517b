"""What the pages of resources and datasets say of links, and how people have them checked there."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from ckan.tests import factories

from ckanext.archiver import runner
from ckanext.archiver.tests.portal import (
    CHECKED,
    act,
    add_archival,
    add_copy,
    archival_of,
    make_dataset,
    make_sysadmin,
    make_user,
    private_dataset,
)
from ckanext.archiver.tests.rows import change, link
from ckanext.archiver.tests.web import Web, says
from ckanext.relay import clock

pytestmark = pytest.mark.usefixtures("archiver_portal")

SCRIPT = '<script>alert(1)</script>"><img src=x>'
FAILED: dict[str, Any] = {
    "status_id": 12, "is_broken": True, "reason": "Server reported status error: 404 Not Found", "cause": "http_404",
    "first_failure": CHECKED, "failure_count": 3, "last_success": datetime.datetime(2026, 2, 1),
}  # fmt: skip
BROKEN: dict[str, Any] = {**FAILED, "verdict": "broken"}
SUSPECT: dict[str, Any] = {**FAILED, "verdict": "ok", "suspect_since": CHECKED, "suspect_count": 2}


@pytest.fixture
def editor() -> dict[str, Any]:
    return make_sysadmin()


def owned(*names: str, **fields: Any) -> dict[str, Any]:
    """A dataset of an organization, which not everybody may edit, with links of these names."""
    resources = [{"url": f"http://data.example/{name}.csv", "name": name} for name in names or ("Data",)]
    return make_dataset(owner_org=factories.Organization()["id"], **{"resources": resources, **fields})


def path(dataset: dict[str, Any], resource: dict[str, Any] | None = None, more: str = "") -> str:
    return f"/dataset/{dataset['name']}" + (f"/resource/{resource['id']}" if resource else "") + more


def page(app: Any, where: str, user: dict[str, Any] | None = None, status: int = 200) -> BeautifulSoup:
    return BeautifulSoup(app.get(where, headers=user["headers"] if user else {}, status=status).body, "html.parser")


def part(shown: BeautifulSoup, selector: str) -> Tag:
    found = shown.select(selector)
    assert len(found) == 1, (selector, found)
    return found[0]


def text(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def settle(resource: dict[str, Any], minutes: float = 10, **columns: Any) -> None:
    """Let a link be checked so many minutes ago."""
    checked = clock.now() - datetime.timedelta(minutes=minutes)
    change("link", resource["id"], **{"lane": None, "due": None, "checked": checked, **columns})


# -- resources


def test_the_panel_of_a_resource(app: Any, editor: dict[str, Any]) -> None:
    """Verdict, cause, since when, what the check found, the copy, and for editors what to do and when it is tried
    again."""
    dataset = owned()
    resource = dataset["resources"][0]
    redirects = json.dumps([[301, "http://data.example/moved"], [302, "http://data.example/gone"]])
    add_copy(resource, **BROKEN, redirects=redirects)
    settle(resource, recheck_at=datetime.datetime(2027, 1, 2, 3, 4))
    for user in (None, editor):
        shown = page(app, path(dataset, resource), user)
        said = text(part(shown, "#archiver-panel"))
        for expected in (
            "Link is broken",
            "The server says that there is nothing at this address.",
            "It failed 3 times in a row since 2026-03-01 12:00 UTC",
            "It last worked on 2026-02-01 00:00 UTC",
            "Address http://data.example/Data.csv",
            "Answer of the server 404 Not Found",
            "301 to http://data.example/moved 302 to http://data.example/gone",
            "Download cached copy Size: 8 bytes Type: text/csv",
            "(before it was broken)",
        ):
            assert expected in said, expected
        assert ("What to do:" in said) == ("It is checked again after 2027-01-02 03:04 UTC" in said) == bool(user)
        assert bool(shown.select(".archiver-check button")) == bool(user)
        assert text(part(shown, f"#archiver-badge-{resource['id']}")) == "Link is broken"
        assert not shown.select("[hx-get]")


def test_what_is_not_confirmed_has_no_evidence_for_visitors(app: Any, editor: dict[str, Any]) -> None:
    """Who may edit the resource sees how far it is from counting as broken."""
    dataset = owned()
    resource = dataset["resources"][0]
    add_archival(resource, **SUSPECT, redirects='[[301, "http://data.example/moved"]]')
    for user in (None, make_user()):
        shown = page(app, path(dataset, resource), user)
        assert text(part(shown, f"#archiver-badge-{resource['id']}")) == "Link is ok"
        assert not shown.select(".archiver-evidence")
        assert "404" not in text(part(shown, "#archiver-panel")) and "moved" not in str(shown)
    shown = page(app, path(dataset, resource), editor)
    assert text(part(shown, f"#archiver-badge-{resource['id']}")) == "The latest check failed"
    said = text(part(shown, ".archiver-evidence"))
    assert "2 of 3 failed checks, over at least 24" in said and "404 Not Found" in said


def test_an_address_that_was_changed(app: Any) -> None:
    """The verdict is about the one before; an upload has no address of its own in its row."""
    dataset = owned()
    add_archival(dataset["resources"][0], checked_url="http://user:secret@data.example/before.csv")
    said = str(page(app, path(dataset, dataset["resources"][0])))
    assert "changed since it was checked" in said and "secret" not in said
    upload = make_dataset(resources=[{"url": "data.csv", "url_type": "upload"}])
    add_archival(upload["resources"][0], checked_url="data.csv")
    assert "changed since it was checked" not in str(page(app, path(upload, upload["resources"][0])))


def test_a_link_that_was_not_checked(app: Any, editor: dict[str, Any]) -> None:
    """Visitors read nothing of it; who may edit it can have it checked."""
    dataset = owned()
    resource = dataset["resources"][0]
    settle(resource, checked=None)
    assert not page(app, path(dataset, resource)).select(".archiver-info, .archiver-badge")
    panel = part(page(app, path(dataset, resource), editor), "#archiver-panel")
    assert "This link has not been checked yet." in text(panel)
    assert text(part(panel, "button")) == "Check now"  # type: ignore[arg-type]


def test_what_is_stored_is_text(app: Any, editor: dict[str, Any]) -> None:
    """Names, addresses, reasons, types and where links lead come from anywhere."""
    dataset = owned(SCRIPT)
    resource = dataset["resources"][0]
    columns = {"reason": SCRIPT, "checked_url": SCRIPT, "mimetype": SCRIPT, "cause": "http_404"}
    hops = json.dumps([[301, f"javascript:{SCRIPT}"]])
    add_copy(resource, **{**BROKEN, **columns}, url_redirected_to=SCRIPT, redirects=hops)
    for user in (None, editor):
        for where in (path(dataset, resource), path(dataset)):
            shown = page(app, where, user)
            assert not shown.select("img[src=x]")
            assert "alert(1)" not in "".join(script.text for script in shown.select("script"))
            assert not [each for each in shown.select("[href]") if str(each["href"]).startswith("javascript:a")]


@pytest.mark.parametrize("shows", [True, False])
def test_a_portal_may_show_the_copies_only(app: Any, editor: dict[str, Any], ckan_config: Any, shows: bool) -> None:
    """Without what it says of links there is no button either; without both there is nothing."""
    dataset = owned()
    add_copy(dataset["resources"][0])
    ckan_config["ckanext.archiver.show_broken_status"] = False
    ckan_config["ckanext.archiver.show_cached_url"] = shows
    shown = page(app, path(dataset, dataset["resources"][0]), editor)
    assert bool(shown.select(".link-cached")) == bool(shown.select(".archiver-info")) == shows
    assert not shown.select(".archiver-check, .archiver-badge")
    assert not page(app, path(dataset), editor).select(".archiver-info, .archiver-badge")


# -- datasets


def test_a_badge_in_the_list_of_resources(app: Any, editor: dict[str, Any]) -> None:
    """Each resource has the badge of its confirmed verdict; who may edit it, one for the latest check, too."""
    dataset = owned("good", "bad", "unsure", "suspect", "unchecked")
    good, bad, unsure, suspect, _ = dataset["resources"]
    add_archival(good)
    add_archival(bad, **BROKEN)
    add_archival(unsure, status_id=21, is_broken=None, verdict="unsure", cause="too_large")
    add_archival(suspect, **SUSPECT)

    def badges(user: dict[str, Any] | None) -> list[str]:
        return [text(each) for each in page(app, path(dataset), user).select(".resource-item .archiver-badge")]

    confirmed = ["Link is ok", "Link is broken", "Not sure whether the link works"]
    assert badges(None) == [*confirmed, "Link is ok"]
    assert badges(editor) == [*confirmed, "The latest check failed", ""]


def test_the_panel_of_a_dataset(app: Any, editor: dict[str, Any]) -> None:
    """How many links are how; of those that are not well which, why and since when, and where the copy is."""
    dataset = owned("good", "bad", "suspect", "unchecked")
    good, bad, suspect, unchecked = dataset["resources"]
    add_archival(good)
    add_copy(bad, **BROKEN)
    add_archival(suspect, **SUSPECT)
    for resource in dataset["resources"]:
        settle(resource)
    said = text(part(page(app, path(dataset)), "#archiver-panel"))
    for expected in (
        "1 broken link", "2 links ok", "1 link not checked yet", "Last checked: 2026-03-01 12:00 UTC",
        "bad The server says that there is nothing at this address. Failing since 2026-03-01 12:00 UTC",
        "Download cached copy",
    ):  # fmt: skip
        assert expected in said, expected
    assert "latest check" not in said and "Check" not in said
    said = text(part(page(app, path(dataset), editor), "#archiver-panel"))
    assert "1 failed at the latest check" in said and "suspect The server says" in said
    assert "Check all links now" in said
    assert archival_of(bad).cache_url in str(page(app, path(dataset)))


def test_many_links_that_are_not_well(app: Any) -> None:
    """A few are named, and how many more there are."""
    dataset = owned(*(f"part {number}" for number in range(13)))
    for resource in dataset["resources"]:
        add_archival(resource, **BROKEN)
    panel = part(page(app, path(dataset)), "#archiver-panel")
    assert len(panel.select(".archiver-links li")) == 10
    assert "And 3 more" in text(panel)


def test_a_dataset_with_nothing_to_say(app: Any, editor: dict[str, Any]) -> None:
    """No links at all, or none that was checked: visitors read nothing."""
    assert not page(app, path(make_dataset(resources=[])), editor).select(".archiver-info")
    assert not page(app, path(owned())).select(".archiver-info")


# -- check now


def test_check_now(app: Any, editor: dict[str, Any], web: Web) -> None:
    """The button asks the workers; the page says that it is under way until the verdict is there, and then shows it."""
    dataset = owned(resources=[{"url": web.url("/data.csv")}])
    resource = dataset["resources"][0]
    list(runner.archive_batch("priority"))
    settle(resource)
    web.pages["/data.csv"] = says(404)
    form = part(page(app, path(dataset, resource), editor), ".archiver-check form")
    assert (form["method"], form["action"]) == ("post", path(dataset, resource, "/archiver/check"))
    answer = app.post(form["action"], headers=editor["headers"])
    assert "1 link is being checked." in answer.body
    shown = page(app, path(dataset, resource), editor)
    panel = part(shown, "#archiver-panel")
    assert "The link is being checked …" in text(panel) and not panel.select("button")
    assert panel["hx-trigger"] == "every 2s"
    again = app.post(form["action"], headers=editor["headers"])
    assert "This is being checked already." in again.body
    answer = app.post(form["action"], headers=editor["headers"], follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].endswith(f"{path(dataset, resource)}#archiver-info")
    list(runner.archive_batch("priority"))
    shown = page(app, path(dataset, resource), editor)
    assert text(part(shown, ".archiver-badge")) == "The latest check failed"
    assert not shown.select("[hx-get]")
    again = app.post(form["action"], headers=editor["headers"])
    assert "Wait 60 seconds between two checks." in again.body


def test_what_a_page_shows_while_it_waits(app: Any, editor: dict[str, Any], web: Web) -> None:
    """It asks for its panel; there is no answer while nothing changes, and the last one ends that."""
    dataset = owned(resources=[{"url": web.url("/data.csv")}])
    resource = dataset["resources"][0]
    panel = part(page(app, path(dataset, resource), editor), "#archiver-panel")
    where = panel["hx-get"]
    assert where == f"{path(dataset, resource)}/archiver/panel?mark=soon"
    assert app.get(where, headers=editor["headers"]).status_code == 204
    change("link", resource["id"], due=clock.now() - datetime.timedelta(minutes=2))
    later = app.get(where, headers=editor["headers"], status=200)
    panel = part(BeautifulSoup(later.body, "html.parser"), "#archiver-panel")
    assert "longer than usual" in text(panel) and panel["hx-trigger"] == "every 15s"
    assert app.get(panel["hx-get"], headers=editor["headers"]).status_code == 204
    list(runner.archive_batch("priority"))
    done = app.get(panel["hx-get"], headers=editor["headers"])
    assert done.status_code == 286
    shown = BeautifulSoup(done.body, "html.parser")
    panel = part(shown, "#archiver-panel")
    assert "Link is ok" in text(panel) and "hx-get" not in panel.attrs
    assert text(part(shown, "#archiver-live[hx-swap-oob=innerHTML]")) == "The check is done."
    assert text(part(shown, f"#archiver-badge-{resource['id']}[hx-swap-oob=true]")) == "Link is ok"


def test_a_host_that_is_left_alone(app: Any, editor: dict[str, Any]) -> None:
    """Who waits is told until when."""
    dataset = owned()
    resource = dataset["resources"][0]
    until = clock.now() + datetime.timedelta(hours=2)
    change("link", resource["id"], due=until)
    panel = part(page(app, path(dataset, resource), editor), "#archiver-panel")
    assert f"It is checked after {until:%Y-%m-%d %H:%M} UTC" in text(panel)
    assert panel["hx-trigger"] == "every 15s"


def test_a_check_that_nobody_waits_for(app: Any, editor: dict[str, Any]) -> None:
    """It is said that it is in the queue; the button puts it before the others, and the page does not ask for it."""
    dataset = owned()
    change("link", dataset["resources"][0]["id"], lane="bulk")
    panel = part(page(app, path(dataset, dataset["resources"][0]), editor), "#archiver-panel")
    assert "It is in the queue" in text(panel) and panel.select("button") and "hx-get" not in panel.attrs


def test_all_links_of_a_dataset_are_checked_now(app: Any, editor: dict[str, Any]) -> None:
    """By one button on the page of the dataset, which says how many are left."""
    dataset = owned("a", "b")
    for resource in dataset["resources"]:
        settle(resource)
    form = part(page(app, path(dataset), editor), ".archiver-check form")
    answer = app.post(form["action"], headers=editor["headers"])
    assert "2 links are being checked." in answer.body
    assert "2 links are being checked …" in text(part(page(app, path(dataset), editor), "#archiver-panel"))
    again = app.post(form["action"], headers=editor["headers"], follow_redirects=False)
    assert again.headers["Location"].endswith(f"{path(dataset)}#archiver-info")


def test_what_a_dataset_page_shows_while_it_waits(app: Any, editor: dict[str, Any]) -> None:
    """Nothing new while as many links are being checked as quickly; then the panel and all badges."""
    dataset = owned("a", "b")
    first, second = dataset["resources"]
    where = part(page(app, path(dataset), editor), "#archiver-panel")["hx-get"]
    assert where == f"{path(dataset)}/archiver/panel?mark=2-2"
    assert app.get(where, headers=editor["headers"]).status_code == 204
    for resource in (first, second):
        change("link", resource["id"], due=clock.now() - datetime.timedelta(minutes=2))
    slower = part(page(app, str(where), editor), "#archiver-panel")
    assert slower["hx-trigger"] == "every 15s"
    assert app.get(slower["hx-get"], headers=editor["headers"]).status_code == 204
    settle(first, 0)
    add_archival(first, **BROKEN)
    shown = page(app, str(where), editor)
    assert part(shown, "#archiver-panel")["hx-get"] == f"{path(dataset)}/archiver/panel?mark=1-15"
    assert "1 link is being checked …" in text(part(shown, "#archiver-live"))
    assert [text(each) for each in shown.select(".archiver-badge")] == ["Link is broken", ""]
    settle(second, 0)
    assert app.get(str(where), headers=editor["headers"]).status_code == 286


def test_who_may_only_look_asks_for_nothing(app: Any) -> None:
    """Pages of visitors do not poll, and their form is refused; an address that is only followed changes nothing."""
    dataset = owned()
    resource = dataset["resources"][0]
    add_archival(resource)
    user = make_user()
    for where in (path(dataset, resource), path(dataset)):
        assert not page(app, where, user).select("[hx-get], .archiver-check")
        answer = app.post(f"{where}/archiver/check", headers=user["headers"], follow_redirects=False)
        assert answer.status_code == 403
        assert app.post(f"{where}/archiver/check", follow_redirects=False).status_code in (302, 403)
    settle(resource)
    for where in (path(dataset, resource), path(dataset)):
        answer = app.get(f"{where}/archiver/check", headers=make_sysadmin()["headers"], follow_redirects=False)
        assert answer.headers["Location"].endswith(f"{where}#archiver-info")
    assert link(resource["id"]).lane is None
    assert app.get(path(dataset, resource, "/archiver/panel?mark=soon"), headers=user["headers"]).status_code == 286


def test_of_private_datasets_strangers_hear_nothing(app: Any) -> None:
    """Not by the parts of pages either, nor under the address of another dataset."""
    member, stranger = make_user(), make_user()
    dataset = private_dataset(member)
    resource = dataset["resources"][0]
    add_archival(resource, **BROKEN)
    for where in (path(dataset, resource, "/archiver/panel"), path(dataset, more="/archiver/panel")):
        assert "Link is broken" in app.get(where, headers=member["headers"]).body
        refused = app.get(where, headers=stranger["headers"], follow_redirects=False)
        assert refused.status_code in (403, 404) and "broken" not in refused.body
    other = make_dataset()
    app.get(path(other, resource, "/archiver/panel"), headers=member["headers"], status=404)
    for where in ("/dataset/none/archiver/panel", path(other, {"id": "none"}, "/archiver/panel")):
        app.get(where, headers=member["headers"], status=404)


def test_a_dataset_that_is_not_published(app: Any, editor: dict[str, Any]) -> None:
    """There is no button, and a form that is sent all the same is answered in words."""
    dataset = owned()
    resource = dataset["resources"][0]
    add_archival(resource)
    act("package_delete", editor["name"], id=dataset["id"])
    assert not page(app, path(dataset, resource), editor).select(".archiver-check")
    answer = app.post(path(dataset, resource, "/archiver/check"), headers=editor["headers"])
    assert "Only links of datasets that are published and not deleted are checked." in answer.body


def test_a_form_without_the_token(app: Any, ckan_config: Any) -> None:
    """Another site cannot make the browser of an editor ask for checks."""
    user = factories.Sysadmin(password="correct-horse")
    dataset = owned()
    settle(dataset["resources"][0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ckan_config, "WTF_CSRF_ENABLED", True)
        patch.setitem(app.flask_app.config, "WTF_CSRF_ENABLED", True)
        for where in (path(dataset), path(dataset, dataset["resources"][0])):
            overrides = {"REMOTE_USER": user["name"]}
            answer = app.post(f"{where}/archiver/check", environ_overrides=overrides, follow_redirects=False)
            assert answer.status_code in (302, 400, 403)
    assert link(dataset["resources"][0]["id"]).lane is None


def test_pages_carry_no_script_or_style_of_their_own(app: Any, editor: dict[str, Any]) -> None:
    """They work under a strict policy."""
    dataset = owned()
    add_copy(dataset["resources"][0], **BROKEN)
    for where in (path(dataset, dataset["resources"][0]), path(dataset)):
        section = part(page(app, where, editor), ".archiver-info")
        assert not section.select("script, style, [style]")
        assert not re.search(r"\son[a-z]+=|hx-on", str(section))
