"""Which verdict an outcome is; what each cause means is held against the documentation in ``test_verdict_docs``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ckanext.archiver.domain import status
from ckanext.archiver.domain.answer import Answer, Failure
from ckanext.archiver.domain.cause import Cause, Weight, http, weight
from ckanext.archiver.domain.link import Link
from ckanext.archiver.domain.verdict import Verdict, classify, status_id

URL = "http://h/x"
LINK = Link("resource", "package", URL, format="CSV")
GOOD = Answer(
    URL, 200, "OK", {"content-type": "text/csv"}, size=8, sha1="1", sha256="2", head=b"a,b\n1,2\n", path="/tmp/x"
)
PAGE = b"<html><title>%s</title></html>"


def verdict(link: Link = LINK, **changes: Any) -> Verdict:
    return classify(link, replace(GOOD, **changes))


def test_a_good_answer_is_kept() -> None:
    """Status 0, nothing to say."""
    assert verdict() == Verdict(status.ARCHIVED, keep=True)


def test_a_good_answer_that_is_only_looked_at_is_not_kept() -> None:
    """There is no file to keep."""
    assert verdict(path=None, size=None) == Verdict(status.ARCHIVED)


def test_nothing_new() -> None:
    """Status 1, which is no failure."""
    assert verdict(status=304, head=b"", size=None, path=None) == Verdict(status.NOT_CHANGED)


def test_a_redirect_is_noted() -> None:
    """The last target counts, also of a failure; back at the same URL is nowhere else."""
    chain = ((301, "http://h/y"), (302, "http://h/z"))
    assert verdict(redirects=chain).url_redirected_to == "http://h/z"
    assert verdict(redirects=chain, status=404).url_redirected_to == "http://h/z"
    assert classify(LINK, Failure(Cause.DNS, "x", redirects=chain)).url_redirected_to == "http://h/z"
    assert verdict(redirects=((302, "http://h/y"), (302, URL))).url_redirected_to is None


@pytest.mark.parametrize(
    ("changes", "cause", "reason"),
    [
        ({"status": 404, "reason": "NOT FOUND"}, "http_404", "Server reported status error: 404 NOT FOUND"),
        ({"status": 599, "reason": ""}, "http_599", "Server reported status error: 599"),
        ({"status": 302, "reason": "Found"}, "invalid_http", "Invalid HTTP response: 302 Found"),
        ({"status": 202, "reason": "Accepted"}, "http_202", "accepted the request"),
        ({"head": b"", "size": 0}, "empty", "Content-length after streaming was 0"),
        ({"head": b"1", "size": 1}, "empty", "Content-length after streaming was 1"),
        ({"head": b"1", "size": None}, "empty", "Content-length after streaming was 1"),
        (
            {"head": b"<ServiceExceptionReport>no</ServiceExceptionReport>"},
            "api_error",
            "Server content contained an API error message: <ServiceExceptionReport>no</ServiceExceptionReport>",
        ),
        ({"head": b'{"error":{"code":499,"message":"Token Required"}}'}, "http_403", "API error message"),
        ({"head": PAGE % b"Page not found"}, "soft_404", "says that there is nothing"),
        ({"head": PAGE % b"Login", "headers": {"content-type": "text/html"}}, "html_instead_of_data", "said to be CSV"),
    ],
)
def test_bad_answers(changes: dict[str, Any], cause: str, reason: str) -> None:
    """Each has its cause, the reason that others look for, and is not kept."""
    found = verdict(**changes)
    assert (found.cause, found.keep) == (cause, False)
    assert reason in found.reason
    assert found.status_id == status_id(Cause(cause))


def test_a_page_is_fine_where_pages_are_linked() -> None:
    """Many resources are web pages, and say so or say nothing."""
    for declared in ("HTML", "", None):
        found = verdict(replace(LINK, format=declared), head=PAGE % b"Login", headers={"content-type": "text/html"})
        assert (found.status_id, found.keep) == (status.ARCHIVED, True)


def test_a_service_that_is_a_page() -> None:
    """Says nothing about the service; data of the service is fine."""
    link = replace(LINK, format="WMS")
    page = {"head": PAGE % b"Our map", "headers": {"content-type": "text/html"}}
    found = verdict(link, **page)
    assert (found.status_id, found.cause) == (status.CHOSE_NOT_TO_DOWNLOAD, Cause.SERVICE_INVALID)
    assert verdict(link, head=b"\x89PNG\r\n").status_id == status.ARCHIVED
    assert verdict(link, head=b"<WMS_Capabilities/>", request_type="WMS 1.3").status_id == status.ARCHIVED


def test_head_has_no_body_to_judge() -> None:
    """Nothing came because nothing was asked for."""
    assert verdict(method="HEAD", head=b"", size=None, path=None).status_id == status.ARCHIVED


def test_a_failure_keeps_its_words() -> None:
    """The fetcher has put them together."""
    assert classify(LINK, Failure(Cause.TIMEOUT, "Connection timed out after 30s")) == Verdict(
        status.DOWNLOAD_ERROR, "Connection timed out after 30s", Cause.TIMEOUT
    )


def test_causes_are_their_values() -> None:
    """Wherever they are written, compared or looked up."""
    assert [str(Cause.DNS), f"{Cause.DNS}", Cause.DNS] == ["dns"] * 3
    assert {"dns": 1}[Cause.DNS] and Cause("dns") is Cause.DNS
    assert http(404) is http(404) is Cause("http_404")
    assert f"{http(404)}" == "http_404" and repr(http(404)) == "<Cause.HTTP_404: 'http_404'>"
    for nonsense in ("http_4", "http_4040", "http_000", "nonsense", "http_404\n", 404):
        with pytest.raises(ValueError, match="is not a valid Cause"):
            Cause(nonsense)


@pytest.mark.parametrize("code", [202, 401, 403, 407, 429, 451])
def test_what_is_never_broken(code: int) -> None:
    """Servers that keep robots out, or do not want to be asked now."""
    assert weight(http(code)) is Weight.NEVER
    assert weight(http(404)) is weight(http(410)) is weight(http(500)) is Weight.CONFIRM
