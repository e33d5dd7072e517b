"""The resources whose links are checked, as CKAN's tables have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from ckanext.archiver.domain.changes import NOT_ARCHIVED_TYPES
from ckanext.relay import ckan_211

resource = model.Resource.__table__
package = model.Package.__table__
_member = model.Member.__table__

ACTIVE = model.State.ACTIVE

#: The host of a URL, with its port; the port that one need not name.
_HOST = r"(?i)^\s*[a-z][a-z0-9+.-]*://(?:[^/?#\\]*@)?([^/?#\\\s]+)"
_USUAL_PORT = ":(?:80|443|21)$"
#: A host has 253 characters at most; PostgreSQL would refuse to index a much longer text.
_LONGEST_HOST = 255

is_there = sa.and_(resource.c.state == ACTIVE, package.c.state == ACTIVE)
#: A dataset whose links are checked, if it is there. (Its type may be missing in old databases.)
is_archived = sa.func.coalesce(package.c.type, "dataset").notin_(NOT_ARCHIVED_TYPES)
#: A resource that is to be checked.
is_active = sa.and_(is_there, is_archived)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which resources are meant; of several conditions all must hold. Without any, all are.

    :ivar packages: ids of datasets
    :ivar resources: ids of resources
    :ivar organization: id of the one that owns the dataset
    :ivar group: id of one that the dataset is in
    """

    packages: Collection[str] | None = None
    resources: Collection[str] | None = None
    organization: str | None = None
    group: str | None = None

    def condition(self) -> Any:
        """Return it for a query over ``resource`` and ``package``."""
        conditions = []
        if self.packages is not None:
            conditions.append(among(package.c.id, self.packages))
        if self.resources is not None:
            conditions.append(among(resource.c.id, self.resources))
        if self.organization is not None:
            conditions.append(package.c.owner_org == self.organization)
        if self.group is not None:
            conditions.append(package.c.id.in_(_members(self.group)))
        return sa.and_(sa.true(), *conditions)


def among(column: Any, values: Collection[str]) -> Any:
    """Return the condition that a column has one of these values, however many there are."""
    return column == sa.any_(sa.literal(list(values), ARRAY(sa.UnicodeText)))


def not_among(column: Any, values: Collection[str]) -> Any:
    """Return the condition that a column has none of these values.

    SQLAlchemy 1.4 makes of the opposite of :func:`among` that the column differs from one of them.
    """
    return column != sa.all_(sa.literal(list(values), ARRAY(sa.UnicodeText)))


def _members(group_id: str) -> Any:
    of_group = sa.and_(_member.c.group_id == group_id, _member.c.table_name == "package", _member.c.state == ACTIVE)
    return sa.select(_member.c.table_id).where(of_group)


def facts(*more: Any) -> sa.sql.Select:
    """Return the query for what is kept of each resource that is to be checked.

    Columns: ``resource_id``, ``package_id``, ``url``, ``url_hash``, ``host``, ``fingerprint``, and ``more``.
    """
    columns = (
        resource.c.id.label("resource_id"),
        package.c.id.label("package_id"),
        _url.label("url"),
        sa.func.md5(_url).label("url_hash"),
        _host().label("host"),
        _fingerprint().label("fingerprint"),
    )
    query = sa.select(*columns, *more).select_from(resource.join(package, package.c.id == resource.c.package_id))
    return query.where(is_active)


_url = sa.func.coalesce(resource.c.url, "")


def _host() -> Any:
    """Return the host that the URL names, with a port that is none of the usual ones; empty for an upload."""
    found = sa.func.coalesce(sa.func.substring(sa.func.left(_url, 2000), _HOST), "")
    return sa.func.left(sa.func.lower(sa.func.regexp_replace(found, _USUAL_PORT, "")), _LONGEST_HOST)


def _fingerprint() -> Any:
    """Return the hash of all that asks for a new check when it changes, see ``domain.changes``."""
    is_upload = resource.c.url_type == "upload"
    extras = sa.type_coerce(resource.c.extras, sa.UnicodeText)
    in_progress = sa.cast(extras, JSONB).op("->>")("upload_in_progress")
    parts = (
        sa.case((is_upload, "upload"), else_=""),
        _url,
        resource.c.format,
        sa.case((is_upload, sa.func.to_char(resource.c.last_modified, "YYYYMMDDHH24MISSUS"))),
        sa.case((extras.like("%upload_in_progress%"), in_progress)),
        package.c.license_id,
        ckan_211.extra("licence"),
        sa.case((package.c.private, "private"), else_=""),
    )
    # with what no value has in it between them, so that two values never read like two others
    return sa.func.md5(sa.func.concat_ws("\x1f", *(sa.func.coalesce(part, "") for part in parts)))
