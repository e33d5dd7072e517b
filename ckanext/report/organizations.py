"""Organizations and what they own, as reports ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from . import config


def all_organizations(include_none: bool = False) -> list[str | None]:
    """Return the names of the active organizations, by name.

    :param include_none: put None before them, which stands for all of them together
    """
    query = model.Session.query(model.Group.name).filter_by(state="active", is_organization=True)
    names = [row.name for row in query.order_by(model.Group.name)]
    return [None, *names] if include_none else names


def title(name_or_id: Any) -> str | None:
    """Return the title of an active organization, or None if there is none of this name or id."""
    if not isinstance(name_or_id, str) or not name_or_id:
        return None
    query = model.Session.query(model.Group.title, model.Group.name).filter_by(state="active", is_organization=True)
    row = query.filter(sa.or_(model.Group.name == name_or_id, model.Group.id == name_or_id)).first()
    return (row.title or row.name) if row else None


def go_down_tree(organization: model.Group) -> Iterator[model.Group]:
    """Yield an organization, then all that are below it."""
    seen = {organization.id}
    waiting = [organization]
    while waiting:
        each = waiting.pop()
        yield each
        for child in reversed(each.get_children_groups(type="organization")):
            if child.id not in seen:
                seen.add(child.id)
                waiting.append(child)


def filter_by_organizations(query: Any, organization: Any, include_sub_organizations: bool) -> Any:
    """Narrow a query over Package down to the datasets of an organization.

    :param organization: its name, its id, or a Group; none for all
    :param include_sub_organizations: also take the datasets of those below it
    :raises ObjectNotFound: there is no such organization
    """
    if not organization:
        return query
    group = organization if isinstance(organization, model.Group) else find(str(organization))
    owners = [each.id for each in go_down_tree(group)] if include_sub_organizations else [group.id]
    return query.filter(model.Package.owner_org.in_(owners))


def find(name_or_id: str) -> model.Group:
    """Return an organization.

    :raises ObjectNotFound: there is none
    """
    group = model.Group.get(name_or_id)
    if group is None or not group.is_organization:
        raise tk.ObjectNotFound(tk._("There is no organization {0}").format(name_or_id))
    return group


def dataset_notes(pkg: model.Package) -> str:
    """Return what the configuration says about a dataset in ``ckanext-report.notes.dataset``.

    :raises ConfigurationError: the setting holds something that is not understood
    """
    fields = {name: getattr(pkg, name, None) for name in model.Package.__table__.columns.keys()}  # noqa: SIM118
    return config.notes().of(fields, pkg.extras)
