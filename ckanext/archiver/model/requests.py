"""Asking for links to be checked: one row a resource, so asking twice is asking once.

Locks are taken in this order: hosts, links, archivals; of each kind by id. What a person waits for waits for others;
what does not concern one dataset passes over the rows that somebody is at, who either asks for the same or has just
checked it. So nobody waits in a circle.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql

from ckanext.relay import lease
from ckanext.relay.celery_app import PRIORITY

from .resources import Wanted, among, facts, package, resource
from .tables import Archival, link_table, statement_time

_link = link_table
_archival = Archival.__table__
_KEPT = ("resource_id", "package_id", "url", "url_hash", "host", "fingerprint")


def request(lane: str, wanted: Wanted, connection: Any = None) -> int:
    """Ask for the links of some resources to be checked, in the session's transaction unless another is given.

    :param lane: ``priority`` or ``bulk``; of two the more urgent counts
    :returns: how many links are asked for that were not, or not so urgently
    """
    return int((connection or model.Session).execute(_request(lane, wanted)).rowcount)


def _request(lane: str, wanted: Wanted) -> Any:
    found = facts().where(wanted.condition()).cte("found")
    asked: dict[str, Any] = {"lane": sa.literal(lane), "due": statement_time, "tries": sa.literal(0)}
    asked |= dict.fromkeys(("suspect", "succeeded", "shows"), sa.false())
    query = sa.select(*found.c, *asked.values()).order_by(found.c.resource_id)
    if wanted.packages is None and wanted.resources is None:
        query = _passing_over(query, found, lane)
    made = postgresql.insert(_link).from_select((*_KEPT, *asked), query)
    new = made.excluded
    anew = _is_anew(new)
    return made.on_conflict_do_update(
        index_elements=[_link.c.resource_id],
        set_={
            **{name: new[name] for name in _KEPT[1:]},
            "lane": sa.case((_link.c.lane == PRIORITY, PRIORITY), else_=new.lane),
            "due": sa.case((anew, new.due), else_=sa.func.least(_link.c.due, new.due)),
            "tries": sa.case((anew, 0), else_=_link.c.tries),
        },
        where=_differs(new, lane),
    )


def _is_anew(new: Any) -> Any:
    """Return the condition that a link is not asked for yet, or was another one."""
    return sa.or_(_link.c.lane.is_(None), _link.c.fingerprint != new.fingerprint)


def _differs(new: Any, lane: str) -> Any:
    """Return the condition that a link would not stay as it is: those that would are not written."""
    more_urgent = _link.c.lane != PRIORITY if lane == PRIORITY else sa.false()
    return sa.or_(_is_anew(new), _link.c.package_id != new.package_id, _link.c.due > statement_time, more_urgent)


def _passing_over(query: sa.sql.Select, found: Any, lane: str) -> sa.sql.Select:
    """Leave out the links that somebody is writing just now, and those that would stay as they are."""
    differing = sa.select(_link.c.resource_id).join(found, found.c.resource_id == _link.c.resource_id)
    differing = differing.where(_differs(found.c, lane)).order_by(_link.c.resource_id)
    free = differing.with_for_update(skip_locked=True, of=_link).cte("free")
    query = query.outerjoin(_link, _link.c.resource_id == found.c.resource_id)
    query = query.outerjoin(free, free.c.resource_id == found.c.resource_id)
    return query.where(sa.or_(_link.c.resource_id.is_(None), free.c.resource_id.isnot(None)))


def resource_ids(wanted: Wanted) -> list[str]:
    """Return the ids of the resources that are meant, in their order."""
    query = facts().where(wanted.condition()).order_by(resource.c.id)
    return [row.resource_id for row in model.Session.execute(query)]


def count_unknown() -> int:
    """Return how many resources that are to be checked nobody has told us of."""
    unknown = facts().where(sa.not_(sa.exists().where(_link.c.resource_id == resource.c.id)))
    return int(lease.rows(sa.select(sa.func.count()).select_from(unknown.subquery()))[0][0])


def known(package_id: str) -> dict[str, str]:
    """Return the fingerprints of a dataset's resources as they were when they were asked for last."""
    return _fingerprints(_KNOWN, package_id)


def current(package_id: str) -> dict[str, str]:
    """Return the fingerprints of a dataset's resources as they are now; none if it is no active dataset."""
    return _fingerprints(_CURRENT, package_id)


def _fingerprints(query: Any, package_id: str) -> dict[str, str]:
    return {row.resource_id: row.fingerprint for row in model.Session.execute(query, {"package_id": package_id})}


# made once: this is asked whenever a dataset is saved
_package_id = sa.bindparam("package_id", type_=sa.UnicodeText)
_KNOWN = sa.select(_link.c.resource_id, _link.c.fingerprint).where(_link.c.package_id == _package_id)
_facts = facts().where(package.c.id == _package_id).subquery()
_CURRENT = sa.select(_facts.c.resource_id, _facts.c.fingerprint)


def forget(resource_ids: Collection[str]) -> None:
    """Let resources that are gone rest: their links are not checked any more. What is known of them stays, they may
    come back. In the session's transaction."""
    if resource_ids:
        model.Session.execute(sa.delete(_link).where(among(_link.c.resource_id, resource_ids)))


def adopt(age: datetime.timedelta) -> int:
    """Take in the resources that nobody has told us of, those from before the plugin was enabled for example: they are
    checked when their age asks for it; at once, if they never were or were not found well. Those that are gone rest.
    Return how many there were of both.

    :param age: after how long a link that is well is checked again
    """
    well = sa.and_(_archival.c.is_broken.is_(False), _archival.c.updated.isnot(None))
    recheck_at = sa.case((well, _archival.c.updated + age), else_=statement_time)
    columns = (*_KEPT, "tries", "checked", "recheck_at", "suspect", "succeeded", "shows")
    query = facts(sa.literal(0), _archival.c.updated, recheck_at, sa.false(), sa.false(), sa.false())
    query = query.outerjoin(_archival, _archival.c.resource_id == resource.c.id)
    query = query.where(sa.not_(sa.exists().where(_link.c.resource_id == resource.c.id)))
    made = postgresql.insert(_link).from_select(columns, query.order_by(resource.c.id))
    there = facts().subquery()
    gone = sa.not_(sa.exists().where(there.c.resource_id == _link.c.resource_id))
    rest = sa.select(_link.c.resource_id).where(gone).with_for_update(skip_locked=True, of=_link)
    resting = sa.delete(_link).where(_link.c.resource_id.in_(rest.scalar_subquery()))
    return lease.execute(made.on_conflict_do_nothing()) + lease.execute(resting)
