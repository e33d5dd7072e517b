"""The hook for other extensions: which datasets are pushed, and how they look at the target."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins.interfaces import Interface
from ckanapi import ValidationError

from . import rules
from .types import Profile

__all__ = ["ISyndicate", "Profile"]

#: what CKAN says, in English, if a name is taken
_NAME_TAKEN = "That URL is already in use."


class ISyndicate(Interface):
    """To choose datasets and to change what is sent; implement it with ``p.implements(ISyndicate, inherit=True)``.

    All methods are called by workers, in the main thread of a process, inside a CKAN request context. An error that one
    raises is recorded at the dataset; the push is tried again later.
    """

    def skip_syndication(self, package: model.Package, profile: Profile) -> bool | str:
        """Return whether a dataset is not to be at a target; a text says why not.

        Only the plugin that stands first in ``ckan.plugins`` is asked, so name yours before ``syndicate``. Drafts, and
        types that the profile does not name, are out before anybody is asked. This default is: not if it is private,
        if the predicate of the profile says no, or if its flag is not set.
        """
        return rules.reason_to_skip(package, profile) or False

    def prepare_package_for_syndication(
        self, package_id: str, data_dict: dict[str, Any], profile: Profile
    ) -> dict[str, Any]:
        """Return what is sent of a dataset. Each plugin is asked in turn, with what the one before returned.

        :param package_id: of the dataset here
        :param data_dict: as it would be sent; may be changed
        """
        return data_dict

    def prepare_group_for_syndication(self, group_id: str, group: dict[str, Any], profile: Profile) -> dict[str, Any]:
        """Return what is sent of a group or organization. Each plugin is asked in turn.

        :param group_id: of the group here
        :param group: as it would be sent; may be changed
        """
        return group

    def reattach_on_syndication_error(self, error: Exception) -> bool:
        """Return whether an error of ``package_create`` at the target means that the name is taken, so that a dataset
        with that name is taken for the copy if the user of the token made it. One plugin that says so is enough.

        :param error: mostly a ``ckanapi.ValidationError``, which has an ``error_dict``
        """
        return isinstance(error, ValidationError) and _NAME_TAKEN in _said_of_name(error)


def _said_of_name(error: ValidationError) -> list[Any]:
    said = error.error_dict.get("name") if isinstance(error.error_dict, dict) else None
    return said if isinstance(said, list) else [said]
