"""What is harvested, by whom, from which state on; and one measured harvest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ckanext.relay.devstack.processes import PartFailed, Process

from .meter import Meter
from .sites import SOURCE, Bench, Consumer, Site

#: One dataset of so many is changed, or gone, at the source: 5 %.
EVERY = 20
#: Seconds after which a harvest that does not end is given up.
LONGEST = 1800
#: Seconds between two looks whether the harvest is done.
LOOK = 0.02
#: Seconds between two looks whether all processes are alive.
CHECK = 1.0


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    begins: str  # label of the harvesting portal's saved state
    force: bool = False
    outcome: str = ""  # what every dataset concerned must be counted as
    part: int = 1  # one dataset of so many is concerned


FIRST = Scenario("first", "first harvest", "empty", outcome="added")
INCREMENTAL = Scenario("incremental", "nothing changed, incremental", "harvested")
FORCED = Scenario("forced", "nothing changed, force_all", "harvested", force=True, outcome="not modified")
CHANGED = Scenario("changed", "5 % changed at the source", "harvested", outcome="updated", part=EVERY)
GONE = Scenario("gone", "5 % gone at the source", "harvested")
SCENARIOS = (FIRST, INCREMENTAL, FORCED, CHANGED, GONE)


@dataclass(frozen=True)
class Run:
    """The figures of one harvest."""

    seconds: float  # until the last object was done, its dataset found by searches
    finished: float  # until the job said so
    cpu: float
    peak_mb: float
    statements: int
    transactions: int
    commits: int
    batches: int
    stats: dict[str, int]
    kept: int  # datasets of the portal afterwards

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Side:
    """One implementation with its worker processes."""

    #: which objects still have something to come; the job, too, must have been gathered
    left = "state NOT IN ('COMPLETE', 'ERROR')"

    def __init__(self, bench: Bench, key: str, title: str, site: str) -> None:
        self.bench, self.key, self.title = bench, key, title
        self.site = Site(bench, site)

    def processes(self) -> list[Process]:
        raise NotImplementedError

    def workers(self) -> list[Process]:
        """Those of the processes whose CPU time and memory count."""
        return self.processes()

    def batches(self) -> int:
        return 0

    def nudge(self) -> None:
        """What an implementation needs to see that a job is over."""

    @contextmanager
    def running(self) -> Iterator[None]:
        self.bench.valkey.flush(self.site.name)
        with self.bench.running(*self.processes()):
            yield

    def prepare(self) -> None:
        """A new portal with nothing but an organisation and the source, saved as ``empty``."""
        self.bench.start_site(self.site.name)
        self.site.call("organization_create", name="benchmark", title="Benchmark")
        self.site.call("harvest_source_create", **self.source())
        self.site.save("empty")

    def source(self, **config: Any) -> dict[str, str]:
        """The harvest source."""
        return {
            "name": SOURCE,
            "title": "Source portal",
            "url": self.bench.source.url,
            "source_type": "ckan",
            "frequency": "MANUAL",
            "owner_org": "benchmark",
            "config": json.dumps(config),
        }


class Reference(Side):
    def processes(self) -> list[Process]:
        portal = self.site.portal
        return [Consumer(self.bench.state, portal, "gather"), Consumer(self.bench.state, portal, "fetch")]

    def nudge(self) -> None:
        self.site.call("harvest_jobs_run")


class Ours(Side):
    left = "(state NOT IN ('COMPLETE', 'ERROR') OR needs_index)"

    def __init__(self, bench: Bench, processes: int) -> None:
        title = f"ckanext-relay, {processes} process{'es' * (processes > 1)}"
        super().__init__(bench, f"ours-{processes}", title, "this")
        self.worker = bench.new_worker(f"worker-{processes}", processes)

    def processes(self) -> list[Process]:
        return [self.worker, self.bench.beat]

    def workers(self) -> list[Process]:
        return [self.worker]

    def batches(self) -> int:
        """How often a batch was marked as indexed."""
        pattern = "UPDATE harvest_object SET%needs_index%WHERE harvest_object.id IN%"
        return self.bench.postgres.calls(self.site.name, pattern)


def measure(side: Side, scenario: Scenario) -> Run:
    """Put the state back from which the scenario begins, run one job, and say what it took."""
    site, bench = side.site, side.bench
    site.put_back(scenario.begins)
    source_id = site.call("harvest_source_show", id=SOURCE)["id"]
    if scenario.force:
        site.call("harvest_source_update", id=source_id, **side.source(force_all=True))
    meter = Meter(bench, site.name, side.workers())
    begun = time.perf_counter()
    job_id = site.call("harvest_job_create", source_id=source_id)["id"]
    with _watched(side, job_id) as holds:
        no_object = f"NOT EXISTS (SELECT FROM harvest_object WHERE harvest_job_id = job.id AND {side.left})"
        _wait(side, lambda: holds(f"gather_finished IS NOT NULL AND {no_object}"))
        done = time.perf_counter() - begun
        _wait_finished(side, lambda: holds("status = 'Finished'"))
        finished = time.perf_counter() - begun
    time.sleep(0.5)  # What follows the end of a job, as the source's new status in Solr, counts too.
    cpu, peak = meter.cpu(), meter.peak()
    statements, transactions = bench.postgres.counts(site.name)
    commits, batches = meter.commits(), side.batches()
    stats = site.call("harvest_job_show", id=job_id)["stats"]
    kept = site.query("SELECT count(*) FROM package WHERE type = 'dataset' AND state = 'active'")[0][0]
    found = site.call("package_search", rows=0, fq="dataset_type:dataset")["count"]
    if kept != found:
        raise PartFailed(f"{side.title}: {kept} datasets are there, but {found} are found by a search")
    return Run(done, finished, cpu, peak, statements, transactions, commits, batches, stats, kept)


def check(scenario: Scenario, side: Side, run: Run, count: int) -> None:
    """The figures of a harvest that went wrong are worth nothing."""
    wanted = {scenario.outcome: len(range(0, count, scenario.part))} if scenario.outcome else {}
    wrong = {key: run.stats.get(key, 0) for key in (*wanted, "errored") if run.stats.get(key, 0) != wanted.get(key, 0)}
    if wrong:
        raise PartFailed(f"{scenario.title}, {side.title}: expected {wanted} and no error, and got {run.stats}")


@contextmanager
def _watched(side: Side, job_id: str) -> Iterator[Callable[[str], bool]]:
    """Yield what tells whether the job fulfils a condition.

    It keeps its connection: each login takes some ten milliseconds of a processor, which those who harvest need.
    """
    with closing(side.bench.postgres.connect(side.site.name)) as connection, connection.cursor() as cursor:

        def holds(condition: str) -> bool:
            cursor.execute(f"SELECT {condition} FROM harvest_job AS job WHERE id = %s", (job_id,))
            return cursor.fetchone() == (True,)

        yield holds


def _wait_finished(side: Side, is_finished: Callable[[], bool]) -> None:
    """Until the job is Finished. ckanext-harvest sees it when it is asked to look: at once, then every second."""
    nudged = 0.0

    def finished() -> bool:
        nonlocal nudged
        if time.monotonic() - nudged > 1:
            side.nudge()
            nudged = time.monotonic()
        return is_finished()

    _wait(side, finished)


def _wait(side: Side, reached: Callable[[], bool]) -> None:
    begun = checked = time.monotonic()
    while not reached():
        now = time.monotonic()
        if now > begun + LONGEST:
            raise PartFailed(f"{side.title}: the harvest did not end within {LONGEST} s")
        if now > checked + CHECK:
            side.bench.check()
            checked = now
        time.sleep(LOOK)
