"""The options of a report, and the key that its data are stored under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Options that name what a report is about, the most general first.
ENTITIES = ("organization", "publisher", "group", "package", "resource")

#: What the key of a report is preceded by, for what the last attempt to generate it came to if it failed, and for what
#: somebody asked for.
FAILED, WANTED = "failed ", "wanted "


def extract_entity_name(options: Mapping[str, Any]) -> Any:
    """Return the value of the first option that names an organization, group, package or resource, or None."""
    return next((options[name] for name in ENTITIES if name in options), None)


def key_of(name: str, options: Mapping[str, Any], order: Mapping[str, Any]) -> str:
    """Return the key of a report with these options, such as ``broken-links?organization=parks&deep=1``.

    :param name: of the report
    :param order: holds the options that there are, in their order
    :raises KeyError: an option is missing
    """
    if not order:
        return name
    return f"{name}?{'&'.join(f'{option}={_as_text(options[option])}' for option in order)}"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, bool) else repr(value)
