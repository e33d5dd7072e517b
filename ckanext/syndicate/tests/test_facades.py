"""What other extensions import by the names of ckanext-syndicate 1, 2 and 3, and what it does."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from ckanapi import RemoteCKAN, ValidationError

from ckanext.relay import lease
from ckanext.relay.http import GuardedSession
from ckanext.syndicate import asking, legacy, listeners, plugin, profiles, tasks, utils
from ckanext.syndicate.interfaces import ISyndicate
from ckanext.syndicate.model import copies, outbox
from ckanext.syndicate.tests import rows
from ckanext.syndicate.types import Profile, Topic

pytestmark = pytest.mark.usefixtures("clean_syndicate", "ckan_config")


class Picky(p.SingletonPlugin):
    """Lets only datasets through whose title begins with Open."""

    p.implements(ISyndicate, inherit=True)

    on = False

    def skip_syndication(self, package: Any, profile: Any) -> Any:
        return self.on and not (package.title or "").startswith("Open")


OWN_PLUGINS = {"picky": Picky}


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picky, "on", True)


@pytest.fixture
def a_and_b(ckan_config: Any) -> None:
    """Two targets at which nobody listens."""
    ckan_config.update(rows.profile("a"))
    ckan_config.update(rows.profile("b", flag="to_b"))


@pytest.fixture
def dataset(a_and_b: None) -> Iterator[dict[str, Any]]:
    """A dataset that is flagged for one of them, and that nobody has asked for."""
    made = factories.Dataset(extras=[{"key": "syndicate", "value": "true"}], title="Open air")
    rows.clear()
    yield made


def asked() -> set[tuple[str, str]]:
    """Return dataset and profile of what was asked for, and committed."""
    return {(entry.local_id, entry.profile_id) for entry in outbox.entries()}


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("types", "Topic Profile"),
        ("interfaces", "ISyndicate Profile"),
        ("signals", "before_syndication after_syndication before_group_syndication after_group_syndication"),
        (
            "utils",
            "PROFILE_PREFIX CONFIG_QUEUE_NAME syndicate_dataset get_syndicate_profiles get_profiles get_profile "
            "profiles_for sync_package sync_profile sync_all_profiles try_sync notify_sync trigger_sync get_target "
            "prepare_profile_dict syndicate_configs_from_config deprecated SyndicationDeprecationWarning",
        ),
        (
            "tasks",
            "get_target filter_extras filter_resources sync_package sync_package_task replicate_remote_organization "
            "set_syndicated_id reattaching_context",
        ),
        (
            "plugin",
            "SyndicatePlugin get_syndicate_flag get_syndicated_id get_syndicated_name_prefix "
            "get_syndicated_organization get_syndicated_author is_organization_preserved syndicate_dataset",
        ),
        ("helpers", "organization_owns_dataset organization_not_owns_dataset"),
        ("model", "SyndicationLog"),
        (
            "config",
            "CONFIG_SYNC_ON_CHANGES CONFIG_SYNC_ON_MEMBER_CHANGES get_sync_on_changes get_sync_on_member_changes",
        ),
        ("listeners", "package_modification member_modification"),
    ],
)
def test_every_name_is_there(module: str, names: str) -> None:
    """Where each release had it."""
    found = importlib.import_module(f"ckanext.syndicate.{module}")
    assert [name for name in names.split() if not hasattr(found, name)] == []


# -- profiles


def test_profiles_by_each_name(a_and_b: None) -> None:
    """As generator, list, and one by one."""
    assert utils.PROFILE_PREFIX == "ckanext.syndicate.profile."
    assert [each.id for each in utils.get_profiles()] == ["a", "b"]
    assert utils.get_profiles(force_refresh=True)[0].id == next(utils.get_profiles()).id == "a"
    assert [each.id for each in utils.get_syndicate_profiles()] == ["a", "b"]
    found = utils.get_profile("b")
    assert found is not None and found.flag == "to_b" and utils.get_profile("c") is None
    assert utils.prepare_profile_dict(found) is found


def test_targets_of_a_dataset(dataset: dict[str, Any], picky: None) -> None:
    """Those from which nobody keeps it: a plugin that stands first is asked instead of the flags."""
    package = model.Package.get(dataset["id"])
    assert [each.id for each in utils.profiles_for(package)] == ["a", "b"]
    package.title = "Closed"
    assert list(utils.profiles_for(package)) == []


def test_targets_by_flag(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, those whose flag is set."""
    monkeypatch.delattr(Picky, "skip_syndication")
    assert [each.id for each in utils.profiles_for(model.Package.get(dataset["id"]))] == ["a"]


def test_a_predicate_that_cannot_be_imported_hides_its_target(
    dataset: dict[str, Any], ckan_config: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The other targets are there, and the log says why one is not."""
    monkeypatch.setattr(asking.log, "disabled", False)  # migrations silence loggers
    monkeypatch.delattr(Picky, "skip_syndication")
    ckan_config.update(rows.profile("c", predicate="no.such:thing"))
    assert [each.id for each in utils.profiles_for(model.Package.get(dataset["id"]))] == ["a"]
    assert "Nobody knows whether" in caplog.text and "no.such:thing" in caplog.text


def test_settings_from_before_profiles(ckan_config: Any) -> None:
    """The options of each target, as dictionaries."""
    settings = {"ckan.syndicate.ckan_url": "http://a http://b", "ckan.syndicate.flag": "x"}
    assert list(utils.syndicate_configs_from_config(settings)) == [
        {"ckan_url": "http://a", "flag": "x"},
        {"ckan_url": "http://b"},
    ]
    assert list(utils.syndicate_configs_from_config({})) == []


def test_a_client_by_address_and_token(a_and_b: None) -> None:
    """It connects only where the portal may."""
    for client in (utils.get_target("http://a.example", "token"), tasks.get_target("http://a.example", "token")):
        assert isinstance(client, RemoteCKAN) and isinstance(client.session, GuardedSession)
        assert (client.address, client.apikey) == ("http://a.example", "token")
        client.close()
    assert tasks.get_target().address == "http://127.0.0.1:9"


def test_deprecations() -> None:
    """A warning of our own kind, at the line that calls what is old."""

    def old() -> None:
        utils.deprecated("old is old")

    with pytest.warns(utils.SyndicationDeprecationWarning, match="old is old") as warned:
        old()
    assert warned[0].filename == __file__


# -- asking


def test_a_dataset_is_asked_for_at_once(dataset: dict[str, Any]) -> None:
    """When it returns it is asked for, whatever becomes of the session; by id or by name."""
    [a, b] = profiles.all_profiles()
    utils.syndicate_dataset(dataset["id"], Topic.update, a)
    model.Session.rollback()
    assert asked() == {(dataset["id"], "a")}
    utils.syndicate_dataset(dataset["name"], Topic.create, b)
    assert asked() == {(dataset["id"], "a"), (dataset["id"], "b")}


def test_a_dataset_is_asked_for_everywhere_in_the_oldest_way(dataset: dict[str, Any]) -> None:
    """Release 1 had one target, and topics that are texts."""
    plugin.syndicate_dataset(dataset["id"], "dataset/update")
    assert asked() == {(dataset["id"], "a"), (dataset["id"], "b")}


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_asking_during_a_save_is_part_of_it(dataset: dict[str, Any], end: str) -> None:
    """What is not saved is not asked for, and who asks twice does not wait for himself."""
    [a, _] = profiles.all_profiles()
    model.Session.execute(
        sa.update(model.Package.__table__).where(model.Package.id == dataset["id"]).values(title="Open again")
    )
    for _ in range(2):
        utils.syndicate_dataset(dataset["id"], Topic.update, a)
    assert asked() == set()
    getattr(model.Session, end)()
    assert asked() == ({(dataset["id"], "a")} if end == "commit" else set())


def test_asking_with_an_object_that_waits_to_be_saved(dataset: dict[str, Any]) -> None:
    """It is a save, too, before anything was written."""
    package = model.Package.get(dataset["id"])
    package.title = "Open water"
    utils.syndicate_dataset(dataset["id"], Topic.update, profiles.all_profiles()[0])
    model.Session.rollback()
    assert asked() == set()


@pytest.mark.parametrize("ask", [utils.try_sync, utils.notify_sync])
def test_notifying_asks_where_it_is_to_be(dataset: dict[str, Any], monkeypatch: Any, ask: Any) -> None:
    """By the flags; a dataset that is not here is only logged."""
    monkeypatch.delattr(Picky, "skip_syndication")
    ask(dataset["name"])
    ask("no-such-dataset")
    assert asked() == {(dataset["id"], "a")}


def test_a_whole_profile_is_asked_for(dataset: dict[str, Any], monkeypatch: Any) -> None:
    """All that is flagged, or has a copy; a profile that is not there is only logged."""
    monkeypatch.delattr(Picky, "skip_syndication")
    factories.Dataset()
    copied = factories.Dataset()["id"]
    copies.record(copied, "a", state="synced", target_id="there", presence="active")
    rows.clear()
    utils.sync_profile("a")
    utils.sync_profile("no-such-profile")
    assert asked() == {(dataset["id"], "a"), (copied, "a")}
    rows.clear()
    utils.sync_all_profiles()
    assert asked() == {(dataset["id"], "a"), (copied, "a")}


@pytest.mark.parametrize("result", ["dict", "id", None])
def test_the_listener_of_saved_datasets(dataset: dict[str, Any], ckan_config: Any, picky: None, result: Any) -> None:
    """It takes what any action that saves a dataset returns, also only the id."""
    returned = {"dict": dataset, "id": dataset["id"], None: None}[result]
    data = {"id": dataset["id"]} if result is None else {}
    listeners.package_modification("package_update", context={}, data_dict=data, result=returned)
    assert asked() == {(dataset["id"], "a"), (dataset["id"], "b")}
    rows.clear()
    listeners.package_modification("package_update", context={}, data_dict={}, result=None)
    ckan_config["ckanext.syndicate.sync_on_changes"] = False
    listeners.package_modification("package_update", context={}, data_dict={}, result=dataset)
    assert asked() == set()


def test_the_listener_of_memberships(dataset: dict[str, Any], ckan_config: Any, picky: None) -> None:
    """It goes by what is put into a group: datasets, not users."""
    member = {"object": dataset["id"], "object_type": "user"}
    listeners.member_modification("member_create", data_dict=member)
    assert asked() == set()
    listeners.member_modification("member_create", data_dict={**member, "object_type": "package"})
    assert asked() == {(dataset["id"], "a"), (dataset["id"], "b")}
    rows.clear()
    ckan_config["ckanext.syndicate.sync_on_member_changes"] = "false"
    listeners.member_modification("member_delete", data_dict={**member, "object_type": "package"})
    assert asked() == set()


def test_the_plugin_is_told_of_changes(dataset: dict[str, Any]) -> None:
    """By the name that tests of release 1 and 2 call."""
    syndicate = p.get_plugin("syndicate")
    assert isinstance(syndicate, plugin.SyndicatePlugin)
    package = model.Package.get(dataset["id"])
    syndicate.notify(package)
    model.Session.commit()
    assert asked() == set()
    syndicate.notify(package, "changed")
    model.Session.commit()
    assert (dataset["id"], "a") in asked()


# -- release 1


def test_settings_of_release_1(ckan_config: Any) -> None:
    """The functions of the plugin's module say what is set, or the defaults of then."""
    getters = (
        *(plugin.get_syndicate_flag, plugin.get_syndicated_id, plugin.get_syndicated_name_prefix),
        *(plugin.get_syndicated_organization, plugin.get_syndicated_author, plugin.is_organization_preserved),
    )
    assert [get() for get in getters] == ["syndicate", "syndicated_id", "", None, None, False]
    options = ("flag", "id", "name_prefix", "organization", "author", "replicate_organization")
    ckan_config.update({f"ckan.syndicate.{option}": f"my_{option}" for option in options[:-1]})
    ckan_config["ckan.syndicate.replicate_organization"] = "yes"
    assert [get() for get in getters] == ["my_flag", "my_id", "my_name_prefix", "my_organization", "my_author", True]


def test_filters_of_release_1() -> None:
    """Extras without the flag, and resources as address and name."""
    extras = [{"key": "syndicate", "value": "true"}, {"key": "a", "value": "b"}]
    assert tasks.filter_extras(extras) == extras[1:]
    resources = [{"id": "1", "url": "http://a", "name": "A", "format": "CSV"}]
    assert tasks.filter_resources(resources) == [{"url": "http://a", "name": "A"}]


@pytest.mark.parametrize(
    ("written", "name"),
    [(Topic.create, "create"), ("dataset/create", "create"), ("update", "update"), (Topic.unknown, "update")],
)
def test_topics_of_all_releases(written: Any, name: str) -> None:
    """Texts with and without what they are about, and members."""
    assert legacy.topic_name(written) == name


def test_the_id_of_a_copy_is_set(dataset: dict[str, Any]) -> None:
    """At each target that goes by this extra."""
    tasks.set_syndicated_id(dataset, "there")
    tasks.set_syndicated_id(dataset["id"], "elsewhere", "other_extra")
    known = [copies.get(dataset["id"], each) for each in ("a", "b")]
    assert [copy and copy.target_id for copy in known] == ["there", "there"]


def test_without_a_target() -> None:
    """It is said what to set."""
    with pytest.raises(Exception, match="There is no target"):
        tasks.get_target()


# -- with a target


def test_pushing_from_python(target: Any, ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One dataset, and a whole profile, in this process, are at the target when it returns."""
    monkeypatch.delattr(Picky, "skip_syndication")
    ckan_config.update(target.config("plain"))
    flag = [{"key": "syndicate", "value": "true"}]
    first, second, third = (factories.Dataset(extras=flag) for _ in range(3))
    unflagged = factories.Dataset()
    rows.clear()
    returned = tasks.sync_package(first["id"], "dataset/create", "/etc/ckan.ini")
    assert returned["state"] == "synced"
    assert target.call("package_show", id=returned["target_id"])["name"] == first["name"]
    utils.trigger_sync(second["name"])
    utils.trigger_sync(unflagged["name"])
    assert set(target.call("package_list")) == {first["name"], second["name"]}
    utils.sync_all_profiles(foreground=True)
    assert set(target.call("package_list")) == {first["name"], second["name"], third["name"]}
    assert asked() == set()


def test_an_organization_is_replicated_from_python(target: Any, ckan_config: Any) -> None:
    """By the function of release 1, which goes by its name."""
    ckan_config.update(target.config("plain"))
    organization = factories.Organization()
    remote_id = tasks.replicate_remote_organization(organization)
    assert target.call("organization_show", id=organization["name"])["id"] == remote_id != organization["id"]


def test_reattaching(target: Any, ckan_config: Any) -> None:
    """A dataset at the target with the name of the new one is taken for it, if the author of the profile made it."""
    ckan_config.update(target.config("plain"))
    [profile] = profiles.all_profiles()
    local = factories.Dataset()
    with profile.get_target() as client:
        there = client.action.package_create(name=local["name"], title="Before")
        author = client.action.user_show(id=there["creator_user_id"])["name"]
        package = {"name": local["name"], "title": "After"}
        for wrong in ("", _somebody(target)):
            with pytest.raises(ValidationError):
                _create(client, local["id"], package, Profile("plain", author=wrong))
        _create(client, local["id"], package, Profile("plain", author=author))
    assert target.call("package_show", id=there["id"])["title"] == "After"
    assert lease.rows(sa.text("SELECT target_id FROM syndication_copy"))[0].target_id == there["id"]


def _somebody(target: Any) -> str:
    name = f"somebody-{uuid.uuid4().hex[:8]}"
    target.call("user_create", name=name, email=f"{name}@example.org", password="not-a-secret-1")
    return name


def _create(client: RemoteCKAN, local_id: str, package: dict[str, Any], profile: Profile) -> None:
    with tasks.reattaching_context(local_id, package, profile, client):
        client.action.package_create(**package)
