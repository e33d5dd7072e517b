"""What is measured, with which links."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .measure import Round, archive
from .remote import RESOURCES, Links, Remote, mixed, running
from .sides import ArchiveBench, Ours, Portal, Reference

GIB = 1 << 30
#: Hosts, and links at which the rate is noted, where ours is alone with many.
MANY_HOSTS = 1_000
MARKS = (1_000, 10_000, 100_000)
#: Below the default limit of either side, and far above it.
LARGE, HUGE = 45_000_000, GIB


@dataclass(frozen=True)
class Sizes:
    """How many links a scenario has for either side. The rates are compared, not the times: ours would be over too soon
    with as few as the other side can be waited for, and whoever waits for a link that hangs is done with few."""

    reference: int = 90
    reference_hanging: int = 100
    ours: int = 4_000
    many: int = MARKS[-1]

    def smaller(self, part: float) -> Sizes:
        """Return a part of it, but so many that each kind of link is there."""
        return Sizes(
            max(30, int(self.reference * part)), 100, *(max(300, int(n * part)) for n in (self.ours, self.many))
        )


@dataclass(frozen=True)
class Enqueued:
    """How long ``archiver update`` takes for so many datasets, and for one."""

    datasets: int
    seconds: float
    seconds_for_one: float

    @property
    def ms(self) -> float:
        """Milliseconds for one more dataset."""
        return max(self.seconds - self.seconds_for_one, 0.001) * 1000 / (self.datasets - 1)


@dataclass
class Result:
    """All figures, by name of the scenario and side."""

    sizes: Sizes
    machine: dict[str, str]
    origin: str  # of ckanext-archiver
    rounds: dict[tuple[str, str], Round] = field(default_factory=dict)
    enqueue: dict[str, Enqueued] = field(default_factory=dict)
    #: links a second of the fast hosts, without and with a slow one beside them
    beside: tuple[float, float] | None = None

    def of(self, scenario: str, side: str) -> Round | None:
        return self.rounds.get((scenario, side))

    def as_dict(self) -> dict[str, Any]:
        return {
            "sizes": vars(self.sizes),
            "machine": self.machine,
            "origin": self.origin,
            "rounds": {f"{name}, {side}": round.as_dict() for (name, side), round in self.rounds.items()},
            "enqueue": {side: vars(each) for side, each in self.enqueue.items()},
            "beside": self.beside,
        }


class Comparison:
    """All scenarios with both sides."""

    def __init__(self, bench: ArchiveBench, sizes: Sizes, result: Result) -> None:
        self.bench, self.sizes, self.result = bench, sizes, result
        self.reference, self.ours = Reference(bench), Ours(bench)

    def run(self, only: tuple[str, ...]) -> None:
        for side in (self.reference, self.ours):
            if side is self.ours or any(SCENARIOS[name].both for name in only):
                side.prepare()
        for name in only:
            SCENARIOS[name].run(self)

    def first_and_again(self) -> None:
        """All links for the first time, then once more when nothing has changed."""
        for side, count in ((self.reference, self.sizes.reference), (self.ours, self.sizes.ours)):
            links = mixed(count)
            with self._loaded(side, links) as remote:
                self._measure("first", side, remote, links)
                self._measure("again", side, remote, links)

    def hanging(self) -> None:
        """The same for the first time, with 1 % that never answer."""
        for side, count in ((self.reference, self.sizes.reference_hanging), (self.ours, self.sizes.ours)):
            links = mixed(count, hang=True)
            with self._loaded(side, links) as remote:
                self._measure("hanging", side, remote, links)

    def large(self) -> None:
        """Few small files and some large ones; ours with some of 1 GiB, too."""
        for side, sizes, settings in (
            (self.reference, (LARGE,) * 2, {}),
            (self.ours, (LARGE,) * 2 + (HUGE,) * 3, {"ckanext-archiver.max_content_length": str(2 * GIB)}),
        ):
            links = Links(ok=40, big=sizes)
            with self._loaded(side, links, **settings) as remote:
                self._measure("large", side, remote, links)

    def slow(self) -> None:
        """Ours: a host whose answers take seconds beside the others."""
        rates = []
        for slow in (0, 10):
            fast = mixed(self.sizes.ours // 2)
            links = Links(fast.ok, fast.gone, slow=slow)
            with self._loaded(self.ours, links) as remote:
                round = self._measure(f"slow-{slow}", self.ours, remote, links, (int(fast.count * 0.98),), False)
            rates.append(next(iter(round.marks.values())))
        self.result.beside = rates[0], rates[1]

    def many(self) -> None:
        """Ours alone: 100,000 links on 1,000 hosts."""
        links = mixed(self.sizes.many, hosts=MANY_HOSTS)
        with self._loaded(self.ours, links) as remote:
            marks = tuple(mark for mark in MARKS if mark < links.count) + (links.count,)
            self._measure("many", self.ours, remote, links, marks, False)

    def enqueue(self) -> None:
        """The command alone, with one dataset, for CKAN loads that long, and with many."""
        for side, count in ((self.reference, self.sizes.reference), (self.ours, self.sizes.many)):
            taken = []
            for links in (Links(ok=RESOURCES), mixed(count)):
                with self._loaded(side, links):
                    taken.append(side.update())
            self.result.enqueue[side.key] = Enqueued(links.datasets, taken[1], taken[0])
            self.bench.say(
                f"enqueue, {side.title}: {links.datasets} datasets in {taken[1]:.1f} s, one in {taken[0]:.1f} s"
            )

    def _measure(
        self, name: str, side: Portal, remote: Remote, links: Links, marks: tuple[int, ...] = (), index: bool = True
    ) -> Round:
        done = archive(side, remote, links, marks, index)
        self.result.rounds[name, side.key] = done
        self.bench.say(
            f"{name}, {side.title}: {done.resources} resources in {done.seconds:.1f} s, {done.rate:.1f}/s,"
            f" peak {done.peak_mb:.0f} MB"
        )
        return done

    @contextmanager
    def _loaded(self, side: Portal, links: Links, **settings: str) -> Iterator[Remote]:
        side.begin(**settings)
        with running(links.hosts) as remote:
            remote.load(side.site, links)
            yield remote


@dataclass(frozen=True)
class Scenario:
    run: Callable[[Comparison], None]
    both: bool = True


SCENARIOS = {
    "enqueue": Scenario(Comparison.enqueue),
    "first": Scenario(Comparison.first_and_again),
    "hanging": Scenario(Comparison.hanging),
    "large": Scenario(Comparison.large),
    "slow": Scenario(Comparison.slow, both=False),
    "many": Scenario(Comparison.many, both=False),
}
