"""What the releases of ckanext-syndicate left is taken over in place: nothing is pushed twice, and nothing is lost.

Release 1 and 2 kept the id of a copy in an extra of the dataset, release 3 in its log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.relay import lease
from ckanext.syndicate import bulk, profiles
from ckanext.syndicate.model import SyndicationLog, copies
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.pushing import act, change, hurry, left, work
from ckanext.syndicate.tests.rows import clear

pytestmark = pytest.mark.usefixtures("syndicate_portal")

#: Settings of each release, by what stands for the address and token of the target; and the id of the profile.
SETTINGS = {
    "1": (
        "0",
        {
            "ckan.syndicate.ckan_url": "{url}",
            "ckan.syndicate.api_key": "{token}",
            "ckan.syndicate.id": "remote_id",
            "ckan.syndicate.name_prefix": "old",
        },
    ),
    "2": (
        "odp",
        {
            "ckanext.syndicate.profile.odp.ckan_url": "{url}",
            "ckanext.syndicate.profile.odp.api_key": "{token}",
            "ckanext.syndicate.profile.odp.field_id": "remote_id",
            "ckanext.syndicate.profile.odp.name_prefix": "old",
            "ckanext.syndicate.profile.odp.author": "admin",
        },
    ),
    "3": (
        "odp",
        {
            "ckanext.syndicate.profile.odp.ckan_url": "{url}",
            "ckanext.syndicate.profile.odp.api_key": "{token}",
            "ckanext.syndicate.profile.odp.name_prefix": "old",
            "ckanext.syndicate.profile.odp.queue": "syndication",
        },
    ),
}


class Left:
    """A portal and a target as a release left them.

    :ivar profile_id: what we call the target
    """

    def __init__(self, release: str, target: Target, migrate: Callable[..., None]) -> None:
        self.release, self.target, self.migrate = release, target, migrate
        self.profile_id = SETTINGS[release][0]
        self._log: list[dict[str, Any]] = []

    @property
    def has_extra(self) -> bool:
        return self.release != "3"

    def push(self, dataset: dict[str, Any]) -> dict[str, Any]:
        """Do what the release did with a dataset that is flagged: a copy with links, and its id here."""
        sent = {"name": f"old-{dataset['name']}", "title": dataset["title"], "extras": dataset["extras"]}
        resources = [{"url": each["url"], "name": each["name"]} for each in dataset["resources"]]
        remote: dict[str, Any] = self.target.call("package_create", **sent, resources=resources)
        self.remember(dataset, remote["id"])
        return remote

    def remember(self, dataset: dict[str, Any], target_id: str, state: str = "synced") -> None:
        if self.has_extra:
            with_id = [*dataset["extras"], {"key": "remote_id", "value": target_id}]
            change(dataset, extras=with_id)
        else:
            self._log.append(
                {"local_id": dataset["id"], "profile_id": self.profile_id, "target_id": target_id, "state": state}
            )

    def hand_over(self) -> None:
        """Migrate what the release left."""
        model.Session.remove()
        self.migrate("b1c3e920f499", False)
        for row in self._log:
            statement = sa.text(
                "INSERT INTO syndication_log (local_id, profile_id, target_id, state, timestamp)"
                " VALUES (:local_id, :profile_id, :target_id, :state, now())"
            )
            lease.execute(statement.bindparams(**row))
        self.migrate("head", True)
        clear()

    def push_all(self) -> list[str]:
        """Ask for all that concerns the target, and push it; returns what the target was asked to write."""
        self.target.proxy.calls.clear()
        hurry()
        bulk.ask(profiles.all_profiles())
        work(self.profile_id)
        actions = [call.action for call in self.target.proxy.calls]
        return [action for action in actions if action.startswith("package_") and action != "package_show"]

    def there(self) -> dict[str, Any]:
        """Return all copies at the target, by name."""
        found = self.target.call("package_search", rows=1000, include_private=True)["results"]
        return {each["name"]: each for each in found}


@pytest.fixture(params=list(SETTINGS))
def old(request: pytest.FixtureRequest, target: Target, ckan_config: Any, migrate_db_for: Any) -> Iterator[Left]:
    """What each release left."""
    _id, settings = SETTINGS[request.param]
    ckan_config.update({key: value.format(url=target.url, token=target.token) for key, value in settings.items()})
    made = Left(request.param, target, lambda *to: migrate_db_for("syndicate", *to))
    yield made
    model.Session.remove()
    migrate_db_for("syndicate")


def make(name: str, flag: str = "true", **fields: Any) -> dict[str, Any]:
    resources = [{"url": f"http://data.example/{number}", "name": f"Part {number}", "format": "CSV"} for number in "12"]
    extras = [{"key": "syndicate", "value": flag}]
    return dict(factories.Dataset(name=name, title=name.title(), resources=resources, extras=extras, **fields))


def resource_ids(remote: dict[str, Any]) -> list[str]:
    return [each["id"] for each in remote["resources"]]


def test_nothing_is_pushed_twice(old: Left) -> None:
    """Copies that are there are completed where they are, under the name and with the resources that they have, once;
    after that nothing is sent any more."""
    before = {each["name"]: each for each in (old.push(make("water")), old.push(make("air")))}
    new = make("earth")
    old.hand_over()
    assert sorted(old.push_all()) == ["package_create", "package_update", "package_update"]
    there = old.there()
    assert set(there) == {"old-water", "old-air", "old-earth"}
    for name, remote in before.items():
        assert there[name]["id"] == remote["id"]
        assert resource_ids(there[name]) == resource_ids(remote)
        assert {each["format"] for each in there[name]["resources"]} == {"CSV"}
        assert {each["key"] for each in there[name]["extras"]}.isdisjoint({"remote_id"})
    assert copies.number(old.profile_id) == 3
    assert (old.push_all(), left(old.profile_id)) == ([], {})
    assert SyndicationLog.get(new["id"], old.profile_id).state == "synced"  # type: ignore[union-attr]


def test_a_copy_that_is_gone(old: Left) -> None:
    """The id leads nowhere: the dataset is pushed again, once, as each release did."""
    old.remember(make("water"), "no-such-id")
    old.hand_over()
    assert old.push_all()[-1] == "package_create"
    assert set(old.there()) == {"old-water"}
    assert old.push_all() == []


@pytest.mark.parametrize("way", ["private", "delete", "purge"])
def test_what_is_to_go(way: str, old: Left) -> None:
    """The copy of a dataset that is made private, deleted or purged before anything else of it was pushed."""
    old.target.call("organization_create", name="office")
    dataset = make("water", owner_org=factories.Organization()["id"])
    remote = old.push(dataset)
    other = old.push(make("air"))
    old.hand_over()
    if way == "private":
        change(dataset, private=True)
    else:
        act("package_delete" if way == "delete" else "dataset_purge", id=dataset["id"])
    assert set(left(old.profile_id)) == {dataset["id"]}
    work(old.profile_id)
    assert left(old.profile_id) == {}
    assert set(old.there()) == {other["name"]}
    assert old.target.call("package_show", id=remote["id"])["state"] == "deleted"


def test_what_was_never_pushed(old: Left) -> None:
    """That its flag is off, or that it failed, is no copy."""
    for name, state in (("water", "stopped"), ("air", "failed")):
        dataset = make(name, flag="true" if state == "failed" else "false")
        if not old.has_extra:
            old.remember(dataset, "-", state)
    old.hand_over()
    assert old.push_all() == ["package_create"]
    assert set(old.there()) == {"old-air"}
    assert old.push_all() == []


def test_both_in_the_extra_and_in_the_log(target: Target, ckan_config: Any) -> None:
    """After an upgrade from 2 to 3 an id is in both; the log is the newer one."""
    ckan_config.update(target.config("odp"))
    profile = profiles.by_id("odp")
    key = factories.Dataset(extras=[{"key": "syndicated_id", "value": "old"}])["id"]
    assert copies.known_target(key, profile) == "old"
    SyndicationLog.write(key, "odp", state=SyndicationLog.State.FAILED)
    assert copies.known_target(key, profile) == "old"
    SyndicationLog.write(key, "odp", "new")
    assert copies.known_target(key, profile) == "new"
    assert copies.known_target("unknown", profile) is None
