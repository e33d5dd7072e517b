"""What ckanext-syndicate promised, or the configuration page does, and no other test looks at."""

from __future__ import annotations

import threading
from typing import Any

import ckan.plugins as p
import flask
import pytest

from ckanext.syndicate import signals
from ckanext.syndicate.cli import syndicate
from ckanext.syndicate.interfaces import ISyndicate
from ckanext.syndicate.logic import action
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.pushing import act, change, left, make_dataset, there, work
from ckanext.syndicate.types import Profile

pytestmark = pytest.mark.usefixtures("syndicate_portal", "profile")


class Unpublisher(p.SingletonPlugin):
    """Takes the copies of archived datasets from the public, as a public extension does; notes who asks."""

    p.implements(ISyndicate, inherit=True)
    asked_by: list[bool] = []

    def skip_syndication(self, package: Any, profile: Any) -> Any:
        self.asked_by.append(bool(flask.g.get("syndication")))
        return super().skip_syndication(package, profile)

    def prepare_package_for_syndication(self, package_id: str, data_dict: Any, profile: Any) -> Any:
        if data_dict.get("version") == "archived":
            data_dict["state"] = "deleted"
        return data_dict


OWN_PLUGINS = {"unpublisher": Unpublisher}


@pytest.fixture
def profile(ckan_config: Any, target: Target) -> None:
    """A profile that pushes to the target."""
    ckan_config.update(target.config("plain"))


def test_the_organization_of_the_profile_owns_the_copies(target: Target, ckan_config: Any) -> None:
    """By name or id, whatever organization the dataset has here."""
    owner = target.call("organization_create", name="the-owner")
    for given in (owner["name"], owner["id"]):
        ckan_config.update(target.config("plain", organization=given))
        made = make_dataset()
        work()
        assert there(target, made)["owner_org"] == owner["id"]


@pytest.mark.parametrize("option", ["on_unflag", "on_private", "on_delete", "on_purge"])
def test_copies_that_are_kept(target: Target, ckan_config: Any, option: str) -> None:
    """Each option alone lets a copy stay as it is, as ckanext-syndicate did."""
    others = {each: "delete" for each in ("on_unflag", "on_private", "on_delete", "on_purge") if each != option}
    ckan_config.update(target.config("plain", **others, **{option: "keep"}))
    owner = act("organization_create", name="owners")["id"]
    made = make_dataset(owner_org=owner)
    work()
    ways = {
        "on_unflag": lambda: change(made, extras=[]),
        "on_private": lambda: change(made, private=True),
        "on_delete": lambda: act("package_delete", id=made["id"]),
        "on_purge": lambda: act("dataset_purge", id=made["id"]),
    }
    ways[option]()
    work()
    kept = there(target, made)
    assert (kept["state"], kept["private"]) == ("active", False) and left() == {}


@pytest.mark.parametrize("connections", [1, 3])
def test_so_many_requests_at_a_time(target: Target, ckan_config: Any, connections: int) -> None:
    """A target gets as many requests at a time as the profile allows, and no more."""
    ckan_config.update(target.config("plain", connections=str(connections)))
    most, meeting = [0], threading.Barrier(connections)

    def meet(request: Any) -> None:
        most[0] = max(most[0], target.proxy.open)
        meeting.wait(timeout=10)  # until as many as there may be are under way
        request.answer(request.forward())

    for _ in range(2 * connections):
        make_dataset()
    target.proxy.fail("package_create", meet, times=2 * connections)
    work()
    assert most == [connections] and left() == {}


def test_nobody_is_told_of_a_push_that_failed(target: Target) -> None:
    """``after_syndication`` means that the target took it."""
    told: list[str] = []

    def receive(sender: str, **kwargs: Any) -> None:
        told.append(sender)

    with signals.after_syndication.connected_to(receive):
        target.proxy.fail("package_create", faults.status(500))
        make_dataset()
        work()
    assert told == [] and [entry.cause for entry in left().values()] == ["server_error"]


def test_a_hook_may_take_a_copy_from_the_public(target: Target) -> None:
    """A payload with the state ``deleted`` deletes the copy, and one without it brings the same one back."""
    made = make_dataset()
    work()
    change(made, version="archived")
    work()
    assert there(target, made)["state"] == "deleted" and left() == {}
    change(made, version="2")
    work()
    assert there(target, made)["state"] == "active"


def test_what_is_sent_of_a_group(target: Target) -> None:
    """By the names that ckanext-syndicate 3 had for it."""
    group = act("group_create", name="rivers", title="Rivers", extras=[{"key": "a", "value": "b"}])
    prepared = action.prepare_group_data(group["id"], act("group_show", id=group["id"]), Profile("plain"))
    assert (prepared["name"], prepared["title"]) == ("rivers", "Rivers")
    assert {"id", "users", "extras"} < action.GROUP_EXCLUDE_FIELDS and not action.GROUP_EXCLUDE_FIELDS & {*prepared}
    assert action.REMOTE_NAME_MAX_LENGTH == 100


def test_commands_say_that_they_syndicate(target: Target, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins find ``g.syndication`` set while a command asks them, inside a request context."""
    make_dataset()
    monkeypatch.setattr(Unpublisher, "asked_by", [])
    result = cli.invoke(syndicate, ["check"])
    assert result.exit_code == 0, result.output
    assert Unpublisher.asked_by == [True]
