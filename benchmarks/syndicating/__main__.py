"""The benchmark itself, as benchmarks/syndicate runs it."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from ckanext.syndicate.tests.target_proxy import TargetProxy

from .. import machine
from ..two_sides import carry_out, json_option, part_option, say, write_record
from . import table
from .scenarios import SCENARIOS, Comparison, Result, Sizes
from .sides import REPLACED, SyndicateBench


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--only", multiple=True, type=click.Choice([*SCENARIOS]), help="Only this scenario.")
@part_option
@json_option
@click.option("--record", is_flag=True, help="Write benchmarks/results/syndicate-DATE.md.")
@machine.state_option
@click.option("--reference", envvar="RELAY_BENCH_ORIGIN", required=True, help="Where ckanext-syndicate is taken from.")
def main(only: tuple[str, ...], part: float, json_file: Path | None, record: bool, state: Path, reference: str) -> None:
    """Push the same datasets with ckanext-syndicate and with this checkout, and compare them."""
    signal.signal(signal.SIGTERM, machine.end_as_interrupted)
    bench = SyndicateBench(state / "syndicate-stack", state.absolute() / "syndicate" / "bin" / "python", say)
    sizes = Sizes() if part == 1 else Sizes().smaller(part)
    result = Result(sizes, {}, reference)

    def measure() -> None:
        with TargetProxy(bench.portals["target"].url) as proxy:
            Comparison(bench, proxy, sizes, result).run(only or tuple(SCENARIOS))

    carry_out(bench, result, measure, table, REPLACED, json_file)
    if record:
        write_record("syndicate", "Syndicate, side by side", result, table, REPLACED)


if __name__ == "__main__":
    main()
