from __future__ import annotations

import pytest

from ckanext.relay.errors import InvalidTransition
from ckanext.relay.lifecycle import Lifecycle

LIFECYCLE = Lifecycle(
    "job", {"new": ["running", "done"], "running": ["running", "done"], "done": (), "stuck": ["stuck"]}
)


def test_the_sets_follow_from_the_transitions() -> None:
    """A state is final if it leads to no other one; a state may be named as a follower only."""
    assert LIFECYCLE.states == {"new", "running", "done", "stuck"}
    assert LIFECYCLE.final == {"done", "stuck"}
    assert LIFECYCLE.open == {"new", "running"}
    assert Lifecycle("x", {"a": ["b"]}).final == {"b"}


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("new", "running", True),
        ("new", "done", True),
        ("running", "running", True),
        ("new", "new", False),
        ("running", "new", False),
        ("done", "new", False),
        ("no such state", "new", False),
        ("new", "no such state", False),
    ],
)
def test_only_listed_transitions_are_allowed(old: str, new: str, allowed: bool) -> None:
    """Staying in a state is allowed only where it is listed; an unknown state is never allowed."""
    assert LIFECYCLE.allows(old, new) is allowed
    if allowed:
        LIFECYCLE.check(old, new)
    else:
        with pytest.raises(InvalidTransition, match=f"A job may not go from '{old}' to '{new}'"):
            LIFECYCLE.check(old, new)
