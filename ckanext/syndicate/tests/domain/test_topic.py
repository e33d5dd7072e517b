"""What is done about a dataset, by what it is here and at the target, and by what the profile says."""

from __future__ import annotations

import itertools

import pytest

from ckanext.syndicate.domain.topic import Decision, Local, Policies, Situation, Step, decide

FLAG = "syndication flag disabled on package"
PRIVATE = "package is private"
LOOP = "it came here from http://b.example"
DEFAULTS = Policies()
STRICT = Policies("delete", "delete", "delete", "delete")
LAX = Policies("keep", "keep", "keep", "keep")
HIDING = Policies("private", "private", "private", "private")

COPIES = (None, "active", "private", "deleted")


@pytest.mark.parametrize(
    ("local", "skip", "copy", "policies", "step"),
    [
        # what is selected is brought there, and what is there updated, whatever became of the copy
        (Local.ACTIVE, None, None, DEFAULTS, Step.CREATE),
        (Local.ACTIVE, None, "active", DEFAULTS, Step.UPDATE),
        (Local.ACTIVE, None, "private", DEFAULTS, Step.UPDATE),
        (Local.ACTIVE, None, "deleted", DEFAULTS, Step.UPDATE),
        # a plugin may select private datasets
        (Local.PRIVATE, None, None, DEFAULTS, Step.CREATE),
        (Local.PRIVATE, None, "active", DEFAULTS, Step.UPDATE),
        # what is not selected any more
        (Local.ACTIVE, FLAG, None, STRICT, Step.NOTHING),
        (Local.ACTIVE, FLAG, "active", DEFAULTS, Step.NOTHING),
        (Local.ACTIVE, FLAG, "active", HIDING, Step.PRIVATE),
        (Local.ACTIVE, FLAG, "private", HIDING, Step.NOTHING),
        (Local.ACTIVE, FLAG, "active", STRICT, Step.DELETE),
        (Local.ACTIVE, FLAG, "private", STRICT, Step.DELETE),
        (Local.ACTIVE, FLAG, "deleted", STRICT, Step.NOTHING),
        # what is private
        (Local.PRIVATE, PRIVATE, None, STRICT, Step.NOTHING),
        (Local.PRIVATE, PRIVATE, "active", DEFAULTS, Step.PRIVATE),
        (Local.PRIVATE, PRIVATE, "private", DEFAULTS, Step.NOTHING),
        (Local.PRIVATE, PRIVATE, "active", LAX, Step.NOTHING),
        (Local.PRIVATE, PRIVATE, "active", STRICT, Step.DELETE),
        # a draft is as little for the public
        (Local.DRAFT, "package is a draft", None, DEFAULTS, Step.NOTHING),
        (Local.DRAFT, "package is a draft", "active", DEFAULTS, Step.PRIVATE),
        (Local.DRAFT, None, None, DEFAULTS, Step.NOTHING),
        # what is deleted, or purged
        (Local.DELETED, None, None, DEFAULTS, Step.NOTHING),
        (Local.DELETED, FLAG, "active", DEFAULTS, Step.DELETE),
        (Local.DELETED, FLAG, "deleted", DEFAULTS, Step.NOTHING),
        (Local.DELETED, None, "active", LAX, Step.NOTHING),
        (Local.DELETED, None, "active", HIDING, Step.PRIVATE),
        (Local.PURGED, None, None, DEFAULTS, Step.NOTHING),
        (Local.PURGED, None, "active", DEFAULTS, Step.DELETE),
        (Local.PURGED, None, "private", DEFAULTS, Step.DELETE),
        (Local.PURGED, None, "active", LAX, Step.NOTHING),
    ],
)
def test_steps(local: Local, skip: str | None, copy: str | None, policies: Policies, step: Step) -> None:
    """The step follows from what is here, what is there, and the policy that is about it."""
    assert decide(Situation(local, skip, copy, policies)).step is step


def test_a_loop_stops_what_is_selected_only() -> None:
    """What came from the target does not go back; a copy that there is may still be taken away."""
    for copy in COPIES:
        assert decide(Situation(Local.ACTIVE, None, copy, loop=LOOP)) == Decision(Step.NOTHING, LOOP, loops=True)
    assert decide(Situation(Local.PURGED, None, "active", loop=LOOP)).step is Step.DELETE


@pytest.mark.parametrize(
    ("situation", "reason", "guarded"),
    [
        (Situation(Local.PRIVATE, PRIVATE, "active"), PRIVATE, False),
        (Situation(Local.PRIVATE, PRIVATE, "private", STRICT), PRIVATE, False),
        (Situation(Local.DRAFT, None, "active"), "the dataset is a draft", False),
        (Situation(Local.ACTIVE, FLAG, "active", STRICT), FLAG, True),
        (Situation(Local.DELETED, None, "active"), "the dataset was deleted", True),
        (Situation(Local.PURGED, None, "active"), "the dataset was purged", True),
    ],
)
def test_why(situation: Situation, reason: str, guarded: bool) -> None:
    """Each retraction says why; what must not be public is never held back for being one of many."""
    decision = decide(situation)
    assert (decision.reason, decision.guarded) == (reason, guarded)


def test_every_situation_has_an_answer() -> None:
    """No combination is without a step, and nothing but a selected dataset is ever created or updated."""
    for local, skip, copy, policies in itertools.product(Local, (None, FLAG), COPIES, (DEFAULTS, STRICT, LAX, HIDING)):
        decision = decide(Situation(local, skip, copy, policies))
        writes = decision.step in (Step.CREATE, Step.UPDATE)
        assert writes is (skip is None and local in (Local.ACTIVE, Local.PRIVATE))
        assert decision.reason
