"""The configuration of a CKAN source: what may be in it, and what is wrong with it."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from typing import Any

from . import deletion, search_terms

_BOOLEANS = ("force_all", "override_extras", "clean_tags", "read_only", "delete_missing", "adopt_existing")
_TEXTS = ("api_key", "user_agent")
#: Numbers, and the largest that makes sense.
_NUMBERS = {"delete_limit": 100, "overlap_hours": 24 * 366}
#: What a default extra may name in braces.
REPLACEMENTS = (
    "dataset_id",
    "harvest_source_id",
    "harvest_source_url",
    "harvest_source_title",
    "harvest_job_id",
    "harvest_object_id",
)
_MODES = ("only_local", "create")
_LISTS = (
    "organizations_filter_include",
    "organizations_filter_exclude",
    "groups_filter_include",
    "groups_filter_exclude",
)
#: All keys that have a meaning here. Others are left alone: subclasses and other tools have theirs.
KEYS = (
    "api_version",
    "default_tags",
    "default_groups",
    "default_extras",
    "remote_groups",
    "remote_orgs",
    "user",
    *_TEXTS,
    *_BOOLEANS,
    *_NUMBERS,
    *_LISTS,
)
#: Hours by which the search for changes reaches back behind the last run.
DEFAULT_OVERLAP = 1


def parse(text: str | None) -> dict[str, Any]:
    """Return the configuration that a text holds; an empty text is an empty one.

    :raises ValueError: it is not a JSON object, or a value in it is not what it must be
    """
    if not text or not text.strip():
        return {}
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError('it must be a JSON object, such as {"force_all": true}')
    check(config)
    return config


def check(config: Mapping[str, Any]) -> None:
    """Return if a configuration is well-formed. What must exist on the portal is for the harvester to check.

    :raises ValueError: the first thing that is wrong
    """
    if "api_version" in config:
        try:
            int(config["api_version"])
        except (TypeError, ValueError):
            raise ValueError("api_version must be an integer") from None
    _check_defaults(config)
    for key in _BOOLEANS:
        if key in config and not isinstance(config[key], bool):
            raise ValueError(f"{key} must be boolean")
    if config.get("user") and not isinstance(config["user"], str):
        raise ValueError("User not found")
    for key in _TEXTS:
        if not isinstance(config.get(key), (str, type(None))):
            raise ValueError(f"{key} must be text")
    for key, most in _NUMBERS.items():
        if key in config and not _is_number(config[key], most):
            raise ValueError(f"{key} must be a number from 0 to {most}")
    for key in ("remote_groups", "remote_orgs"):
        if config.get(key) and config[key] not in _MODES:
            raise ValueError(f"{key} must be one of {', '.join(_MODES)}")
    for key in _LISTS:
        if key in config and not (_are_strings(config[key]) and all(name.strip() for name in config[key])):
            raise ValueError(f"{key} must be a list of names")
    for kind in ("organizations", "groups"):
        if config.get(f"{kind}_filter_include") and config.get(f"{kind}_filter_exclude"):
            both = f"{kind}_filter_include and {kind}_filter_exclude"
            raise ValueError(f"Harvest configuration cannot contain both {both}")


def _check_defaults(config: Mapping[str, Any]) -> None:
    if "default_tags" in config:
        if not isinstance(config["default_tags"], list):
            raise ValueError("default_tags must be a list")
        if not all(isinstance(tag, dict) for tag in config["default_tags"]):
            raise ValueError("default_tags must be a list of dictionaries")
    if "default_groups" in config:
        if not isinstance(config["default_groups"], list):
            raise ValueError("default_groups must be a *list* of group names/ids")
        if not _are_strings(config["default_groups"]):
            raise ValueError("default_groups must be a list of group names/ids (i.e. strings)")
    if "default_extras" in config and not isinstance(config["default_extras"], dict):
        raise ValueError("default_extras must be a dictionary")
    for key, value in (config.get("default_extras") or {}).items():
        if isinstance(value, str):
            fill_in(key, value, dict.fromkeys(REPLACEMENTS, ""))


def fill_in(key: str, template: str, replacements: Mapping[str, str]) -> str:
    """Return the text of a default extra with its replacements, and ``{{`` and ``}}`` as braces.

    ``str.format`` would do more: fill up to gigabytes, say.

    :param key: of the extra, to be named in an error
    :raises ValueError: it is no template, names another replacement, or says how to format one
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"default_extras: {key} is no template: {error}") from None
    filled = []
    for text, field, spec, conversion in parts:
        filled.append(text)
        if field is None:
            continue
        if field not in replacements:
            raise ValueError(f"default_extras: {key} has {{{field}}}; there are {', '.join(replacements)}")
        if spec or conversion:
            raise ValueError(f"default_extras: {key} must have {{{field}}} as it is, with no format behind the name")
        filled.append(replacements[field])
    return "".join(filled)


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_number(value: Any, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most


def number(config: Mapping[str, Any], key: str) -> float:
    """Return ``delete_limit`` (percent) or ``overlap_hours``, or what holds where none is set or it makes no sense."""
    default = {"delete_limit": deletion.DEFAULT_LIMIT, "overlap_hours": DEFAULT_OVERLAP}[key]
    value = config.get(key, default)
    return value if _is_number(value, _NUMBERS[key]) else default


def search_filters(config: Mapping[str, Any]) -> list[str]:
    """Return the terms of the remote search that the include and exclude filters ask for.

    Values to include are alternatives, values to exclude all hold. Whatever a value is, it stays one.
    """
    terms = []
    for kind, field in (("organizations", "organization"), ("groups", "groups")):
        if included := _names(config.get(f"{kind}_filter_include")):
            terms.append(search_terms.any_of(field, included))
        terms += [f"-{search_terms.term(field, name)}" for name in _names(config.get(f"{kind}_filter_exclude"))]
    return terms


def _names(value: Any) -> list[str]:
    """Return the names of a list, also of one that no form has checked."""
    return [str(name) for name in (value if isinstance(value, list) else [value]) if name]
