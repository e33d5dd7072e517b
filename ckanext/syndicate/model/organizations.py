"""Which organization of a target is which of ours, for targets to which organizations are replicated."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from ckanext.relay import lease

from .rows import upsert
from .tables import organization_table

_organization = organization_table


@dataclasses.dataclass(frozen=True)
class Organization:
    """An organization, or group, at a target.

    :ivar remote_id: its id there
    :ivar picture: URL of ours that was uploaded there last
    """

    remote_id: str
    picture: str | None = None


def get(profile_id: str, organization_id: str) -> Organization | None:
    """Return what is known of an organization or group of ours at a target."""
    mine = sa.and_(_organization.c.profile_id == profile_id, _organization.c.organization_id == organization_id)
    rows = lease.rows(sa.select(_organization.c.remote_id, _organization.c.picture).where(mine))
    return Organization(*rows[0]) if rows else None


def record(profile_id: str, organization_id: str, remote_id: str, picture: str | None = None) -> None:
    """Record the id of an organization or group at a target.

    :param picture: None leaves what is known
    """
    columns = {"remote_id": remote_id, **({"picture": picture} if picture is not None else {})}
    key = {"profile_id": profile_id, "organization_id": organization_id}
    lease.execute(upsert(_organization, key, columns, {}))
