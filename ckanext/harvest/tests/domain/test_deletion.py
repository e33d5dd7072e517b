"""How many datasets may be deleted at once."""

from __future__ import annotations

import pytest

from ckanext.harvest.domain import deletion


def ids(count: int) -> set[str]:
    return {str(number) for number in range(count)}


@pytest.mark.parametrize(
    ("known", "gone", "limit", "allowed"),
    [
        (100, 20, 20, True),
        (100, 21, 20, False),
        (99, 19, 20, True),
        (99, 20, 20, False),
        (1000, 1, 0.1, True),
        (1000, 6, 0.5, False),
        (6, 5, 20, True),
        (7, 6, 20, False),
        (25, 5, 20, True),
        (29, 6, 20, False),
        (30, 6, 20, True),
        (50, 5, 1, True),
        (50, 6, 1, False),
        (5, 5, 20, False),
        (1, 1, 20, False),
        (100, 100, 99.9, False),
        (1000, 999, 99, False),
        (1000, 990, 99, True),
        (5, 5, 100, True),
        (1000, 1000, 100, True),
        (100, 1, 0, False),
        (1, 1, 0, False),
    ],
)
def test_the_guard(known: int, gone: int, limit: float, allowed: bool) -> None:
    """The share of the limit may go, and five at any rate, but never all; 0 lets none go and 100 all."""
    decision = deletion.decide(ids(known), ids(known) - ids(gone), limit)
    assert decision.gone == (ids(gone) if allowed else set())
    assert (decision.refusal is None) is allowed


@pytest.mark.parametrize(("known", "listed", "limit"), [(0, 0, 20), (0, 5, 0), (5, 5, 0), (5, 9, 20)])
def test_nothing_is_gone(known: int, listed: int, limit: float) -> None:
    """Who lost nothing is not stopped, whatever the limit."""
    assert deletion.decide(ids(known), ids(listed), limit) == deletion.Decision(frozenset())


@pytest.mark.parametrize(
    ("known", "gone", "limit"), [(100, 21, 20), (999, 201, 20), (7, 6, 20), (50, 1, 0), (5, 5, 20)]
)
def test_the_limit_that_a_refusal_names_is_enough(known: int, gone: int, limit: float) -> None:
    """Who does what the message says gets what it says."""
    listed = ids(known) - ids(gone)
    message = str(deletion.decide(ids(known), listed, limit).refusal)
    named = int(message.partition('"delete_limit": ')[2].split()[0])
    assert deletion.decide(ids(known), listed, named).gone == ids(gone)
    assert deletion.decide(ids(known), listed, named - 1).refusal or gone <= deletion.AT_LEAST


def test_a_refusal_says_how_many() -> None:
    """The message has the figures by which a person decides."""
    message = str(deletion.decide(ids(40), ids(40) - ids(12), 20).refusal)
    assert "12 of the 40 datasets" in message and "30 %" in message and "20 %" in message
    assert "lists none of the 40 datasets" in str(deletion.decide(ids(40), set(), 20).refusal)
