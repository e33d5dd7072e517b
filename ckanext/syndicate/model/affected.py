"""Which datasets of those that were changed concern a profile: told by the database alone, in one statement."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import ckan_211
from ckanext.syndicate.types import Profile

from .log import SyndicationLog
from .outbox import PRIVACY
from .rows import among, same, upsert
from .tables import ACTIVE, DELETED, PRIVATE, copy_table, outbox_table

_copy = copy_table
_outbox = outbox_table
_log: sa.Table = SyndicationLog.__table__
_member: sa.Table = model.Member.__table__
_package: sa.Table = model.Package.__table__

#: What CKAN reads as a yes.
_YES = ("true", "yes", "on", "y", "t", "1")


# -- conditions over ``package``


def with_ids(ids: Collection[str]) -> Any:
    """Return the condition that a dataset is one of these."""
    return among(_package.c.id, ids)


def of_organization(organization_id: str | None) -> Any:
    """Return the condition that an organization owns a dataset."""
    return _package.c.owner_org == organization_id


def in_group(group_id: str) -> Any:
    """Return the condition that a dataset is in a group."""
    of_group = sa.and_(_member.c.group_id == group_id, _member.c.table_name == "package")
    return _package.c.id.in_(sa.select(_member.c.table_id).where(of_group, _member.c.state == model.State.ACTIVE))


def datasets(
    profile: Profile, meant: Any, rank: int, needs_code: bool, private: bool | None = None
) -> sa.sql.Select[Any]:
    """Return the query for the datasets that a profile is to look at again: those with a copy, those that are on their
    way, and those that may be selected. Columns: ``id`` and ``rank``, for :func:`.outbox.ask`.

    :param meant: condition over ``package``
    :param rank: of those that need not be taken away because they are private
    :param needs_code: whether the flag alone does not tell what is selected
    :param private: whether they are about to become private, or public; None: they stay as they are
    """
    is_private = sa.func.coalesce(_package.c.private, sa.false()) if private is None else sa.literal(private)
    flag = None if needs_code else profile.flag
    return _datasets(profile.id, flag, profile.field_id, profile.types, rank, is_private).where(meant)


def rank_of(package_id: str, profile: Profile, rank: int, needs_code: bool, connection: Any) -> int | None:
    """Return the rank of one dataset if a profile is to look at it again, see :func:`datasets`; None if it is not."""
    query = _one(profile.id, None if needs_code else profile.flag, profile.field_id, profile.types)
    row = connection.execute(query, {"package_id": package_id, "rank": rank}).first()
    return None if row is None else int(row.rank)


# kept, because this is asked whenever a dataset is saved
@functools.lru_cache(maxsize=1000)
def _one(profile_id: str, flag: str | None, field_id: str, types: tuple[str, ...]) -> sa.sql.Select[Any]:
    is_private = sa.func.coalesce(_package.c.private, sa.false())
    query = _datasets(profile_id, flag, field_id, types, sa.bindparam("rank", type_=sa.Integer), is_private)
    return query.where(_package.c.id == sa.bindparam("package_id", type_=sa.UnicodeText))


def _datasets(
    profile_id: str, flag: str | None, field_id: str, types: tuple[str, ...], rank: Any, is_private: Any
) -> sa.sql.Select[Any]:
    is_there = _has_copy(profile_id, public=False)
    has_old_state = _has_old_state(profile_id, field_id)
    is_under_way = sa.exists().where(_outbox.c.local_id == _package.c.id, _outbox.c.profile_id == profile_id)
    shows = sa.or_(_has_copy(profile_id, public=True), has_old_state)
    urgency = sa.case((sa.and_(is_private, shows), PRIVACY), else_=rank).label("rank")
    concerns = sa.or_(is_there, is_under_way, may_be_selected(flag, types), has_old_state)
    return sa.select(_package.c.id, urgency).where(concerns)


def may_be_selected(flag: str | None, types: tuple[str, ...]) -> Any:
    """Return the condition that a dataset has the flag, and one of these types; whether it is public does not count.

    :param flag: None: it is not the flag that tells
    """
    # an old database may have datasets without a type
    is_of_type = sa.func.coalesce(_package.c.type, "dataset").in_(types)
    is_flagged = sa.true() if flag is None else sa.func.lower(sa.func.btrim(ckan_211.extra(flag))).in_(_YES)
    return sa.and_(is_of_type, is_flagged)


def _has_copy(profile_id: str, public: bool) -> Any:
    """Return the condition that there is, or may be, a copy at the target; a public one, if that is asked."""
    gone = [DELETED, PRIVATE] if public else [DELETED]
    is_there = sa.or_(_copy.c.presence.is_(None), _copy.c.presence.notin_(gone))
    return sa.exists().where(_copy.c.local_id == _package.c.id, _copy.c.profile_id == profile_id, is_there)


def _has_old_state(profile_id: str, field_id: str) -> Any:
    """Return the condition that there is a copy of which we have no row: see :func:`.copies.known_target`."""
    no_target = ["", SyndicationLog.NO_TARGET]
    of_package = _log.c.local_id == _package.c.id
    logged = sa.exists().where(of_package, _log.c.profile_id == profile_id, _log.c.target_id.notin_(no_target))
    extra = sa.func.btrim(ckan_211.extra(field_id)).notin_(no_target) if field_id else sa.false()
    known = sa.exists().where(_copy.c.local_id == _package.c.id, _copy.c.profile_id == profile_id)
    return sa.and_(sa.or_(logged, extra), sa.not_(known))


# -- what is left of a dataset that is purged


def remember(package_id: str, name: str, profile: Profile, target_id: str | None, connection: Any) -> None:
    """Keep the id of a copy that only an extra of the dataset says, which goes with it."""
    if target_id and target_id.strip() not in ("", SyndicationLog.NO_TARGET):
        new = {"name": name, "target_id": target_id.strip(), "presence": ACTIVE}
        connection.execute(upsert(_copy, {"local_id": package_id, "profile_id": profile.id}, {}, new))


def has_left(package_id: str, profile_id: str, connection: Any) -> bool:
    """Return whether a dataset that is gone has a copy, or is on its way."""
    is_there = sa.or_(_copy.c.presence.is_(None), _copy.c.presence != DELETED)
    copied = sa.exists().where(same(_copy, package_id, profile_id), is_there)
    under_way = sa.exists().where(same(_outbox, package_id, profile_id))
    return bool(connection.execute(sa.select(sa.or_(copied, under_way))).scalar())
