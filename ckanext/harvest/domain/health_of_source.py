"""What is wrong with how a source is harvested, and since when, as its newest runs tell.

:mod:`.source_state` says it in one word for lists and the search index; here several things may be wrong at once.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

from . import job_state, object_state, stats
from .source_state import GRACE

#: The newest job that has ended went wrong as a whole, or a part of its records did that is too large.
FAILING: Final = "failing"
#: It is due, and nobody has begun.
LATE: Final = "late"
#: Its job runs for much longer than the ones before, or than it may before the next one is due.
OVERRUNNING: Final = "overrunning"
#: Clearly fewer datasets are left of it than a few runs ago, or it delivers fewer records than it used to.
SHRINKING: Final = "shrinking"
#: Some records of its newest job failed.
ERRORS: Final = "errors"
RUNNING, NEVER_RUN, OK, INACTIVE = "running", "never run", "ok", "inactive"

#: What somebody should look at, the worst first.
PROBLEMS = (FAILING, LATE, OVERRUNNING, SHRINKING, ERRORS)
#: All that may be said of a source, in the order in which they are listed.
STATES = (*PROBLEMS, RUNNING, NEVER_RUN, OK, INACTIVE)

#: How many of the newest jobs of a source are looked at.
RUNS = 5
#: The part of the records of a job that may fail before the source is said to fail.
FAILED_PART = 0.1
#: The part of its datasets or records that a source may lose, and how many at least, before it is said to shrink.
LOST_PART, LOST_LEAST = 0.1, 5

_DAY = datetime.timedelta(days=1)
#: How long it is from one run to the next. ALWAYS begins again when the last one has ended; MANUAL knows no next one.
INTERVALS: Final = {
    "ALWAYS": datetime.timedelta(0),
    "DAILY": _DAY,
    "WEEKLY": 7 * _DAY,
    "BIWEEKLY": 14 * _DAY,
    "MONTHLY": 31 * _DAY,
}
#: How long a job may run of which nothing else is known, how long each may, and how many times as long as those before.
LONG, SHORT, TIMES_LONGER = _DAY, datetime.timedelta(hours=1), 3


@dataclass(frozen=True)
class Run:
    """A job of a source. Times are naive UTC.

    :param begun: when gathering began; of a job that takes up what failed before, when that was gathered, or None
    :param gathered: when gathering ended
    :param counts: what the job came to (:data:`.stats.KEYS`), None if it has not ended or they were not kept
    :param gather_errors: how many of its errors are of the gather stage
    """

    status: str
    created: datetime.datetime
    begun: datetime.datetime | None = None
    gathered: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    counts: Mapping[str, int] | None = None
    gather_errors: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the job has not ended."""
        return self.status in job_state.lifecycle.open

    @property
    def is_retry(self) -> bool:
        """Whether the job takes up what failed before, and gathers nothing."""
        return self.gathered is not None and (self.begun is None or self.begun < self.created)

    @property
    def started(self) -> datetime.datetime | None:
        """When a worker began with the job, None if nobody has."""
        return self.created if self.is_retry else self.begun

    def count(self, *keys: str) -> int:
        """Return how many records the job is done with in these ways."""
        return sum(map(self.counts.get, keys, repeat(0))) if self.counts else 0

    @property
    def failed(self) -> int:
        """How many records failed."""
        return max(0, self.count(object_state.ERRORED) - self.gather_errors)

    @property
    def went_wrong(self) -> bool:
        """Whether the job went wrong as a whole, or a part of its records that is too large."""
        return self.gather_errors > 0 or self.failed > FAILED_PART * self.count(*stats.KEYS)

    @property
    def delivered(self) -> int | None:
        """How many records the source had, None if the job does not tell."""
        if self.counts is None or self.gather_errors or self.is_retry or self.status != job_state.FINISHED:
            return None
        return self.count(object_state.ADDED, object_state.UPDATED, object_state.NOT_MODIFIED, object_state.ERRORED)


@dataclass(frozen=True)
class Source:
    """What is known of a source.

    :param next_run: when it is due, None if only a person starts it; naive UTC
    :param runs: its newest :data:`RUNS` jobs, the newest first
    :param datasets: how many come from it now; needed only where :func:`must_count` says so
    """

    active: bool
    frequency: str
    created: datetime.datetime
    next_run: datetime.datetime | None = None
    runs: Sequence[Run] = ()
    datasets: int | None = None


@dataclass(frozen=True)
class Finding:
    """One thing to say of a source.

    :param state: one of :data:`STATES`
    :param since: since when, None where that makes no sense
    :param facts: what it is concluded from, as JSON has it. failing, errors: ``failed`` and ``records`` (how many),
        ``gather_errors``, ``runs`` (so many in a row, of those that are looked at); late: ``has_job`` (whether there is
        a job, so that only a worker is missing); overrunning: ``usual`` (seconds of the longest run before, None: there
        was none); shrinking: ``of`` ("datasets" or "records"), ``before``, ``after``
    """

    state: str
    since: datetime.datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def findings(source: Source, now: datetime.datetime) -> tuple[Finding, ...]:
    """Return what there is to say of a source: each thing that is wrong, the worst first, or the one that is not."""
    if not source.active:
        return (Finding(INACTIVE),)
    ended = [run for run in source.runs if run.status == job_state.FINISHED]
    wrong = (_failing(ended), _late(source, now), _overrunning(source, ended, now), _shrinking(source))
    found = sorted((each for each in wrong if each), key=lambda each: STATES.index(each.state))
    if found:
        return tuple(found)
    if any(run.is_open for run in source.runs[:1]):
        return (Finding(RUNNING, source.runs[0].started or source.runs[0].created),)
    return (Finding(OK) if source.runs else Finding(NEVER_RUN),)


def _failing(ended: Sequence[Run]) -> Finding | None:
    """Return whether the newest run that ended had errors; a run in which all went well ends the matter."""
    if not ended or not (ended[0].gather_errors or ended[0].failed):
        return None
    newest, is_failing = ended[0], ended[0].went_wrong
    in_a_row = list(_while(ended, lambda run: run.went_wrong if is_failing else bool(run.gather_errors or run.failed)))
    facts = {
        "failed": newest.failed,
        "records": newest.count(*stats.KEYS) - newest.gather_errors,
        "gather_errors": newest.gather_errors,
        "runs": len(in_a_row),
    }
    return Finding(FAILING if is_failing else ERRORS, in_a_row[-1].ended, facts)


def _while(runs: Iterable[Run], holds: Callable[[Run], bool]) -> Iterator[Run]:
    for run in runs:
        if not holds(run):
            return
        yield run


def _late(source: Source, now: datetime.datetime) -> Finding | None:
    """Return whether a run should have begun; a job that waits for a worker is as late as one that nobody made."""
    newest = source.runs[0] if source.runs else None
    due: datetime.datetime | None = None
    if newest is not None and newest.is_open:
        due = None if newest.started else newest.created
    elif source.frequency in INTERVALS:
        due = source.next_run or (newest.created + INTERVALS[source.frequency] if newest else source.created)
    if due is None or now - due <= GRACE:
        return None
    return Finding(LATE, due, {"has_job": newest is not None and newest.is_open})


def _overrunning(source: Source, ended: Sequence[Run], now: datetime.datetime) -> Finding | None:
    """Return whether a job is at work for too long: so long that the next one should have begun, or clearly longer than
    those before."""
    newest = source.runs[0] if source.runs else None
    if newest is None or not newest.is_open or newest.started is None:
        return None
    usual = max((run.ended - run.started for run in ended if run.ended and run.started), default=None)
    longest = LONG if usual is None else max(SHORT, TIMES_LONGER * usual)
    longest = min(longest, INTERVALS.get(source.frequency) or longest)
    if now - newest.started <= longest:
        return None
    return Finding(OVERRUNNING, newest.started, {"usual": usual.total_seconds() if usual is not None else None})


# -- shrinking


def must_count(runs: Sequence[Run]) -> bool:
    """Tell whether a source may be shrinking, so that it must be counted how many datasets come from it now."""
    return _lost(runs)[0] >= LOST_LEAST or _usual_records(runs) is not None


def _shrinking(source: Source) -> Finding | None:
    if source.datasets is None:
        return None
    lost, since = _lost(source.runs)
    before = source.datasets + lost
    if lost >= LOST_LEAST and lost > LOST_PART * before:
        return Finding(SHRINKING, since, {"of": "datasets", "before": before, "after": source.datasets})
    usual = _usual_records(source.runs)
    # a harvester that asks only for what has changed gets few records or many: that tells nothing
    if usual is None or 2 * usual < source.datasets:
        return None
    newest = next(run for run in source.runs if run.delivered is not None)
    return Finding(SHRINKING, newest.ended, {"of": "records", "before": usual, "after": newest.delivered})


def _lost(runs: Sequence[Run]) -> tuple[int, datetime.datetime | None]:
    """Return how many datasets a source had more than now after one of its runs, and the end of the run after that."""
    more, most, since = 0, 0, None
    for run in runs:
        more += run.count(object_state.DELETED) - run.count(object_state.ADDED)
        if more > most:
            most, since = more, run.ended
    return most, since


def _usual_records(runs: Sequence[Run]) -> int | None:
    """Return how many records the two runs before the newest had at least, if that one has clearly fewer."""
    delivered = [records for run in runs if (records := run.delivered) is not None][:3]
    if len(delivered) < 3:
        return None
    newest, usual = delivered[0], min(delivered[1:])
    return usual if usual - newest >= LOST_LEAST and usual - newest > LOST_PART * usual else None
