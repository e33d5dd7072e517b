"""The latest state of each dataset at each target, as other extensions read it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import relationship

from .tables import TEXT, Base

# Instances hold plain values and classes expressions; SQLAlchemy 1.4, which CKAN 2.11 has, knows no annotation that
# says both.
column: Any = sa.Column


class SyndicationLog(Base):
    """What came of the latest push of a dataset to a target. Who works with copies reads :mod:`.copies`."""

    __tablename__ = "syndication_log"

    class State:
        STOPPED = "stopped"
        FAILED = "failed"
        SYNCED = "synced"

    #: Stands for an id that is not known.
    NO_TARGET = "-"

    local_id = column(TEXT, sa.ForeignKey(model.Package.__table__.c.id, ondelete="CASCADE"), primary_key=True)
    profile_id = column(sa.String(255), primary_key=True)
    target_id = column(sa.String(255), default=NO_TARGET)
    state = column(sa.String(50), nullable=False)
    error = column(sa.Text)
    timestamp = column(sa.DateTime(timezone=True), nullable=False)

    __table_args__ = (sa.Index("ix_syndication_log_local_profile", local_id, profile_id),)

    local_package = relationship(model.Package, viewonly=True)

    @classmethod
    def write(
        cls,
        local_id: str,
        profile_id: str,
        target_id: str | None = None,
        state: str = State.SYNCED,
        error: str | None = None,
        defer_commit: bool = False,
    ) -> SyndicationLog:
        """Record what came of a push, in CKAN's session, and return the row.

        :param local_id: id of an existing dataset
        :param target_id: None leaves the one that is known
        :param defer_commit: leave it to the caller to commit
        """
        model.Session.execute(upsert([(local_id, profile_id)], target_id, state, error))
        if not defer_commit:
            model.Session.commit()
        return model.Session.get(cls, (local_id, profile_id), populate_existing=True)

    @classmethod
    def get(cls, local_id: str, profile_id: str) -> SyndicationLog | None:
        """Return the row of a dataset and profile, or None if there is none."""
        return model.Session.get(cls, (local_id, profile_id))


def upsert(pairs: Any, target_id: str | None, state: str, error: str | None) -> Any:
    """Return the statement that records what came of a push.

    :param pairs: local id and profile id of each, or a SELECT of both
    :param target_id: None leaves the ones that are known
    """
    table = SyndicationLog.__table__
    said = {"state": state, "error": error, "timestamp": sa.func.now()}
    new_id = target_id or SyndicationLog.NO_TARGET
    made: Any = postgresql.insert(table)
    if isinstance(pairs, list):
        rows = [{"local_id": pair[0], "profile_id": pair[1], "target_id": new_id, **said} for pair in pairs]
        made = made.values(rows)
    else:
        found = pairs.cte("found")
        values = [sa.literal(new_id), *(sa.literal(value) for value in (state, error)), sa.func.now()]
        made = made.from_select(["local_id", "profile_id", "target_id", *said], sa.select(*found.c, *values))
    changes = {**said, **({"target_id": target_id} if target_id else {})}
    return made.on_conflict_do_update(index_elements=["local_id", "profile_id"], set_=changes)
