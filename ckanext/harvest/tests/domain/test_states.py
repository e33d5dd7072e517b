"""The states of jobs and objects, what stages answer, and what is counted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ckanext.harvest.domain import job_state, object_state, outcome, stats
from ckanext.harvest.domain.outcome import Step
from ckanext.relay.errors import InvalidTransition

JOB_MOVES = {("New", "Running"), ("New", "Finished"), ("New", "Aborted"), ("Running", "Finished")}
OPEN, ENDED = ("WAITING", "FETCH", "IMPORT"), ("COMPLETE", "ERROR")
OBJECT_MOVES = {(old, new) for old in OPEN for new in ("FETCH", "IMPORT", *ENDED)}


@pytest.mark.parametrize("move", itertools.product(("New", "Running", "Finished", "Aborted"), repeat=2), ids="-".join)
def test_moves_of_a_job(move: tuple[str, str]) -> None:
    """A job goes from New over Running to Finished; only one that was not begun is aborted; none comes back."""
    assert job_state.lifecycle.allows(*move) is (move in JOB_MOVES)


@pytest.mark.parametrize("move", itertools.product((*OPEN, *ENDED), repeat=2), ids="-".join)
def test_moves_of_an_object(move: tuple[str, str]) -> None:
    """An object whose worker died is begun anew from wherever it was left; one that has ended stays so."""
    assert object_state.lifecycle.allows(*move) is (move in OBJECT_MOVES)


def test_open_and_final_states() -> None:
    """What is open is to be worked on, what is final is not."""
    assert job_state.lifecycle.open == {"New", "Running"}
    assert job_state.lifecycle.final == {"Finished", "Aborted"}
    assert object_state.lifecycle.open == set(OPEN)
    assert object_state.lifecycle.final == set(ENDED)


def test_a_forbidden_move_is_named() -> None:
    """Who tries what is not allowed is told what it was."""
    with pytest.raises(InvalidTransition, match="harvest job .* 'Finished' to 'Running'"):
        job_state.lifecycle.check("Finished", "Running")


class Yes:
    """Truthy, but not True."""


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (True, Step.IMPORT),
        ("unchanged", Step.UNCHANGED),
        (False, Step.ERROR),
        (None, Step.ERROR),
        (1, Step.ERROR),
        ("True", Step.ERROR),
        ("Unchanged", Step.ERROR),
        (Yes(), Step.ERROR),
        ([], Step.ERROR),
    ],
)
def test_after_fetch(answer: Any, step: Step) -> None:
    """Exactly True goes on to the import, 'unchanged' ends well, the rest is an error."""
    assert outcome.after_fetch(answer) is step


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (True, Step.COMPLETE),
        (1, Step.COMPLETE),
        ("done", Step.COMPLETE),
        (Yes(), Step.COMPLETE),
        ("unchanged", Step.UNCHANGED),
        (False, Step.ERROR),
        (None, Step.ERROR),
        (0, Step.ERROR),
        ("", Step.ERROR),
    ],
)
def test_after_import(answer: Any, step: Step) -> None:
    """'unchanged' and what is truthy ends well, what is falsy is an error."""
    assert outcome.after_import(answer) is step


@pytest.mark.parametrize(
    ("step", "current", "older", "state", "report_status"),
    [
        (Step.COMPLETE, True, False, "COMPLETE", "added"),
        (Step.COMPLETE, True, True, "COMPLETE", "updated"),
        (Step.COMPLETE, False, False, "COMPLETE", "deleted"),
        (Step.COMPLETE, False, True, "COMPLETE", "deleted"),
        (Step.UNCHANGED, False, False, "COMPLETE", "not modified"),
        (Step.UNCHANGED, True, True, "COMPLETE", "not modified"),
        (Step.ERROR, True, True, "ERROR", "errored"),
        (Step.ERROR, False, False, "ERROR", "errored"),
    ],
)
def test_report_status(step: Step, current: bool, older: bool, state: str, report_status: str) -> None:
    """What is reported of an object follows from its end, its ``current``, and whether its dataset had others."""
    assert outcome.final_state(step) == state
    assert outcome.report_status(step, current, older) == report_status


@pytest.mark.parametrize(
    ("by_status", "with_errors", "gather_errors", "expected"),
    [
        ({}, 0, 0, (0, 0, 0, 0, 0)),
        ({"added": 3, "updated": 2, "not modified": 5, "deleted": 1}, 0, 0, (3, 2, 5, 0, 1)),
        ({"errored": 2}, 2, 0, (0, 0, 0, 2, 0)),
        ({"errored": 3}, 2, 0, (0, 0, 0, 3, 0)),
        ({"added": 4, "errored": 1}, 3, 0, (4, 0, 0, 3, 0)),
        ({"errored": 1}, 1, 2, (0, 0, 0, 3, 0)),
        ({}, 0, 1, (0, 0, 0, 1, 0)),
        ({None: 7, "added": 1, "of another time": 9}, 0, 0, (1, 0, 0, 0, 0)),
    ],
)
def test_counts(
    by_status: dict[str | None, int], with_errors: int, gather_errors: int, expected: tuple[int, ...]
) -> None:
    """The five counts, and no other: errored is the larger of objects that failed and objects with errors, and the
    errors of the gather stage on top."""
    keys = ("added", "updated", "not modified", "errored", "deleted")
    assert stats.combine(by_status, with_errors, gather_errors) == dict(zip(keys, expected, strict=True))
