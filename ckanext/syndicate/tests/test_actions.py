"""The actions: what they return, and who may call them."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan.tests import factories

from ckanext.syndicate.logic import action, auth
from ckanext.syndicate.model import outbox
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.pushing import act, copy_of, left, log_of, make_dataset, there, work

pytestmark = pytest.mark.usefixtures("syndicate_portal", "profile")

OF_GROUPS = ("syndicate_sync_organization", "syndicate_sync_group")
OF_SYSADMINS = ("syndicate_prepare", "syndicate_sync", *OF_GROUPS, "syndicate_approve")
OF_EDITORS = ("syndicate_plan", "syndicate_status", "syndicate_retry", "syndicate_push")


@pytest.fixture
def profile(ckan_config: Any, target: Target) -> None:
    """A profile that pushes to the target."""
    ckan_config.update(target.config("plain"))


def as_user(name: str, what: str, **data: Any) -> Any:
    return tk.get_action(what)({"user": name, "ignore_auth": False}, data)


# -- who may


def test_each_action_has_an_auth_function() -> None:
    """None is without, and the four of ckanext-syndicate are for sysadmins."""
    own = {name for name in action.get_actions() if name.startswith("syndicate_")}
    assert own == {*OF_SYSADMINS, *OF_EDITORS} == set(auth.get_auth_functions())


@pytest.mark.parametrize("name", [*OF_SYSADMINS, *OF_EDITORS])
def test_who_may_not(name: str, target: Target) -> None:
    """Neither visitors nor other users may call one, whatever they send; the target is not asked."""
    made = make_dataset(owner_org=factories.Organization()["id"])
    target.proxy.calls.clear()
    data = {"id": made["id"], "topic": "update", "profile": "plain", "update_existing": True}
    for user in ("", factories.User()["name"]):
        for given in (data, {}, {"id": "no-such-thing"}):
            with pytest.raises(tk.NotAuthorized):
                as_user(user, name, **given)
    assert target.proxy.calls == []


def test_editors_may_look_at_their_datasets() -> None:
    """Who may update a dataset sees its status and plan, and may have it tried again; not those of all."""
    editor = factories.User()["name"]
    organization = factories.Organization(users=[{"name": editor, "capacity": "editor"}])
    made = make_dataset(owner_org=organization["id"])
    assert as_user(editor, "syndicate_plan", id=made["id"])["plan"][0]["action"] == "create"
    assert as_user(editor, "syndicate_status", id=made["name"])[0]["profile_id"] == "plain"
    assert as_user(editor, "syndicate_retry", id=made["id"])["retried"] >= 0
    assert as_user(editor, "syndicate_push", id=made["id"]) == {"profiles": ["plain"]}
    for name in OF_EDITORS:
        with pytest.raises(tk.NotAuthorized):
            as_user(editor, name)
    for name in OF_SYSADMINS:
        with pytest.raises(tk.NotAuthorized):
            as_user(editor, name, id=made["id"], topic="update", profile="plain")


def test_over_http(app: Any) -> None:
    """What writes is POST only; what looks may be asked for with GET."""
    headers = {"Authorization": str(factories.SysadminWithToken()["token"])}
    made = make_dataset()
    for name, status in (("syndicate_sync", 400), ("syndicate_retry", 400), ("syndicate_plan", 200)):
        assert app.get(f"/api/action/{name}?id={made['id']}", headers=headers).status_code == status
    answer = app.get("/api/action/syndicate_status", headers=headers).json["result"]
    assert answer[0]["profile_id"] == "plain"


# -- what ckanext-syndicate has


def test_prepare(target: Target) -> None:
    """A plain dataset is as ``package_show`` has it, but for name, organization and id. Nothing is written."""
    made = make_dataset(flag=None, resources=[])
    shown = act("package_show", id=made["id"])
    target.proxy.calls.clear()
    found = act("syndicate_prepare", id=made["name"], topic="update", profile="plain")
    assert set(found) == {"package", "prepared", "topic"} and found["topic"] == "create"
    expected = {**shown, "owner_org": None, "name": made["name"]}
    assert found["prepared"] == {key: value for key, value in expected.items() if key not in ("id", "organization")}
    assert found["package"]["id"] == made["id"] and target.proxy.calls == []
    act("syndicate_sync", id=made["id"], topic="create", profile="plain")
    found = act("syndicate_prepare", id=made["id"], topic="create", profile="plain")
    assert (found["topic"], found["prepared"]["id"]) == ("update", copy_of(made).target_id)


def test_prepare_with_an_organization(target: Target, ckan_config: Any) -> None:
    """The organization is looked up, and not made: until it is there its name stands for it."""
    ckan_config.update(target.config("plain", replicate_organization="true", name_prefix="from-here"))
    organization = factories.Organization()
    made = make_dataset(owner_org=organization["id"])
    data = {"id": made["id"], "topic": "create", "profile": "plain"}
    found = act("syndicate_prepare", **data)["prepared"]
    assert (found["owner_org"], found["name"]) == (organization["name"], f"from-here-{made['name']}")
    assert [call.action for call in target.proxy.calls if call.writes] == []
    remote = target.call("organization_create", name=organization["name"])
    assert act("syndicate_prepare", **data)["prepared"]["owner_org"] == remote["id"]


@pytest.mark.parametrize("name", ["syndicate_prepare", "syndicate_sync"])
def test_what_they_refuse(name: str) -> None:
    """What is missing or wrong is named."""
    made = make_dataset()
    good = {"id": made["id"], "topic": "create", "profile": "plain"}
    for field, value in (("id", "no-such"), ("topic", "delete"), ("profile", "nowhere"), ("id", ""), ("profile", None)):
        with pytest.raises(tk.ValidationError) as error:
            act(name, **{**good, field: value})
        assert list(error.value.error_dict) == [field]
    assert "Profile nowhere does not exist" in str(
        pytest.raises(tk.ValidationError, act, name, **{**good, "profile": "nowhere"}).value.error_dict
    )


def test_sync(target: Target) -> None:
    """A dataset is pushed by id or name, flagged or not, and what became of it is returned."""
    made = make_dataset(flag=None)
    found = act("syndicate_sync", id=made["name"], topic="update", profile="plain")
    assert found == {"local_id": made["id"], "target_id": copy_of(made).target_id, "state": "synced", "error": None}
    assert there(target, made)["name"] == made["name"] and log_of(made).state == "synced"
    target.call("package_patch", id=found["target_id"], notes="Edited there")
    act("syndicate_sync", id=made["id"], topic="create", profile="plain")
    assert there(target, made)["notes"] != "Edited there" and target.call("package_search")["count"] == 1


def test_sync_that_fails(target: Target) -> None:
    """An error is returned and recorded, never raised."""
    made = make_dataset()
    target.proxy.fail("package_create", faults.wrong_token)
    found = act("syndicate_sync", id=made["id"], topic="create", profile="plain")
    assert (found["state"], found["target_id"]) == ("failed", "") and found["error"] == log_of(made).error
    assert target.token not in str(found)


def test_sync_of_what_may_not_go(target: Target) -> None:
    """A private dataset never goes, whoever says so; why not is said."""
    made = make_dataset(owner_org=factories.Organization()["id"], private=True)
    found = act("syndicate_sync", id=made["id"], topic="create", profile="plain")
    assert (found["state"], found["target_id"], found["error"]) == ("stopped", "", "package is private")
    assert "package_create" not in [call.action for call in target.proxy.calls]


def test_groups_and_organizations(target: Target) -> None:
    """Each is brought to the target by name or id; one that is there is changed only if that is wanted."""
    organization, group = factories.Organization(title="Here"), factories.Group(title="Group here")
    remote_id = act("syndicate_sync_organization", id=organization["name"], profile="plain")
    assert target.call("organization_show", id=remote_id)["title"] == "Here"
    remote_group = act("syndicate_sync_group", id=group["id"], profile="plain")
    assert target.call("group_show", id=remote_group)["name"] == group["name"]
    act("organization_patch", id=organization["id"], title="Moved")
    act("syndicate_sync_organization", id=organization["id"], profile="plain")
    assert target.call("organization_show", id=remote_id)["title"] == "Here"
    act("syndicate_sync_organization", id=organization["id"], profile="plain", update_existing=True)
    assert target.call("organization_show", id=remote_id)["title"] == "Moved"
    for name, wrong in (("syndicate_sync_group", organization), ("syndicate_sync_organization", group)):
        with pytest.raises(tk.ObjectNotFound):
            act(name, id=wrong["id"], profile="plain")


def test_an_organization_that_the_target_does_not_take(target: Target) -> None:
    """What went wrong at the target is an error that the API explains."""
    organization = factories.Organization()
    target.proxy.fail("organization_create", faults.wrong_token)
    with pytest.raises(tk.ValidationError) as error:
        act("syndicate_sync_organization", id=organization["id"], profile="plain")
    assert "target" in error.value.error_dict


# -- ours


def test_plan(target: Target, ckan_config: Any) -> None:
    """It is JSON; a target that cannot be asked does not hide the others."""
    ckan_config.update(target.config("away", ckan_url="http://127.0.0.1:9"))
    made = make_dataset()
    found = act("syndicate_plan", id=made["id"])
    assert [(each["profile_id"], each["action"]) for each in found["plan"]] == [("plain", "create")]
    assert list(found["errors"]) == ["away"]
    assert act("syndicate_plan", profile="plain")["plan"][0]["changes"] == []
    with pytest.raises(tk.ObjectNotFound):
        act("syndicate_plan", id="no-such-dataset")


def test_status_and_retry(target: Target) -> None:
    """A dataset that failed says why and what to do; a retry lets it be tried at once."""
    made = make_dataset()
    foreign = target.call("package_create", name=made["name"])
    work()
    (found,) = act("syndicate_status", id=made["id"])
    assert (found["entry"]["state"], found["entry"]["cause"]) == ("failed", "name_taken")
    assert found["entry"]["explanation"] and found["entry"]["advice"]
    assert act("syndicate_status")[0]["numbers"]["failed"] == 1
    assert act("syndicate_retry", profile="plain") == {"retried": 1}
    target.call("dataset_purge", id=foreign["id"])
    work()
    assert left() == {} and act("syndicate_status", id=made["id"])[0]["entry"]["state"] == "synced"
    assert act("syndicate_retry", id=made["id"]) == {"retried": 0}
    outbox.ask([made["id"]], ["plain"], outbox.BULK)
