"""Predicates for profiles, as ``predicate = ckanext.syndicate.helpers:organization_owns_dataset``; template helpers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.relay import pages

from . import config, flag_control, panel, profiles
from .flag_control import Flag
from .panel import Panel


def organization_owns_dataset(pkg: model.Package, conf_name: str = config.ALLOWED_ORGANIZATION) -> bool:
    """Return whether a dataset belongs to the organization whose title a setting names.

    :param conf_name: key of the setting
    """
    organization = model.Group.get(pkg.owner_org) if pkg.owner_org else None
    return organization is not None and organization.title == config.organization_title(conf_name)


def organization_not_owns_dataset(pkg: model.Package) -> bool:
    """Return whether a dataset does not belong to the organization whose title
    ``ckanext.syndication.predicate.denied_organization`` names."""
    return not organization_owns_dataset(pkg, config.DENIED_ORGANIZATION)


# -- for templates


def get_helpers() -> dict[str, Any]:
    """Return the template helpers by name."""
    own = (syndicate_panel, syndicate_state_names, syndicate_flags, syndicate_without_flags)
    return {helper.__name__: helper for helper in own}


def syndicate_panel(dataset_id: str) -> Panel | None:
    """Return what the page of a dataset says of it at the targets; None to who may not edit it, or without targets."""
    if not profiles.all_profiles():
        return None
    try:
        return panel.of(tk.get_action("syndicate_status")(pages.context(), {"id": dataset_id}))
    except tk.NotAuthorized:
        return None


def syndicate_state_names() -> dict[str, str]:
    """Return what each state of a dataset at a target is called."""
    return panel.state_names()


def syndicate_flags(data: Mapping[str, Any]) -> list[Flag]:
    """Return the checkboxes of targets for the form of a dataset.

    :param data: of the form
    """
    return flag_control.flags(data)


def syndicate_without_flags(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the form of a dataset without the extras that are shown as checkboxes."""
    return flag_control.without_flags(data)
