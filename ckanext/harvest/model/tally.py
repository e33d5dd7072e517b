"""How far jobs are.

The sweep counts them and keeps what it found, a track from which the pace is told. A page counts a job itself as long
as that is quick, and shows what the sweep kept of one with very many objects. What was counted when a job ended stays.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import job_state, object_state, pace
from ckanext.relay import clock, lease

from . import stats
from .tables import HarvestJob

_job = HarvestJob.__table__

#: Up to so many objects a page counts itself.
FEW = 20_000
#: After so many seconds it does in any case: no sweep runs.
STALE = 120


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    :param at: when it was counted (naive UTC)
    :param counts: its ``stats``
    :param fetched: how many records were fetched so far, those that failed not among them
    :param imported: how many were imported, or found to be as they were
    :param failed: how many failed
    :param per_second: how many get done in a second, None if that cannot be told
    :param seconds_left: how long the rest takes, None if that cannot be told
    """

    at: datetime.datetime
    counts: dict[str, int]
    gathered: int = 0
    fetched: int = 0
    imported: int = 0
    failed: int = 0
    per_second: float | None = None
    seconds_left: int | None = None

    @property
    def done(self) -> int:
        return self.imported + self.failed

    @property
    def percent(self) -> int:
        """How much is done, in whole per cent; 100 only when all is."""
        return self.done * 100 // self.gathered if self.gathered else 0


def progress(job: HarvestJob) -> Progress:
    """Return how far a job is; of one that has ended before this was kept, only its ``stats``."""
    return of_jobs([job])[job.id]


def of_jobs(jobs: Sequence[HarvestJob]) -> dict[str, Progress]:
    """Return how far jobs are, by their ids, with a few queries for all of them; see :func:`progress`."""
    kept = {job.id: _read(job) for job in jobs}
    ended = {job.id for job in jobs if job.status in job_state.lifecycle.final}
    large = {job.id for job in jobs if job.id not in ended and _is_large_and_fresh(kept[job.id])}
    counted = stats.count([job.id for job in jobs if job.id not in ended | large])
    numbers = stats.job_stats(sorted(ended))
    found = {}
    for job in jobs:
        was = kept[job.id]
        if job.id in ended:
            states = was.counts.states if was and job.stats else {}
            found[job.id] = _progress(job, stats.Counts(states, numbers[job.id]), [], job.finished or clock.now())
        elif was and job.id in large:
            found[job.id] = _progress(job, was.counts, was.track[:-1], was.track[-1].at)
        else:
            found[job.id] = _progress(job, counted[job.id], was.track if was else [], clock.now())
    return found


def _is_large_and_fresh(kept: _Kept | None) -> bool:
    """Tell whether what the sweep counted is to be shown: counting anew would take long."""
    if kept is None or sum(kept.counts.states.values()) <= FEW:
        return False
    return (clock.now() - _counted(kept)).total_seconds() < STALE


def keep(job: HarvestJob) -> None:
    """Set the final counts of a job that ends. Does not commit."""
    counts = stats.count([job.id])[job.id]
    job.stats, job.tally = json.dumps(counts.stats), _written(counts, [])


def note(seconds: float) -> None:
    """Count jobs that run and keep what was found, those that were counted longest ago first. Commits.

    :param seconds: after which no further job is counted
    """
    running = [(job, _read(job)) for job in HarvestJob.filter(status=job_state.RUNNING)]
    running.sort(key=lambda each: _counted(each[1]))
    until = time.monotonic() + seconds
    for job, kept in running:
        if time.monotonic() > until:
            break
        counts = stats.count([job.id])[job.id]
        track = pace.kept(kept.track if kept else [], pace.Point(clock.now(), _done(counts)))
        # on a connection of its own, and only while it runs: workers change other columns of the row meanwhile
        still = sa.update(_job).where(_job.c.id == job.id, _job.c.status == job_state.RUNNING)
        lease.execute(still.values(tally=_written(counts, track)))
    model.Session.rollback()


@dataclass(frozen=True)
class _Kept:
    counts: stats.Counts
    track: list[pace.Point]


def _written(counts: stats.Counts, track: list[pace.Point]) -> str:
    points = [[point.at.isoformat(), point.done] for point in track]
    return json.dumps({"states": counts.states, "stats": counts.stats, "track": points})


def _read(job: HarvestJob) -> _Kept | None:
    if not job.tally:
        return None
    found: dict[str, Any] = json.loads(job.tally)
    track = [pace.Point(datetime.datetime.fromisoformat(at), done) for at, done in found["track"]]
    return _Kept(stats.Counts(found["states"], found["stats"]), track)


def _counted(kept: _Kept | None) -> datetime.datetime:
    return kept.track[-1].at if kept and kept.track else datetime.datetime.min


def _done(counts: stats.Counts) -> int:
    return sum(counts.states.get(state, 0) for state in object_state.lifecycle.final)


def _progress(job: HarvestJob, counts: stats.Counts, track: list[pace.Point], at: datetime.datetime) -> Progress:
    gathered, done = sum(counts.states.values()), _done(counts)
    # a retry says of its gathering when that of the failed job was
    begun = [pace.Point(max(job.gather_started, job.created), 0)] if job.gather_started and not track else []
    per_second = pace.per_second([*begun, *track], pace.Point(at, done)) if job.status == job_state.RUNNING else None
    imported = counts.states.get(object_state.COMPLETE, 0)
    return Progress(
        at,
        counts.stats,
        gathered=gathered,
        fetched=imported + counts.states.get(object_state.IMPORT, 0),
        imported=imported,
        failed=counts.states.get(object_state.ERROR, 0),
        per_second=per_second,
        # as long as it is gathered, nobody knows how many there are
        seconds_left=pace.seconds_left(gathered - done, per_second) if job.gather_finished else None,
    )
