"""What the actions are given."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan.logic.schema import validator_args

from ckanext.syndicate import profiles
from ckanext.syndicate.types import Topic


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
