"""Typed getters of the settings that all plugins share, the only reader of ``ckanext.relay.*``; and what getters of
the plugins are made of."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

import ckan.plugins.toolkit as tk
import yaml
from ckan.exceptions import CkanConfigurationException

from .errors import ConfigurationError, redact
from .ssrf import AddressPolicy, networks

# -- settings of any kind: each raises ConfigurationError, which names the setting, for a value that it cannot take


def get(key: str) -> Any:
    """Return a value as it is: tests and older portals put plain strings into the config at run time."""
    return tk.config.get(key)


def number(key: str, default: float, least: float = 0, most: float = math.inf) -> float:
    """Return a finite number; the default if nothing is set."""
    value = get(key)
    if value is None or value == "":
        return default
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{key} is {value!r}, which is not a number") from None
    if not least <= found <= most or math.isinf(found):
        limits = f"less than {least:g}" if found < least else f"more than {most:g}"
        raise ConfigurationError(f"{key} is {value!r}, which is {'not a number' if math.isnan(found) else limits}")
    return found


def whole(key: str, default: int, least: int = 0, most: int = 2**63) -> int:
    """Return a whole number; the default if nothing is set."""
    found = number(key, default, least, most)
    if not float(found).is_integer():
        raise ConfigurationError(f"{key} is {get(key)!r}, which is not a whole number")
    return int(found)


def switch(key: str, default: bool) -> bool:
    """Return whether something is switched on; the default if nothing is set."""
    value = get(key)
    try:
        return default if value is None or value == "" else bool(tk.asbool(value))
    except ValueError:
        raise ConfigurationError(f"{key} is {value!r}, which is neither true nor false") from None


def one_of(key: str, allowed: Collection[str], default: str) -> str:
    """Return one of some words, in lower case; the default if nothing is set."""
    value = str(get(key) or default).strip().lower()
    if value not in allowed:
        raise ConfigurationError(f"{key} is {value!r}, which is none of {', '.join(allowed)}")
    return value


def url(key: str, schemes: Collection[str] = ("http", "https")) -> str | None:
    """Return an address with one of these schemes, or None if nothing is set."""
    value = str(get(key) or "").strip()
    if not value:
        return None
    try:
        parts = urlsplit(value)
        is_url = parts.scheme.lower() in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # brackets or a port that are none
        is_url = False
    if not is_url or any(character.isspace() for character in value):
        raise ConfigurationError(f"{key} is {redact(value)!r}, which is no address with {' or '.join(schemes)}")
    return value


def run_check(check: Callable[[], None]) -> None:
    """Check the settings of a plugin while CKAN configures it.

    :param check: raises ConfigurationError if one is not what it must be
    :raises CkanConfigurationException: with what that says, which CKAN prints without a traceback
    """
    try:
        check()
    except ConfigurationError as error:
        raise CkanConfigurationException(f"{error} {error.hint or ''}".rstrip()) from None


# -- settings that all plugins share


def site_url() -> str:
    """Return the address of this portal, without a slash at its end."""
    return str(get("ckan.site_url") or "").rstrip("/")


def site_id() -> str:
    """Return the id that keeps this portal's queues and keys apart from others'."""
    return str(tk.config["ckan.site_id"])


_older_settings: list[Callable[[], str | None]] = []


def add_older_broker_setting(url: Callable[[], str | None]) -> None:
    """Let a plugin say which broker its older settings name; it answers None if they name none."""
    if url not in _older_settings:
        _older_settings.append(url)


def broker_url() -> str:
    """Return the URL of the message broker: what ``ckanext.relay.broker_url`` says, else what older settings of a
    plugin say, else Redis as CKAN uses it. It may hold a password: never log it."""
    named = tk.config["ckanext.relay.broker_url"] or next(filter(None, (url() for url in _older_settings)), None)
    return str(named or tk.config["ckan.redis.url"])


def sweep_seconds() -> int:
    """Return how often beat looks for work that nobody does."""
    return int(tk.config["ckanext.relay.sweep_seconds"])


def lease_seconds() -> float:
    """Return how long the work of a worker that gives no sign of life stays its own."""
    return float(tk.config["ckanext.relay.lease_seconds"])


def checks_forms() -> bool:
    """Return whether forms that write must carry the token that CKAN gave out with them."""
    return bool(tk.asbool(tk.config.get("WTF_CSRF_ENABLED", True)))


def address_policy() -> AddressPolicy:
    """Return which addresses this portal may connect to.

    :raises ConfigurationError: a network in ``ckanext.relay.allowed_networks`` is not a CIDR
    """
    return AddressPolicy(allowed_networks=networks(tk.config["ckanext.relay.allowed_networks"]))


def secrets_dir() -> str | None:
    """Return the folder in which ``file:`` references are looked up, or None if there is none."""
    return tk.config["ckanext.relay.secrets_dir"] or None


#: one of the shared settings; CKAN takes no declaration twice
_SHARED = "ckanext.relay.broker_url"


def declare(declaration: Any, *files: str) -> None:
    """Declare the shared settings, if no plugin has, and those of the files; plugins call this in any order."""
    shared = () if _SHARED in declaration else (os.path.join(os.path.dirname(__file__), "config_declaration.yaml"),)
    for path in (*shared, *files):
        with open(path, encoding="utf-8") as stream:
            declaration.load_dict(yaml.safe_load(stream))
