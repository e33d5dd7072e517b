"""The result in words: the table, the targets, the record."""

from __future__ import annotations

from collections.abc import Iterator

from ..figures import OURS, REFERENCE, Figures, Target, side_by_side
from .scenarios import GIB, Result

SIDES = {REFERENCE: "ckanext-archiver", OURS: "ours"}
TITLES = {
    "first": "first archive, 10 % gone",
    "again": "again, nothing changed, 10 % gone",
    "hanging": "first archive, 10 % gone, 1 % that never answer",
    "large": "40 small files and some of 45 MB; ours with three of 1 GiB, too",
    "many": "ours alone, on 1,000 hosts",
}
RATES = ("resources a second", "… when all is indexed")
FIGURES: Figures = {
    "resources": (lambda each: each.resources, 0, False),
    "seconds until the last verdict": (lambda each: each.seconds, 1, False),
    "seconds until all is indexed": (lambda each: each.indexed, 1, False),
    "resources a second": (lambda each: each.rate, 1, True),
    "… when all is indexed": (lambda each: each.resources / each.indexed if each.indexed else None, 1, True),
    "CPU ms a resource": (lambda each: each.cpu * 1000 / each.resources, 1, True),
    "SQL statements a resource": (lambda each: each.statements / each.resources, 2, True),
    "transactions a resource": (lambda each: each.transactions / each.resources, 3, True),
    "Solr hard commits a resource": (lambda each: each.commits / each.resources, 4, True),
    "requests a resource": (lambda each: sum(each.statuses.values()) / each.resources, 2, True),
    "connections a resource": (lambda each: each.connections / each.resources, 3, True),
    "answers 304 a resource": (lambda each: each.statuses.get("304", 0) / each.resources, 2, False),
    "KB of bodies a resource": (lambda each: each.bodies / 1000 / each.resources, 2, True),
    "peak MB of the biggest worker": (lambda each: each.peak_mb, 0, True),
}


def table(result: Result) -> Iterator[str]:
    if result.enqueue:
        yield f"{'ckan archiver update':<34}{'datasets':>12}{'seconds':>12}{'with one':>12}{'ms a dataset':>14}"
        for side, each in result.enqueue.items():
            figures = f"{each.datasets:>12}{each.seconds:>12.2f}{each.seconds_for_one:>12.2f}{each.ms:>14.3f}"
            yield f"  {SIDES[side]:<32}{figures}"
        yield ""
    for name, title in TITLES.items():
        sides = {side: result.of(name, side) for side in (REFERENCE, OURS)}
        if any(sides.values()):
            yield title
            yield from side_by_side(FIGURES, sides, SIDES, RATES)
            yield ""
    if many := result.of("many", OURS):
        yield "ours alone, on 1,000 hosts: resources a second until so many were done"
        yield from (f"  {mark:>9,}{rate:>10.1f}" for mark, rate in many.marks.items())
        yield ""
    if result.beside:
        yield "ours, resources a second of 20 hosts, alone and beside one whose answers take 5 seconds"
        yield f"  {result.beside[0]:.1f}   {result.beside[1]:.1f}"


def targets(result: Result) -> Iterator[Target]:
    if len(result.enqueue) == 2:
        yield _at_least("enqueue a dataset", 100, result.enqueue[REFERENCE].ms / result.enqueue[OURS].ms)
    for name, wanted in (("first", 40.0), ("hanging", 40.0), ("again", 60.0)):
        reference, ours = result.of(name, REFERENCE), result.of(name, OURS)
        if reference and ours:
            yield _at_least(TITLES[name], wanted, ours.rate / reference.rate)
    if again := result.of("again", OURS):
        bodies = sum(count for status, count in again.statuses.items() if status == "200")
        yield Target("again: answers with the body of a file", "none", str(bodies), bodies == 0)
    if large := result.of("large", OURS):
        met = large.peak_mb < 250 and large.bodies > 3 * GIB
        yield Target("peak memory with files of 1 GiB", "under 250 MB", f"{large.peak_mb:.0f} MB", met)
    if result.beside:
        alone, beside = result.beside
        yield Target(
            "rate of the others beside a slow host", "at least 0.9x", f"{beside / alone:.2f}x", beside >= 0.9 * alone
        )
    if many := result.of("many", OURS):
        rates = list(many.marks.values())
        met = rates[-1] >= 0.9 * rates[0]
        yield Target("rate at the end of many links", "at least 0.9x", f"{rates[-1] / rates[0]:.2f}x", met)


def _at_least(what: str, wanted: float, ratio: float) -> Target:
    return Target(what, f"at least {wanted:g}x", f"{ratio:.1f}x", ratio >= wanted)


METHOD = """\
Each scenario begins with the same saved database and Solr core; the links are loaded with SQL. Each side has one worker
process. Seconds are those from the first request that reaches the hosts until each resource has a verdict in the
table. A round whose verdicts or copies are not the expected ones ends the benchmark. How each figure is got is said
in benchmarks/README.rst."""
