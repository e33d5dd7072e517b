"""Typed getters of the settings that all plugins share; the only reader of ``ckanext.relay.*``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import ckan.plugins.toolkit as tk
import yaml

from .ssrf import AddressPolicy, networks


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
