"""A real target against what is recorded of it and what is here: what is found, and that pushing mends it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests.helpers import changed_config

from ckanext.relay import lease
from ckanext.syndicate import bulk, profiles, reconcile, tasks
from ckanext.syndicate.comparison import MEANINGS, Kind
from ckanext.syndicate.domain.marker import ORIGIN, PATH
from ckanext.syndicate.failures import WrongPortal
from ckanext.syndicate.model import copies, lease_table, targets
from ckanext.syndicate.model.tables import copy_table, outbox_table
from ckanext.syndicate.tests import target_proxy
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.standing import PROFILE, make_dataset, rows

pytestmark = pytest.mark.usefixtures("syndicate_portal", "plain")


@pytest.fixture
def plain(target: Target, ckan_config: Any) -> Iterator[None]:
    """A profile of the second CKAN; the workers are not told of anything."""
    ckan_config.update(target.config("plain", on_unflag="delete"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "push_now", lambda ids, lane="priority": None)
        yield


def push() -> None:
    """Push all that concerns the target, and all that was asked for."""
    model.Session.remove()
    bulk.ask(profiles.all_profiles())
    work()


def work() -> None:
    """Push what was asked for."""
    list(bulk.push_here("plain"))
    model.Session.remove()


def look(**options: Any) -> reconcile.Reconciliation:
    model.Session.remove()
    (profile,) = profiles.all_profiles()
    return reconcile.reconcile(profile, **options)


def act(action: str, **data: Any) -> Any:
    """Change something here, of which the plugin is not told."""
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    with changed_config("ckanext.syndicate.sync_on_changes", False):
        return tk.get_action(action)({"ignore_auth": True, "user": user}, data)


def copy_of(dataset: dict[str, Any]) -> Any:
    return copies.get(dataset["id"], "plain")


def found(result: reconcile.Reconciliation) -> dict[str, Kind]:
    return {each.local_id: each.kind for each in result.discrepancies}


def mended(kind: Kind, dataset_id: str) -> reconcile.Discrepancy:
    """Make sure that one thing is found, that looking changes nothing, and that it is mended when that is asked for."""
    result = look()
    assert found(result) == {dataset_id: kind} and result.asked == 0 and rows("plain") == {}
    assert found(look()) == {dataset_id: kind}
    assert look(fix=True).asked == 1 and set(rows("plain")) == {dataset_id}
    assert look().discrepancies == [], "what is on its way is not told again"
    work()
    assert look().discrepancies == [] and rows("plain") == {}
    return result.discrepancies[0]


def test_nothing_differs(target: Target) -> None:
    """What was pushed is there; so many as there are cost one search."""
    for _ in range(3):
        make_dataset()
    push()
    target.proxy.calls.clear()
    result = look(fix=True)
    assert (result.discrepancies, result.recorded, result.read, result.asked) == ([], 3, 3, 0)
    assert target.proxy.counts() == {"status_show": 1, "package_search": 1}
    assert (result.site_url, result.refused) == (target.site_url, None)


def test_each_kind_has_a_meaning() -> None:
    """There is nothing that can be found and not be explained."""
    assert set(MEANINGS) == set(Kind)


def test_a_copy_that_was_deleted_at_the_target(target: Target) -> None:
    """It is brought back; one that was purged there, too."""
    deleted, purged = make_dataset(), make_dataset()
    push()
    target.call("package_delete", id=copy_of(deleted).target_id)
    target.call("dataset_purge", id=copy_of(purged).target_id)
    assert found(look(fix=True)) == {deleted["id"]: Kind.LOST, purged["id"]: Kind.LOST}
    work()
    assert look().discrepancies == []
    assert all(target.call("package_show", id=dataset["name"])["state"] == "active" for dataset in (deleted, purged))


def test_an_edit_at_the_target(target: Target) -> None:
    """What was changed there is named, and becomes again what it is here."""
    dataset = make_dataset(title="Trees", resources=[{"url": "http://h.example/1.csv"}])
    push()
    target.call("package_patch", id=copy_of(dataset).target_id, title="Bushes")
    edited = mended(Kind.EDITED, dataset["id"])
    assert edited.fields == ("title",)
    assert target.call("package_show", id=dataset["name"])["title"] == "Trees"


def test_a_change_at_the_target_that_is_its_own(target: Target) -> None:
    """What we do not send may change there: it is neither told nor undone."""
    target.call("group_create", name="theirs")
    dataset = make_dataset()
    push()
    target.call("package_patch", id=copy_of(dataset).target_id, groups=[{"name": "theirs"}])
    assert look().discrepancies == []


def test_a_copy_that_was_made_private_at_the_target(target: Target) -> None:
    """Who hides a copy there hides it until somebody compares."""
    target.call("organization_create", name="city")
    dataset = make_dataset()
    with changed_config(f"{PROFILE}plain.organization", "city"):
        push()
        target.call("package_patch", id=copy_of(dataset).target_id, private=True)
        assert "private" in mended(Kind.EDITED, dataset["id"]).fields
    assert target.call("package_show", id=dataset["name"])["private"] is False


def test_copies_of_an_older_release(target: Target) -> None:
    """A copy whose id is known and that bears no marker is found, and gets one; it stays the same dataset."""
    dataset = make_dataset(title="Trees")
    there = target.call("package_create", name=dataset["name"], title="Trees")
    lease.execute(
        sa.insert(copy_table).values(
            local_id=dataset["id"], profile_id="plain", name=dataset["name"], target_id=there["id"], presence="active"
        )
    )
    mended(Kind.UNMARKED, dataset["id"])
    shown = target.call("package_show", id=there["id"])
    extras = {extra["key"]: extra["value"] for extra in shown["extras"]}
    assert extras[ORIGIN].endswith(f"/dataset/{dataset['id']}") and PATH in extras


def test_copies_that_only_an_extra_knows_of(target: Target) -> None:
    """ckanext-syndicate 1 and 2 kept the id of the copy at the dataset."""
    there = target.call("package_create", name="trees")
    extras = [{"key": "syndicate", "value": "true"}, {"key": "syndicated_id", "value": there["id"]}]
    dataset = make_dataset(name="trees", extras=extras)
    mended(Kind.UNMARKED, dataset["id"])
    assert copy_of(dataset).target_id == there["id"] and target.call("package_list") == ["trees"]


def test_state_that_was_lost(target: Target) -> None:
    """Copies of which nothing is recorded any more are recorded again, and not made a second time."""
    dataset = make_dataset()
    push()
    before = copy_of(dataset)
    lease.execute(sa.delete(copy_table))
    mended(Kind.UNRECORDED, dataset["id"])
    after = copy_of(dataset)
    assert (after.target_id, after.presence) == (before.target_id, "active")
    assert target.call("package_list") == [dataset["name"]]


def test_copies_of_nothing(target: Target) -> None:
    """What is at the target of a dataset that is gone here is taken away, also if nothing of it is recorded."""
    known, unknown = make_dataset(), make_dataset()
    push()
    for dataset in (known, unknown):
        act("dataset_purge", id=dataset["id"])
    lease.execute(sa.delete(copy_table).where(copy_table.c.local_id == unknown["id"]))
    lease.execute(sa.delete(outbox_table))
    assert found(look(fix=True)) == {known["id"]: Kind.ORPHAN, unknown["id"]: Kind.ORPHAN}
    work()
    assert target.call("package_list") == [] and look().discrepancies == []


@pytest.mark.parametrize("change", ["unflagged", "private", "deleted"])
def test_copies_that_are_not_to_be_there(target: Target, change: str) -> None:
    """What was unselected, hidden or deleted here while nobody told us is taken from the target."""
    dataset = make_dataset()
    push()
    if change == "unflagged":
        act("package_patch", id=dataset["id"], extras=[])
    else:
        column = {"private": True} if change == "private" else {"state": "deleted"}
        table = model.Package.__table__
        lease.execute(sa.update(table).where(table.c.id == dataset["id"]).values(column))
    mended(Kind.ORPHAN, dataset["id"])
    assert target.call("package_list") == []


def test_what_is_kept_stays(ckan_config: Any) -> None:
    """Where the profile says that copies stay, they are no orphans."""
    ckan_config[f"{PROFILE}plain.on_unflag"] = "keep"
    dataset = make_dataset()
    push()
    act("package_patch", id=dataset["id"], extras=[])
    lease.execute(sa.delete(outbox_table))
    assert look().discrepancies == []


def test_a_copy_that_is_there_twice(target: Target) -> None:
    """The one that is recorded stays, the other one goes."""
    dataset = make_dataset()
    push()
    shown = target.call("package_show", id=copy_of(dataset).target_id)
    twin = target.call("package_create", name="twin", extras=shown["extras"])
    result = look(fix=True)
    (duplicate,) = result.discrepancies
    assert (duplicate.kind, duplicate.target_id, duplicate.name) == (Kind.DUPLICATE, twin["id"], "twin")
    work()
    assert target.call("package_list") == [dataset["name"]] and look().discrepancies == []


def test_what_nobody_asked_for() -> None:
    """What is selected and was never pushed, and what was changed without a word."""
    changed = make_dataset()
    push()
    new = make_dataset()
    act("package_patch", id=changed["id"], title="Bushes")
    lease.execute(sa.delete(outbox_table))
    assert found(look(fix=True)) == {changed["id"]: Kind.BEHIND, new["id"]: Kind.MISSING}
    work()
    assert look().discrepancies == []


def test_a_target_that_has_lost_too_much(target: Target) -> None:
    """Who finds nearly nothing does not fill the portal, which may be the wrong one, unless a person says so."""
    for _ in range(12):
        make_dataset()
    push()
    target.empty()
    result = look(fix=True)
    assert result.counts == {"lost": 12} and result.asked == 0 and rows("plain") == {}
    assert result.refused and "12 of 12" in result.refused and "--accept-target" in result.refused
    assert look(fix=True, accept_target=True).asked == 12
    work()
    assert len(target.call("package_list")) == 12 and look().discrepancies == []


def test_a_target_that_is_another_portal(target: Target) -> None:
    """It is not even read; a person may say that it is the right one under another address."""
    dataset = make_dataset()
    push()
    targets.seen("plain", target.url, "http://before.example")
    with pytest.raises(WrongPortal, match="before.example"):
        look(fix=True)
    assert look(accept_target=True).discrepancies == []
    assert targets.get("plain").site_url == target.site_url and copy_of(dataset)


@pytest.mark.parametrize("fault", [target_proxy.status(500), target_proxy.html, target_proxy.wrong_token])
def test_a_target_that_fails(target: Target, fault: Any) -> None:
    """What cannot be read is not taken for gone: nothing is asked for."""
    from ckanext.relay.errors import RelayError

    make_dataset()
    push()
    target.proxy.fail("package_search", fault, times=9)
    if fault is target_proxy.wrong_token:
        assert look(fix=True).discrepancies == []  # who is nobody there sees public datasets
    else:
        with pytest.raises(RelayError):
            look(fix=True)
    assert rows("plain") == {}


def test_by_the_sweep(ckan_config: Any, target: Target) -> None:
    """As often as the setting says; never if it says nothing; a target that is away is no error."""
    dataset = make_dataset()
    assert reconcile.due_profiles() == []
    ckan_config["ckanext.syndicate.reconcile_hours"] = 2
    assert reconcile.due_profiles() == ["plain"]
    reconcile.reconcile_due("plain")
    assert set(rows("plain")) == {dataset["id"]} and reconcile.due_profiles() == []
    before = datetime.datetime.utcnow() - datetime.timedelta(hours=3)
    task = lease_table.c.task == "last reconcile plain"
    lease.execute(sa.update(lease_table).where(task).values(started=before))
    assert reconcile.due_profiles() == ["plain"]
    with target.proxy.down():
        reconcile.reconcile_due("plain")
    assert reconcile.due_profiles() == []
