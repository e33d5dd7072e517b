"""Secrets in configurations: written as references, resolved at the last moment, never shown.

A configuration is written by people who may edit a source, not only by sysadmins. So a reference must not become a way
to read the machine: ``env:`` reaches only variables that the sysadmin named for it, ``file:`` only files of one folder.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import MASK, ConfigurationError, is_secret_key, redact

__all__ = ["is_secret_key", "mask", "mask_json", "redact", "resolve", "resolve_all", "unmask_json"]

ENV_PREFIX = "CKANEXT_RELAY_SECRET_"
MAX_FILE_BYTES = 64 * 1024

_REFERENCE = re.compile(r"(?:env|file):[\w.-]+")
# as ``redact`` writes it; the look-behind keeps the time linear
_MASKED_VALUE = re.compile(rf"(?<![\w.%\[\]-])([\w.%\[\]-]+)={re.escape(MASK)}(?![^\s&;,\"'<>()#])")

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
    """Return a configuration that is kept as JSON text with its secrets masked, as it is if there are none.

    Any other text is redacted, or masked as a whole if it names a secret: nobody knows where that begins and ends.
    """
    if not text:
        return text
    try:
        # without the hook, a secret whose key comes again without one would go unnoticed
        config = json.loads(text, object_pairs_hook=_distinct)
        masked = mask(config)
    except (ValueError, RecursionError):
        return _masked_text(text)
    if isinstance(config, str):  # may be JSON that was encoded twice
        return _masked_text(text)
    return text if masked == config else json.dumps(masked)


def unmask_json(text: str, stored: str | None) -> str:
    """Return a configuration in which each secret that comes back masked has its stored value.

    A mask for which nothing is stored stands for nothing, and is left out. In lists, what comes back as it was shown is
    found wherever it is now; if several secrets may be meant, none is taken, lest one goes to the wrong server.

    :param text: what a form or an API call gives, JSON or not
    :param stored: what is kept
    """
    if MASK not in text:
        return text
    if stored and text == mask_json(stored):
        return stored
    try:
        config = json.loads(text)
        restored = _restored(config, _parsed(stored))
    except (ValueError, RecursionError):
        return _without_masks(text)
    return text if restored == config else json.dumps(restored)


def _masked_text(text: str) -> str:
    names = (text, *re.findall(r"\w+", text))
    return MASK if any(map(is_secret_key, names)) else redact(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    config = dict(pairs)
    if len(config) < len(pairs):
        raise ValueError("A key is given twice")
    return config


def _parsed(stored: str | None) -> Any:
    try:
        return json.loads(stored or "null")
    except (ValueError, RecursionError):
        return None  # then no mask of it was shown that could come back as a part of JSON


def _restored(new: Any, kept: Any) -> Any:
    """Return the new value with the secrets of the kept one, which is None if there is none."""
    if isinstance(new, dict):
        before = kept if isinstance(kept, dict) else {}
        masked = {name for name, value in new.items() if value == MASK and is_secret_key(name)}
        return {
            name: before[name] if name in masked else _restored(value, before.get(name))
            for name, value in new.items()
            if name not in masked or name in before
        }
    if isinstance(new, list):
        return _restored_list(new, kept if isinstance(kept, list) else [])
    if isinstance(new, str) and MASK in new:
        return kept if isinstance(kept, str) and new == redact(kept) else _without_masks(new)
    return new


def _restored_list(new: list[Any], kept: list[Any]) -> list[Any]:
    given = [_fingerprint(item) for item in new]
    shown = [_fingerprint(mask(item)) for item in kept]
    twins: dict[str, list[Any]] = {}
    for item, fingerprint in zip(kept, shown, strict=True):
        twins.setdefault(fingerprint, []).append(item)
    counts = Counter(given)
    seen: Counter[str] = Counter()
    restored = []
    for index, (item, fingerprint) in enumerate(zip(new, given, strict=True)):
        meant = twins.get(fingerprint, [])
        if len(meant) == counts[fingerprint]:
            before = meant[seen[fingerprint]]  # all of them are still there, so in their order
        elif meant:
            before = meant[0] if all(other == meant[0] for other in meant) else None
        else:
            # changed where it stands, unless what stood there is elsewhere now
            in_place = len(new) == len(kept) and shown[index] not in counts
            before = kept[index] if in_place else None
        seen[fingerprint] += 1
        restored.append(_restored(item, before))
    return restored


def _fingerprint(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _without_masks(text: str) -> str:
    """Return the text without what ``redact`` puts into it; asterisks elsewhere are the author's own."""

    def emptied(pair: re.Match[str]) -> str:
        probe = f"{pair[1]}=x"
        return pair[0] if redact(probe) == probe else f"{pair[1]}="

    return _MASKED_VALUE.sub(emptied, text.replace(f"://{MASK}@", "://"))
