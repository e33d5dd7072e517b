"""Reading parameters that actions share."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk


def flag(data_dict: dict[str, Any], name: str, default: bool = False) -> bool:
    """Return a parameter that is true or false, as JSON or as a word.

    :raises ValidationError: it is neither
    """
    try:
        return tk.asbool(data_dict.get(name, default))
    except ValueError:
        raise tk.ValidationError({name: [tk._("Must be true or false")]}) from None


def text(data_dict: dict[str, Any], name: str) -> str | None:
    """Return a parameter that is a text, None if it is empty or not there.

    :raises ValidationError: it is no text, or one that no database holds
    """
    given = data_dict.get(name)
    if given is None or given == "":
        return None
    if not isinstance(given, str) or "\x00" in given:
        raise tk.ValidationError({name: [tk._("Must be a text")]})
    return given


def limit_and_offset(data_dict: dict[str, Any]) -> tuple[int | None, int]:
    """Return how many rows are wanted, None for all, and how many to leave out.

    :raises ValidationError: one of them is not a natural number
    """
    limit, offset = _natural(data_dict, "limit"), _natural(data_dict, "offset")
    return limit, offset or 0


def _natural(data_dict: dict[str, Any], name: str) -> int | None:
    given = data_dict.get(name)
    if given is None or given == "":
        return None
    try:
        number = int(given)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise tk.ValidationError({name: [tk._("Must be a natural number")]})
    return number
