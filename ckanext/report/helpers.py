"""Template helpers."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import ckan.plugins.toolkit as tk
from ckan import model

from .report_registry import ReportRegistry

Item = TypeVar("Item")


def get_helpers() -> dict[str, Any]:
    """Return the helpers by name."""
    return {
        helper.__name__: helper
        for helper in (
            report__relative_url_for,
            report__chunks,
            report__organization_list,
            report__render_datetime,
            report__explicit_default_options,
        )
    }


def report__relative_url_for(**changes: Any) -> str:
    """Return the URL of this page with other query arguments; those that are empty or None are left out."""
    arguments = {**tk.request.args.to_dict(), **changes}
    query = urlencode({name: value for name, value in arguments.items() if value not in (None, "")})
    return tk.h.url_for(quote(tk.request.path)) + (f"?{query}" if query else "")


def report__chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield the items, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def report__organization_list() -> Iterator[tuple[str, str]]:
    """Yield name and title of each active organization, by title."""
    query = model.Session.query(model.Group.name, model.Group.title).filter_by(state="active", is_organization=True)
    yield from ((name, title or name) for name, title in query.order_by(model.Group.title, model.Group.name))


def report__render_datetime(
    datetime_: datetime.datetime | str | None, date_format: str = "%d %b %Y", with_hours: bool = False
) -> str:
    """Return a time as people read it; empty if there is none.

    :param datetime_: a time, or one in ISO format
    :param with_hours: also show hours and minutes
    """
    if not datetime_:
        return ""
    if with_hours:
        date_format += " %H:%M"
    return tk.h.render_datetime(datetime_, date_format)


def report__explicit_default_options(report_name: str) -> dict[str, int]:
    """Return ``{option: 1}`` for the options that are True by default: a link that leaves them out turns them off."""
    defaults = ReportRegistry.instance().get_report(report_name).option_defaults
    return {name: 1 for name, default in defaults.items() if default is True}
