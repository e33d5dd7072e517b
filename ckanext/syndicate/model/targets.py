"""What is known of the targets: which portal they are, and whether they are to be left alone for a while."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from ckanext.relay import lease

from .rows import upsert
from .tables import target_table

_target = target_table


@dataclasses.dataclass(frozen=True)
class Target:
    """A target; times in UTC.

    :ivar ckan_url: where it was when it was asked who it is
    :ivar site_url: who it said it is
    :ivar checked: when it said so
    :ivar failures: how often in a row it did not answer
    :ivar not_before: when it may be asked again
    :ivar cause: why, in a word
    :ivar down_since: since when it does not answer
    :ivar approved: until when a person allows any number of copies to be taken away
    """

    profile_id: str
    ckan_url: str | None = None
    site_url: str | None = None
    checked: datetime.datetime | None = None
    failures: int = 0
    not_before: datetime.datetime | None = None
    cause: str | None = None
    error: str | None = None
    down_since: datetime.datetime | None = None
    approved: datetime.datetime | None = None


_COLUMNS = [_target.c[field.name] for field in dataclasses.fields(Target)]


def get(profile_id: str) -> Target:
    """Return what is known of a target; all empty, if nothing is."""
    rows = lease.rows(sa.select(*_COLUMNS).where(_target.c.profile_id == profile_id))
    return Target(*rows[0]) if rows else Target(profile_id)


def seen(profile_id: str, ckan_url: str, site_url: str) -> None:
    """Record who a target says it is, just now."""
    _write(profile_id, {"ckan_url": ckan_url, "site_url": site_url, "checked": lease.now})


def failed(profile_id: str, cause: str, error: str, seconds: float) -> None:
    """Record that a target did not answer, and leave it alone for so many seconds.

    :param cause: in a word
    :param error: what happened, for people; without secrets
    """
    columns = {
        "failures": _target.c.failures + 1,
        "not_before": lease.now + datetime.timedelta(seconds=seconds),
        "cause": cause,
        "error": error,
        "down_since": sa.func.coalesce(_target.c.down_since, lease.now),
    }
    _write(profile_id, columns, {**columns, "failures": 1, "down_since": lease.now})


def answered(profile_id: str) -> None:
    """Record that a target answers: nothing stands against asking it."""
    well = {"failures": 0, "not_before": None, "cause": None, "error": None, "down_since": None}
    failing = sa.or_(_target.c.failures > 0, _target.c.not_before.isnot(None))
    lease.execute(sa.update(_target).where(_target.c.profile_id == profile_id, failing).values(well))


def approve(profile_id: str, hours: float) -> None:
    """Allow any number of copies to be taken away for so many hours."""
    _write(profile_id, {"approved": lease.now + datetime.timedelta(hours=hours)})


def _write(profile_id: str, columns: dict[str, Any], new: dict[str, Any] | None = None) -> None:
    lease.execute(upsert(_target, {"profile_id": profile_id}, columns, {"failures": 0, **(new or {})}))
