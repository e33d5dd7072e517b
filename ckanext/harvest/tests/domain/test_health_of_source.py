"""What is said to be wrong with a source."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ckanext.harvest.domain import health_of_source as health
from ckanext.harvest.domain import source_state
from ckanext.harvest.domain.health_of_source import Run, Source

NOW = datetime.datetime(2026, 3, 1, 12)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
LATE = source_state.GRACE + datetime.timedelta(seconds=1)


def run(days_ago: float = 1, took: datetime.timedelta = HOUR, gather_errors: int = 0, **counts: int) -> Run:
    """A job that has ended; ``unchanged`` stands for what a job calls "not modified"."""
    began = NOW - days_ago * DAY
    counted = {{"unchanged": "not modified"}.get(key, key): count for key, count in counts.items()}
    if gather_errors:
        counted["errored"] = counted.get("errored", 0) + gather_errors
    zero = dict.fromkeys(("added", "updated", "not modified", "errored", "deleted"), 0)
    return Run("Finished", began, began, began, began + took, zero | counted, gather_errors)


def at_work(hours_ago: float, status: str = "Running", begun: bool = True) -> Run:
    began = NOW - hours_ago * HOUR
    return Run(status, began, began if begun else None)


def retry(days_ago: float, **counts: Any) -> Run:
    """A job that took up what another one had left."""
    ended = run(days_ago, **counts)
    return Run(ended.status, ended.created, ended.created - DAY, ended.created, ended.ended, ended.counts)


def source(*runs: Run, **fields: Any) -> Source:
    given = {"active": True, "frequency": "MANUAL", "created": NOW - 365 * DAY, **fields}
    return Source(runs=runs, **given)


def states(given: Source) -> list[str]:
    return [found.state for found in health.findings(given, NOW)]


def facts(given: Source) -> Any:
    """The one thing that is said of a source."""
    [found] = health.findings(given, NOW)
    return found


GOOD = run(unchanged=100)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (source(GOOD), ["ok"]),
        (source(), ["never run"]),
        (source(GOOD, active=False), ["inactive"]),
        (source(at_work(1), GOOD), ["running"]),
        (source(run(unchanged=95, errored=5)), ["errors"]),
        (source(run(unchanged=90, errored=10)), ["errors"]),
        (source(run(unchanged=89, errored=11)), ["failing"]),
        (source(run(errored=1)), ["failing"]),
        (source(run(unchanged=99, gather_errors=1)), ["failing"]),
        (source(Run("Finished", NOW, NOW, NOW, NOW)), ["ok"]),
        (source(Run("Aborted", NOW), run(errored=1)), ["failing"]),
        (source(at_work(0.5), run(errored=1)), ["failing"]),
        (source(retry(0.5, added=1), run(unchanged=99, errored=11)), ["ok"]),
    ],
)
def test_how_its_last_run_went(given: Source, expected: list[str]) -> None:
    """The newest job that has ended counts, also while another one is at work."""
    assert states(given) == expected


@pytest.mark.parametrize(
    ("given", "late"),
    [
        ({"next_run": NOW - LATE, "frequency": "DAILY"}, True),
        ({"next_run": NOW - source_state.GRACE, "frequency": "DAILY"}, False),
        ({"next_run": NOW - LATE, "frequency": "ALWAYS"}, True),
        ({"next_run": NOW - LATE, "frequency": "MANUAL"}, False),
        ({"next_run": NOW - LATE, "frequency": "HOURLY"}, False),
        ({"next_run": NOW - LATE, "frequency": None}, False),
        ({"next_run": NOW - LATE, "frequency": "DAILY", "runs": (at_work(1),)}, False),
        # never run
        ({"frequency": "WEEKLY"}, True),
        ({"frequency": "WEEKLY", "created": NOW - HOUR}, False),
        # it ran, but nothing says when it is due
        ({"frequency": "WEEKLY", "runs": (run(7),)}, False),
        ({"frequency": "WEEKLY", "runs": (run(8),)}, True),
        ({"frequency": "BIWEEKLY", "runs": (run(8),)}, False),
        ({"frequency": "MONTHLY", "runs": (run(32),)}, True),
        # a job that nobody works on
        ({"runs": (at_work(7, begun=False),)}, True),
        ({"runs": (at_work(7, "New", begun=False),)}, True),
        ({"runs": (at_work(5, "New", begun=False),)}, False),
    ],
)
def test_late(given: dict[str, Any], late: bool) -> None:
    """A run that should have begun some hours ago has not."""
    runs = given.pop("runs", ())
    assert ("late" in states(source(*runs, **given))) is late


@pytest.mark.parametrize("frequency", health.INTERVALS)
def test_late_as_lists_say_it(frequency: str) -> None:
    """The dashboard and the state in lists do not contradict each other."""
    for next_run in (NOW - LATE, NOW - source_state.GRACE, NOW):
        in_lists = source_state.of(True, next_run, "Finished", 0, NOW) == source_state.LATE
        assert ("late" in states(source(GOOD, frequency=frequency, next_run=next_run))) is in_lists


@pytest.mark.parametrize(
    ("hours", "before", "frequency", "too_long"),
    [
        (25, (), "MANUAL", True),
        (24, (), "MANUAL", False),
        (3.1, (HOUR,), "MANUAL", True),
        (3, (HOUR,), "MANUAL", False),
        (3.1, (HOUR, 2 * HOUR), "MANUAL", False),
        (0.9, (HOUR / 60,), "MANUAL", False),
        (1.1, (HOUR / 60,), "MANUAL", True),
        (25, (20 * HOUR,), "DAILY", True),
        (25, (20 * HOUR,), "WEEKLY", False),
        (25, (20 * HOUR,), "ALWAYS", False),
    ],
)
def test_overrunning(hours: float, before: tuple[datetime.timedelta, ...], frequency: str, too_long: bool) -> None:
    """A job runs for clearly longer than those before, or until the next one is due."""
    runs = [run(10 + number, took, unchanged=1) for number, took in enumerate(before)]
    given = source(at_work(hours), *runs, frequency=frequency, next_run=NOW + DAY)
    assert ("overrunning" in states(given)) is too_long


FULL = [run(days, unchanged=100) for days in (2, 3, 4)]


@pytest.mark.parametrize(
    ("runs", "datasets", "shrinks"),
    [
        # datasets that were deleted
        ([run(1, deleted=11, unchanged=89), *FULL], 89, True),
        ([run(1, deleted=10, unchanged=90), *FULL], 90, False),
        ([run(1, deleted=4), run(2, added=8)], 4, False),
        ([run(1, unchanged=80), run(2, unchanged=80), run(3, deleted=20, unchanged=80)], 80, True),
        ([run(1, added=20, unchanged=80), run(3, deleted=20, unchanged=80)], 100, False),
        ([run(1, deleted=200, unchanged=800), run(2, added=1000)], 800, True),
        # fewer records, from a source of which nothing is deleted
        ([run(1, unchanged=89), *FULL], 100, True),
        ([run(1, unchanged=90), *FULL], 100, False),
        ([run(1, unchanged=89), *FULL[:1]], 100, False),
        ([run(1, unchanged=89), run(2, unchanged=80), run(3, unchanged=100)], 100, False),
        # an incremental harvest gets what has changed
        ([run(1, updated=1), run(2, updated=30), run(3, updated=40)], 1000, False),
        # what failed, or took up what had failed, does not tell how many there are
        ([run(1, gather_errors=1), *FULL], 100, False),
        ([retry(1, added=3), *FULL], 103, False),
    ],
)
def test_shrinking(runs: list[Run], datasets: int, shrinks: bool) -> None:
    """What comes from a source has become clearly less within its last runs."""
    assert ("shrinking" in states(source(*runs, datasets=datasets))) is shrinks
    if shrinks:
        assert health.must_count(runs)


def test_who_must_be_counted() -> None:
    """Counting datasets takes time: it is done where there is a reason."""
    assert not health.must_count(FULL)
    assert not health.must_count([run(1, deleted=4, unchanged=96), *FULL])
    assert "shrinking" not in states(source(run(1, deleted=50), *FULL))


def test_since_when_and_why() -> None:
    """Each thing that is wrong says what it is concluded from."""
    failing = facts(source(run(1, gather_errors=1), run(2, errored=5, added=5), run(3, unchanged=1)))
    assert (failing.since, failing.facts["runs"], failing.facts["gather_errors"]) == (NOW - 2 * DAY + HOUR, 2, 1)
    some = facts(source(run(1, unchanged=99, errored=1), run(2, unchanged=97, errored=3), run(3, errored=9)))
    assert some.facts == {"failed": 1, "records": 100, "gather_errors": 0, "runs": 3}
    assert facts(source(frequency="DAILY", next_run=NOW - DAY)).since == NOW - DAY
    assert facts(source(at_work(30, begun=False))).facts == {"has_job": True}
    too_long = facts(source(at_work(30), run(5, took=2 * HOUR)))
    assert (too_long.since, too_long.facts) == (NOW - 30 * HOUR, {"usual": 7200.0})
    lost = facts(source(run(1, deleted=20), run(2, deleted=20), run(3, unchanged=100), datasets=60))
    assert (lost.since, lost.facts) == (NOW - 2 * DAY + HOUR, {"of": "datasets", "before": 100, "after": 60})
    fewer = facts(source(run(1, unchanged=50), *FULL, datasets=100))
    assert fewer.facts == {"of": "records", "before": 100, "after": 50}


def test_several_things_at_once() -> None:
    """The worst first."""
    given = source(run(1, errored=1, deleted=50), frequency="DAILY", next_run=NOW - DAY, datasets=50)
    assert states(given) == ["late", "shrinking", "errors"]
