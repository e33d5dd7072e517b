"""Typed getters of the plugin's settings; the only reader of ``ckan.syndicate.*`` and ``ckanext.syndicate.*``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay.errors import ConfigurationError, redact

from .domain import marker

#: what third parties import these settings by
CONFIG_SYNC_ON_CHANGES = "ckanext.syndicate.sync_on_changes"
CONFIG_SYNC_ON_MEMBER_CHANGES = "ckanext.syndicate.sync_on_member_changes"
CONFIG_QUEUE_NAME = "ckanext.syndicate.queue.name"

#: ``ckanext.syndicate.profile.<ID>.<option>``
PROFILE_PREFIX = "ckanext.syndicate.profile."

ALLOWED_ORGANIZATION = "ckanext.syndication.predicate.allowed_organization"
DENIED_ORGANIZATION = "ckanext.syndication.predicate.denied_organization"

#: The settings from before there were profiles, by option of a profile. ckanext-syndicate 1.x called one of them
#: otherwise; the last name that is set counts.
LEGACY = {
    "ckan_url": ("ckan.syndicate.ckan_url",),
    "api_key": ("ckan.syndicate.api_key",),
    "organization": ("ckan.syndicate.organization",),
    "flag": ("ckan.syndicate.flag",),
    "field_id": ("ckan.syndicate.id", "ckan.syndicate.field_id"),
    "name_prefix": ("ckan.syndicate.name_prefix",),
    "replicate_organization": ("ckan.syndicate.replicate_organization",),
    "update_organization": ("ckan.syndicate.update_organization",),
    "author": ("ckan.syndicate.author",),
    "predicate": ("ckan.syndicate.predicate",),
    "extras": ("ckan.syndicate.extras",),
    "user_agent": ("ckan.syndicate.user_agent",),
}

address_policy = relay_config.address_policy
secrets_dir = relay_config.secrets_dir


# -- profiles


def legacy_options(settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what is set in the way of ckanext-syndicate 1.x, by option of a profile; lists are not taken apart.

    :param settings: CKAN's configuration unless another is meant
    """
    read = relay_config.get if settings is None else settings.get
    return {
        option: value for option, keys in LEGACY.items() for key in keys if (value := read(key)) not in (None, "", [])
    }


def profile_options() -> dict[str, Any]:
    """Return the settings of profiles as they stand in the configuration, without the prefix of their keys."""
    prefix = len(PROFILE_PREFIX)
    return {key[prefix:]: tk.config[key] for key in list(tk.config) if key.startswith(PROFILE_PREFIX)}


def idle_settings() -> list[str]:
    """Return the keys that are set and have no effect: work is not spread over queues of RQ any more."""
    queues = [key for key in profile_options() if key.endswith(".queue")]
    named = [CONFIG_QUEUE_NAME] if relay_config.get(CONFIG_QUEUE_NAME) not in (None, "", "default") else []
    return [*named, *(f"{PROFILE_PREFIX}{key}" for key in queues)]


# -- what is pushed, and when


def get_sync_on_changes() -> bool:
    """Return whether datasets are pushed when they change."""
    return relay_config.switch(CONFIG_SYNC_ON_CHANGES, True)


def get_sync_on_member_changes() -> bool:
    """Return whether a dataset is pushed when it is put into a group or taken out."""
    return relay_config.switch(CONFIG_SYNC_ON_MEMBER_CHANGES, True)


def delete_limit() -> float:
    """Return how many percent of the copies at a target may be taken back in a day without being asked for."""
    return relay_config.number("ckanext.syndicate.delete_limit", 10, most=100)


def reconcile_hours() -> float:
    """Return after how many hours a target is compared again; 0 if only people ask for it."""
    return relay_config.number("ckanext.syndicate.reconcile_hours", 0, most=24 * 3650)


def organization_title(key: str) -> str | None:
    """Return the title of an organization that a predicate compares with, or None if there is none."""
    return str(relay_config.get(key) or "").strip() or None


# -- who we are


def site() -> str:
    """Return the address by which targets know this portal.

    :raises ConfigurationError: it is no address
    """
    named = str(relay_config.get("ckanext.syndicate.site_url") or "").strip()
    # with the language, the root path is another one on each page
    root = re.sub(r"/?\{\{LANG\}\}", "", str(relay_config.get("ckan.root_path") or ""))
    address = named or f"{str(relay_config.get('ckan.site_url') or '').rstrip('/')}{root}"
    if not re.match(r"https?://[^/\s]+[^\s]*$", address, re.IGNORECASE):
        raise ConfigurationError(
            f"This portal has no address by which targets know it, but {redact(address)!r}",
            hint="Set ckan.site_url, or ckanext.syndicate.site_url.",
        )
    return marker.normalised(address)


# -- all of it


def check() -> None:
    """Return if every setting is what it must be; profiles warn instead.

    :raises ConfigurationError: the first that is not; names it
    """
    for getter in (get_sync_on_changes, get_sync_on_member_changes, delete_limit, reconcile_hours, site):
        getter()
