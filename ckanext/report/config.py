"""Typed getters of the plugin's settings; the only reader of ``ckanext-report.*`` and ``ckanext.report.*``."""

from __future__ import annotations

import datetime
import functools

from ckan import model
from ckan.lib.helpers import get_display_timezone

from ckanext.relay.config import get, whole
from ckanext.relay.errors import ConfigurationError

from .domain.notes import Notes, NotesError, understand

_NOTES = "ckanext-report.notes.dataset"


def generate_hours() -> int:
    """Return after how many hours the workers generate a report again; 0 if they never do."""
    return whole("ckanext.report.generate_hours", 24)


def has_notes() -> bool:
    """Return whether there is a setting for notes on datasets."""
    return bool(str(get(_NOTES) or "").strip())


def notes() -> Notes:
    """Return what the notes on a dataset are made of.

    :raises ConfigurationError: the setting holds something that is not understood
    """
    expression = str(get(_NOTES) or "")
    try:
        return _understood(expression)
    except NotesError as error:
        raise ConfigurationError(
            f"{_NOTES} cannot be used: {error}",
            hint="It may only look up fields and extras of the dataset; the documentation says how.",
        ) from None


@functools.lru_cache(maxsize=8)
def _understood(expression: str) -> Notes:
    return understand(expression, frozenset(model.Package.__table__.columns.keys()))


def hour_of_day() -> int:
    """Return the hour that it is where the portal is, 0 to 23, by ``ckan.display_timezone``."""
    return datetime.datetime.now(get_display_timezone()).hour


def check() -> None:
    """Read all settings.

    :raises ConfigurationError: one is not what it must be
    """
    generate_hours()
    notes()
