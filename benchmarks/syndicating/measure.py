"""One measured round of pushing, as the target sees it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ckanext.relay.devstack.processes import PartFailed
from ckanext.syndicate.tests.target_proxy import Call, TargetProxy

from ..meter import Meter
from .sides import Portal, SyndicateBench

#: Seconds without a request after which a round is given up.
LONGEST = 120
#: Seconds between two looks whether it is over; looking takes time of the same processors, and no figure hangs on it.
LOOK = 0.5


@dataclass(frozen=True)
class Round:
    """The figures of one round."""

    datasets: int
    seconds: float  # from the first request to the last answer
    requests: dict[str, int]  # by action
    writes: int
    cpu: float
    peak_mb: float
    statements: int
    transactions: int

    @property
    def rate(self) -> float:
        return self.datasets / self.seconds if self.seconds else 0

    @property
    def asked(self) -> int:
        return sum(self.requests.values())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rate": self.rate}


def push(side: Portal, begin: Callable[[], object], datasets: int) -> Round:
    """Start the worker, and say what was asked of the target until nothing was left to do.

    :param begin: what gives the worker something to do
    :param datasets: how many are pushed
    """
    bench, proxy = side.bench, side.proxy
    begin()
    proxy.calls.clear()
    with side.running():
        meter = Meter(bench, side.site.name, [side.worker])
        last, cpu = time.monotonic(), 0.0
        while side.left() or proxy.open:
            if time.monotonic() - max(last, _last(proxy.calls)) > LONGEST:
                raise side.worker.failed(f"asked for nothing for {LONGEST} s, and something is left to do")
            side.check()
            meter.look()
            cpu = meter.cpu()  # now: a process that has ended tells no more
            time.sleep(LOOK)
        cpu, peak = max(cpu, meter.cpu()), meter.peak()
        statements, transactions = bench.postgres.counts(side.name)
    calls = list(proxy.calls)
    seconds = proxy.answered - calls[0].at if calls else 0
    return Round(
        datasets, seconds, dict(Counter(call.action for call in calls)), len(proxy.writes()), cpu, peak, statements,
        transactions,
    )  # fmt: skip


def _last(calls: Sequence[Call]) -> float:
    return calls[-1].at if calls else 0


def plain(bench: SyndicateBench, proxy: TargetProxy, action: str, payloads: Sequence[Any], connections: int) -> float:
    """Send payloads to the target by the shortest way; the seconds that it took."""
    file = bench.state / "payloads.jsonl"
    file.write_text("\n".join(json.dumps(payload) for payload in payloads))
    token = bench.portals["target"].api_token
    given = {"url": proxy.url, "token": token, "action": action, "file": str(file), "connections": connections}
    command = [sys.executable, str(Path(__file__).with_name("calls.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdin and process.stdout
        print(json.dumps(given), file=process.stdin, flush=True)
        process.stdout.readline()
        told, errors = process.communicate("go\n")
    if process.returncode:
        raise PartFailed(f"the target does not take {action}: {errors[-500:]}")
    return float(told)
