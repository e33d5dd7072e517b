"""The benchmark itself, as benchmarks/archive runs it."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import click

from .. import machine
from ..sites import HERE
from . import table
from .scenarios import SCENARIOS, Comparison, Result, Sizes
from .sides import REPLACED, ArchiveBench

say = partial(click.echo, err=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--only", multiple=True, type=click.Choice([*SCENARIOS]), help="Only this scenario.")
@click.option("--part", type=click.FloatRange(0.01, 1), default=1.0, help="How much of the links of each scenario.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
@click.option("--record", is_flag=True, help="Write benchmarks/results/archive-DATE.md.")
@machine.state_option
@click.option("--reference", envvar="RELAY_BENCH_ORIGIN", required=True, help="Where ckanext-archiver is taken from.")
def main(only: tuple[str, ...], part: float, json_file: Path | None, record: bool, state: Path, reference: str) -> None:
    """Archive the same kinds of links with ckanext-archiver and with this checkout, and compare them."""
    signal.signal(signal.SIGTERM, machine.end_as_interrupted)
    bench = ArchiveBench(state / "archive-stack", state.absolute() / "archiver" / "bin" / "python", say)
    bench.down()  # what an earlier run that was killed has left
    sizes = Sizes() if part == 1 else Sizes().smaller(part)
    result = Result(sizes, {}, reference)
    begun = time.monotonic()
    try:
        bench.start_servers()
        result.machine = machine.describe(bench, REPLACED)
        Comparison(bench, sizes, result).run(only or tuple(SCENARIOS))
    finally:
        say("ending what was started …")
        bench.down()
        # Also when it was interrupted, or a later part failed: what was measured until then.
        click.echo(f"{table.table(result)}\n\n{table.target_lines(result)}")
    say(f"took {(time.monotonic() - begun) / 60:.1f} minutes")
    if json_file:
        json_file.write_text(json.dumps(result.as_dict(), indent=1))
    if record:
        date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
        path = HERE / "results" / f"archive-{date}.md"
        path.write_text(table.record(result, date, shlex.join(["benchmarks/archive", *sys.argv[1:]])))
        say(f"recorded in {path}")


if __name__ == "__main__":
    main()
