"""Secrets in configurations: written as references, resolved at the last moment, never shown.

A configuration is written by people who may edit a source, not only by sysadmins. So a reference must not become a way
to read the machine: ``env:`` reaches only variables that the sysadmin named for it, ``file:`` only files of one folder.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from .errors import MASK, ConfigurationError, is_reference, is_secret_key, redact

__all__ = ["is_secret_key", "mask", "mask_json", "redact", "resolve", "resolve_all", "unmask_json", "values"]

ENV_PREFIX = "CKANEXT_RELAY_SECRET_"
MAX_FILE_BYTES = 64 * 1024

# {"name": "Authorization", "value": …}: which key says what it is, and which ones may hold it
_NAMING_KEYS = frozenset({"name", "header", "key", "field", "param", "parameter", "variable", "id"})
_VALUE_KEYS = frozenset({"value", "values", "val", "content", "contents", "data", "text", "default"})
# as a value of its own, where redact would not be sure in the middle of a sentence
_CREDENTIAL = re.compile(r"(Bearer|Basic|Token|Apikey|Api-Key)(\s+)\S{4,}", re.IGNORECASE)
_MASKED_CREDENTIAL = re.compile(rf"(?i:Bearer|Basic|Token|Apikey|Api-Key)\s+{re.escape(MASK)}(?!\S)")
_MASKED_QUOTED = re.compile(rf"""(?<!\\)((\\{{0,3}}["'])([\w.-]{{1,100}})\2\s?[:,]\s?\\{{0,3}}["']){re.escape(MASK)}""")
_MASKED_HEADER = re.compile(rf"(?<![\w-])([\w-]+\s*:\s*){re.escape(MASK)}")
# as ``redact`` writes it; the look-behind keeps the time linear
_MASKED_VALUE = re.compile(rf"(?<![\w.%\[\]-])([\w.%\[\]-]+)={re.escape(MASK)}(?![^\s&;,\"'<>()#])")

Value = TypeVar("Value")


def resolve(value: str, secrets_dir: str | None) -> str:
    """Return the secret that a reference stands for, or any other text as it is.

    :param value: ``env:NAME`` for the variable ``CKANEXT_RELAY_SECRET_NAME`` (NAME may be written with or without the
        prefix), ``file:NAME`` for the file of that name in the secrets folder; blanks and line ends around it are none
        of it, since headers take none
    :param secrets_dir: the folder of ``file:`` references; None if the sysadmin named none
    :raises ConfigurationError: the reference leads nowhere, or where it must not
    """
    kind, _, name = value.partition(":")
    if kind == "env":
        return _from_environment(name).strip()
    if kind == "file":
        return _from_file(name, secrets_dir).strip()
    return value


def resolve_all(mapping: Mapping[str, Any], secrets_dir: str | None) -> dict[str, Any]:
    """Return a deep copy of a configuration, with each reference in it resolved.

    :param mapping: as read from JSON; stays as it is. Texts that only begin like a reference, such as ``file:///data``,
        are none.
    :raises ConfigurationError: see ``resolve``
    """

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return resolve(value, secrets_dir) if is_reference(value) else value
        if isinstance(value, Mapping):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return value

    return {key: walk(value) for key, value in mapping.items()}


def mask(value: Value) -> Value:
    """Return a deep copy to show: no values of secret keys, no passwords or tokens in addresses, no credentials.

    A secret key may also stand beside its value: ``{"name": "Authorization", "value": …}``, ``["X-API-Key", …]``,
    ``"Cookie: …"``.
    References stay visible, for they are no secrets; so do null, true, false and "", which say if something is set.

    :param value: as read from JSON: dict, list, str, …
    """
    return _mask(value)  # the same shape comes back


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        hidden = _secret_keys(value)
        return {key: _hide(inner) if key in hidden else _mask(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [value[0], _hide(value[1])] if _is_secret_pair(value) else [_mask(inner) for inner in value]
    return _mask_text(value) if isinstance(value, str) else value


def _secret_keys(mapping: Mapping[Any, Any]) -> set[Any]:
    """Return the keys whose values are secrets."""
    named = any(
        isinstance(name, str) and is_secret_key(name)
        for key, name in mapping.items()
        if str(key).lower() in _NAMING_KEYS
    )
    return {key for key in mapping if is_secret_key(str(key)) or (named and str(key).lower() in _VALUE_KEYS)}


def _is_secret_pair(items: list[Any]) -> bool:
    return len(items) == 2 and isinstance(items[0], str) and is_secret_key(items[0])


def _mask_text(text: str) -> str:
    return redact(_CREDENTIAL.sub(rf"\1\2{MASK}", text) if _CREDENTIAL.fullmatch(text) else text)


def _hide(value: Any) -> Any:
    shown = value is None or value == "" or isinstance(value, bool)
    return value if shown or (isinstance(value, str) and is_reference(value)) else MASK


def values(config: Any) -> Iterator[str]:
    """Yield the secrets in a configuration, for who must know them by their value.

    :param config: as read from JSON, or a URL
    """
    if isinstance(config, Mapping):
        hidden = _secret_keys(config)
        for key, inner in config.items():
            yield from _texts(inner) if key in hidden else values(inner)
    elif isinstance(config, list):
        for inner in [_texts(config[1])] if _is_secret_pair(config) else map(values, config):
            yield from inner
    elif isinstance(config, str):
        yield from _parts(config)


def _texts(value: Any) -> Iterator[str]:
    """Yield all that a secret holds: each text, whole and without its scheme, and each number."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and value and not is_reference(value):
        yield value
        yield from _parts(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _parts(text: str) -> Iterator[str]:
    """Yield what ``mask`` would hide of a text."""
    shown = _mask_text(text)
    if shown == text:
        return
    # what stands in the text where the masked one has asterisks
    pattern = "(.+?)".join(map(re.escape, shown.split(MASK)))
    found = re.fullmatch(pattern, text, re.DOTALL)
    for secret in found.groups() if found else ():
        yield secret
        yield unquote(secret)
        user, separator, password = secret.partition(":")
        if separator and password:
            yield unquote(password)
        if scheme := re.fullmatch(r"\w[\w-]*\s+(\S+)", secret):
            yield scheme[1]


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
        return content.decode()
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
        secret = _secret_keys(new)
        masked = {name for name, value in new.items() if value == MASK and name in secret}
        return {
            name: before[name] if name in masked else _restored(value, before.get(name))
            for name, value in new.items()
            if name not in masked or name in before
        }
    if isinstance(new, list):
        items = kept if isinstance(kept, list) else []
        if _is_secret_pair(new) and new[1] == MASK:
            return [new[0], items[1] if items[:1] == new[:1] and _is_secret_pair(items) else ""]
        return _restored_list(new, items)
    if isinstance(new, str) and MASK in new:
        return kept if isinstance(kept, str) and new == _mask_text(kept) else _without_masks(new)
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

    def without_credential(header: re.Match[str]) -> str:
        probe = f"{header[1]}x"
        return header[0] if redact(probe) == probe else header[1]

    text = _MASKED_QUOTED.sub(lambda pair: pair[1] if is_secret_key(pair[3]) else pair[0], text)
    text = _MASKED_VALUE.sub(emptied, text.replace(f"://{MASK}@", "://"))
    return _MASKED_CREDENTIAL.sub("", _MASKED_HEADER.sub(without_credential, text))
