"""Predicates for profiles: ``predicate = ckanext.syndicate.helpers:organization_owns_dataset``."""

from __future__ import annotations

from ckan import model

from . import config


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
