"""Typed getters of the plugin's settings; the only reader of ``ckan.harvest.*`` and ``ckanext.harvest.*``."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk


def _get(key: str) -> Any:
    # tests and older portals put plain strings into the config at run time
    return tk.config.get(key)


def batch_size() -> int:
    """Return how many objects a worker claims at a time."""
    return int(_get("ckan.harvest.batch_size"))


def workers_per_source() -> int:
    """Return how many workers may process objects of the same source at a time."""
    return int(_get("ckan.harvest.workers_per_source"))


def gather_seconds() -> int:
    """Return after how many seconds a gather stage that does not end is taken for hung."""
    return int(_get("ckan.harvest.gather_seconds"))


def object_seconds() -> int:
    """Return after how many seconds the processing of one object that does not end is taken for hung."""
    return int(_get("ckan.harvest.object_seconds"))


def timeout_minutes() -> int | None:
    """Return after how many minutes without any activity a job is ended, or None for never."""
    minutes = _get("ckan.harvest.timeout")
    return int(minutes) if minutes else None


def source_limit() -> int:
    """Return the most sources that ``harvest_source_list`` answers with."""
    return int(_get("ckan.harvest.harvest_source_limit") or 100)


def not_overwrite_fields() -> list[str]:
    """Return the dataset fields that keep their local value when a record changed."""
    return tk.aslist(_get("ckan.harvest.not_overwrite_fields") or [])


def default_dataset_name_append() -> str:
    """Return how names that are taken are told apart: ``number-sequence`` or ``random-hex``."""
    return str(_get("ckanext.harvest.default_dataset_name_append") or "number-sequence")


def user_name() -> str | None:
    """Return the name of the user who harvests, if one is set."""
    return _get("ckanext.harvest.user_name") or None
