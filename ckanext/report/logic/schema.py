"""What the actions are given."""

from __future__ import annotations

import json
from typing import Any

import ckan.plugins.toolkit as tk


def options(value: Any) -> dict[str, Any]:
    """Return the options of a report, which a GET request gives as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise tk.Invalid(tk._("Must be an object, as JSON")) from None
    if not isinstance(value, dict):
        raise tk.Invalid(tk._("Must be an object of option names and values"))
    if any("\x00" in each for each in value.values() if isinstance(each, str)):
        raise tk.Invalid(tk._("Holds a character that no text may hold"))
    return value


def report() -> dict[str, Any]:
    """Return the schema of actions on a report."""
    return {"id": [tk.get_validator("not_empty"), tk.get_validator("unicode_safe")]}


def background() -> dict[str, Any]:
    """Return the schema of whether a worker is to do something."""
    return {"background": [tk.get_validator("default")(False), tk.get_validator("boolean_validator")]}


def report_with_options() -> dict[str, Any]:
    """Return the schema of actions on a report with its options."""
    return report() | {"options": [tk.get_validator("ignore_empty"), options]}
