"""What checks make of an archival: the attempt by the contract's rules, and the confirmed verdict beside it."""

from __future__ import annotations

import dataclasses
import datetime
import random
from typing import Any

import pytest

from ckanext.archiver.domain import history, status
from ckanext.archiver.domain.cause import Cause, http
from ckanext.archiver.domain.history import Confirm, Copy, Facts
from ckanext.archiver.domain.link import Previous
from ckanext.archiver.domain.verdict import Verdict, status_id

NOON = datetime.datetime(2026, 3, 1, 12)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
MONTH = 30 * DAY
CONFIRM = Confirm(tries=3, hours=24)
URL = "http://example.org/data.csv"
COPY = Copy("/archive/ab/abc/data.csv", "/cached", 7, "text/csv", "sha1", "sha256", '"e"', "Sun, 01 Mar 2026")
ARCHIVED, UNCHANGED = Verdict(status.ARCHIVED, keep=True), Verdict(status.NOT_CHANGED)
NOT_FOUND = Verdict(status.DOWNLOAD_ERROR, "Server reported status error: 404 Not Found", http(404))


def failed(cause: Cause) -> Verdict:
    return Verdict(status_id(cause), "reason", cause)


def after(previous: Previous | None, columns: dict[str, Any]) -> Previous:
    """What the next check finds."""
    names = {each.name for each in dataclasses.fields(Previous)}
    return dataclasses.replace(previous or Previous(), **{key: columns[key] for key in names & set(columns)})


def check(
    verdict: Verdict, previous: Previous | None = None, now: datetime.datetime = NOON, facts: Facts | None = None
) -> dict[str, Any]:
    return history.record(previous, verdict, facts or Facts(URL), now, CONFIRM)


def series(*steps: tuple[float, Verdict], url: str = URL) -> dict[str, Any]:
    """Check at these hours after noon, and return what the last check recorded."""
    previous, columns = None, {}
    for hours, verdict in steps:
        columns = history.record(previous, verdict, Facts(url), NOON + hours * HOUR, CONFIRM)
        previous = after(previous, columns)
    return columns


# -- the latest attempt


def test_a_success_overwrites_what_is_known_of_the_file_and_ends_the_failures() -> None:
    """Status, cache fields, times and counters, as other extensions print them."""
    before = Previous(is_broken=True, first_failure=NOON - DAY, failure_count=4)
    columns = check(ARCHIVED, before, facts=Facts(URL, ((301, "http://b/"),), COPY))
    assert columns | dataclasses.asdict(COPY) == columns
    assert (columns["status_id"], columns["is_broken"], columns["reason"], columns["cause"]) == (0, False, "", None)
    assert (columns["updated"], columns["last_success"], columns["first_failure"]) == (NOON, NOON, None)
    assert (columns["failure_count"], columns["checked_url"]) == (0, URL)
    assert columns["redirects"] == [[301, "http://b/"]]


def test_not_changed_is_a_success_that_leaves_the_file_alone() -> None:
    """A link that was broken is well again, and its copy stays as it was."""
    before = Previous(is_broken=True, first_failure=NOON - DAY, failure_count=4, verdict="broken")
    columns = check(UNCHANGED, before)
    assert (columns["status_id"], columns["is_broken"], columns["verdict"]) == (1, False, "ok")
    assert (columns["last_success"], columns["first_failure"], columns["failure_count"]) == (NOON, None, 0)
    assert not set(columns) & set(dataclasses.asdict(COPY))


@pytest.mark.parametrize("verdict", [NOT_FOUND, failed(Cause.TOO_LARGE), failed(Cause.OWN_FAULT)])
def test_a_failure_leaves_the_last_good_copy_and_the_last_success(verdict: Verdict) -> None:
    """Whatever kind of failure; only the first one of a run sets its beginning."""
    first = check(verdict, Previous(is_broken=False, failure_count=0))
    assert not set(first) & {*dataclasses.asdict(COPY), "last_success"}
    assert (first["first_failure"], first["failure_count"]) == (NOON, 1)
    second = check(NOT_FOUND, after(None, first), NOON + DAY)
    assert (second["first_failure"], second["failure_count"]) == (NOON, 2)


@pytest.mark.parametrize("verdict", [NOT_FOUND, failed(http(403)), failed(Cause.OWN_FAULT), ARCHIVED])
def test_a_copy_of_another_address_is_no_copy(verdict: Verdict) -> None:
    """The resource got a new URL, of which there is none yet, be it because the archive is full. A row that another
    archiver wrote does not say of which URL it is, and keeps it."""
    before = Previous(is_broken=False, checked_url="http://example.org/old.csv", cache_filepath="/a/b/c", etag="e")
    columns = check(verdict, before)
    assert columns | dataclasses.asdict(Copy()) == columns
    for url in (URL, None):
        assert "cache_filepath" not in check(verdict, dataclasses.replace(before, checked_url=url))


def test_from_not_sure_to_broken_is_one_run() -> None:
    """The counter goes on, whichever of both an attempt comes to."""
    columns = series((0, failed(Cause.TOO_LARGE)), (1, NOT_FOUND), (2, failed(Cause.DISK)))
    assert (columns["failure_count"], columns["first_failure"]) == (3, NOON)


def test_the_first_attempt_ever() -> None:
    """It begins a run if it fails, also in a row that other extensions made and nobody filled."""
    for previous in (None, Previous()):
        columns = check(NOT_FOUND, previous)
        assert (columns["first_failure"], columns["failure_count"]) == (NOON, 1)


def test_no_secret_is_recorded() -> None:
    """Addresses are shown to everybody: what they are redirected to may carry a key."""
    secret = Verdict(12, "Connection error: http://u:pw@b/", Cause.CONNECT, "http://b/?token=abc")
    columns = check(secret, facts=Facts(URL, ((302, "http://b/?token=abc"),)))
    assert "pw" not in columns["reason"]
    assert "abc" not in columns["url_redirected_to"] + str(columns["redirects"])


# -- the confirmed verdict


def test_one_failure_is_suspect_and_not_broken() -> None:
    """A link that was well stays so until it is confirmed; one that was never checked is not decided."""
    assert (series((0, NOT_FOUND))["verdict"], series((0, NOT_FOUND))["suspect_count"]) == (None, 1)
    columns = series((0, ARCHIVED), (24, NOT_FOUND))
    assert (columns["verdict"], columns["is_broken"], columns["suspect_since"]) == ("ok", True, NOON + DAY)
    assert history.is_suspect(columns)


@pytest.mark.parametrize(
    ("hours", "verdict"),
    [
        ((0, 12, 24), "broken"),
        ((0, 12, 23), None),
        ((0, 48), None),
        ((0, 1, 2, 3, 24.5), "broken"),
        ((0, 1, 48), "broken"),
    ],
)
def test_broken_takes_enough_tries_over_enough_time(hours: tuple[float, ...], verdict: str | None) -> None:
    """Three tries in a minute are one outage, and two tries are two accidents."""
    columns = series(*((each, NOT_FOUND) for each in hours))
    assert columns["verdict"] == verdict
    assert history.is_suspect(columns) is (verdict is None)


def test_an_address_that_is_none_is_broken_at_once() -> None:
    """Asking again would not help."""
    assert series((0, failed(Cause.URL_INVALID)))["verdict"] == "broken"


def test_one_good_answer_confirms_at_once() -> None:
    """Nothing is left of the suspicion."""
    columns = series((0, NOT_FOUND), (12, NOT_FOUND), (24, NOT_FOUND), (25, ARCHIVED))
    assert (columns["verdict"], columns["suspect_since"], columns["suspect_count"]) == ("ok", None, 0)


@pytest.mark.parametrize("cause", [http(403), http(429), Cause.TOO_LARGE, Cause.HTML_INSTEAD_OF_DATA])
def test_what_says_nothing_for_certain_is_unsure_for_ever(cause: Cause) -> None:
    """It is no try, however often: a link that is suspect stays as suspect as it was."""
    assert series(*((hours, failed(cause)) for hours in range(0, 500, 12)))["verdict"] == "unsure"
    columns = series((0, NOT_FOUND), (12, NOT_FOUND), (36, failed(cause)))
    assert (columns["verdict"], columns["suspect_count"]) == ("unsure", 2)
    assert series((0, NOT_FOUND), (12, NOT_FOUND), (36, failed(cause)), (37, NOT_FOUND))["verdict"] == "broken"


@pytest.mark.parametrize("cause", [Cause.OWN_FAULT, Cause.DISK])
@pytest.mark.parametrize(
    ("before", "verdict"), [((0, ARCHIVED), "ok"), ((0, failed(Cause.URL_INVALID)), "broken"), (None, "unsure")]
)
def test_a_fault_of_our_own_changes_no_verdict(
    cause: Cause, before: tuple[float, Verdict] | None, verdict: str
) -> None:
    """We have learned nothing of the link."""
    steps = [before] if before else []
    assert series(*steps, (24, failed(cause)))["verdict"] == verdict


def test_the_verdict_on_one_address_is_none_on_another() -> None:
    """After an edit a link begins anew, though its failures are counted on."""
    old = after(None, series((0, NOT_FOUND), (12, NOT_FOUND), (24, NOT_FOUND)))
    columns = check(NOT_FOUND, old, NOON + 2 * DAY, Facts("http://example.org/moved.csv"))
    assert (columns["verdict"], columns["suspect_count"], columns["failure_count"]) == (None, 1, 4)


def test_failures_without_a_cause() -> None:
    """Other extensions record what they find by the status alone."""
    assert series(*((hours, Verdict(12, "gone")) for hours in (0, 12, 24)))["verdict"] == "broken"
    assert series((0, Verdict(23, "no room")))["verdict"] == "unsure"


def test_whatever_comes_the_rules_hold() -> None:
    """Random histories: broken only after enough failures over enough time without a success, ok only after one."""
    choice = random.Random(5)
    causes = [*Cause, http(404), http(500), http(429)]
    for _ in range(300):
        previous, now, since, fails = None, NOON, NOON, 0
        for _ in range(20):
            now += choice.choice([HOUR, 6 * HOUR, DAY])
            verdict = choice.choice([ARCHIVED, UNCHANGED, *map(failed, choice.sample(causes, 4))])
            columns = history.record(previous, verdict, Facts(URL), now, CONFIRM)
            if columns["is_broken"] is False:
                fails = 0
                assert (columns["verdict"], columns["suspect_since"]) == ("ok", None)
            else:
                since, fails = (since, fails + 1) if fails else (now, 1)
            if columns["verdict"] == "broken" and verdict.cause is not Cause.URL_INVALID:
                immediate = previous is not None and previous.verdict == "broken"
                assert immediate or (fails >= 3 and now - since >= DAY)
            assert history.next_check(columns, MONTH, CONFIRM) > now
            previous = after(previous, columns)


# -- the next check


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (((0, ARCHIVED),), MONTH),
        (((0, NOT_FOUND),), 12 * HOUR),
        (((0, NOT_FOUND), (12, NOT_FOUND)), 12 * HOUR),
        (((0, NOT_FOUND), (1, NOT_FOUND)), 23 * HOUR),
        (((0, NOT_FOUND), (1, NOT_FOUND), (2, NOT_FOUND)), 22 * HOUR),
        (((0, NOT_FOUND), (12, NOT_FOUND), (24, NOT_FOUND)), DAY),
        (((0, failed(Cause.URL_INVALID)),), DAY),
        (((0, failed(http(403))),), DAY),
    ],
)
def test_when_a_link_is_checked_again(steps: tuple[tuple[float, Verdict], ...], expected: datetime.timedelta) -> None:
    """What is well by its age, what is suspect so that it is soon confirmed, what is broken at growing distances."""
    columns = series(*steps)
    assert history.next_check(columns, MONTH, CONFIRM) - columns["updated"] == expected


@pytest.mark.parametrize(
    ("first", "rest", "days"),
    [
        (NOT_FOUND, NOT_FOUND, [0.5, 0.5, 1, 2, 4, 8, 16, 30, 30]),
        (NOT_FOUND, failed(http(403)), [0.5, 1, 1.5, 3, 6, 12, 24, 30, 30]),
        (failed(http(429)), failed(http(429)), [1, 1, 2, 4, 8, 16, 30, 30, 30]),
    ],
    ids=["broken", "suspect once", "unsure"],
)
def test_a_link_that_goes_on_failing_is_asked_ever_more_seldom(
    first: Verdict, rest: Verdict, days: list[float]
) -> None:
    """The distance doubles, up to the age at which links that are well are checked."""
    previous, now, gaps = None, NOON, []
    for verdict in (first, *[rest] * 8):
        columns = history.record(previous, verdict, Facts(URL), now, CONFIRM)
        at = history.next_check(columns, MONTH, CONFIRM)
        gaps.append((at - now) / DAY)
        previous, now = after(previous, columns), at
    assert gaps == days


def test_confirming_takes_no_longer_than_the_age() -> None:
    """Also where links are checked daily and failures are confirmed over a month."""
    slow = Confirm(tries=2, hours=720)
    columns = history.record(None, NOT_FOUND, Facts(URL), NOON, slow)
    assert history.next_check(columns, DAY, slow) == NOON + DAY


# -- what shows


def test_what_shows() -> None:
    """The first check does, and a new reason; times and counters do not, nor that the file was not fetched again."""
    columns = check(ARCHIVED, facts=Facts(URL, copy=COPY))
    assert history.shows(None, columns)
    assert not history.shows(columns, check(UNCHANGED, Previous(is_broken=False), NOON + DAY))
    assert history.shows(columns, check(NOT_FOUND, Previous(is_broken=False), NOON + DAY))
    again = check(NOT_FOUND, after(None, check(NOT_FOUND)), NOON + HOUR)
    assert not history.shows(check(NOT_FOUND), again)
