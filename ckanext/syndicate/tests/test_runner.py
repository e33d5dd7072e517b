"""Pushing in this process, with a real database, to a real second CKAN."""

from __future__ import annotations

import threading
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay import lease
from ckanext.syndicate import hooks, profiles, runner, signals
from ckanext.syndicate.domain.marker import ORIGIN, PATH
from ckanext.syndicate.model import copies, lease_table, outbox, targets
from ckanext.syndicate.model.tables import target_table
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.flow import extra
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.pushing import (
    act,
    change,
    copy_of,
    hurry,
    left,
    log_of,
    make_dataset,
    set_flag,
    there,
    work,
)

pytestmark = pytest.mark.usefixtures("syndicate_portal", "profile")

SITE = "http://test.ckan.example"


@pytest.fixture
def profile(ckan_config: Any, target: Target) -> None:
    """A profile that pushes to the target."""
    ckan_config.update(target.config("plain"))
    target.proxy.calls.clear()


def asked(target: Target) -> list[str]:
    """Return the actions that the target was asked for, and forget them."""
    found = [call.action for call in target.proxy.calls]
    target.proxy.calls.clear()
    return found


# -- what is pushed


def test_a_new_dataset(target: Target) -> None:
    """It is created with one request after one that asks who the target is, and recorded in copy and log."""
    made = make_dataset(title="Water", tags=[{"name": "river"}])
    work()
    assert asked(target) == ["status_show", "package_create"]
    remote = there(target, made)
    assert (remote["name"], remote["title"], remote["state"]) == (made["name"], "Water", "active")
    assert extra(remote, ORIGIN) == f"{SITE}/dataset/{made['id']}" and extra(remote, PATH) == SITE
    copy, row = copy_of(made), log_of(made)
    assert (copy.presence, copy.intent, copy.target_modified) == ("active", None, remote["metadata_modified"])
    assert (row.state, row.target_id, row.error) == ("synced", remote["id"], None)
    assert left() == {}


def test_an_edit(target: Target) -> None:
    """It costs one request, and no resource gets another id."""
    made = make_dataset(resources=[{"url": "http://data.example/1"}, {"url": "http://data.example/2"}])
    work()
    before = there(target, made)
    asked(target)
    change(made, notes="Other words")
    work()
    assert asked(target) == ["package_revise"]
    after = there(target, made)
    assert after["notes"] == "Other words"
    assert [each["id"] for each in after["resources"]] == [each["id"] for each in before["resources"]]
    change(made, notes="Once more")
    work()
    assert asked(target)[-1] == "package_revise" and there(target, made)["notes"] == "Once more"


def test_an_edit_of_what_others_edited(target: Target) -> None:
    """A copy that is not as it was left is looked at first, and so are the others for a while; nothing is lost."""
    made = [make_dataset() for _ in range(2)]
    work()
    group = target.call("group_create", name="theirs")["name"]
    for each in made:
        copy = there(target, each)
        target.call("package_patch", id=copy["id"], groups=[{"name": group}], url="http://target.example")
        change(each, notes="Other words")
    asked(target)
    work()
    requests = asked(target)
    assert 1 <= requests.count("package_revise") <= 2 and requests.count("package_update") == 2
    for each in made:
        copy = there(target, each)
        assert (copy["notes"], [group["name"] for group in copy["groups"]]) == ("Other words", ["theirs"])
        assert not copy["url"], "what we send is as it is here"


def test_an_edit_of_resources(target: Target) -> None:
    """Whatever changes in resources, the copy has the same ones with the same fields, and those that stay their ids."""
    urls = ["http://data.example/1", "http://data.example/2"]
    made = make_dataset(resources=[{"url": urls[0], "colours": ["red", "blue"]}, {"url": urls[1]}])
    work()
    first, second = ({"id": each["id"], "url": each["url"]} for each in made["resources"])
    ids = [each["id"] for each in there(target, made)["resources"]]
    copies_of = {first["id"]: ids[0], second["id"]: ids[1]}
    edits: list[list[dict[str, Any]]] = [
        [{**first, "colours": ["blue"]}, second],
        [first, {**second, "name": "Two"}],
        [{**first, "url": "http://data.example/moved"}, second],
        [second, first],
        [second],
    ]
    for edit in edits:
        change(made, resources=edit)
        work()
        here, found = act("package_show", id=made["id"])["resources"], there(target, made)["resources"]
        assert [each["id"] for each in found] == [copies_of[each["id"]] for each in edit]
        for key in ("url", "colours", "name"):
            assert [each.get(key) for each in found] == [each.get(key) for each in here]


def test_nothing_changed(target: Target) -> None:
    """What is there as it is here costs no request, not even to ask who the target is."""
    made = [make_dataset() for _ in range(3)]
    work()
    asked(target)
    outbox.ask([each["id"] for each in made], ["plain"], outbox.BULK)
    model.Session.commit()
    work()
    assert asked(target) == [] and left() == {}
    outbox.ask([made[0]["id"]], ["plain"], outbox.BULK, force=True)
    work()
    assert asked(target) == ["package_show", "package_update"], "who insists wants it looked at"


def test_renamed_here(target: Target, ckan_config: Any) -> None:
    """The copy keeps its name, unless the profile says otherwise; then the prefix is put before it."""
    made = make_dataset(name="first")
    work()
    change(made, name="second", title="Second")
    work()
    assert [there(target, made)[field] for field in ("name", "title")] == ["first", "Second"]
    ckan_config.update(target.config("plain", refresh_package_name="true", name_prefix="x"))
    change(made, title="Third")
    work()
    assert [there(target, made)[field] for field in ("name", "title")] == ["x-second", "Third"]


def test_what_is_not_selected(target: Target) -> None:
    """Nothing is asked of the target, and nothing recorded, of what is not to be there."""
    unflagged, private = make_dataset(flag="no"), _private()
    outbox.ask([unflagged["id"], private["id"]], ["plain"], outbox.BULK)
    work()
    assert asked(target) == [] and left() == {}
    assert log_of(unflagged) is None and copies.get(private["id"], "plain") is None


def _private(**fields: Any) -> dict[str, Any]:
    return make_dataset(owner_org=factories.Organization()["id"], private=True, **fields)


# -- what is retracted


@pytest.fixture
def owner(target: Target, ckan_config: Any) -> str:
    """An organization of the target that owns the copies."""
    target.call("organization_create", name="copies")
    ckan_config.update(target.config("plain", organization="copies", on_unflag="delete"))
    target.proxy.calls.clear()
    return "copies"


def test_made_private(target: Target, owner: str) -> None:
    """The copy is made private, and public again when the dataset is."""
    made = make_dataset(owner_org=factories.Organization()["id"])
    work()
    assert there(target, made)["private"] is False
    asked(target)
    change(made, private=True)
    work()
    assert asked(target) == ["package_show", "package_patch"]
    assert there(target, made)["private"] is True
    assert (copy_of(made).presence, log_of(made).state, log_of(made).error) == (
        "private",
        "stopped",
        "package is private",
    )
    change(made, private=False)
    work()
    assert there(target, made)["private"] is False and log_of(made).state == "synced"


def test_private_without_an_organization(target: Target) -> None:
    """A copy that no organization owns cannot be private there: it is deleted, and comes back under the same id."""
    made = make_dataset(owner_org=factories.Organization()["id"])
    work()
    first = copy_of(made).target_id
    change(made, private=True)
    work()
    assert there(target, made)["state"] == "deleted"
    change(made, private=False)
    work()
    assert (there(target, made)["state"], copy_of(made).target_id) == ("active", first)


def test_unflagged(target: Target, owner: str, ckan_config: Any) -> None:
    """What becomes of the copy is as the profile says."""
    made = make_dataset()
    work()
    ckan_config.update(target.config("plain", on_unflag="keep"))
    set_flag(made, None)
    work()
    assert there(target, made)["state"] == "active"
    assert (log_of(made).state, log_of(made).error) == ("stopped", "syndication flag disabled on package")
    for policy, found in (("private", (True, "active")), ("delete", (True, "deleted"))):
        ckan_config.update(target.config("plain", on_unflag=policy))
        change(made, notes=policy)
        work()
        remote = there(target, made)
        assert (remote["private"], remote["state"]) == found


def test_deleted_and_back(target: Target) -> None:
    """A dataset that is deleted is deleted there, and comes back with the same ids."""
    made = make_dataset()
    work()
    before = there(target, made)
    act("package_delete", id=made["id"])
    work()
    assert there(target, made)["state"] == "deleted" and log_of(made).state == "synced"
    change(made, state="active")
    work()
    after = there(target, made)
    assert (after["state"], after["id"]) == ("active", before["id"])
    assert [each["id"] for each in after["resources"]] == [each["id"] for each in before["resources"]]


def test_purged(target: Target) -> None:
    """The copy of a dataset that is purged is deleted although nothing of it is left here."""
    made = make_dataset()
    work()
    act("dataset_purge", id=made["id"])
    work()
    assert there(target, made)["state"] == "deleted" and left() == {}


def test_too_many_at_a_time(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the share of a day is held until a person approves; what is private never is."""
    monkeypatch.setattr("ckanext.syndicate.domain.guard.ALWAYS", 1)
    made = [make_dataset() for _ in range(4)]
    secret = make_dataset(owner_org=factories.Organization()["id"])
    work()
    for each in made[:3]:
        act("package_delete", id=each["id"])
    change(secret, private=True)
    work()
    held = left()
    assert {entry.state for entry in held.values()} == {"held"} and len(held) == 2
    assert all("deleted" in (entry.error or "") for entry in held.values())
    assert there(target, secret)["state"] == "deleted", "no organization owns it there"
    assert [there(target, each)["state"] for each in made].count("deleted") == 1
    targets.approve("plain", 1)
    outbox.retry("plain")
    work()
    assert [there(target, each)["state"] for each in made].count("deleted") == 3 and left() == {}


# -- once


def test_a_create_that_got_through_unnoticed(target: Target) -> None:
    """After an error behind the commit the dataset is found and updated; it is there once."""
    target.proxy.fail("package_create", faults.status_after(500))
    made = make_dataset()
    work()
    (entry,) = left().values()
    assert (entry.state, entry.cause, entry.attempts) == ("waiting", "server_error", 1)
    assert log_of(made).state == "failed" and copy_of(made).intent is not None
    hurry()
    work()
    assert left() == {} and target.call("package_search")["count"] == 1
    assert there(target, made)["name"] == made["name"] and copy_of(made).intent is None


def test_state_of_an_older_release(target: Target) -> None:
    """A copy of which only the extra tells is updated, keeps its resources, and is not pushed twice."""
    remote = target.call(
        "package_create", name="old-copy", resources=[{"url": "http://data.example/data.csv", "name": "Data"}]
    )
    made = make_dataset(extras=[{"key": "syndicated_id", "value": remote["id"]}])
    work()
    copy = there(target, made)
    assert (copy["id"], copy["name"]) == (remote["id"], "old-copy")
    assert copy["resources"][0]["id"] == remote["resources"][0]["id"]
    assert extra(copy, "syndicated_id") is None
    asked(target)
    outbox.ask([made["id"]], ["plain"], outbox.BULK)
    work()
    assert asked(target) == [], "what is recorded is what would be sent now"


def test_a_name_that_is_taken(target: Target, ckan_config: Any) -> None:
    """It is said at once, and tried again when the dataset changes; the profile may say whose datasets are ours."""
    made = make_dataset()
    foreign = target.call("package_create", name=made["name"])
    work()
    (entry,) = left().values()
    assert (entry.state, entry.cause) == ("failed", "name_taken") and foreign["id"] in (entry.error or "")
    user = target.call("user_show", id=foreign["creator_user_id"])["name"]
    ckan_config.update(target.config("plain", author=user))
    change(made, notes="Again")
    work()
    assert copy_of(made).target_id == foreign["id"] and left() == {}


def test_changed_while_it_is_pushed(target: Target) -> None:
    """A change that is made meanwhile is pushed after it: the row stays."""
    made = make_dataset()

    def edit(request: Any) -> None:
        with lease.transaction() as connection:
            connection.execute(
                model.Package.__table__.update().where(model.Package.id == made["id"]).values(title="Later")
            )
            outbox.ask([made["id"]], ["plain"], outbox.PERSON, connection=connection)
        request.answer(request.forward())

    target.proxy.fail("package_create", edit)
    work()
    assert there(target, made)["title"] == "Later" and left() == {}


def test_one_process_at_a_time(target: Target) -> None:
    """While a process holds the lease of the target no other one pushes; when it has ended, or died, another does."""
    make_dataset()
    model.Session.commit()
    with lease.held(lease_table, runner.task("plain"), longest=60):
        assert list(runner.push("plain")) == []
    assert asked(target) == [] and len(left()) == 1
    work()
    assert left() == {}


def test_two_at_once(target: Target, app: Any) -> None:
    """Who pushes now and a worker do not push the same dataset at a time; both see it there in the end."""
    made = make_dataset()
    model.Session.commit()
    slow = threading.Event()

    def wait(request: Any) -> None:
        slow.set()
        faults.slow(1)(request)

    target.proxy.fail("package_create", wait)

    def push() -> None:
        with app.flask_app.test_request_context():
            list(runner.push("plain"))

    worker = threading.Thread(target=push)
    worker.start()
    assert slow.wait(20)
    outcome = runner.push_now(made["id"], "plain")
    worker.join()
    assert outcome.state == "synced" and asked(target).count("package_create") == 1


# -- what the target does


def test_the_target_is_away(target: Target) -> None:
    """It is left alone for a while, and asked for one dataset first; no try counts until it is back."""
    made = [make_dataset() for _ in range(3)]
    target.proxy.is_down = True
    work()
    known = targets.get("plain")
    assert (known.cause, known.failures) == ("unreachable", 1) and known.not_before is not None
    assert len(left()) == 3 and list(runner.push("plain")) == []
    hurry()
    work()
    assert targets.get("plain").failures == 2
    assert {entry.attempts for entry in left().values()} == {0}
    target.proxy.is_down = False
    hurry()
    work()
    hurry()
    work()
    assert left() == {} and targets.get("plain").failures == 0
    assert {there(target, each)["state"] for each in made} == {"active"}


def test_one_dataset_and_a_target_that_is_away(target: Target) -> None:
    """However long it is away, and however few datasets wait for it: none is given up."""
    made = make_dataset()
    with target.proxy.down():
        for _ in range(10):
            work()
            hurry()
        (entry,) = left().values()
        assert (entry.state, entry.cause, entry.attempts) == ("waiting", "unreachable", 0)
    work()
    assert left() == {} and there(target, made)["state"] == "active"


def test_what_waited_for_the_target_goes_on_in_order(target: Target) -> None:
    """When the target is back, datasets that were tried in vain need not wait longer than those that were not."""
    made = [make_dataset() for _ in range(6)]
    target.proxy.is_down = True
    work()
    later = [make_dataset() for _ in range(3)]
    targets.answered("plain")
    work()
    assert targets.get("plain").failures
    target.proxy.is_down = False
    lease.execute(target_table.update().values(not_before=None))
    asked_for = target.proxy.calls
    asked_for.clear()
    work()
    assert left() == {}
    names = [call.data["name"] for call in asked_for if call.action == "package_create"]
    wanted = [each["name"] for each in (*made, *later)]
    assert sorted(names) == sorted(wanted)
    assert max(abs(names.index(name) - place) for place, name in enumerate(wanted)) <= len(made) + 1


def test_one_dataset_that_always_fails(target: Target) -> None:
    """The others get there; it is given up after as many tries as the profile allows, and says why."""
    bad, *good = [make_dataset() for _ in range(4)]
    target.proxy.fail("package_create", faults.status(500), times=100, name=bad["name"])
    for _ in range(10):
        work()
        hurry()
    assert {there(target, each)["state"] for each in good} == {"active"}
    (entry,) = left().values()
    assert (entry.local_id, entry.state, entry.cause, entry.attempts) == (bad["id"], "failed", "server_error", 8)
    assert log_of(bad).state == "failed" and log_of(bad).error == entry.error


def test_another_portal_answers(target: Target) -> None:
    """Nothing is written to a portal that is not the one that it was."""
    work()
    targets.seen("plain", target.url, "http://another.example")
    make_dataset()
    asked(target)
    work()
    assert asked(target) == ["status_show"]
    known = targets.get("plain")
    assert known.cause == "wrong_portal" and "http://another.example" in (known.error or "")
    assert len(left()) == 1


def test_another_portal_answers_an_edit(target: Target) -> None:
    """An edit does not ask which portal that is if it has our copy; one that has none, or another, is asked."""
    made = make_dataset()
    work()
    targets.seen("plain", target.url, "http://another.example")
    change(made, notes="To our copy")
    asked(target)
    work()
    assert asked(target) == ["package_revise"]
    target.call("package_patch", id=copy_of(made).target_id, notes="By others")
    change(made, notes="To our copy that others edited")
    asked(target)
    work()
    assert asked(target) == ["package_revise", "package_show", "package_update"]
    target.call("dataset_purge", id=copy_of(made).target_id)
    change(made, notes="To nobody")
    asked(target)
    work()
    assert (
        asked(target) == ["package_revise", "package_show", "status_show"]
        and targets.get("plain").cause == "wrong_portal"
    )


def test_what_came_from_the_target(target: Target) -> None:
    """A dataset that went through the target does not go back."""
    path = f"http://between.example {target.site_url}"
    made = make_dataset(extras=[{"key": ORIGIN, "value": "http://far.example/dataset/1"}, {"key": PATH, "value": path}])
    work()
    assert "package_create" not in asked(target) and left() == {}
    assert copies.get(made["id"], "plain") is None


def test_what_names_another_dataset_as_its_origin(target: Target) -> None:
    """A dataset whose extras say that it is a copy of another one of this portal never gets to that one's copy."""
    victim = make_dataset()
    work()
    origin = extra(there(target, victim), ORIGIN)
    forged = make_dataset(extras=[{"key": ORIGIN, "value": origin}, {"key": PATH, "value": "http://far.example"}])
    work()
    assert left() == {} and copies.get(forged["id"], "plain") is None
    assert there(target, victim)["title"] == victim["title"]


def test_two_datasets_of_one_origin(target: Target) -> None:
    """One that somebody made of a dataset that came here, extras and all, does not get to the copy of that one."""
    far = [{"key": ORIGIN, "value": "http://far.example/dataset/1"}, {"key": PATH, "value": "http://far.example"}]
    first = make_dataset(extras=far, title="The first")
    work()
    second = make_dataset(extras=far, title="The second")
    work()
    (entry,) = left().values()
    assert (entry.local_id, entry.state, entry.cause) == (second["id"], "failed", "conflict")
    assert first["id"] in (entry.error or "") and PATH in (entry.error or "")
    assert there(target, first)["title"] == "The first" and len(target.call("package_list")) == 1
    set_flag(second, "true")  # without the other extras
    work()
    assert left() == {} and there(target, second)["title"] == "The second"
    assert there(target, first)["title"] == "The first"


# -- other extensions


def test_the_order_of_hooks(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers are told before the first write, with what is sent, and after it, with what the target answered."""
    told: list[tuple[str, Any]] = []

    def before(sender: str, **kwargs: Any) -> None:
        told.append(("before", (sender, kwargs["profile"].id, kwargs["details"])))
        assert "package_create" not in asked(target)

    def after(sender: str, **kwargs: Any) -> None:
        told.append(("after", (sender, kwargs["profile"].id, kwargs["remote"])))

    with signals.before_syndication.connected_to(before), signals.after_syndication.connected_to(after):
        made = make_dataset()
        work()
    (_, (sender, profile_id, details)), (_, (second_sender, _, remote)) = told
    assert sender == second_sender == made["id"] and profile_id == "plain"
    assert details["package"]["id"] == made["id"] and details["topic"] == "create"
    assert details["prepared"]["name"] == made["name"] and "id" not in details["prepared"]
    assert remote["id"] == copy_of(made).target_id


def test_a_hook_that_fails(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded at the dataset, the others go on, and it is tried again."""
    made = [make_dataset() for _ in range(2)]
    prepare = hooks.prepare_dataset

    def fail(package_id: str, payload: Any, profile: Any) -> Any:
        if package_id == made[0]["id"]:
            raise KeyError("no such column")
        return prepare(package_id, payload, profile)

    with monkeypatch.context() as patch:
        patch.setattr(hooks, "prepare_dataset", fail)
        work()
    (entry,) = left().values()
    assert (entry.local_id, entry.state, entry.cause) == (made[0]["id"], "waiting", "plugin")
    assert entry.error == "KeyError: 'no such column'" and targets.get("plain").failures == 0
    assert there(target, made[1])["state"] == "active"
    hurry()
    work()
    assert left() == {}


def test_a_receiver_that_fails_afterwards(target: Target) -> None:
    """The copy is recorded; the dataset is pushed again until all receivers are content."""
    times = []

    def fail_once(sender: str, **_: Any) -> None:
        times.append(sender)
        if len(times) == 1:
            raise ValueError("no room \x00 \ud83d")

    made = make_dataset()
    with signals.after_syndication.connected_to(fail_once):
        work()
        (entry,) = left().values()
        assert (entry.cause, entry.error) == ("plugin", "ValueError: no room \N{REPLACEMENT CHARACTER} ?")
        assert copy_of(made).target_id is not None
        hurry()
        work()
    assert times == [made["id"]] * 2 and left() == {} and target.call("package_search")["count"] == 1


# -- organizations


def test_organizations(target: Target, ckan_config: Any) -> None:
    """An organization is looked up once a batch, however many datasets it has, and not at all if nothing changed."""
    ckan_config.update(target.config("plain", replicate_organization="true"))
    organization = factories.Organization(title="Waterworks")
    made = [make_dataset(owner_org=organization["id"]) for _ in range(3)]
    asked(target)
    work()
    calls = asked(target)
    assert calls.count("organization_create") == 1 and calls.count("organization_show") == 1
    assert calls.index("status_show") < calls.index("organization_create")
    assert {there(target, each)["organization"]["title"] for each in made} == {"Waterworks"}
    asked(target)
    outbox.ask([each["id"] for each in made], ["plain"], outbox.BULK)
    work()
    assert asked(target) == []
    target.call("organization_purge", id=organization["name"])
    asked(target)
    change(made[0], notes="Again")
    work()
    assert asked(target).count("organization_create") == 1 and left() == {}
    assert there(target, made[0])["organization"]["title"] == "Waterworks"


def test_an_organization_by_itself(target: Target) -> None:
    """It can be brought there without a dataset; a wrong portal gets nothing."""
    organization = factories.Organization()
    remote_id = runner.sync_group(organization["id"], "plain", "organization", update=False)
    assert target.call("organization_show", id=organization["name"])["id"] == remote_id
    targets.seen("plain", target.url, "http://another.example")
    asked(target)
    with pytest.raises(Exception, match="another.example"):
        runner.sync_group(organization["id"], "plain", "organization", update=True)
    assert asked(target) == ["status_show"]


# -- sweep and push_now


def test_sweep(target: Target, ckan_config: Any) -> None:
    """It names the targets with something due, not those that are left alone, and none that is not configured."""
    made = make_dataset()
    outbox.ask([made["id"]], ["gone"], outbox.BULK)
    model.Session.commit()
    assert [step.profile_id for step in runner.sweep()] == ["plain"]
    targets.failed("plain", "busy", "for a test", 60)
    assert list(runner.sweep()) == []
    assert list(runner.push("gone")) == []


def test_push_now(target: Target) -> None:
    """It pushes one dataset while a person waits, also if the target is left alone, and says what became of it."""
    made, other = make_dataset(), make_dataset()
    targets.failed("plain", "busy", "for a test", 60)
    outcome = runner.push_now(made["id"], "plain")
    assert (outcome.state, outcome.step, outcome.error) == ("synced", "create", None)
    assert outcome.target_id == copy_of(made).target_id and list(left()) == [other["id"]]
    assert runner.push_now(made["id"], "plain").step == "nothing"
    assert runner.push_now(made["id"], "plain", force=True).step == "update"
    unflagged = make_dataset(flag=None)
    outcome = runner.push_now(unflagged["id"], "plain")
    assert (outcome.state, outcome.reason) == ("stopped", "syndication flag disabled on package")
    assert runner.push_now(unflagged["id"], "plain", insists=True).state == "synced"


def test_push_now_that_fails(target: Target) -> None:
    """The failure is returned, and recorded, and the dataset tried again by the workers."""
    made = make_dataset()
    target.proxy.fail("package_create", faults.status(503))
    outcome = runner.push_now(made["id"], "plain")
    assert (outcome.state, outcome.cause) == ("failed", "busy") and "503" in (outcome.error or "")
    assert left()[made["id"]].state == "waiting"


def test_a_client_of_somebody_else(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ``get_target`` returns is used, and whatever it raises is recorded."""

    def broken(self: Any) -> Any:
        raise ValueError("no client")

    made = make_dataset()
    monkeypatch.setattr("ckanext.syndicate.types.Profile.get_target", broken)
    outcome = runner.push_now(made["id"], "plain")
    assert (outcome.state, outcome.cause, outcome.error) == ("failed", "plugin", "ValueError: no client")
    with pytest.raises(tk.ObjectNotFound):
        act("package_show", id="never")
    assert profiles.by_id("plain") is not None
