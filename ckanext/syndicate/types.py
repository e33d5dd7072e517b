"""What the hooks and signals are given: the profile of a target, and what is done with a dataset there."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import ckan.plugins.toolkit as tk
from ckanapi import RemoteCKAN

from ckanext.relay import redaction, secrets
from ckanext.relay.errors import MASK, ConfigurationError, is_reference, redact
from ckanext.relay.http import Limits, guarded_session

from . import config

#: what can be done with the copy of a dataset that is not to be there any more
KEEP, PRIVATE, DELETE = "keep", "private", "delete"


class Topic(enum.Enum):
    """What is done with a dataset at the target."""

    create = enum.auto()
    update = enum.auto()
    unknown = enum.auto()


def _switch(value: Any) -> bool:
    return bool(tk.asbool(value))


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = int(value)
        if not least <= number <= most:
            raise ValueError(f"it is not between {least} and {most}")
        return number

    return read


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0.1 <= number <= 3600 or math.isnan(number):
        raise ValueError("it is not between 0.1 and 3600 seconds")
    return number


def _policy(value: Any) -> str:
    policy = str(value).strip().lower()
    if policy not in (KEEP, PRIVATE, DELETE):
        raise ValueError(f"it is none of {KEEP}, {PRIVATE}, {DELETE}")
    return policy


def _types(value: Any) -> tuple[str, ...]:
    types = tuple(map(str, tk.aslist(list(value) if isinstance(value, tuple) else value)))
    if not types:
        raise ValueError("it names no dataset type")
    return types


def _header(value: Any) -> str:
    text = " ".join(str(value).split())
    if not _fits_header(text):
        raise ValueError("it is not plain ASCII text")
    return text


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _object(value: Any) -> dict[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except RecursionError:
        found = None
    if not isinstance(found, Mapping):
        raise ValueError("it is no JSON object")
    return dict(found)


#: How the options that are not plain text are read; each raises ValueError or TypeError for a value that is none.
#: An empty text means the default.
READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("replicate_organization", "update_organization", "refresh_package_name", "upload_organization_image"), _switch
    ),
    **dict.fromkeys(("on_unflag", "on_private", "on_delete", "on_purge"), _policy),
    "extras": _object,
    "types": _types,
    "user_agent": _header,
    "connections": _whole(1, 100),
    "max_attempts": _whole(1, 1000),
    "timeout": _seconds,
}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default is not dataclasses.MISSING else {}


@dataclasses.dataclass(repr=False)
class Profile:
    """A target, and how datasets get there.

    :param id: what the configuration calls it
    :param ckan_url: address of the target portal
    :param api_key: token, or a reference to it: ``env:NAME``, ``file:NAME``; only :meth:`get_target` resolves it
    :param organization: name or id of the organization that owns the copies, unless organizations are replicated
    :param flag: extra that switches a dataset on
    :param field_id: extra in which ckanext-syndicate 1.x and 2.x kept the id of the copy
    :param name_prefix: put before the names of copies, with a dash between
    :param replicate_organization: whether the organization is looked for, and made, by its name
    :param update_organization: whether it is also kept up to date; replicates by itself
    :param refresh_package_name: whether updates rename copies, too
    :param user_agent: how the portal presents itself; None as ckanapi does
    :param upload_organization_image: whether the picture of an organization is copied
    :param queue: accepted and without effect
    :param author: user of the token at the target, whose datasets are taken for copies if they have the name of one
    :param predicate: ``import.path:function`` that is called with a ``model.Package``; falsy means not this one
    :param extras: free data for hooks
    :param connections: how many requests the target gets at a time
    :param timeout: seconds that the target may take for an answer
    :param on_unflag: what becomes of the copy when a dataset is not selected any more: keep, private, delete
    :param on_private: the same when it is made private
    :param on_delete: the same when it is deleted
    :param on_purge: the same when it is purged
    :param types: types of datasets that are pushed
    :param max_attempts: how often one is tried before a person must look at it
    :raises ValueError: a value that is no text cannot be read
    """

    id: str
    ckan_url: str = ""
    api_key: str = ""
    organization: str = ""
    flag: str = "syndicate"
    field_id: str = "syndicated_id"
    name_prefix: str = ""
    replicate_organization: bool = False
    update_organization: bool = False
    refresh_package_name: bool = False
    user_agent: str | None = None
    upload_organization_image: bool = True
    queue: str = "default"
    author: str = ""
    predicate: str = ""
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)
    connections: int = dataclasses.field(default=4, kw_only=True)
    timeout: float = dataclasses.field(default=60.0, kw_only=True)
    on_unflag: str = dataclasses.field(default=KEEP, kw_only=True)
    on_private: str = dataclasses.field(default=PRIVATE, kw_only=True)
    on_delete: str = dataclasses.field(default=DELETE, kw_only=True)
    on_purge: str = dataclasses.field(default=DELETE, kw_only=True)
    types: tuple[str, ...] = dataclasses.field(default=("dataset",), kw_only=True)
    max_attempts: int = dataclasses.field(default=8, kw_only=True)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in READERS and value is not None and value != "":
                setattr(self, field.name, READERS[field.name](value))
            elif field.name in READERS:
                setattr(self, field.name, _default(field))

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.api_key and not is_reference(self.api_key):
            shown["api_key"] = MASK
        shown["ckan_url"] = redact(self.ckan_url)
        shown["extras"] = redaction.masked(self.extras)
        return f"Profile({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    __str__ = __repr__

    def get_target(self) -> RemoteCKAN:
        """Return a client of the target with a session and connections of its own; close it after use.

        :raises ConfigurationError: address or token are missing or none, or the token is a reference that leads nowhere
        """
        missing = [name for name in ("ckan_url", "api_key") if not getattr(self, name)]
        if missing:
            raise ConfigurationError(
                f"The profile {self.id} has no {' and no '.join(missing)}",
                hint=f"Set {' and '.join(f'{config.PROFILE_PREFIX}{self.id}.{name}' for name in missing)}.",
            )
        return target(self.ckan_url, self.api_key, user_agent=self.user_agent, seconds=self.timeout)


def is_address(url: str) -> bool:
    """Return whether a portal can be at a URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # brackets or a port that are none
        return False


def target(url: str, api_key: str, *, user_agent: str | None = None, seconds: float = 60) -> RemoteCKAN:
    """Return a client of a portal that connects only where this one may; close it after use.

    :param api_key: token, or a reference to one
    :param seconds: that the portal may take for an answer
    :raises ConfigurationError: the address is none, the reference leads nowhere, or the token is none
    """
    if not is_address(url):
        raise ConfigurationError(f"{redact(url)!r} is no address of a portal", hint="It begins with https://.")
    token = secrets.resolve(api_key, config.secrets_dir()).strip()
    redaction.remember([token])
    if not _fits_header(token):
        # the error of the client would show it
        raise ConfigurationError(f"The token for {redact(url)} is none", hint="It is plain ASCII text in one line.")
    session = guarded_session(config.address_policy(), Limits(read=seconds, total=seconds))
    return RemoteCKAN(url, apikey=token, user_agent=user_agent or None, session=session)
