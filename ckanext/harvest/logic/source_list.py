"""Which sources a list is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model

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
