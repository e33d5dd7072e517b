"""How a host is treated while a worker asks it for links: how many requests at a time and how soon after each other,
when it is left alone for a while, and when what it did holds for all of its links."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from .answer import Answer, Failure
from .cause import HOST_LEVEL, Cause

#: After so many failures of the same kind in a row the other links of the host are not asked any more.
ENOUGH = 3
#: Seconds for which a host is left alone at most: by our own doubling, and because it wants to be.
LONGEST_BREAK, LONGEST_WAIT = 6 * 3600, 24 * 3600
#: What may as well be the fault of our own network.
DOUBTFUL = HOST_LEVEL | {Cause.TIMEOUT}

#: What says nothing about the host.
_OURS = frozenset({Cause.BLOCKED_ADDRESS, Cause.DISK, Cause.OWN_FAULT, Cause.URL_INVALID})


@dataclass(frozen=True)
class Manners:
    """How to treat hosts; times in seconds.

    :ivar concurrency: requests at a time
    :ivar delay: between the starts of two requests; half of it after an answer that a file is as it was
    :ivar breaker_failures: after so many failures in a row a host is left alone
    :ivar breaker_seconds: for so long, and twice as long after each one more
    """

    concurrency: int = 2
    delay: float = 0.1
    breaker_failures: int = 5
    breaker_seconds: float = 300


class Host:
    """A host in the hands of a worker.

    :param failures: how often in a row it could not be reached before
    :param is_suspect: whether the worker that had it before has died, perhaps of one of its links
    """

    def __init__(self, name: str, manners: Manners, failures: int = 0, is_suspect: bool = False) -> None:
        self.name = name
        self.is_suspect = is_suspect
        self.failures = failures
        #: whether it has answered, since it is in our hands
        self.answered = False
        #: for how many seconds it is to be left alone from now on
        self.pause: float | None = None
        self.busy = 0
        self._before = failures
        self._manners = manners
        # who comes back to a host that was left alone asks it for one link first
        self._concurrency = 1 if failures >= manners.breaker_failures else manners.concurrency
        self._enough = 1 if failures >= ENOUGH else ENOUGH
        self._last_start = self._next_start = 0.0
        self._in_a_row: dict[str | None, set[str]] = {}
        self._condemned: dict[str | None, Failure] = {}

    def starts_in(self, now: float) -> float | None:
        """Return in how many seconds the next request may begin, or None if another one must end before.

        :param now: on a clock that never goes back
        """
        if self.pause is not None or self.busy >= self._concurrency:
            return None
        return max(0.0, self._next_start - now)

    def begin(self, now: float) -> None:
        """Note that a request begins."""
        self.busy += 1
        self._last_start, self._next_start = now, now + self._manners.delay

    def end(self, resource_id: str, url: str, outcome: Answer | Failure | None) -> None:
        """Note what became of a request.

        :param url: that was asked for first
        :param outcome: None: nothing was asked
        """
        self.busy -= 1
        if outcome is None or (isinstance(outcome, Failure) and outcome.cause in _OURS):
            return
        if isinstance(outcome, Answer) and outcome.retry_after:
            self._leave_alone(min(outcome.retry_after, LONGEST_WAIT))
        if isinstance(outcome, Answer) and outcome.status == 304 and not outcome.redirects:
            # the host had no file to send, which costs it little
            self._next_start = self._last_start + self._manners.delay / 2
        if isinstance(outcome, Answer) or outcome.redirects or outcome.cause not in DOUBTFUL:
            self.failures = 0
            self.answered = True
            self._concurrency, self._enough = self._manners.concurrency, ENOUGH
            self._in_a_row.clear()
            self._condemned.clear()
            return
        self.failures += 1
        if self.failures >= self._manners.breaker_failures:
            doubled = 2.0 ** min(self.failures - self._manners.breaker_failures, 20)
            self._leave_alone(min(self._manners.breaker_seconds * doubled, LONGEST_BREAK))
        if outcome.cause in HOST_LEVEL:
            about = _about(outcome.cause, url)
            links = self._in_a_row.setdefault(about, set())
            links.add(resource_id)
            if len(links) >= self._enough:
                self._condemned[about] = outcome

    def forgive(self, seconds: float) -> None:
        """Take back what seemed to be failures of the host: our own network is down. It is asked again later."""
        self.failures = self._before
        self._condemned.clear()
        self._leave_alone(seconds)

    @property
    def is_condemned(self) -> bool:
        """Whether any of its links need not be asked for."""
        return bool(self._condemned)

    def condemned(self, url: str) -> Failure | None:
        """Return the failure of this link, which need not be asked for, or None if only asking can tell."""
        return self._condemned.get(None) or self._condemned.get(urlsplit(url).scheme)

    def _leave_alone(self, seconds: float) -> None:
        self.pause = max(self.pause or 0.0, seconds)


def _about(cause: Cause, url: str) -> str | None:
    """Return what a failure of a host holds for: all of its links (None), or those with a scheme."""
    return None if cause is Cause.DNS else urlsplit(url).scheme


def is_own_fault(failed: Collection[str], answered: bool, witnesses: Collection[bool]) -> bool:
    """Return whether hosts could not be reached because our own network is down.

    :param failed: names of the hosts
    :param answered: whether any other host answered at that time
    :param witnesses: of hosts that answered lately, whether they still do
    """
    if answered or any(witnesses):
        return False
    return bool(witnesses) or len(set(failed)) >= ENOUGH
