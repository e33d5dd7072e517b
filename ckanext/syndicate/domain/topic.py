"""What to do about a dataset at a target, by what it is here, what it is there, and what the profile says."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .states import DELETED, PRIVATE

KEEP = "keep"


class Step(str, enum.Enum):
    """What is done at the target."""

    CREATE = "create"
    UPDATE = "update"
    PRIVATE = "private"
    DELETE = "delete"
    NOTHING = "nothing"

    def __str__(self) -> str:
        return self.value


class Local(str, enum.Enum):
    """What a dataset is here."""

    ACTIVE = "active"
    PRIVATE = "private"
    DRAFT = "draft"
    DELETED = "deleted"
    PURGED = "purged"


@dataclass(frozen=True)
class Policies:
    """What becomes of a copy whose dataset is not to be at the target any more: ``keep``, ``private`` or ``delete``."""

    on_unflag: str = KEEP
    on_private: str = PRIVATE
    on_delete: str = "delete"
    on_purge: str = "delete"


@dataclass(frozen=True)
class Situation:
    """A dataset and a target.

    :ivar local: what the dataset is here
    :ivar skip: why it is not selected for the target, or None if it is
    :ivar copy: what it is there as far as we know: ``active``, ``private``, ``deleted``; None: it never was there
    :ivar loop: why it may not go there although it is selected, or None
    """

    local: Local
    skip: str | None
    copy: str | None
    policies: Policies = Policies()
    loop: str | None = None


@dataclass(frozen=True)
class Decision:
    """What to do, and why, in words for a person.

    :ivar guarded: whether it takes a dataset from the target for a reason that may be a mistake made many times over,
        so that only so many may be taken in a day
    :ivar loops: whether it is selected, and stays away because it came from there
    """

    step: Step
    reason: str
    guarded: bool = False
    loops: bool = False


def decide(situation: Situation) -> Decision:
    """Decide what to do about a dataset at a target."""
    policies = situation.policies
    if situation.local is Local.PURGED:
        return _retract(situation, policies.on_purge, "the dataset was purged")
    if situation.local is Local.DELETED:
        return _retract(situation, policies.on_delete, "the dataset was deleted")
    if situation.local is Local.DRAFT:
        return _retract(situation, policies.on_private, "the dataset is a draft", guarded=False)
    if situation.skip is not None and situation.local is Local.PRIVATE:
        return _retract(situation, policies.on_private, situation.skip, guarded=False)
    if situation.skip is not None:
        return _retract(situation, policies.on_unflag, situation.skip)
    if situation.loop is not None:
        return Decision(Step.NOTHING, situation.loop, loops=True)
    if situation.copy is None:
        return Decision(Step.CREATE, "it is not at the target yet")
    return Decision(Step.UPDATE, "it is selected")


def _retract(situation: Situation, policy: str, reason: str, guarded: bool = True) -> Decision:
    """Decide what becomes of the copy of a dataset that is not to be at the target."""
    if situation.copy in (None, DELETED) or policy in (KEEP, situation.copy):
        return Decision(Step.NOTHING, reason)
    return Decision(Step(policy), reason, guarded=guarded)
