"""Secrets in configurations: written as references, resolved at the last moment, never shown.

A configuration is written by people who may edit a source, not only by sysadmins. So a reference must not become a way
to read the machine: ``env:`` reaches only variables that the sysadmin named for it, ``file:`` only files of one folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import MASK, ConfigurationError, is_secret_key, redact

__all__ = ["is_secret_key", "mask", "mask_json", "redact", "resolve", "resolve_all", "unmask_json"]

ENV_PREFIX = "CKANEXT_RELAY_SECRET_"
MAX_FILE_BYTES = 64 * 1024

_REFERENCE = re.compile(r"(?:env|file):[\w.-]+")

Value = TypeVar("Value")


def resolve(value: str, secrets_dir: str | None) -> str:
    """Return the secret that a reference stands for, or any other text as it is.

    :param value: ``env:NAME`` for the variable ``CKANEXT_RELAY_SECRET_NAME`` (NAME may be written with or without the
        prefix), ``file:NAME`` for the file of that name in the secrets folder, without its last line end
    :param secrets_dir: the folder of ``file:`` references; None if the sysadmin named none
    :raises ConfigurationError: the reference leads nowhere, or where it must not
    """
    kind, _, name = value.partition(":")
    if kind == "env":
        return _from_environment(name)
    if kind == "file":
        return _from_file(name, secrets_dir)
    return value


def resolve_all(mapping: Mapping[str, Any], secrets_dir: str | None) -> dict[str, Any]:
    """Return a deep copy of a configuration, with each reference in it resolved.

    :param mapping: as read from JSON; stays as it is
    :raises ConfigurationError: see ``resolve``
    """

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return resolve(value, secrets_dir)
        if isinstance(value, Mapping):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return value

    return {key: walk(value) for key, value in mapping.items()}


def mask(value: Value) -> Value:
    """Return a deep copy to show: no values of secret keys, no passwords or tokens in addresses.

    References stay visible, for they are no secrets; so do null, true, false and "", which say if something is set.

    :param value: as read from JSON: dict, list, str, …
    """
    return _mask(value)  # the same shape comes back


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hide(inner) if is_secret_key(str(key)) else _mask(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mask(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def _hide(value: Any) -> Any:
    shown = value is None or value == "" or isinstance(value, bool)
    reference = isinstance(value, str) and _REFERENCE.fullmatch(value)
    return value if shown or reference else MASK


def _from_environment(name: str) -> str:
    variable = ENV_PREFIX + name.removeprefix(ENV_PREFIX)
    if variable not in os.environ:
        raise ConfigurationError(
            f"The secret 'env:{name}' is not set", hint=f"Set the environment variable {variable} for web and workers."
        )
    return os.environ[variable]


def _from_file(name: str, secrets_dir: str | None) -> str:
    if not secrets_dir:
        raise ConfigurationError(
            f"There is no folder in which to look up the secret 'file:{name}'",
            hint="Name one in ckanext.relay.secrets_dir.",
        )
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigurationError(f"'file:{name}' is not a secret", hint="Write the plain name of a file: file:NAME.")
    folder = Path(secrets_dir).resolve()
    path = (folder / name).resolve()
    # Kubernetes mounts secrets as links to a folder inside the folder, so links are followed, but not out of it.
    if not path.is_relative_to(folder) or not path.is_file():
        raise ConfigurationError(
            f"There is no secret 'file:{name}'", hint="Put a readable file of that name into ckanext.relay.secrets_dir."
        )
    return _read(path, name)


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"The secret 'file:{name}' is larger than {MAX_FILE_BYTES} bytes")
        return content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigurationError(f"The secret 'file:{name}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # not "from": the error holds the content
        raise ConfigurationError(f"The secret 'file:{name}' is not UTF-8 text") from None


def mask_json(text: str | None) -> str | None:
    """Return a configuration that is kept as JSON text with its secrets masked; any other text only redacted."""
    if not text:
        return text
    try:
        config = json.loads(text)
    except ValueError:
        return redact(text)
    masked = mask(config)
    return text if masked == config else json.dumps(masked)


def unmask_json(text: str, stored: str | None) -> str:
    """Return a configuration in which each secret that comes back masked, as it was shown, has its stored value.

    :param text: what a form or an API call gives, JSON or not
    :param stored: what is kept
    """
    if MASK not in text or not stored:
        return text
    try:
        config, before = json.loads(text), json.loads(stored)
    except ValueError:
        return text
    masked = mask(before)

    def restore(new: Any, shown: Any, kept: Any) -> Any:
        if isinstance(new, dict) and isinstance(shown, dict):
            return {key: restore(value, shown.get(key), kept.get(key)) for key, value in new.items()}
        if isinstance(new, list) and isinstance(shown, list) and len(new) == len(shown):
            return [restore(*each) for each in zip(new, shown, kept, strict=True)]
        return kept if new == shown else new

    return json.dumps(restore(config, masked, before))
