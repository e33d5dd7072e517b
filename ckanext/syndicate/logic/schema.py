"""What the actions are given."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan.logic.schema import validator_args

from ckanext.syndicate import bulk, profiles
from ckanext.syndicate.types import Topic

#: For how many hours an approval may hold.
LEAST_HOURS, MOST_HOURS = 0.1, 24 * 365


def profile_exists(value: Any) -> Any:
    """Return the id of a profile if there is one with it."""
    if profiles.by_id(str(value)) is None:
        raise tk.Invalid(tk._("Profile {0} does not exist").format(value))
    return str(value)


@validator_args
def syndicate(not_empty: Any, unicode_safe: Any, package_id_or_name_exists: Any, one_of: Any) -> dict[str, Any]:
    """Return the schema of actions on a dataset and a target."""
    topics = [Topic.create.name, Topic.update.name]
    return {
        "id": [not_empty, unicode_safe, package_id_or_name_exists],
        "topic": [not_empty, unicode_safe, one_of(topics)],
        "profile": [not_empty, unicode_safe, profile_exists],
    }


@validator_args
def sync(default: Any, boolean_validator: Any) -> dict[str, Any]:
    """Return the schema of the action that pushes a dataset."""
    return {**syndicate(), "force": [default(True), boolean_validator]}


@validator_args
def sync_group(not_empty: Any, unicode_safe: Any, default: Any, boolean_validator: Any) -> dict[str, Any]:
    """Return the schema of actions on a group, or organization, and a target."""
    return {
        "id": [not_empty, unicode_safe],
        "profile": [not_empty, unicode_safe, profile_exists],
        "update_existing": [default(False), boolean_validator],
    }


@validator_args
def look(ignore_empty: Any, unicode_safe: Any) -> dict[str, Any]:
    """Return the schema of actions that look at a dataset or at all, at a target or at all."""
    return {
        "id": [ignore_empty, unicode_safe],
        "profile": [ignore_empty, unicode_safe, profile_exists],
    }


@validator_args
def push(not_empty: Any, unicode_safe: Any, package_id_or_name_exists: Any) -> dict[str, Any]:
    """Return the schema of the action that lets the workers push a dataset."""
    return {**look(), "id": [not_empty, unicode_safe, package_id_or_name_exists]}


def hours(value: Any) -> float:
    """Return for how many hours an approval holds."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0
    if not LEAST_HOURS <= number <= MOST_HOURS:  # also what is not a number
        raise tk.Invalid(tk._("Between {0} and {1} hours").format(LEAST_HOURS, MOST_HOURS))
    return number


@validator_args
def approve(not_empty: Any, unicode_safe: Any, default: Any) -> dict[str, Any]:
    """Return the schema of the action that lets copies be taken away."""
    return {"profile": [not_empty, unicode_safe, profile_exists], "hours": [default(bulk.APPROVED_HOURS), hours]}
