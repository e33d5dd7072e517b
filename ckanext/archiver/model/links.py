"""The links that claimed hosts are to be asked for."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.archiver.domain.link import Link, Previous
from ckanext.relay import lease
from ckanext.relay.celery_app import BULK, PRIORITY

from .resources import among, is_there, not_among, package, resource
from .tables import Archival, host_table, is_open, link_table, may_be_asked

_archival = Archival.__table__
_group = model.Group.__table__
_host = host_table
_link = link_table

#: How many links that share a URL are checked by one request; those that are left share the next one.
SHARED = 1000

#: What is read of an archival.
_PREVIOUS = [field.name for field in dataclasses.fields(Previous)]


def due(
    lease_id: str,
    each: int,
    lane: str | None = None,
    hosts: Collection[str] | None = None,
    under_way: Collection[str] = (),
    resources: Collection[str] | None = None,
) -> list[Link]:
    """Return links that are due, of hosts that a lease has claimed: the urgent first, then those that wait longest.
    Those that share a URL come all together, next to each other. Links of resources that are no more are dropped.

    :param each: how many URLs of a host at most
    :param lane: only URLs of this lane, if one is named
    :param hosts: only of these hosts, if any are named
    :param under_way: ids of resources that are being checked already
    :param resources: only URLs of these resources, if any are named
    """
    mine = sa.select(_host.c.host).where(_host.c.claimed_by == lease_id)
    if hosts is not None:
        mine = mine.where(among(_host.c.host, hosts))
    claimed = mine.cte("claimed")
    allowed = [not_among(_link.c.resource_id, under_way)] if under_way else []
    meant = allowed if resources is None else [*allowed, among(_link.c.resource_id, resources)]
    wanted = [_first(name, claimed, each, meant) for name in ((PRIORITY, BULK) if lane is None else (lane,))]
    first = (wanted[0] if len(wanted) == 1 else sa.union_all(*wanted).limit(each)).lateral("first")
    urls = (
        sa.select(
            claimed.c.host,
            first.c.url_hash,
            sa.func.bool_or(first.c.lane == PRIORITY).label("urgent"),
            sa.func.min(first.c.due).label("due"),
        )
        .select_from(claimed.join(first, sa.true()))
        .group_by(claimed.c.host, first.c.url_hash)
        .cte("urls")
    )
    sharing = (
        sa.select(_link)
        .where(is_open, _link.c.host == urls.c.host, _link.c.url_hash == urls.c.url_hash, *allowed)
        .correlate(urls)
        .limit(SHARED)
        .lateral("link")
    )
    return _load(sharing, urls)


def _first(lane: str, claimed: Any, each: int, conditions: list[Any]) -> Any:
    return (
        sa.select(_link.c.url_hash, _link.c.lane, _link.c.due)
        .where(is_open, _link.c.host == claimed.c.host, _link.c.lane == lane, _link.c.due <= lease.now, *conditions)
        .correlate(claimed)
        .order_by(_link.c.due)
        .limit(each)
    )


def _load(link: Any, urls: Any) -> list[Link]:
    query = (
        sa.select(
            *(link.c.resource_id, package.c.id.label("package_id"), link.c.url, resource.c.url_type, resource.c.format),
            *(_group.c.name.label("organization"), package.c.private, link.c.lane, link.c.host),
            *(link.c.tries, link.c.fingerprint, is_there.label("is_there"), _archival.c.id.label("archival_id")),
            *(_archival.c[name].label(f"previous_{name}") for name in _PREVIOUS),
        )
        .select_from(
            urls.join(link, sa.true())
            .outerjoin(resource, resource.c.id == link.c.resource_id)
            .outerjoin(package, package.c.id == resource.c.package_id)
            .outerjoin(_group, _group.c.id == package.c.owner_org)
            .outerjoin(_archival, _archival.c.resource_id == link.c.resource_id)
        )
        .order_by(urls.c.urgent.desc(), urls.c.due, urls.c.host, urls.c.url_hash, link.c.resource_id)
    )
    rows = lease.rows(query)
    if gone := [row.resource_id for row in rows if not row.is_there]:
        lease.execute(sa.delete(_link).where(among(_link.c.resource_id, gone)))
    return [_made(row) for row in rows if row.is_there]


def _made(row: Any) -> Link:
    previous = None
    if row.archival_id is not None:
        values = {name: getattr(row, f"previous_{name}") for name in _PREVIOUS}
        counts = {name: values[name] or 0 for name in ("failure_count", "suspect_count")}
        previous = Previous(**{**values, **counts})
    return Link(
        resource_id=row.resource_id,
        package_id=row.package_id,
        url=row.url,
        url_type=row.url_type or None,
        format=row.format or None,
        organization=row.organization,
        private=bool(row.private),
        lane=row.lane,
        previous=previous,
        host=row.host,
        tries=row.tries,
        fingerprint=row.fingerprint,
    )


def put_off(lease_id: str, resource_ids: Collection[str], seconds: float, own_fault: bool = True) -> None:
    """Have links checked later that came to nothing, or were not begun.

    :param own_fault: whether that counts as a try
    """
    mine = sa.exists().where(_host.c.host == _link.c.host, _host.c.claimed_by == lease_id)
    these = sa.select(_link.c.resource_id).where(is_open, among(_link.c.resource_id, resource_ids), mine)
    later = lease.now + datetime.timedelta(seconds=seconds)
    lease.execute(
        sa.update(_link)
        .where(_link.c.resource_id.in_(these.with_for_update(skip_locked=True, of=_link).scalar_subquery()))
        .values(due=later, tries=_link.c.tries + (1 if own_fault else 0))
    )


def hosts_of(resource_ids: Collection[str]) -> set[str]:
    """Return the hosts that may be asked now of those of these resources whose links are due."""
    query = sa.select(_link.c.host).join(_host, _host.c.host == _link.c.host).distinct()
    of_these = among(_link.c.resource_id, resource_ids)
    return {row.host for row in lease.rows(query.where(is_open, of_these, _link.c.due <= lease.now, may_be_asked))}
