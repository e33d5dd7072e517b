"""Which changes have a dataset brought to a target, and which do not: both ways, a row there and no row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from kombu import pools

from ckanext.relay import celery_app, lease
from ckanext.syndicate import profiles, subscribers, tasks
from ckanext.syndicate.model import copies, outbox
from ckanext.syndicate.model.outbox import BULK, PERSON, PRIVACY
from ckanext.syndicate.tests.rows import TARGET, add_copy, add_dataset, asked, clear, profile, ranks

pytestmark = pytest.mark.usefixtures("syndicate_portal", "one_target")

push_now = tasks.push_now


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The targets and lanes of the messages that are sent to the workers."""
    messages: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks, "push_now", lambda ids, lane: messages.extend((each, lane) for each in ids))
    return messages


@pytest.fixture
def real_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are sent for real."""
    monkeypatch.setattr(tasks, "push_now", push_now)


@pytest.fixture
def one_target(ckan_config: Any, sent: list[Any]) -> None:
    """A portal with one profile."""
    ckan_config.update(profile())


def act(action: str, context: dict[str, Any] | None = None, **data: Any) -> Any:
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    return tk.get_action(action)({"ignore_auth": True, "user": user, **(context or {})}, data)


def extras(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


FLAGGED = extras(syndicate="true")


def make(*, flagged: bool = False, copied: bool = False, **fields: Any) -> str:
    """Make a dataset that nobody has asked for since, and return its id."""
    made: str = factories.Dataset(**({"extras": FLAGGED} if flagged else {}), **fields)["id"]
    if copied:
        add_copy(made)
    clear()
    return made


@pytest.fixture
def trio() -> dict[str, str]:
    """The ids of three datasets of an organization: flagged, with a copy, and neither."""
    owner = factories.Organization()["id"]
    return {
        "owner": owner,
        "flagged": make(flagged=True, owner_org=owner),
        "copied": make(copied=True, owner_org=owner),
        "neither": make(owner_org=owner),
    }


def both(trio: dict[str, str], rank: int = PERSON) -> dict[str, int]:
    """Return what is in the outbox if those are asked for that concern the target."""
    return {trio["flagged"]: rank, trio["copied"]: rank}


# -- one test a trigger


@pytest.mark.parametrize("value", ["true", "True ", "YES", "1", "on"])
def test_create(value: str, sent: list[Any]) -> None:
    """A flagged dataset is asked for with the transaction that makes it, and a worker knows after that."""
    dataset = factories.Dataset(extras=extras(syndicate=value))
    assert ranks() == {dataset["id"]: PERSON}
    assert set(sent) == {(TARGET, "priority")}


@pytest.mark.parametrize("given", [[], extras(syndicate="false"), extras(syndicate="ja"), extras(other="true")])
def test_create_without_a_flag(given: list[dict[str, str]], sent: list[Any]) -> None:
    """Nothing is written and nobody is told: most datasets of a portal do not concern the target."""
    factories.Dataset(extras=given)
    assert (ranks(), sent) == ({}, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda key: act("package_patch", id=key, title="New"),
        lambda key: act("resource_create", package_id=key, url="http://a/"),
        lambda key: act("package_patch", id=key, tags=[{"name": "new"}]),
        lambda key: act("package_patch", id=key, name="renamed"),
        lambda key: act("package_revise", match={"id": key}, update={"notes": "New"}),
    ],
    ids=["title", "resource", "tags", "name", "revise"],
)
def test_update(change: Callable[[str], Any]) -> None:
    """Of a flagged dataset, and of one with a copy."""
    for concerned, options in ((True, {"flagged": True}), (True, {"copied": True}), (False, {})):
        key = make(**options)
        change(key)
        assert ranks() == ({key: PERSON} if concerned else {})
        act("dataset_purge", id=key)
        clear()


def test_delete(trio: dict[str, str]) -> None:
    """A copy is to go, too."""
    for name in ("flagged", "copied", "neither"):
        act("package_delete", id=trio[name])
    assert ranks() == both(trio)


def test_undelete(trio: dict[str, str]) -> None:
    """And to come back."""
    for name in ("flagged", "copied", "neither"):
        act("package_delete", id=trio[name])
        clear()
    for name in ("flagged", "copied", "neither"):
        act("package_patch", id=trio[name], state="active")
    assert ranks() == both(trio)


def test_flag_and_unflag() -> None:
    """The flag is read as it is saved; without it, the copy decides."""
    key = make()
    act("package_patch", id=key, extras=FLAGGED)
    assert ranks() == {key: PERSON}
    act("package_patch", id=key, extras=extras(syndicate="false"))
    assert asked()[key].version > 1, "a worker may be at it just now, having read the flag"
    clear()
    act("package_patch", id=key, title="Nobody's business")
    assert ranks() == {}
    add_copy(key)
    act("package_patch", id=key, extras=[])
    assert ranks() == {key: PERSON}


def test_private_and_public(trio: dict[str, str]) -> None:
    """What was public at the target is first in line; not what is not there."""
    for name in ("flagged", "copied", "neither"):
        act("package_patch", id=trio[name], private=True)
    assert ranks() == {trio["flagged"]: PERSON, trio["copied"]: PRIVACY}
    clear()
    copies.record(trio["copied"], TARGET, state="stopped", presence="private")
    act("package_patch", id=trio["copied"], title="New")
    assert ranks() == {trio["copied"]: PERSON}, "it is hidden already"
    clear()
    for name in ("flagged", "copied", "neither"):
        act("package_patch", id=trio[name], private=False)
    assert ranks() == both(trio)


@pytest.mark.parametrize("presence", ["active", None, "private"])
def test_purge(presence: str | None) -> None:
    """A copy is to go although nothing is left of the dataset; one that is on its way may be there any moment."""
    copied, underway, neither = make(), make(), make()
    add_copy(copied, presence=presence)
    act("package_patch", id=underway, extras=FLAGGED)
    for key in (copied, underway, neither):
        act("dataset_purge", id=key)
    assert ranks() == {copied: PERSON, underway: PERSON}
    assert model.Package.get(copied) is None


def test_purge_of_what_is_gone_there() -> None:
    """A copy that was deleted with the dataset needs no more."""
    key = make(flagged=True)
    add_copy(key, presence="deleted")
    act("package_delete", id=key)
    clear()
    act("dataset_purge", id=key)
    assert ranks() == {}


@pytest.mark.parametrize("action", ["bulk_update_private", "bulk_update_public", "bulk_update_delete"])
def test_bulk(action: str, trio: dict[str, str], sent: list[Any]) -> None:
    """CKAN 2.11 writes these by SQL and tells nobody; of datasets of other organizations it changes none."""
    stranger = make(flagged=True, owner_org=factories.Organization()["id"])
    names = [trio["flagged"], trio["copied"], trio["neither"], stranger]
    if action == "bulk_update_public":
        act("bulk_update_private", datasets=names, org_id=trio["owner"])
        clear()
    sent.clear()
    act(action, datasets=names, org_id=trio["owner"])
    private = action == "bulk_update_private"
    assert ranks() == {trio["flagged"]: PERSON, trio["copied"]: PRIVACY if private else PERSON}
    assert set(sent) == {(TARGET, "priority")}


def test_bulk_by_who_may_not(trio: dict[str, str]) -> None:
    """Nothing is asked for either."""
    with pytest.raises(tk.NotAuthorized):
        tk.get_action("bulk_update_delete")(
            {"user": factories.User()["name"]}, {"datasets": [trio["flagged"]], "org_id": trio["owner"]}
        )
    model.Session.commit()
    assert ranks() == {}


def add_to(group: str, key: str) -> None:
    act("member_create", id=group, object=key, object_type="package", capacity="public")


def test_membership(trio: dict[str, str]) -> None:
    """A dataset is put into a group, and taken out."""
    group = factories.Group()["id"]
    for name in ("flagged", "copied", "neither"):
        add_to(group, trio[name])
    assert ranks() == both(trio)
    clear()
    for name in ("flagged", "copied", "neither"):
        act("member_delete", id=group, object=trio[name], object_type="package")
    assert ranks() == both(trio)


def test_membership_that_is_not_to_be_pushed(trio: dict[str, str], ckan_config: Any) -> None:
    """Only the change of the dataset itself is; also if it comes with a group."""
    ckan_config["ckanext.syndicate.sync_on_member_changes"] = "false"
    group = factories.Group()["id"]
    add_to(group, trio["flagged"])
    act("member_delete", id=group, object=trio["flagged"], object_type="package")
    assert ranks() == {}
    act("package_patch", id=trio["copied"], groups=[{"id": group}], title="New")
    assert ranks() == {trio["copied"]: PERSON}
    clear()
    act("resource_create", package_id=trio["flagged"], url="http://a/")
    assert ranks() == {trio["flagged"]: PERSON}


def test_a_member_who_is_a_user(trio: dict[str, str]) -> None:
    """Concerns no dataset."""
    user = factories.User()["name"]
    act("organization_member_create", id=trio["owner"], username=user, role="editor")
    assert ranks() == {}


@pytest.mark.parametrize("kind", ["organization", "group"])
def test_a_rename(kind: str, trio: dict[str, str], sent: list[Any]) -> None:
    """Of the organization or of a group: its datasets are asked for, after what people changed in datasets."""
    group = trio["owner"]
    if kind == "group":
        group = factories.Group()["id"]
        for name in ("flagged", "copied", "neither"):
            add_to(group, trio[name])
        clear()
    make(flagged=True, owner_org=factories.Organization()["id"])
    sent.clear()
    act(f"{kind}_patch", id=group, name="renamed", title="Renamed")
    assert ranks() == both(trio, BULK)
    assert set(sent) == {(TARGET, "priority")}


def test_another_owner(trio: dict[str, str]) -> None:
    """A dataset moves."""
    other = factories.Organization()["id"]
    for name in ("flagged", "copied", "neither"):
        act("package_owner_org_update", id=trio[name], organization_id=other)
    assert ranks() == both(trio)


# -- who is asked for


def test_each_target_is_asked_about(ckan_config: Any, sent: list[Any]) -> None:
    """By its own flag and its own copies."""
    ckan_config.update(profile("other", flag="elsewhere"))
    add_copy(make(), "other")
    dataset = factories.Dataset(extras=extras(syndicate="true", elsewhere="true"))
    assert [set(asked(name)) for name in (TARGET, "other")] == [{dataset["id"]}] * 2
    clear()
    act("package_patch", id=dataset["id"], extras=extras(elsewhere="true"))
    assert (set(asked(TARGET)), set(asked("other"))) == (set(), {dataset["id"]})
    assert {name for name, _lane in sent} == {TARGET, "other"}


def test_other_types_and_drafts(ckan_config: Any) -> None:
    """A harvest source is no dataset of the target, whatever its flag says, unless the profile names the type; a draft
    waits for nothing when it is published."""
    for name, kind in (("source", "harvest"), ("show", "showcase")):
        made = model.Package(name=name, type=kind)
        made.extras = {"syndicate": "true"}
        model.Session.add(made)
        model.Session.commit()
    assert ranks() == {}
    ckan_config.update(profile(types="dataset showcase"))
    show = model.Package.get("show")
    show.title = "New"
    model.Session.commit()
    assert ranks() == {show.id: PERSON}


@pytest.mark.parametrize("option", ["predicate", "plugin"])
def test_where_only_code_knows(option: str, ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dataset is asked for, and a worker calls the code: a save does not."""
    if option == "predicate":
        ckan_config.update(profile(predicate="no.such.module:choose"))
    else:
        monkeypatch.setattr(subscribers, "needs_code", lambda _profile: True)
    key = factories.Dataset()["id"]
    assert ranks() == {key: PERSON}


def test_state_of_ckanext_syndicate(trio: dict[str, str]) -> None:
    """An id in the extra or in the log stands for a copy, until there is a row of ours."""
    old = make(extras=extras(syndicated_id="remote"))
    none = make(extras=extras(syndicated_id=" "))
    for key in (old, none):
        act("package_patch", id=key, title="New")
    assert ranks() == {old: PERSON}
    owner = trio["owner"]
    for key in (old, trio["neither"]):
        act("package_patch", id=key, owner_org=owner, private=True)
    assert ranks() == {old: PRIVACY}
    clear()
    add_copy(old, presence="deleted")
    act("package_patch", id=old, title="Newer")
    assert ranks() == {}


def test_purge_of_a_dataset_with_state_of_ckanext_syndicate() -> None:
    """What only its extra said of the copy is kept."""
    key = make(extras=extras(syndicated_id="remote"), name="old")
    act("dataset_purge", id=key)
    assert ranks() == {key: PERSON}
    assert copies.get(key, TARGET) == copies.Copy(key, TARGET, "old", "remote", presence="active")


# -- how


def test_not_at_all(ckan_config: Any, sent: list[Any], trio: dict[str, str]) -> None:
    """A portal may push only when somebody says so."""
    ckan_config["ckanext.syndicate.sync_on_changes"] = "false"
    sent.clear()
    for name in ("flagged", "copied", "neither"):
        act("package_patch", id=trio[name], title="New")
    act("organization_patch", id=trio["owner"], title="New")
    act("bulk_update_private", datasets=[trio["copied"]], org_id=trio["owner"])
    act("dataset_purge", id=trio["copied"])
    assert (ranks(), sent) == ({}, [])


def test_inside_of_a_worker(monkeypatch: pytest.MonkeyPatch, sent: list[Any], trio: dict[str, str]) -> None:
    """What a harvest brings does not come before what people edit; but a private dataset does."""
    sent.clear()
    monkeypatch.setattr(type(celery_app.app), "current_task", "harvest.process")
    act("package_patch", id=trio["flagged"], title="New")
    act("package_patch", id=trio["copied"], private=True)
    assert ranks() == {trio["flagged"]: BULK, trio["copied"]: PRIVACY}
    assert set(sent) == {(TARGET, "bulk")}


def test_a_save_that_returns_only_the_id() -> None:
    """As harvesters do."""
    key = act("package_create", {"return_id_only": True}, name="made", extras=FLAGGED)
    assert ranks() == {key: PERSON}
    clear()
    assert act("package_patch", {"return_id_only": True}, id=key, title="New") == key
    assert ranks() == {key: PERSON}


def test_who_commits_later(sent: list[Any]) -> None:
    """Asks then, or never: request and dataset are saved together."""
    context = {"return_id_only": True, "defer_commit": True}
    act("package_create", dict(context), name="never", extras=FLAGGED)
    model.Session.rollback()
    assert (ranks(), sent) == ({}, [])
    key = act("package_create", dict(context), name="later", extras=FLAGGED)
    model.Session.commit()
    assert ranks() == {key: PERSON}
    assert set(sent) == {(TARGET, "priority")}


def test_a_save_that_is_rolled_back(sent: list[Any]) -> None:
    """After CKAN has told of it, too: there is neither dataset nor row nor message."""
    model.Session.add(model.Package(id="p", name="data", type="dataset"))
    model.Session.flush()
    add_copy("p")
    subscribers.notify(model.Session.get(model.Package, "p"), "new")
    model.Session.rollback()
    assert (ranks(), sent) == ({}, [])


def test_what_is_told_without_an_operation() -> None:
    """Is not meant for us; nor is anything but a dataset."""
    add_dataset("a")
    add_copy("a")
    package = model.Session.get(model.Package, "a")
    subscribers.notify(package)
    subscribers.notify(model.Resource(), "new")
    model.Session.commit()
    assert ranks() == {}
    subscribers.notify(package, "changed")
    model.Session.commit()
    assert ranks() == {"a": PERSON}


# -- whatever breaks


def test_an_error_never_breaks_a_save(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: list[Any]
) -> None:
    """Not one in reading the settings: the dataset is saved, and the log says what to do."""

    def all_profiles() -> Any:
        raise ValueError("settings")

    monkeypatch.setattr(subscribers.log, "disabled", False)  # migrations, for one, silence loggers
    monkeypatch.setattr(profiles, "all_profiles", all_profiles)
    dataset = factories.Dataset(extras=FLAGGED)
    assert model.Package.get(dataset["id"]) is not None
    assert (ranks(), sent) == ({}, [])
    assert "ckan syndicate reconcile" in caplog.text


def test_an_error_of_the_database_does_not_abort_the_save() -> None:
    """Even if our tables are not there: after the upgrade of a package, before ``ckan db upgrade``."""
    lease.execute(sa.text("ALTER TABLE syndication_outbox RENAME TO elsewhere"))
    try:
        dataset = factories.Dataset(extras=FLAGGED)
        act("package_patch", id=dataset["id"], title="New")
        act("dataset_purge", id=factories.Dataset()["id"])
    finally:
        lease.execute(sa.text("ALTER TABLE elsewhere RENAME TO syndication_outbox"))
    model.Session.remove()
    assert model.Package.get(dataset["id"]).title == "New"
    assert ranks() == {}


def test_what_could_not_be_asked_for_is_asked_for_after_the_commit(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    """An error that passes, such as two transactions that wait for each other, loses nothing."""
    ask, failures = outbox.ask, [ValueError("once")]

    def sometimes(*args: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        return ask(*args, **options)

    key = make(copied=True)
    sent.clear()
    monkeypatch.setattr(outbox, "ask", sometimes)
    act("package_patch", id=key, title="New")
    assert ranks() == {key: PERSON}
    assert sent == [(TARGET, "priority")]


def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch, real_hints: None) -> None:
    """It neither breaks nor slows a save; what was asked for waits for the next sweep."""
    options = celery_app.app.conf.broker_transport_options
    monkeypatch.setitem(celery_app._broker, "away_until", 0.0)
    with celery_app.app.connection_for_write("redis://127.0.0.1:9/0", transport_options=options) as away:
        monkeypatch.setattr(celery_app.app.amqp, "_producer_pool", pools.producers[away])
        begun = time.monotonic()
        keys = [factories.Dataset(extras=FLAGGED)["id"] for _ in range(5)]
        assert time.monotonic() - begun < 20
    assert celery_app._broker["away_until"] > time.monotonic()
    assert ranks() == dict.fromkeys(keys, PERSON)
