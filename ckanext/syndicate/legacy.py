"""Functions of ckanext-syndicate 1.x and 2.x that other extensions import from ``plugin`` and ``tasks``.

Nothing inside calls them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckanapi import RemoteCKAN, ValidationError

from . import config, hooks, profiles, types
from .model import SyndicationLog, copies
from .types import Profile, Topic


def get_syndicate_flag() -> str:
    """Return the key of the extra that switches a dataset on, for the target of the old settings."""
    return str(config.legacy_options().get("flag", "syndicate"))


def get_syndicated_id() -> str:
    """Return the key of the extra that held the id of the copy."""
    return str(config.legacy_options().get("field_id", "syndicated_id"))


def get_syndicated_name_prefix() -> str:
    """Return what is put before the names of copies."""
    return str(config.legacy_options().get("name_prefix", ""))


def get_syndicated_organization() -> str | None:
    """Return name or id of the organization that owns the copies."""
    return config.legacy_options().get("organization")


def get_syndicated_author() -> str | None:
    """Return the user whose datasets are taken for copies."""
    return config.legacy_options().get("author")


def is_organization_preserved() -> bool:
    """Return whether organizations are replicated.

    :raises ValueError: the setting is neither true nor false
    """
    return bool(tk.asbool(config.legacy_options().get("replicate_organization", False)))


def get_target(url: str | None = None, apikey: str | None = None) -> RemoteCKAN:
    """Return a client of a portal, or of the first target; close it after use.

    :raises ConfigurationError: there is no target
    """
    if url is None:
        return _first().get_target()
    return types.target(url, apikey or "")


def filter_extras(extras: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the extras without the flag."""
    flag = get_syndicate_flag()
    return [extra for extra in extras if extra["key"] != flag]


def filter_resources(resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return address and name of each resource."""
    return [{"url": resource["url"], "name": resource["name"]} for resource in resources]


def sync_package(package_id: str, action: Topic | str, profile: Any = None) -> Any:
    """Push a dataset in this process, as the action ``syndicate_sync`` does, and return what it returns.

    :param package_id: id or name
    :param action: of what the caller thinks it is; the target decides
    :param profile: a profile; without one, or with the path of an ini file in its place, that of the old settings
    :raises tk.ValidationError: there is no such dataset or profile
    """
    profile = profile if isinstance(profile, Profile) else _first()
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    context = {"ignore_auth": True, "user": user["name"]}
    data = {"id": package_id, "topic": topic_name(action), "profile": profile.id}
    return tk.get_action("syndicate_sync")(context, data)


#: a Celery task in ckanext-syndicate 1
sync_package_task = sync_package


def replicate_remote_organization(org: dict[str, Any], profile: Profile | None = None) -> str:
    """Return the id of an organization at the target, which is made if it is missing.

    :param org: of ours; its name counts
    """
    data = {"id": org["name"], "profile": (profile or _first()).id}
    return str(tk.get_action("syndicate_sync_organization")({"ignore_auth": True}, data))


def set_syndicated_id(local: str | dict[str, Any], remote_id: str, field: str | None = None) -> None:
    """Record that a dataset is known by another id at each target whose profile has this ``field_id``.

    :param local: id of the dataset, or the dataset
    """
    local_id = str(local["id"] if isinstance(local, dict) else local)
    wanted = field or get_syndicated_id()
    for profile in profiles.all_profiles():
        if profile.field_id == wanted:
            copies.record(local_id, profile.id, state=SyndicationLog.State.SYNCED, target_id=remote_id)


@contextlib.contextmanager
def reattaching_context(local_id: str, package: dict[str, Any], profile: Profile, ckan: RemoteCKAN) -> Iterator[None]:
    """Run a block that creates a dataset at a target. If its name is taken there, by a dataset that the author of the
    profile made, update that one instead and record that it is the copy.

    :param local_id: of the dataset here
    :param package: the payload
    :raises ckanapi.ValidationError: the block's, if that does not help
    """
    try:
        yield
    except ValidationError as error:
        if not profile.author or not hooks.reattaches(error):
            raise
        there = ckan.action.package_show(id=package["name"])
        if there["creator_user_id"] != ckan.action.user_show(id=profile.author)["id"]:
            raise
        ckan.action.package_update(**{**package, "id": there["id"]})
        set_syndicated_id(local_id, there["id"], profile.field_id)


def topic_name(topic: Topic | str) -> str:
    """Return ``create`` or ``update`` of a topic as any release wrote it: ``dataset/create``, ``Topic.create``."""
    name = topic.name if isinstance(topic, Topic) else str(topic).rpartition("/")[2]
    return name if name == Topic.create.name else Topic.update.name


def _first() -> Profile:
    found = next(iter(profiles.all_profiles()), None)
    if found is None:
        raise tk.ValidationError({"profile": ["There is no target: set ckanext.syndicate.profile.<ID>.ckan_url"]})
    return found
