"""The threads of a worker and the hosts in its hands: who is asked for what, when. Decides nothing about verdicts."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .checks import Checked
from .domain.host import Host
from .domain.link import Link
from .domain.verdict import classify


@dataclass(frozen=True, eq=False)
class Job:
    """What one thread does at a time.

    :ivar links: that share it
    :ivar url: that is asked for first
    :ivar run: does it
    """

    links: tuple[Link, ...]
    url: str
    run: Callable[[], list[Checked]]


@dataclass
class _Hand:
    """A host, and what it is still to be asked for.

    :ivar condemning: whether links that were given last need not be asked for, so that there may be more of them
    :ivar exhausted: whether nothing more of it is due
    """

    host: Host
    waiting: deque[Job] = field(default_factory=deque)
    condemning: bool = False
    exhausted: bool = False

    @property
    def wants_more(self) -> bool:
        return not (self.waiting or self.exhausted) and (self.host.pause is None or self.condemning)


class Crew:
    """A bounded number of threads that work off the jobs of many hosts; a context manager.

    All methods are for the thread that made it.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="archiver")
        self._hands: dict[str, _Hand] = {}
        self._under_way: dict[Job, float] = {}
        self._done: queue.SimpleQueue[tuple[Host, Job, list[Checked]]] = queue.SimpleQueue()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # what hangs is not waited for if we are on our way out anyway
        self._pool.shutdown(wait=not kind, cancel_futures=True)

    # -- what it has

    @property
    def room(self) -> int:
        """How many threads have nothing to do and nothing to wait for."""
        return self._threads - len(self._under_way) - sum(bool(hand.waiting) for hand in self._hands.values())

    @property
    def busy(self) -> int:
        """How many jobs are under way."""
        return len(self._under_way)

    @property
    def waiting(self) -> bool:
        """Whether jobs wait for their turn."""
        return any(hand.waiting and hand.host.pause is None for hand in self._hands.values())

    def hosts(self) -> list[Host]:
        return [hand.host for hand in self._hands.values()]

    def oldest(self) -> float:
        """Return since how many seconds the job is under way that was begun first; 0 if none is."""
        return time.monotonic() - min(self._under_way.values(), default=time.monotonic())

    def in_hand(self) -> set[str]:
        """Return the ids of the resources that are waiting or under way."""
        waiting = (job for hand in self._hands.values() for job in hand.waiting)
        return {link.resource_id for job in (*waiting, *self._under_way) for link in job.links}

    # -- what it is given, and gives back

    def take(self, host: Host) -> None:
        """Take a host in hand."""
        self._hands[host.name] = _Hand(host)

    def give(self, host_name: str, jobs: Sequence[Job]) -> None:
        """Let a host that is in hand be asked for more."""
        hand = self._hands[host_name]
        hand.waiting.extend(jobs)
        hand.condemning = False

    def idle(self) -> list[Host]:
        """Return the hosts with no job under way that have nothing left to ask for, or are to be left alone."""
        return [
            hand.host
            for hand in self._hands.values()
            if not hand.host.busy and not hand.wants_more and (not hand.waiting or hand.host.pause is not None)
        ]

    def running_out(self) -> list[Host]:
        """Return the hosts with nothing left to ask for, of whose links more may be dealt with."""
        return [hand.host for hand in self._hands.values() if hand.wants_more]

    def exhaust(self, host_name: str) -> None:
        """Note that nothing more of a host is due."""
        self._hands[host_name].exhausted = True

    def drop(self, host_name: str) -> None:
        """Take a host out of our hands, with what it was still to be asked for."""
        del self._hands[host_name]

    def stop(self) -> None:
        """Begin nothing more: drop whatever waits."""
        for hand in self._hands.values():
            hand.waiting.clear()
            hand.exhausted = True

    # -- work

    def start(self) -> float | None:
        """Begin what may begin; return in how many seconds more may, or None if something must end before."""
        soonest: float | None = None
        for hand in list(self._hands.values()):
            while hand.waiting and len(self._under_way) < self._threads:
                now = time.monotonic()
                wait = hand.host.starts_in(now)
                if wait is None:
                    break
                if wait > 0:
                    soonest = wait if soonest is None else min(soonest, wait)
                    break
                self._begin(hand, now)
            if len(self._under_way) < self._threads and hand.host.pause is None and hand.waiting:
                # the host whose turn it was goes to the end, so that all have theirs when threads are few
                self._hands[hand.host.name] = self._hands.pop(hand.host.name)
        return soonest

    def _begin(self, hand: _Hand, now: float) -> None:
        job = hand.waiting.popleft()
        hand.host.begin(now)
        self._under_way[job] = now
        self._pool.submit(self._run, hand.host, job)

    def _run(self, host: Host, job: Job) -> None:
        self._done.put((host, job, job.run()))

    def collect(self, seconds: float) -> Iterator[Checked]:
        """Yield what is done; waits for something to be done for so many seconds at most."""
        try:
            done = self._done.get(timeout=max(0.0, seconds)) if self._under_way else None
            if done is None:
                time.sleep(max(0.0, seconds))
                return
            while True:
                yield from self._ended(*done)
                done = self._done.get_nowait()
        except queue.Empty:
            return

    def _ended(self, host: Host, job: Job, checked: list[Checked]) -> Iterator[Checked]:
        del self._under_way[job]
        host.end(job.links[0].resource_id, job.url, checked[0].outcome)
        yield from checked

    def condemned(self) -> Iterator[Checked]:
        """Yield the links that need not be asked for, since what other links of their host came to holds for them."""
        for hand in self._hands.values():
            if not hand.host.is_condemned:
                continue
            found = [(job, failure) for job in hand.waiting if (failure := hand.host.condemned(job.url))]
            for job, failure in found:
                hand.waiting.remove(job)
                hand.condemning = True
                for link in job.links:
                    yield Checked(link, classify(link, failure), failure)
