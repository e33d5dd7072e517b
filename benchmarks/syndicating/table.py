"""The result in words: the table, the targets, the record."""

from __future__ import annotations

from collections.abc import Iterator

from ..figures import OURS, REFERENCE, Figures, Target, side_by_side
from .scenarios import Result

SIDES = {REFERENCE: "ckanext-syndicate", OURS: "ours"}
TITLES = {
    "first": "first push",
    "unchanged": "all asked for again, nothing changed",
    "edit": "one title edited",
    "many": "ours alone: first push to a target that costs nothing",
    "many unchanged": "ours alone: the same asked for again",
}
RATES = ("datasets a second",)
FIGURES: Figures = {
    "datasets": (lambda each: each.datasets, 0, False),
    "seconds": (lambda each: each.seconds, 1, False),
    "datasets a second": (lambda each: each.rate, 1, True),
    "requests": (lambda each: each.asked, 0, True),
    "requests that write": (lambda each: each.writes, 0, True),
    "CPU ms a dataset": (lambda each: each.cpu * 1000 / each.datasets, 1, True),
    "SQL statements a dataset": (lambda each: each.statements / each.datasets, 1, True),
    "transactions a dataset": (lambda each: each.transactions / each.datasets, 1, True),
    "peak MB of the worker": (lambda each: each.peak_mb, 0, True),
}


def table(result: Result) -> Iterator[str]:
    for name, title in TITLES.items():
        sides = {side: result.of(name, side) for side in (REFERENCE, OURS)}
        if any(sides.values()):
            yield title
            yield from side_by_side(FIGURES, sides, SIDES, RATES)
            yield ""
    if result.plain:
        yield f"plain calls of package_create with the same payloads, datasets a second   {result.plain:.1f}"
        for side, count in result.changed_ids.items():
            yield f"resource ids of the target that one edit changed, {SIDES[side]}   {count} of 3"
        yield ""
    if outage := result.outage:
        yield f"ours alone: {outage.edits} edits while the target was down"
        yield f"  seconds from its return to the first update        {outage.waited:.1f}"
        yield f"  updates a second from there on                     {outage.round.rate:.1f}"
        yield f"  plain calls of package_update, same payloads       {outage.plain_updates:.1f}"
        yield f"  plain calls of package_create, same payloads       {outage.plain_creates:.1f}"
        yield f"  requests, of which write                           {outage.round.asked}, {outage.round.writes}"
        yield f"  places by which an update was out of order         {outage.displaced}"
        yield f"  times that a dataset was written at most           {outage.written}"


def targets(result: Result) -> Iterator[Target]:
    if (first := result.of("first", OURS)) and result.plain:
        share = first.rate / result.plain
        yield Target("first push, of the rate of plain calls", "at least 90 %", f"{share:.0%}", share >= 0.9)
    for name, most in (("unchanged", 3), ("many unchanged", 20)):
        if again := result.of(name, OURS):
            met = again.asked <= most and not again.writes
            got = f"{again.asked}, {again.writes} of which write"
            yield Target(
                f"requests for {again.datasets:,} unchanged datasets", f"{most} at most, none writes", got, met
            )
    if edit := result.of("edit", OURS):
        changed = result.changed_ids[OURS]
        got = f"{edit.asked}, {changed} ids changed"
        met = 1 <= edit.asked <= 2 and not changed
        yield Target("requests for one edit", "1 or 2, no resource id changed", got, met)
    if outage := result.outage:
        share = outage.round.rate / outage.plain_creates
        met = share >= 0.9 and outage.displaced < 10 and outage.written == 1
        got = f"{share:.0%}, out of order by {outage.displaced}, written {outage.written} times"
        yield Target("edits of an outage, of the rate of plain calls", "at least 90 %, in order, once", got, met)


METHOD = """\
Each first push begins with a target without a dataset and a portal from which nothing was pushed, put back from copies.
All sides push to the same target through the same proxy, which counts. Each side has one worker process. Seconds are
those from the first request to the last answer; of several first pushes the quickest counts. How each figure is got is
said in benchmarks/README.rst."""
