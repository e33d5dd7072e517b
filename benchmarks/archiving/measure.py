"""One measured round of archiving: every link of the portal, once."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ckanext.relay.devstack.processes import PartFailed

from ..meter import Meter
from .remote import Links, Remote
from .sides import Portal

#: Seconds without a verdict after which a round is given up. A link that hangs costs ckanext-archiver 120.
LONGEST = 200
#: Seconds between two looks at how far it is.
LOOK = 0.1

_DONE = "SELECT count(*) FROM archival WHERE updated > %s"
_KINDS = "SELECT coalesce(is_broken::text, 'unsure'), count(*) FROM archival WHERE updated > %s GROUP BY 1"
_FILES = "SELECT cache_filepath FROM archival WHERE cache_filepath IS NOT NULL"


@dataclass(frozen=True)
class Round:
    """The figures of one round."""

    resources: int
    seconds: float  # from the first request to the last verdict in the database
    indexed: float | None  # until nothing was left to do: no job, no dataset to index; None: not waited for
    enqueued: float  # seconds that the command took
    cpu: float
    peak_mb: float
    statements: int
    transactions: int
    commits: int
    statuses: dict[str, int]  # that the hosts answered with
    bodies: int  # bytes
    connections: int
    marks: dict[int, float] = field(default_factory=dict)  # verdicts per second until there were so many

    @property
    def rate(self) -> float:
        return self.resources / self.seconds

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rate": self.rate}


def archive(side: Portal, remote: Remote, links: Links, marks: tuple[int, ...] = (), index: bool = True) -> Round:
    """Archive every link of the portal, and say what it took.

    :param index: whether to wait until the datasets are indexed, too
    :param marks: numbers of verdicts at which the rate is noted; between two of them it is that of the part between
    :raises PartFailed: if the verdicts are not the expected ones: the figures would be worth nothing
    """
    bench, site = side.bench, side.site
    before = side.query("SELECT coalesce(max(updated), 'epoch') FROM archival")
    with side.running():
        remote.statistics()
        meter = Meter(bench, site.name, [side.worker])
        enqueued = side.update()
        times = _wait(side, meter, before, links.count, marks)
        done = time.time()
        while index and side.left():
            _look(side, meter, done)
        indexed = time.time()
        cpu, peak, commits = meter.cpu(), meter.peak(), meter.commits()
        statements, transactions = bench.postgres.counts(site.name)
    told = remote.statistics()
    _check(side, before, links)
    return Round(
        links.count, done - told["first"], indexed - told["first"] if index else None, enqueued, cpu, peak, statements,
        transactions, commits, told["statuses"], told["bodies"], told["connections"], _rates(told["first"], times),
    )  # fmt: skip


def _wait(side: Portal, meter: Meter, before: Any, count: int, marks: tuple[int, ...]) -> dict[int, float]:
    """Wait until there are so many verdicts; when there were as many as each of the marks."""
    times: dict[int, float] = {}
    known, last = 0, time.time()
    while (done := side.query(_DONE, before)) < count:
        if done > known:
            known, last = done, time.time()
        for mark in marks:
            if done >= mark:
                times.setdefault(mark, last)
        _look(side, meter, last)
    return times | {mark: time.time() for mark in marks if mark not in times}


def _look(side: Portal, meter: Meter, since: float) -> None:
    if time.time() - since > LONGEST:
        raise side.worker.failed(f"recorded nothing for {LONGEST} s")
    side.bench.check()
    meter.look()
    time.sleep(LOOK)


def _rates(first: float, times: dict[int, float]) -> dict[int, float]:
    rates, then, already = {}, first, 0
    for mark, when in sorted(times.items()):
        rates[mark] = (mark - already) / max(when - then, LOOK)
        then, already = when, mark
    return rates


def _check(side: Portal, before: Any, links: Links) -> None:
    wanted = {"false": links.ok + links.slow + len(links.big), "true": links.gone + links.hang}
    found = dict(side.site.query(_KINDS, before))
    if found != {kind: count for kind, count in wanted.items() if count}:
        raise PartFailed(f"{side.title}: expected verdicts {wanted} of is_broken, and got {found}")
    files = [Path(row[0]) for row in side.site.query(_FILES)]
    if len(files) != wanted["false"] or not all(file.is_file() for file in files):
        raise PartFailed(f"{side.title}: {len(files)} copies are recorded, {sum(f.is_file() for f in files)} are there")
