"""Rows that another archiver, or an accident, left in a state that ours does not write; and how they are mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.archiver.domain import status
from ckanext.relay import lease

from .tables import Archival

_archival = Archival.__table__

#: Rows that one transaction mends.
BATCH = 1000


@dataclass(frozen=True)
class Check:
    """One kind of thing that may be wrong with archivals.

    :param code: its name, which does not change
    :param what: what is wrong, of several
    :param remedy: what mending does
    :param wrong: the condition that a row is wrong; made when it is asked for, since it may depend on the time
    :param values: that columns get
    """

    code: str
    what: str
    remedy: str
    wrong: Callable[[], Any]
    values: Callable[[], Mapping[str, Any]]

    def count(self) -> int:
        return int(model.Session.execute(sa.select(sa.func.count()).where(self.wrong())).scalar() or 0)

    def sample(self, most: int) -> list[str]:
        query = sa.select(_archival.c.resource_id).where(self.wrong()).order_by(_archival.c.resource_id).limit(most)
        return [row[0] for row in model.Session.execute(query)]

    def mend_all(self) -> int:
        """Mend all, in batches, and return how many."""
        mended = 0
        while True:
            ids = sa.select(_archival.c.id).where(self.wrong()).limit(BATCH).with_for_update(skip_locked=True)
            statement = sa.update(_archival).where(_archival.c.id.in_(ids.scalar_subquery()))
            if not (count := lease.execute(statement.values(dict(self.values())))):
                return mended
            mended += count


_TIMES = ("created", "updated", "first_failure", "last_success")
_known = _archival.c.status_id.in_(list(status.TEXTS))
#: What ``is_broken`` is by the status.
_by_status = sa.case((_archival.c.status_id < 10, sa.false()), (_archival.c.status_id < 20, sa.true()), else_=sa.null())


def _in_future() -> Any:
    return sa.or_(*(_archival.c[name] > lease.now + sa.func.make_interval(0, 0, 0, 0, 0, 1) for name in _TIMES))


CHECKS = (
    Check(
        "times-in-future",
        "archivals have times that are still to come: they were written in local time",
        "those times become now",
        _in_future,
        lambda: {name: sa.case((_archival.c[name] > lease.now, lease.now), else_=_archival.c[name]) for name in _TIMES},
    ),
    Check(
        "counts-missing",
        "archivals have no number of failures",
        "it becomes 0 where the link is well, and 1 elsewhere",
        lambda: _archival.c.failure_count.is_(None),
        lambda: {"failure_count": sa.case((_archival.c.is_broken.is_(False), 0), else_=1)},
    ),
    Check(
        "status-unknown",
        "archivals have a status that there is not",
        "they get the one that means the same: Download error if the link was broken, else Download failure",
        lambda: sa.and_(_archival.c.status_id.isnot(None), ~_known),
        lambda: {
            "status_id": sa.case((_archival.c.status_id < 20, status.DOWNLOAD_ERROR), else_=status.DOWNLOAD_FAILURE),
        },
    ),
    Check(
        "broken-differs",
        "archivals call a link broken, or not, against what their status says",
        "the status counts",
        lambda: sa.and_(_known, _archival.c.is_broken.is_distinct_from(_by_status)),
        lambda: {"is_broken": _by_status},
    ),
)
