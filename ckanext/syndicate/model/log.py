"""The latest state of each dataset at each target, as other extensions read it."""

from __future__ import annotations

import functools
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import relationship

from .rows import as_text
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
        model.Session.flush()
        note(model.Session.connection(), local_id, profile_id, target_id, state, error)
        if not defer_commit:
            model.Session.commit()
        return model.Session.get(cls, (local_id, profile_id), populate_existing=True)

    @classmethod
    def get(cls, local_id: str, profile_id: str) -> SyndicationLog | None:
        """Return the row of a dataset and profile, or None if there is none."""
        return model.Session.get(cls, (local_id, profile_id))


def note(
    connection: sa.engine.Connection,
    local_id: str,
    profile_id: str,
    target_id: str | None,
    state: str,
    error: str | None,
) -> None:
    """Record what came of a push, unless the dataset is purged; until the transaction ends nobody can purge it.

    :param target_id: None leaves the one that is known
    """
    text, constants = _note()
    given = {"dataset": local_id, "profile": profile_id, "new_id": target_id or None, "said": state, "why": error}
    connection.exec_driver_sql(text, {**constants, **given})


@functools.cache
def _note() -> tuple[str, dict[str, Any]]:
    table, package = SyndicationLog.__table__, model.Package.__table__
    dataset, profile, new_id, state, error = (
        sa.bindparam(name, type_=sa.UnicodeText) for name in ("dataset", "profile", "new_id", "said", "why")
    )
    # a CTE, since a SELECT that an INSERT reads may not lock
    there = sa.select(package.c.id).where(package.c.id == dataset).with_for_update(read=True, key_share=True).cte()
    said = {"state": state, "error": error, "timestamp": sa.func.now()}
    row = sa.select(there.c.id, profile, sa.func.coalesce(new_id, SyndicationLog.NO_TARGET), *said.values())
    made = postgresql.insert(table).from_select(["local_id", "profile_id", "target_id", *said], row)
    changes = {**said, "target_id": sa.func.coalesce(new_id, table.c.target_id)}
    return as_text(made.on_conflict_do_update(index_elements=["local_id", "profile_id"], set_=changes))
