"""What other extensions are asked and told while a dataset is pushed: ``ISyndicate``, signals and the older actions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import ckan.plugins.toolkit as tk
from ckan.plugins import PluginImplementations

from ckanext.relay.errors import ConfigurationError

from . import signals
from .interfaces import ISyndicate
from .types import Profile

log = logging.getLogger(__name__)

_Action = Callable[[dict[str, Any], dict[str, Any]], Any]


def prepare_dataset(package_id: str, payload: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return the payload as other extensions want it: the older action first, then each plugin in turn.

    :param package_id: of the dataset here
    :raises ConfigurationError: one of them returned something that is no dictionary
    :raises Exception: whatever one of them raises
    """
    if action := _action("update_dataset_for_syndication"):
        data = {"dataset_dict": payload, "package_id": package_id}
        payload = _dictionary(action({}, data), "The action update_dataset_for_syndication")
    for plugin in PluginImplementations(ISyndicate):
        answer = plugin.prepare_package_for_syndication(package_id, payload, profile)
        payload = _dictionary(answer, f"prepare_package_for_syndication of the plugin {plugin.name}")
    return payload


def prepare_group(group_id: str, payload: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return the payload of a group or organization as the plugins want it, each in turn.

    :param group_id: of the group here
    :raises ConfigurationError: one of them returned something that is no dictionary
    :raises Exception: whatever one of them raises
    """
    for plugin in PluginImplementations(ISyndicate):
        answer = plugin.prepare_group_for_syndication(group_id, payload, profile)
        payload = _dictionary(answer, f"prepare_group_for_syndication of the plugin {plugin.name}")
    return payload


def before_dataset(package_id: str, profile: Profile, details: dict[str, Any]) -> None:
    """Tell that a dataset is about to be pushed.

    :param details: ``package``, ``prepared`` and ``topic``, as the action ``syndicate_prepare`` returns them
    :raises Exception: whatever a receiver raises
    """
    if action := _action("before_syndication_action"):
        action({"profile": profile}, {"id": package_id, **details})
    signals.before_syndication.send(package_id, profile=profile, details=details, params={"id": package_id})


def after_dataset(package_id: str, profile: Profile, remote: dict[str, Any]) -> None:
    """Tell that a dataset has been pushed.

    :param remote: as the target answered
    :raises Exception: whatever a receiver raises
    """
    if action := _action("after_syndication_action"):
        action({"profile": profile}, remote)
    signals.after_syndication.send(package_id, profile=profile, remote=remote, params={"id": package_id})


def are_told_after() -> bool:
    """Return whether anybody is told that a dataset has been pushed."""
    return bool(signals.after_syndication.receivers) or _action("after_syndication_action") is not None


def before_group(group_id: str, profile: Profile, payload: dict[str, Any]) -> None:
    """Tell that a group or organization is about to be pushed.

    :raises Exception: whatever a receiver raises
    """
    signals.before_group_syndication.send(group_id, profile=profile, details=payload)


def after_group(group_id: str, profile: Profile, remote: dict[str, Any]) -> None:
    """Tell that a group or organization has been pushed.

    :param remote: as the target answered
    :raises Exception: whatever a receiver raises
    """
    signals.after_group_syndication.send(group_id, profile=profile, remote=remote)


def reattaches(error: Exception) -> bool:
    """Return whether a plugin takes an error of the target for a name that is taken."""
    return any(plugin.reattach_on_syndication_error(error) for plugin in PluginImplementations(ISyndicate))


def _action(name: str) -> _Action | None:
    """Return an action of another extension, or None if there is none of this name."""
    try:
        action: _Action = tk.get_action(name)
    except KeyError:
        return None
    _deprecated(name)
    return action


def _dictionary(answer: Any, who: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ConfigurationError(
            f"{who} returned {type(answer).__name__} instead of a dictionary",
            hint="It must return what is to be sent, also if it changes nothing.",
        )
    return answer


@functools.cache
def _deprecated(name: str) -> None:
    """Say once in the life of a process that an action is looked for only for the sake of older extensions."""
    log.warning("The action %s is deprecated: implement ISyndicate or connect to the signals", name)
