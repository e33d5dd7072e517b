"""What other extensions are asked and told during a push: the interface, the signals and the older actions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckanapi import ValidationError

from ckanext.relay.errors import ConfigurationError
from ckanext.syndicate import hooks, interfaces, signals, types
from ckanext.syndicate.interfaces import ISyndicate
from ckanext.syndicate.types import Profile

PROFILE = Profile("odp", "https://target.example", "token")

pytestmark = pytest.mark.usefixtures("syndicate_plugins", "ckan_config")


class First(p.SingletonPlugin):
    """Prepares before ``Second`` does, and offers the older actions."""

    p.implements(ISyndicate, inherit=True)
    p.implements(p.IActions)

    calls: list[Any] = []
    actions: dict[str, Any] = {}

    def prepare_package_for_syndication(self, package_id: str, data_dict: Any, profile: Any) -> Any:
        self.calls.append(("first", package_id, profile.id))
        return {**data_dict, "notes": "first"}

    def prepare_group_for_syndication(self, group_id: str, group: Any, profile: Any) -> Any:
        return {**group, "title": f"{group['title']} first"}

    def get_actions(self) -> dict[str, Any]:
        return self.actions


class Second(p.SingletonPlugin):
    """Prepares what ``First`` has prepared."""

    p.implements(ISyndicate, inherit=True)

    forgets = False
    reattaches = False

    def prepare_package_for_syndication(self, package_id: str, data_dict: Any, profile: Any) -> Any:
        return None if self.forgets else {**data_dict, "notes": data_dict["notes"] + " second"}

    def prepare_group_for_syndication(self, group_id: str, group: Any, profile: Any) -> Any:
        return None if self.forgets else {**group, "title": f"{group['title']} second"}

    def reattach_on_syndication_error(self, error: Any) -> bool:
        return self.reattaches or super().reattach_on_syndication_error(error)


OWN_PLUGINS = {"first_hook": First, "second_hook": Second}


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was called, and no older actions unless a test offers some."""
    monkeypatch.setattr(First, "calls", [])
    hooks._deprecated.cache_clear()
    yield First.calls
    offer(monkeypatch)


def offer(monkeypatch: pytest.MonkeyPatch, **actions: Any) -> None:
    """Let the plugin have these actions."""
    import ckan.logic

    monkeypatch.setattr(First, "actions", actions)
    ckan.logic.clear_actions_cache()


def taken(message: str) -> ValidationError:
    return ValidationError({"name": [message], "__type": "Validation Error"})


def test_what_others_import() -> None:
    """Both names from this module, as public extensions do."""
    assert interfaces.Profile is types.Profile
    assert issubclass(interfaces.ISyndicate, p.Interface)


def test_each_plugin_prepares_what_the_one_before_returned(calls: list[Any]) -> None:
    """In the order of ``ckan.plugins``, with the id here and the profile."""
    assert hooks.prepare_dataset("id", {"name": "a"}, PROFILE) == {"name": "a", "notes": "first second"}
    assert hooks.prepare_group("id", {"title": "a"}, PROFILE) == {"title": "a first second"}
    assert calls == [("first", "id", "odp")]


@pytest.mark.parametrize("prepare", [hooks.prepare_dataset, hooks.prepare_group])
def test_a_plugin_that_forgets_to_return(monkeypatch: pytest.MonkeyPatch, prepare: Any) -> None:
    """It is named, and told what to do."""
    monkeypatch.setattr(Second, "forgets", True)
    with pytest.raises(ConfigurationError, match="of the plugin second_hook returned NoneType") as raised:
        prepare("id", {"title": "a"}, PROFILE)
    assert "must return" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (taken("That URL is already in use."), True),
        (taken("Tato URL je již používána."), False),
        (ValidationError({"title": ["That URL is already in use."]}), False),
        (ValidationError({"name": "That URL is already in use."}), True),
        (ValidationError("all wrong"), False),
        (ConnectionError("That URL is already in use."), False),
    ],
)
def test_which_error_means_that_the_name_is_taken(error: Exception, answer: bool) -> None:
    """By default CKAN's own English words, at the name."""
    assert hooks.reattaches(error) is answer


def test_a_plugin_may_take_another_error_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a target that speaks another language."""
    monkeypatch.setattr(Second, "reattaches", True)
    assert hooks.reattaches(taken("Tato URL je již používána."))


def test_signals_of_a_dataset() -> None:
    """Sender and arguments of every release: ``details`` and ``remote``, and the ``params`` of 2.0."""
    told: list[Any] = []

    def hear(sender: Any, **arguments: Any) -> None:
        told.append((sender, arguments))

    details = {"package": {"id": "here"}, "prepared": {"name": "a"}, "topic": "create"}
    with signals.before_syndication.connected_to(hear), signals.after_syndication.connected_to(hear):
        hooks.before_dataset("here", PROFILE, details)
        hooks.after_dataset("here", PROFILE, {"id": "there"})
    common = {"profile": PROFILE, "params": {"id": "here"}}
    assert told == [("here", {**common, "details": details}), ("here", {**common, "remote": {"id": "there"}})]


def test_signals_of_a_group() -> None:
    """Sender and arguments."""
    told: list[Any] = []

    def hear(sender: Any, **arguments: Any) -> None:
        told.append((sender, arguments))

    with signals.before_group_syndication.connected_to(hear), signals.after_group_syndication.connected_to(hear):
        hooks.before_group("here", PROFILE, {"name": "a"})
        hooks.after_group("here", PROFILE, {"id": "there"})
    assert told == [
        ("here", {"profile": PROFILE, "details": {"name": "a"}}),
        ("here", {"profile": PROFILE, "remote": {"id": "there"}}),
    ]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["syndication", "group_syndication"])
def test_names_of_signals(when: str, what: str) -> None:
    """They are in CKAN's namespace for extensions, where ISignal finds them."""
    assert tk.signals.ckanext.signal(f"syndicate:{when}_{what}") is getattr(signals, f"{when}_{what}")


def test_older_actions(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """They get what they were written for, and the log says once that there is something better."""
    monkeypatch.setattr(hooks.log, "disabled", False)  # migrations silence loggers
    called: list[Any] = []

    def update_dataset_for_syndication(context: Any, data: Any) -> Any:
        called.append(data)
        return {**data["dataset_dict"], "notes": "from the action"}

    def before_syndication_action(context: Any, data: Any) -> None:
        called.append((context["profile"].id, data["id"], data["topic"]))

    def after_syndication_action(context: Any, data: Any) -> None:
        called.append((context["profile"].id, data))

    older = (update_dataset_for_syndication, before_syndication_action, after_syndication_action)
    offer(monkeypatch, **{action.__name__: action for action in older})
    for _ in range(2):
        called.clear()
        payload = hooks.prepare_dataset("here", {"name": "a"}, PROFILE)
        hooks.before_dataset("here", PROFILE, {"package": {}, "prepared": payload, "topic": "create"})
        hooks.after_dataset("here", PROFILE, {"id": "there"})
    assert payload == {"name": "a", "notes": "first second"}
    assert called == [
        {"dataset_dict": {"name": "a"}, "package_id": "here"},
        ("odp", "here", "create"),
        ("odp", {"id": "there"}),
    ]
    said = [record for record in caplog.records if "is deprecated" in record.getMessage()]
    assert len(said) == 3 and {record.levelno for record in said} == {logging.WARNING}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("update_dataset_for_syndication", lambda: hooks.prepare_dataset("here", {}, PROFILE)),
        ("before_syndication_action", lambda: hooks.before_dataset("here", PROFILE, {})),
        ("after_syndication_action", lambda: hooks.after_dataset("here", PROFILE, {})),
    ],
)
def test_an_error_inside_an_older_action_is_one(monkeypatch: pytest.MonkeyPatch, name: str, call: Any) -> None:
    """Also a KeyError, which ckanext-syndicate took for an action that is not there."""

    def fails(context: Any, data: Any) -> None:
        raise KeyError("of the hook")

    offer(monkeypatch, **{name: fails})
    with pytest.raises(KeyError, match="of the hook"):
        call()


def test_an_older_action_that_forgets_to_return(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named."""
    offer(monkeypatch, update_dataset_for_syndication=lambda context, data: None)
    with pytest.raises(ConfigurationError, match="update_dataset_for_syndication returned NoneType"):
        hooks.prepare_dataset("here", {}, PROFILE)
