"""The benchmark itself, as benchmarks/harvest runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import click

from ckanext.relay.devstack.processes import environment

from . import data, floor, machine, report
from .figures import target_lines
from .scenarios import CHANGED, FIRST, GONE, SCENARIOS, SOURCE, Ours, Reference, Run, Scenario, Side, check, measure
from .sites import HERE, Bench
from .source import Source

say = partial(click.echo, err=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--count", type=click.IntRange(20), default=500, help="How many datasets the source has.")
@click.option(
    "--data",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Datasets, one JSON object a line, of which --count are taken.  [default: generated ones]",
)
@click.option("--runs", type=click.IntRange(1), default=3, help="Harvests of each kind, of which the fastest counts.")
@click.option("--only", multiple=True, type=click.Choice([each.name for each in SCENARIOS]), help="Only this scenario.")
@click.option("--no-floor", is_flag=True, help="Leave out what CKAN itself needs.")
@click.option("--memory", is_flag=True, help="Also harvest four times as many datasets, and compare the peak memory.")
@click.option("--profile", is_flag=True, help="Also tell where the time of one worker process goes.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
@click.option("--record", is_flag=True, help="Write benchmarks/results/harvest-DATE.md; with --memory and --profile.")
@machine.state_option
@click.option("--reference", type=Path, envvar="RELAY_BENCH_REFERENCE", help="Python that has ckanext-harvest.")
def main(
    count: int,
    file: Path | None,
    runs: int,
    only: tuple[str, ...],
    no_floor: bool,
    memory: bool,
    profile: bool,
    json_file: Path | None,
    record: bool,
    state: Path,
    reference: Path | None,
) -> None:
    """Run the same harvests with PyPI's ckanext-harvest and with this checkout, and compare them."""
    signal.signal(signal.SIGTERM, machine.end_as_interrupted)
    bench = Bench(state / "stack", reference or state.absolute() / "reference" / "bin" / "python", say)
    comparison = Comparison(bench, data.lines(count, file), runs)
    begun = time.monotonic()
    try:
        bench.start_servers()
        comparison.run([each for each in SCENARIOS if not only or each.name in only or each is FIRST])
        if not no_floor:
            comparison.measure_floor()
        if memory or record:
            comparison.measure_memory()
        if profile or record:
            comparison.profile()
    finally:
        say("ending what was started …")
        bench.down()
        # Also when it was interrupted, or a later part failed: what was measured until then.
        click.echo("\n".join([report.table(comparison.result), "", *target_lines(report.targets(comparison.result))]))
        click.echo(comparison.result.profile)
    say(f"took {(time.monotonic() - begun) / 60:.1f} minutes")
    if json_file:
        json_file.write_text(json.dumps(comparison.result.as_dict(), indent=1))
    if record:
        say(f"recorded in {report.record(comparison.result)}")


class Comparison:
    """All scenarios with all sides, over one source."""

    def __init__(self, bench: Bench, datasets: list[bytes], runs: int) -> None:
        self.bench, self.datasets, self.runs = bench, datasets, runs
        self.source = Source(bench, datasets)
        self.reference = Reference(bench, "reference", "ckanext-harvest", "reference")
        self.two, self.one = Ours(bench, 2), Ours(bench, 1)
        self.sides: tuple[Side, ...] = (self.reference, self.two, self.one)
        self.result = report.Result(len(datasets), {}, {}, {}, {})

    def run(self, scenarios: Iterable[Scenario]) -> None:
        self.source.prepare()
        self.result.machine = machine.describe(self.bench)
        for first in (self.reference, self.two):  # The other one of ours shares its portal.
            self.bench.say(f"making the portal of {first.title} …")
            first.prepare()
        for scenario in scenarios:
            self._prepare_source(scenario)
            for side in self.sides:
                with side.running():
                    self._measure(side, scenario)
            self.source.put_back()

    def measure_floor(self) -> None:
        self.result.floor = floor.measure(self.bench, self.datasets)

    def measure_memory(self) -> None:
        """A first harvest of four times as many records, with the same worker."""
        runs = self.result.runs[FIRST.name, self.two.key]
        self.result.memory[self.result.count] = max(run.peak_mb for run in runs)
        many = data.lines(4 * self.result.count, None)
        Source(self.bench, many).prepare()
        with self.two.running():
            run = measure(self.two, FIRST)
            check(FIRST, self.two, run, len(many))
        self.bench.say(f"first harvest of {len(many)} datasets: {run.seconds:.2f} s, {run.peak_mb:.0f} MB")
        self.result.memory[len(many)] = run.peak_mb
        self.source.put_back()

    def profile(self) -> None:
        """One first harvest in a bare process, and a second under the profiler."""
        site = self.two.site
        told = []
        for options in ([], ["--profile"]):
            self.bench.say(" ".join(["measuring one worker process", *options]))
            site.put_back(FIRST.begins)
            job = site.call("harvest_job_create", source_id=site.call("harvest_source_show", id=SOURCE)["id"])
            command = [sys.executable, "-m", "benchmarks.profile_worker", job["id"], *options]
            variables = environment(site.portal.variables())
            done = subprocess.run(command, cwd=HERE.parent, env=variables, capture_output=True, text=True)
            if done.returncode:
                raise site.portal.failed(f"could not be profiled: {done.stderr[-2000:]}")
            told.append(done.stdout)
            self.bench.valkey.flush(site.name)
        self.result.profile = "\n".join(told)

    def _prepare_source(self, scenario: Scenario) -> None:
        if scenario is CHANGED:
            self.source.change()
        elif scenario is GONE:
            self.source.delete()

    def _measure(self, side: Side, scenario: Scenario) -> None:
        runs: list[Run] = []
        for number in range(1, self.runs + 1):
            run = measure(side, scenario)
            check(scenario, side, run, self.result.count)
            runs.append(run)
            self.bench.say(f"{scenario.title}, {side.title}, run {number} of {self.runs}: {run.seconds:.2f} s")
        self.result.runs[scenario.name, side.key] = runs
        if scenario is FIRST:
            side.site.save("harvested")


if __name__ == "__main__":
    main()
