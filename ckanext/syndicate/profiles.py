"""The profiles of the configuration: one for each target, in the old way and in the new one."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.relay import redaction
from ckanext.relay.errors import is_reference, redact

from . import config
from .types import READERS, Profile, is_address

log = logging.getLogger(__name__)

_OPTIONS = frozenset(field.name for field in dataclasses.fields(Profile)) - {"id"}
_SECRET = frozenset({"api_key", "extras"})
#: as long as the column that it is kept in
_LONGEST_ID = 255

_Content = tuple[dict[str, Any], dict[str, Any]]
#: takes a sentence on what cannot be used
_Say = Callable[[str], Any]


class Profiles(list[Profile]):
    """The profiles, in the ways in which the releases of ckanext-syndicate returned them: as list and as generator."""

    def __init__(self, profiles: list[Profile]) -> None:
        super().__init__(profiles)
        self._rest = iter(list(profiles))

    def __next__(self) -> Profile:
        return next(self._rest)


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What the configuration said when it was read last, and what was made of it.

    :ivar problems: what cannot be used, one sentence each
    """

    content: _Content = dataclasses.field(repr=False)
    profiles: tuple[Profile, ...]
    problems: tuple[str, ...]


_last: _Reading | None = None


def all_profiles(force_refresh: bool = False) -> Profiles:
    """Return the profiles, those of the old settings first. What cannot be used is said once, and left out.

    They are kept until the configuration is another one.
    """
    return Profiles(list(_reading(force_refresh).profiles))


def by_id(profile_id: str) -> Profile | None:
    """Return a profile, or None if there is none with this id."""
    return next((profile for profile in all_profiles() if profile.id == profile_id), None)


def problems() -> list[str]:
    """Return what cannot be used of the configuration, one sentence each, without secrets."""
    return list(_reading().problems)


def _reading(anew: bool = False) -> _Reading:
    global _last
    content = (config.legacy_options(), config.profile_options())
    reading = _last
    if anew or reading is None or reading.content != content:
        said: dict[str, None] = {}
        found = _parse(*content, said.setdefault)
        for sentence in said:
            _log_once(sentence)
        reading = _last = _Reading(content, tuple(found), tuple(said))
    return reading


def _parse(legacy: Mapping[str, Any], options: Mapping[str, Any], say: _Say) -> list[Profile]:
    found = {str(number): row for number, row in enumerate(legacy_rows(legacy, say))}
    named: dict[str, dict[str, Any]] = {}
    for key, value in options.items():
        profile_id, _, option = key.partition(".")
        if not profile_id or len(profile_id) > _LONGEST_ID or option not in _OPTIONS:
            say(f"There is no setting {config.PROFILE_PREFIX}{key}: it is ignored")
        else:
            named.setdefault(profile_id, {})[option] = value
    for profile_id in found.keys() & named.keys():
        say(f"The profile {profile_id} is set both by {config.PROFILE_PREFIX}{profile_id} and ckan.syndicate.*")
    return [_profile(profile_id, values, say) for profile_id, values in {**found, **named}.items()]


def _profile(profile_id: str, values: Mapping[str, Any], say: _Say) -> Profile:
    usable = {option: value for option, value in values.items() if _is_usable(profile_id, option, value, say)}
    profile = Profile(id=profile_id, **{option: _text(option, value) for option, value in usable.items()})
    for option in ("ckan_url", "api_key"):
        if not getattr(profile, option):
            say(f"The profile {profile_id} has no {option}: nothing can be pushed to it")
    if profile.ckan_url and not is_address(profile.ckan_url):
        say(f"The profile {profile_id} has {redact(profile.ckan_url)!r} for ckan_url, which is no address of a portal")
    if profile.api_key and not is_reference(profile.api_key):
        redaction.remember([profile.api_key])
    redaction.remember_all(profile.ckan_url)
    redaction.remember_all(profile.extras)
    return profile


def _text(option: str, value: Any) -> Any:
    return value if option in READERS else str(value).strip()


def _is_usable(profile_id: str, option: str, value: Any, say: _Say) -> bool:
    if value is None or value == "" or option not in READERS:
        return value is not None
    try:
        READERS[option](value)
    except (ValueError, TypeError) as error:
        shown = "" if option in _SECRET else f" {redact(repr(value))}:"
        why = "it cannot be read" if option in _SECRET else redact(str(error))
        say(f"{option} of the profile {profile_id} is ignored,{shown} {why}")
        return False
    return True


@functools.cache
def _log_once(message: str) -> None:
    """Say once in the life of a process what is wrong: this is read on each save."""
    log.warning("%s", message)


def legacy_rows(options: Mapping[str, Any], say: _Say = _log_once) -> Iterator[dict[str, Any]]:
    """Yield the options of each target from lists with one entry a target, the longest of which counts.

    :param options: by option of a profile, as ``config.legacy_options`` returns them
    :param say: is told what cannot be used
    """
    columns = {option: _column(option, value, say) for option, value in options.items() if option != "user_agent"}
    for row in itertools.zip_longest(*columns.values()):
        values = {option: value for option, value in zip(columns, row, strict=True) if value is not None}
        # ckanext-syndicate 1.x had one target, and the name of a browser has blanks in it
        yield {**values, **{option: options[option] for option in ("user_agent",) if option in options}}


def _column(option: str, value: Any, say: _Say) -> list[Any]:
    if option != "extras" or not isinstance(value, str):
        return list(tk.aslist(value)) if isinstance(value, (str, list, tuple)) else [value]
    decoder, objects, rest = json.JSONDecoder(), [], value.strip()
    while rest:
        try:
            found, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            say("ckan.syndicate.extras is ignored: it is no JSON object")
            return []
        objects.append(found)
        rest = rest[end:].lstrip()
    return objects
