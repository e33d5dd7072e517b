"""What follows a failure, and how many copies may be taken away."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.syndicate.domain import guard
from ckanext.syndicate.domain.retry import ENOUGH, FINAL, OF_TARGET, Treatment, backoff, pause, treat
from ckanext.syndicate.domain.states import Cause


def treated(cause: Cause, **given: Any) -> Treatment:
    return treat(cause, **{"attempts": 0, "max_attempts": 8, "in_a_row": 0, "failures": 0, **given})


@pytest.mark.parametrize(
    ("cause", "given", "treatment"),
    [
        # trying again changes nothing
        (Cause.REFUSED, {}, Treatment(is_final=True)),
        (Cause.NAME_TAKEN, {"failures": 2}, Treatment(is_final=True)),
        (Cause.CONFLICT, {"in_a_row": 5}, Treatment(is_final=True)),
        # of one dataset, as far as anybody can tell
        (Cause.SERVER_ERROR, {}, Treatment(delay=10)),
        (Cause.SERVER_ERROR, {"attempts": 3}, Treatment(delay=80)),
        (Cause.TIMEOUT, {"in_a_row": 1}, Treatment(delay=10)),
        (Cause.ANSWER_INVALID, {"attempts": 7}, Treatment(is_final=True)),
        # of the target
        (Cause.FORBIDDEN, {"in_a_row": 2, "attempts": 7}, Treatment(delay=15, counts=False, pause=5)),
        (Cause.UNREACHABLE, {"failures": 1}, Treatment(delay=20, counts=False, pause=10)),
        (Cause.UNREACHABLE, {"failures": 9}, Treatment(delay=70, counts=False, pause=60)),
        (Cause.UNREACHABLE, {"is_general": True}, Treatment(delay=15, counts=False, pause=5)),
        (Cause.WRONG_PORTAL, {}, Treatment(delay=15, counts=False, pause=5)),
        (Cause.SETTINGS, {"attempts": 7}, Treatment(delay=15, counts=False, pause=5)),
        # it says for how long itself
        (Cause.BUSY, {"retry_after": 120}, Treatment(delay=130, counts=False, pause=120)),
        (Cause.BUSY, {"retry_after": 1}, Treatment(delay=15, counts=False, pause=5)),
        (Cause.BUSY, {"retry_after": 10**9}, Treatment(delay=3610, counts=False, pause=3600)),
        (Cause.BUSY, {}, Treatment(delay=10)),
        # ours: it says nothing about the target
        (Cause.PLUGIN, {"in_a_row": 5, "failures": 3}, Treatment(delay=10)),
        (Cause.PLUGIN, {"attempts": 7}, Treatment(is_final=True)),
    ],
)
def test_treatments(cause: Cause, given: dict[str, Any], treatment: Treatment) -> None:
    """Each cause has its consequence, by what happened before."""
    assert treated(cause, **given) == treatment


def test_a_dataset_that_fails_never_stands_in_the_way() -> None:
    """Whatever the cause, the dataset is put off or given up, so that others come first; and it is given up at last if
    the target answers others."""
    for cause in Cause:
        treatment = treated(cause)
        assert treatment.is_final or treatment.delay > (treatment.pause or 0)
        if cause not in OF_TARGET:
            assert treated(cause, attempts=7).is_final


def test_an_outage_gives_up_nothing() -> None:
    """While a target is left alone again and again no try counts."""
    for failures in range(1, 50):
        for cause in set(Cause) - FINAL - {Cause.PLUGIN, Cause.GUARD}:
            treatment = treated(cause, failures=failures, attempts=7)
            assert not treatment.is_final and not treatment.counts
            assert treatment.pause is not None and treatment.pause <= 60
    assert ENOUGH > 1


def test_how_long_is_waited() -> None:
    """Datasets wait twice as long each time, up to an hour and a quarter of it by chance; targets up to a minute."""
    assert [backoff(attempts, 0) for attempts in (0, 1, 2, 8, 9, 500)] == [10, 20, 40, 2560, 3600, 3600]
    assert backoff(0, 1) == 12.5 and backoff(500, 1) == 4500
    assert [pause(failures) for failures in (0, 1, 2, 3, 4, 500)] == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("number", "percent", "allowed"),
    [
        (0, 10, 10),
        (5, 10, 10),
        (100, 10, 10),
        (109, 10, 10),
        (110, 10, 11),
        (5000, 10, 500),
        (5000, 0, 10),
        (30, 100, 30),
    ],
)
def test_how_many_may_go(number: int, percent: float, allowed: int) -> None:
    """A share of what is there, and ten in any case."""
    assert guard.allowed(number, percent) == allowed
