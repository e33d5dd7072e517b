"""Which sources a list is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import authz, model
from ckan.lib.plugins import get_permission_labels

from ckanext.harvest.model import HarvestSource
from ckanext.relay import clock

from .parameters import flag


def matching(data_dict: dict[str, Any]) -> Any:
    """Return a query for the sources that ``harvest_source_list`` is asked for, newest first.

    :param data_dict: ``only_active``, ``only_to_run``, ``organization_id`` (id or name)
    :raises ValidationError: one of the flags is neither true nor false
    """
    query = model.Session.query(HarvestSource).order_by(HarvestSource.created.desc())
    if flag(data_dict, "only_active"):
        query = query.filter(HarvestSource.active)
    if flag(data_dict, "only_to_run"):
        due = HarvestSource.next_run.is_(None) | (HarvestSource.next_run <= clock.now())
        query = query.filter(HarvestSource.active, HarvestSource.frequency != "MANUAL", due)
    if data_dict.get("organization_id"):
        organization = model.Group.get(data_dict["organization_id"])
        owned = model.Package.owner_org == (organization.id if organization else None)
        query = query.join(model.Package, sa.and_(model.Package.id == HarvestSource.id, owned))
    return query


def visible(query: Any, context: Any) -> Any:
    """Leave out of such a query the private sources that the user may not see."""
    user = context.get("user")
    if context.get("ignore_auth") or (user and authz.is_sysadmin(user)):
        return query
    labels = get_permission_labels().get_user_dataset_labels(model.User.get(user) if user else None)
    package = model.Package.__table__.alias()
    is_theirs = sa.literal("member-").concat(package.c.owner_org).in_(labels)
    hidden = sa.exists().where(
        package.c.id == HarvestSource.id, package.c.private, sa.not_(sa.func.coalesce(is_theirs, False))
    )
    return query.filter(~hidden)
