"""The rule by which datasets are pushed if no plugin has one of its own: the flag, and the predicate of the profile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from werkzeug.utils import import_string

from ckanext.relay.errors import ConfigurationError

from .model import copies
from .types import Profile

log = logging.getLogger(__name__)


def reason_to_skip(package: model.Package, profile: Profile) -> str | None:
    """Return why a dataset is not to be at a target, or None if it is.

    :raises ConfigurationError: the predicate of the profile cannot be imported
    :raises Exception: whatever the predicate raises
    """
    if package.private:
        return "package is private"
    if package.state == model.State.DELETED:
        # the copy is to follow, whatever the flag says
        return None if has_copy(package, profile) else "deleted package was never syndicated"
    if profile.predicate and not predicate_of(profile)(package):
        return f"the predicate {profile.predicate} says no"
    return None if is_flagged(package, profile) else "syndication flag disabled on package"


def is_flagged(package: model.Package, profile: Profile) -> bool:
    """Return whether the flag of a profile is set on a dataset; one that says neither yes nor no is not."""
    value = package.extras.get(profile.flag)
    try:
        return bool(tk.asbool(value))
    except ValueError:
        log.warning(
            "The extra %s of the dataset %s is %r, which is neither true nor false: it is not syndicated to %s",
            profile.flag, package.name, value, profile.id,
        )  # fmt: skip
        return False


def has_copy(package: model.Package, profile: Profile) -> bool:
    """Return whether a copy of a dataset is known to be at a target."""
    copy = copies.get(package.id, profile.id)
    target_id = copy.target_id if copy else copies.known_target(package.id, profile)
    return target_id is not None


def predicate_of(profile: Profile) -> Callable[[model.Package], Any]:
    """Return the function that the profile names.

    :raises ConfigurationError: there is none
    """
    try:
        found = import_string(profile.predicate)
    except ImportError as error:
        why = getattr(error, "exception", error)  # the error of werkzeug is a page long
        raise ConfigurationError(
            f"The predicate {profile.predicate!r} of the profile {profile.id} cannot be imported: {why}",
            hint="Write import.path:function.",
        ) from error
    if not callable(found):
        raise ConfigurationError(f"The predicate {profile.predicate!r} of the profile {profile.id} is no function")
    return found
