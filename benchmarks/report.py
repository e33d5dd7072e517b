"""The result in words: the table, the targets, the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import machine
from .figures import Target, sections
from .scenarios import CHANGED, FIRST, FORCED, INCREMENTAL, SCENARIOS, Run, Scenario

REFERENCE, TWO, ONE = "reference", "ours-2", "ours-1"
TITLES = {REFERENCE: "ckanext-harvest", TWO: "ours, 2 proc.", ONE: "ours, 1 proc."}

#: Peak memory with four times as many records, compared to that with as many as in the table.
MEMORY_ALLOWED = 1.1


@dataclass
class Result:
    """All figures: for each scenario and side its fastest run (and all of them), the floor, the memory."""

    count: int
    machine: dict[str, str]
    runs: dict[tuple[str, str], list[Run]]
    floor: dict[str, dict[str, float]]
    memory: dict[int, float]  # peak MB of our biggest worker process in a first harvest, by number of datasets
    profile: str = ""

    def fastest(self, scenario: Scenario, side: str) -> Run | None:
        return min(self.runs.get((scenario.name, side), ()), key=lambda run: run.seconds, default=None)

    def concerned(self, scenario: Scenario) -> int:
        return len(range(0, self.count, scenario.part))

    def as_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "machine": self.machine,
            "runs": [
                {"scenario": scenario, "side": side, "runs": [run.as_dict() for run in runs]}
                for (scenario, side), runs in self.runs.items()
            ],
            "floor": self.floor,
            "memory": self.memory,
            "profile": self.profile,
            "targets": [vars(target) for target in targets(self)],
        }


FIGURES: dict[str, tuple[Callable[[Run, int], float], int]] = {
    "wall seconds": (lambda run, count: run.seconds, 2),
    "ms a dataset": (lambda run, count: run.seconds * 1000 / count, 1),
    "seconds until Finished": (lambda run, count: run.finished, 2),
    "CPU seconds of the workers": (lambda run, count: run.cpu, 2),
    "peak MB of the biggest worker": (lambda run, count: run.peak_mb, 0),
    "SQL statements a dataset": (lambda run, count: run.statements / count, 1),
    "transactions a dataset": (lambda run, count: run.transactions / count, 2),
    "Solr hard commits a dataset": (lambda run, count: run.commits / count, 3),
}


def table(result: Result) -> str:
    return "\n".join(_table_lines(result))


def _table_lines(result: Result) -> Iterator[str]:
    head = "".join(f"{TITLES[side]:>16}" for side in (REFERENCE, TWO, ONE)) + f"{'ratio 2':>10}{'ratio 1':>10}"
    for scenario in SCENARIOS:
        fastest = {side: result.fastest(scenario, side) for side in (REFERENCE, TWO, ONE)}
        if not any(fastest.values()):
            continue
        count = result.concerned(scenario)
        yield f"{scenario.title} ({count} datasets)"
        yield f"{'':<32}{head}"
        for name, (figure, digits) in FIGURES.items():
            values = {side: None if run is None else figure(run, count) for side, run in fastest.items()}
            cells = "".join(f"{_number(values[side], digits):>16}" for side in (REFERENCE, TWO, ONE))
            ratios = "".join(f"{_ratio(values[REFERENCE], values[side]):>10}" for side in (TWO, ONE))
            yield f"  {name:<30}{cells}{ratios}"
        for side, run in fastest.items():
            if run:
                counted = ", ".join(f"{number} {what}" for what, number in run.stats.items() if number) or "nothing"
                yield f"  {TITLES[side]}: {counted}; {run.kept} datasets on the portal"
        yield ""
    if result.floor:
        yield "floor: CKAN's package_create in bare processes"
        for title, figures in result.floor.items():
            yield f"  {title:<52}{figures['wall_ms']:>6.1f} ms wall, {figures['cpu_ms']:.1f} ms CPU a dataset"
    if result.memory:
        yield "peak memory of our biggest worker process, first harvest"
        yield from (f"  {count:>6} datasets{peak:>10.0f} MB" for count, peak in sorted(result.memory.items()))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _ratio(reference: float | None, ours: float | None) -> str:
    return "-" if reference is None or not ours else f"{reference / ours:.2f}x"


def targets(result: Result) -> list[Target]:
    found = [
        _faster(result, FIRST, TWO, 4),
        _faster(result, FIRST, ONE, 2),
        _faster(result, FORCED, TWO, 30),
        _faster(result, FORCED, ONE, 30),
        _faster(result, INCREMENTAL, TWO, 1),
        _faster(result, INCREMENTAL, ONE, 1),
        _faster(result, CHANGED, TWO, 4),
    ]
    for side in (TWO, ONE):
        run = result.fastest(FIRST, side)
        if run:
            # One more when the job has ended, for the source's own document.
            met = run.batches > 0 and run.commits <= run.batches + 1
            got = f"{run.commits} commits, {run.batches} batches"
            found.append(Target(f"Solr commits, {TITLES[side]}", "one a batch (and one for the source)", got, met))
            each = run.transactions / result.count
            found.append(Target(f"transactions a dataset, {TITLES[side]}", "at most 3", f"{each:.2f}", each <= 3))
    return [*found, _memory(result)]


def _faster(result: Result, scenario: Scenario, side: str, wanted: float) -> Target:
    what = f"{scenario.title}, {TITLES[side]}"
    reference, ours = result.fastest(scenario, REFERENCE), result.fastest(scenario, side)
    if not (reference and ours):
        return Target(what, f"{wanted:g}x", "not measured", None)
    ratio = reference.seconds / ours.seconds
    return Target(what, f"at least {wanted:g}x", f"{ratio:.2f}x", ratio >= wanted)


def _memory(result: Result) -> Target:
    what, wanted = "peak memory with 4 times the records", f"at most {MEMORY_ALLOWED:g}x"
    if len(result.memory) < 2:
        return Target(what, wanted, "not measured", None)
    few, many = result.memory[min(result.memory)], result.memory[max(result.memory)]
    return Target(what, wanted, f"{many / few:.2f}x", many / few <= MEMORY_ALLOWED)


METHOD = """\
Times are wall times of the fastest of the runs, from the call of ``harvest_job_create`` until the last object is done
and found by searches; all other figures are those of that run. ckanext-harvest runs its gather consumer and its fetch
consumer (two processes, which do not overlap) and stands in both ratios. Each run begins with the same saved database
and Solr core. How each figure is got is said in benchmarks/README.rst."""


def record(result: Result) -> Path:
    """Write the record."""
    parts = sections(METHOD, result.machine, [table(result)], targets(result))
    if result.profile:
        parts.append(f"## Where the time of one worker goes\n\n{machine.code([result.profile.strip()])}")
    return machine.record("harvest", "Harvest, side by side", parts, f": {result.count} datasets.")
