"""How pushing goes: what is at each target, what waits for it, and what failed, with what to do about it."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.relay.errors import redact

from . import profiles, selection
from .domain import states
from .explanations import advise, explain
from .model import standing
from .model.standing import (
    ASKED,
    DELETED,
    FAILED,
    HELD,
    PRIVATE,
    STATES,
    STUCK,
    SYNCED,
    UNKNOWN,
    WAITING,
    Numbers,
    entry_rows,
)  # fmt: skip
from .model.tables import copy_table, outbox_table, target_table
from .types import Profile

__all__ = [
    "ASKED", "DELETED", "FAILED", "HELD", "PRIVATE", "STATES", "STUCK", "SYNCED", "UNKNOWN", "WAITING",
    "DatasetStatus", "Entry", "TargetStatus", "Trouble",
    "address_of_copy", "dataset", "entries", "entry_rows", "find", "targets", "troubles",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A dataset at a target.

    :ivar name: here; None if it was never there and is gone here
    :ivar state: one of :data:`STATES`
    :ivar target_url: address of the copy; None if there is none that people can follow
    :ivar pushed: when it was written the last time, or None
    :ivar cause: of the latest failure, see :class:`ckanext.syndicate.domain.states.Cause`
    :ivar error: what was said
    :ivar explanation: what the cause means
    :ivar advice: what to do about it
    :ivar attempts: that failed
    :ivar since: when it was asked for, or began to fail
    :ivar due: when it is tried next
    """

    dataset_id: str
    name: str | None
    title: str | None
    profile_id: str
    state: str
    target_id: str | None
    target_url: str | None
    pushed: datetime.datetime | None
    cause: str | None = None
    error: str | None = None
    explanation: str = ""
    advice: str = ""
    attempts: int = 0
    since: datetime.datetime | None = None
    due: datetime.datetime | None = None


@dataclass(frozen=True)
class TargetStatus:
    """A target.

    :ivar configured: False: the configuration has no such profile any more
    :ivar site_url: which portal it said it is
    :ivar answered: when it answered the last time
    :ivar down_since: since when it does not, or None
    :ivar resting_until: until when it is left alone, or None
    :ivar approved_until: until when a mass retraction is approved, or None
    :ivar numbers: of datasets in each of :data:`STATES`
    :ivar oldest: since when the one waits, is held, or fails that does so for the longest time
    :ivar troubles: datasets that failed or are held, the latest first; not all of them
    :ivar pushed_last_hour: datasets that were written there in the last hour, each counted once
    """

    profile_id: str
    configured: bool
    ckan_url: str
    organization: str
    site_url: str | None
    answered: datetime.datetime | None
    down_since: datetime.datetime | None
    resting_until: datetime.datetime | None
    cause: str | None
    error: str | None
    explanation: str
    advice: str
    approved_until: datetime.datetime | None
    numbers: dict[str, int]
    oldest: dict[str, datetime.datetime]
    troubles: list[Entry] = field(default_factory=list)
    pushed_last_hour: int = 0


@dataclass(frozen=True)
class DatasetStatus:
    """A dataset and a target that is configured.

    :ivar skipped: why it is not to be there, or None if it is
    :ivar entry: None: it is not there, and nothing waits
    :ivar ckan_url: address of the target
    :ivar down_since: since when the target does not answer, or None
    """

    profile_id: str
    skipped: str | None
    entry: Entry | None
    ckan_url: str = ""
    down_since: datetime.datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """Datasets that failed, or are held, at the same target for the same reason.

    :ivar state: failed or held
    :ivar cause: see :class:`ckanext.syndicate.domain.states.Cause`
    :ivar since: when the first of them began to fail, or was asked for
    """

    profile_id: str
    state: str
    cause: str | None
    number: int
    since: datetime.datetime
    explanation: str
    advice: str


# -- targets


def targets(profile_id: str | None = None, troubles: int = 0) -> list[TargetStatus]:
    """Return how each target is, in the order of the configuration; those that it has no more come last.

    :param profile_id: only this one
    :param troubles: of how many datasets that failed or are held is said why
    """
    known = {profile.id: profile for profile in profiles.all_profiles()}
    rows = _target_rows()
    numbers = standing.numbers(profile_id)
    ids = [*known, *sorted({*rows, *numbers} - set(known))]
    return [
        _target(each, known.get(each), rows.get(each), numbers.get(each, Numbers()), troubles)
        for each in ids
        if profile_id in (None, each)
    ]


def _target_rows() -> dict[str, Any]:
    is_resting = (target_table.c.not_before > lease.now).label("is_resting")
    is_approved = (target_table.c.approved > lease.now).label("is_approved")
    query = sa.select(*target_table.c, is_resting, is_approved)
    return {row.profile_id: row for row in model.Session.execute(query)}


def _target(profile_id: str, profile: Profile | None, row: Any, numbers: Numbers, troubles: int) -> TargetStatus:
    url = profile.ckan_url if profile else (row.ckan_url if row else None)
    is_down = row is not None and row.down_since is not None
    cause = row.cause if is_down else None
    return TargetStatus(
        profile_id=profile_id,
        configured=profile is not None,
        ckan_url=redact(url or ""),
        organization=profile.organization if profile else "",
        site_url=row.site_url if row else None,
        answered=row.checked if row else None,
        down_since=row.down_since if is_down else None,
        resting_until=row.not_before if is_down and row.is_resting else None,
        cause=cause,
        error=redact(row.error or "") if is_down else None,
        explanation=explain(cause),
        advice=advise(cause),
        approved_until=row.approved if row and row.is_approved else None,
        numbers={state: numbers.datasets[state] for state in STATES},
        oldest={state: numbers.oldest[state] for state in STATES if state in numbers.oldest},
        troubles=list(entries(profile_id, states_=(FAILED, HELD), limit=troubles)) if troubles else [],
        pushed_last_hour=numbers.last_hour,
    )


# -- datasets


def entries(
    profile_id: str | None = None,
    states_: Collection[str] = STATES,
    dataset_ids: Collection[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
    cause: str | None = None,
) -> Iterator[Entry]:
    """Yield the datasets that are at targets, or on their way, the latest first.

    :param profile_id: only of this target
    :param states_: only those in one of these states
    :param dataset_ids: only these
    :param limit: how many at most, beginning after ``offset``
    :param cause: only those for which this was the latest failure
    """
    known = {profile.id: profile.ckan_url for profile in profiles.all_profiles()}
    for row in standing.entries(profile_id, states_, dataset_ids, cause, limit, offset):
        yield _entry(row, known.get(row.profile_id) or row.ckan_url or "")


def troubles(profile_id: str | None = None) -> list[Trouble]:
    """Return what failed or is held, by target and reason; of what most datasets suffer stands first.

    :param profile_id: only of this target
    """
    return [
        Trouble(
            row.profile_id,
            row.state,
            row.cause,
            row.number,
            row.since,
            explanation=explain(row.cause),
            advice=advise(row.cause, given_up=row.state == FAILED),
        )
        for row in standing.troubles(profile_id)
    ]


def _entry(row: Any, ckan_url: str) -> Entry:
    # a row that waits keeps what the last try came to
    return Entry(
        dataset_id=row.local_id,
        name=row.name_here or row.name,
        title=row.title,
        profile_id=row.profile_id,
        state=row.state,
        target_id=row.target_id,
        target_url=address_of_copy(ckan_url, row.target_name or row.target_id, row.presence),
        pushed=row.pushed,
        cause=row.cause,
        error=redact(row.error) if row.error else None,
        explanation=explain(row.cause),
        advice=advise(row.cause, given_up=row.state == FAILED),
        attempts=row.attempts or 0,
        since=row.since,
        due=row.due if row.state == WAITING else None,
    )


def address_of_copy(ckan_url: str, target_name: str | None, presence: str | None) -> str | None:
    """Return where people find a copy, or None if there is none to follow: it is deleted, or the address is none."""
    scheme = ckan_url.strip().lower().partition(":")[0]
    if not target_name or presence == states.DELETED or scheme not in ("http", "https"):
        return None
    return f"{redact(ckan_url).rstrip('/')}/dataset/{target_name}"


def dataset(reference: str, profile_id: str | None = None) -> list[DatasetStatus]:
    """Return how a dataset is at each target that is configured.

    :param reference: name or id; also of one that was purged, as long as a copy is known
    :param profile_id: only this one
    :raises ObjectNotFound: there is no such dataset, and no copy of one
    """
    dataset_id = find(reference)
    package = model.Package.get(dataset_id)
    found = {entry.profile_id: entry for entry in entries(profile_id, dataset_ids=[dataset_id])}
    rows = _target_rows()
    return [
        DatasetStatus(
            profile.id,
            _skipped(package, profile),
            found.get(profile.id),
            ckan_url=redact(profile.ckan_url),
            down_since=rows[profile.id].down_since if profile.id in rows else None,
        )
        for profile in profiles.all_profiles()
        if profile_id in (None, profile.id)
    ]


def find(reference: str) -> str:
    """Return the id of a dataset.

    :param reference: name or id; also of one that was purged, as long as a copy is known
    :raises ObjectNotFound: there is no such dataset, and no copy of one
    """
    if (package := model.Package.get(reference)) is not None:
        return str(package.id)
    for table in (copy_table, outbox_table):
        is_it = table.c.local_id == reference
        if table is copy_table:
            is_it = sa.or_(is_it, copy_table.c.name == reference)
        if (found := model.Session.execute(sa.select(table.c.local_id).where(is_it).limit(1)).scalar()) is not None:
            return str(found)
    raise tk.ObjectNotFound(f"There is no dataset {reference}, and no copy of one is known")


def _skipped(package: model.Package | None, profile: Profile) -> str | None:
    if package is None:
        return "the dataset was purged"
    try:
        return selection.skips(package, profile)
    except Exception as error:  # noqa: BLE001  # the boundary to plugins and predicates, whose answer is asked for
        return redact(f"nobody knows: {type(error).__name__}: {error}")
