"""Kept for other extensions: profiles, and asking for pushes, by the names of all releases of ckanext-syndicate.

Nothing inside imports this module.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from . import config, profiles
from .asking import (
    notify_sync,
    profiles_for,
    sync_all_profiles,
    sync_profile,
    syndicate_dataset,
    trigger_sync,
)
from .config import CONFIG_QUEUE_NAME, PROFILE_PREFIX
from .legacy import get_target, sync_package
from .types import Profile

__all__ = [
    "CONFIG_QUEUE_NAME",
    "PROFILE_PREFIX",
    "SyndicationDeprecationWarning",
    "deprecated",
    "get_profile",
    "get_profiles",
    "get_syndicate_profiles",
    "get_target",
    "notify_sync",
    "prepare_profile_dict",
    "profiles_for",
    "sync_all_profiles",
    "sync_package",
    "sync_profile",
    "syndicate_configs_from_config",
    "syndicate_dataset",
    "trigger_sync",
    "try_sync",
]

#: what ckanext-syndicate 2.0 called it
try_sync = notify_sync


class SyndicationDeprecationWarning(DeprecationWarning):
    """Something of an older release is used."""


def deprecated(msg: str) -> None:
    """Warn whoever calls the caller of this that it uses something of an older release."""
    warnings.warn(msg, SyndicationDeprecationWarning, stacklevel=3)


def get_profiles(force_refresh: bool = False) -> profiles.Profiles:
    """Return the profiles, as a list from which ``next`` takes one after the other.

    :param force_refresh: read the configuration again even if it has not changed
    """
    return profiles.all_profiles(force_refresh)


def get_syndicate_profiles() -> Iterator[Profile]:
    """Yield the profiles."""
    yield from profiles.all_profiles()


def get_profile(id: str) -> Profile | None:
    """Return a profile, or None if there is none with this id."""
    return profiles.by_id(id)


def syndicate_configs_from_config(config_: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the options of each target of the settings that are older than profiles.

    :param config_: CKAN's configuration
    """
    yield from profiles.legacy_rows(config.legacy_options(config_))


def prepare_profile_dict(profile: Any) -> Any:
    """Return what it is given."""
    return profile
