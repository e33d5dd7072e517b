"""Extras of ours that are fields at a target, because its schema has fields of that name.

CKAN does not take an extra with the name of a field. Which these are nobody knows beforehand: the target says so when
it refuses the first dataset.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any


def fields_of(payload: Mapping[str, Any], errors: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of extras which the target wants as fields.

    :param payload: what it refused
    :param errors: what it said, by field: about each extra, or that a field of the name is missing
    """
    extras = [extra["key"] for extra in payload.get("extras") or ()]
    said = errors.get("extras")
    refused = zip(extras, said, strict=False) if isinstance(said, list) else ()
    keys = {key for key, error in refused if isinstance(error, Mapping) and "key" in error}
    return frozenset(keys.union(key for key in extras if key in errors))


def fitted(payload: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Return a payload in which some extras are fields; lists and objects are no text any more.

    :param fields: keys of extras
    """
    extras = payload.get("extras") or ()
    moved = {extra["key"]: _parsed(extra["value"]) for extra in extras if extra["key"] in fields}
    if not moved:
        return dict(payload)
    # what a hook made a field of counts more
    return {**moved, **payload, "extras": [extra for extra in extras if extra["key"] not in moved]}


def _parsed(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
