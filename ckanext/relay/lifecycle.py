"""Which status may follow which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .errors import InvalidTransition


class Lifecycle:
    """The states of one kind of thing and the ways between them.

    :param name: what has these states, for messages: ``"job"``
    :param transitions: state → the states that may follow it. Staying in a state is a transition too, allowed only
        where it is listed.
    """

    def __init__(self, name: str, transitions: Mapping[str, Iterable[str]]) -> None:
        self.name = name
        self._followers = {state: frozenset(followers) for state, followers in transitions.items()}
        self.states: frozenset[str] = frozenset(self._followers).union(*self._followers.values())
        #: The states without a way to another one.
        self.final: frozenset[str] = frozenset(s for s in self.states if self._followers.get(s, frozenset()) <= {s})
        self.open: frozenset[str] = self.states - self.final

    def allows(self, old: str, new: str) -> bool:
        """Return whether ``new`` may follow ``old``; no, if either is not a state at all."""
        return new in self._followers.get(old, frozenset())

    def check(self, old: str, new: str) -> None:
        """Do nothing if ``new`` may follow ``old``.

        :raises InvalidTransition: it may not
        """
        if not self.allows(old, new):
            raise InvalidTransition(f"A {self.name} may not go from {old!r} to {new!r}")
