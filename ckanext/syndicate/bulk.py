"""Whole profiles: all datasets that concern a target, asked for, and pushed in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from . import runner, selection
from .model import affected, outbox
from .types import Profile


def candidates(profile: Profile) -> sa.sql.Select[Any]:
    """Return the query for the datasets that are at a target, or may have to be; the first column is their id."""
    return affected.datasets(profile, sa.true(), outbox.BULK, selection.needs_code(profile))


def ask(profiles: Iterable[Profile], force: bool = False) -> dict[str, int]:
    """Ask for all datasets that concern a target to be pushed; return how many those are, by profile.

    :param force: also if nothing has changed
    """
    asked = {}
    for profile in profiles:
        asked[profile.id] = outbox.ask(candidates(profile), [profile.id], outbox.BULK, force)
        model.Session.commit()
    return asked


def push_here(profile_id: str) -> Iterator[int]:
    """Push what waits for a target in this process; yields from time to time how many datasets still wait.

    It ends when all is done, or when nothing more can be done now: the target is away, or a worker is at it.
    """
    while True:
        more = list(runner.push(profile_id))
        counts = outbox.counts().get(profile_id)
        yield counts.waiting if counts else 0
        if not more:
            return
