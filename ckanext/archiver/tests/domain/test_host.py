"""How a host is treated."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain.answer import Answer, Failure
from ckanext.archiver.domain.cause import Cause
from ckanext.archiver.domain.host import LONGEST_BREAK, LONGEST_WAIT, Host, Manners, is_own_fault

MANNERS = Manners(concurrency=2, delay=0.5, breaker_failures=5, breaker_seconds=100)
OK = Answer("http://h/", 200)
URL = "http://h/a.csv"


def failure(cause: Cause) -> Failure:
    return Failure(cause, "so it is")


def fail(host: Host, *causes: Cause, url: str = URL) -> None:
    for number, cause in enumerate(causes):
        host.begin(0)
        host.end(f"{cause}-{number}-{host.failures}", url, failure(cause))


def test_requests_begin_with_a_pause_and_few_at_a_time() -> None:
    """The next request may begin after the delay, and if there are not too many."""
    host = Host("h", MANNERS)
    assert host.starts_in(10) == 0
    host.begin(10)
    assert host.starts_in(10.2) == pytest.approx(0.3)
    host.begin(10.5)
    assert host.starts_in(20) is None
    host.end("r", URL, OK)
    assert host.starts_in(20) == 0 and host.answered


@pytest.mark.parametrize(
    ("outcome", "pause"),
    [
        (Answer("http://h/", 304), 0.25),
        (Answer("http://h/", 304, redirects=((301, "http://h/"),)), 0.5),
        (Answer("http://h/", 404), 0.5),
        (failure(Cause.TIMEOUT), 0.5),
        (None, 0.5),
    ],
)
def test_the_pause_is_half_after_a_file_that_is_as_it_was(outcome: Answer | Failure | None, pause: float) -> None:
    """Nothing was sent; but it is never less, however many answers come."""
    host = Host("h", MANNERS)
    host.begin(0)
    host.begin(10)
    host.end("r1", URL, outcome)
    host.end("r2", URL, outcome)
    assert host.starts_in(10) == pause


def test_three_failures_hold_for_all_links() -> None:
    """After three failures of the same kind the other links of the host need not be asked."""
    host = Host("h", MANNERS)
    fail(host, Cause.DNS, Cause.DNS)
    assert host.condemned(URL) is None
    fail(host, Cause.DNS)
    found = host.condemned("https://h/other")
    assert found and found.cause is Cause.DNS


def test_trouble_with_certificates_holds_for_https() -> None:
    """What was found of one scheme says nothing of the other."""
    host = Host("h", MANNERS)
    fail(host, *[Cause.TLS_EXPIRED] * 3, url="https://h/a")
    assert host.condemned("https://h/b") and host.condemned("http://h/b") is None


def test_the_same_link_three_times_is_one_link() -> None:
    """Three tries of one link do not judge others."""
    host = Host("h", MANNERS)
    for _ in range(3):
        host.begin(0)
        host.end("same", URL, failure(Cause.CONNECT))
    assert host.condemned(URL) is None


def test_an_answer_between_makes_good() -> None:
    """A host that answers, with whatever, is alive."""
    host = Host("h", MANNERS, failures=1)
    for outcome in (OK, Answer("http://h/", 500), failure(Cause.INVALID_HTTP), failure(Cause.TOO_LARGE)):
        fail(host, Cause.CONNECT, Cause.CONNECT)
        host.begin(0)
        host.end("r", URL, outcome)
        assert host.failures == 0 and host.condemned(URL) is None


def test_a_redirect_is_an_answer() -> None:
    """If a host sends us on to one that is dead, that says nothing against itself."""
    host = Host("h", MANNERS)
    for number in range(5):
        host.begin(0)
        host.end(str(number), URL, Failure(Cause.DNS, "", redirects=((301, "http://dead/"),)))
    assert host.failures == 0 and host.condemned(URL) is None and host.pause is None


def test_our_own_faults_say_nothing() -> None:
    """A full disk or a blocked address counts neither for nor against the host."""
    host = Host("h", MANNERS, failures=2)
    for cause in (Cause.DISK, Cause.OWN_FAULT, Cause.BLOCKED_ADDRESS):
        fail(host, cause)
    host.begin(0)
    host.end("r", URL, None)
    assert host.failures == 2 and not host.answered and host.busy == 0


def test_timeouts_open_the_breaker_and_judge_nothing() -> None:
    """A host that hangs is left alone; its other links are not judged."""
    host = Host("h", MANNERS)
    fail(host, *[Cause.TIMEOUT] * 4)
    assert host.pause is None
    fail(host, Cause.TIMEOUT)
    assert host.pause == 100 and host.starts_in(1e9) is None and host.condemned(URL) is None


@pytest.mark.parametrize(("before", "pause"), [(5, 200), (6, 400), (30, LONGEST_BREAK), (10**6, LONGEST_BREAK)])
def test_the_break_doubles(before: int, pause: float) -> None:
    """Each time that it still hangs it is left alone for twice as long, up to a limit."""
    host = Host("h", MANNERS, failures=before)
    host.begin(0)
    assert host.starts_in(100) is None, "one link is asked first"
    host.end("r", URL, failure(Cause.TIMEOUT))
    assert host.pause == pause


def test_a_host_that_was_dead_before_needs_one_failure() -> None:
    """What failed several times in a row, lately, is dead for all its links at the next failure."""
    host = Host("h", MANNERS, failures=3)
    fail(host, Cause.CONNECT)
    assert host.condemned(URL)


@pytest.mark.parametrize(("wanted", "pause"), [(30.0, 30), (1e9, LONGEST_WAIT), (0.0, None), (None, None)])
def test_a_host_that_wants_a_pause_gets_it(wanted: float | None, pause: float | None) -> None:
    """``Retry-After`` is obeyed within reason."""
    host = Host("h", MANNERS)
    host.begin(0)
    host.end("r", URL, Answer("http://h/", 503, retry_after=wanted))
    assert host.pause == pause


@pytest.mark.parametrize(
    ("failed", "answered", "witnesses", "ours"),
    [
        (["a", "b", "c"], True, [], False),
        (["a", "b", "c"], False, [False, True], False),
        (["a"], False, [False], True),
        (["a", "b", "c"], False, [], True),
        (["a", "b", "b"], False, [], False),
        (["a"], False, [], False),
    ],
)
def test_whose_fault_it_is(failed: list[str], answered: bool, witnesses: list[bool], ours: bool) -> None:
    """Nobody answers, not even who did lately: it is our network. With nobody to ask, several hosts must fail."""
    assert is_own_fault(failed, answered, witnesses) is ours


def test_what_was_our_own_fault_is_taken_back() -> None:
    """A host is not worse off because our network was down."""
    host = Host("h", MANNERS, failures=1)
    fail(host, *[Cause.CONNECT] * 4)
    host.forgive(300)
    assert (host.failures, host.pause, host.condemned(URL)) == (1, 300, None)
