"""What people ask for: all datasets of a target or one once more, and that many copies are taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from . import runner, selection
from .domain.states import HELD
from .model import affected, outbox, targets
from .types import Profile

#: For how many hours an approval holds unless somebody says otherwise.
APPROVED_HOURS = 24


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


def ask_again(package_id: str, profiles: Iterable[Profile]) -> list[str]:
    """Ask for a dataset to be pushed although nothing may have changed, in the session's transaction.

    :param profiles: of the targets that are meant
    :returns: the ids of those that it concerns: it is there, on its way, or may be selected
    """
    connection = model.Session.connection()
    found = []
    for profile in profiles:
        rank = affected.rank_of(package_id, profile, outbox.PERSON, selection.needs_code(profile), connection)
        if rank is not None:
            outbox.ask([package_id], [profile.id], rank, force=True)
            found.append(profile.id)
    return found


def approve(profile_id: str, hours: float) -> int:
    """Let copies be taken away that are held because they are many, and any number more for so many hours; return how
    many were held."""
    targets.approve(profile_id, hours)
    held = [entry.local_id for entry in outbox.entries(profile_id, states=(HELD,))]
    return outbox.retry(profile_id, held) if held else 0


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
