"""How many copies may still be taken from a target today before a person is asked."""

from __future__ import annotations

from ckanext.relay import clock

from . import config
from .domain import guard
from .model import copies, targets
from .types import Profile


class Quota:
    """What is left of the share of copies that may be taken from a target in a day.

    :ivar taken: how many have been
    """

    def __init__(self, profile: Profile) -> None:
        approved = targets.get(profile.id).approved
        self.is_approved = approved is not None and approved > clock.now()
        self.taken = copies.retracted_since(profile.id, guard.DAY)
        self._allowed = guard.allowed(copies.number(profile.id) + self.taken, config.delete_limit())

    def take(self) -> bool:
        """Take one more; False: a person must allow it."""
        if not self.is_approved and self.taken >= self._allowed:
            return False
        self.taken += 1
        return True
