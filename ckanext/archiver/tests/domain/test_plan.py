"""What is to be done with a link."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ckanext.archiver.domain import status
from ckanext.archiver.domain.cause import Cause
from ckanext.archiver.domain.link import Link, Previous
from ckanext.archiver.domain.plan import (
    Decided,
    LocalFile,
    Policy,
    Request,
    Settings,
    keeps_copy,
    plan,
    policies,
    upload_elsewhere,
)

SETTINGS = Settings(max_bytes=1000, site_url="https://portal.example", site_url_internally="http://10.0.0.5:5000")
LINK = Link("r1", "d1", "https://files.example/a b.csv", format="CSV", organization="office")
KNOWN = Previous(etag='"v1"', last_modified="Sun, 01 Feb 2026 00:00:00 GMT", is_broken=False, checked_url=LINK.url)


def request(link: Link = LINK, settings: Settings = SETTINGS, has_copy: bool = False) -> Request:
    found = plan(link, settings, has_copy)
    assert isinstance(found, Request)
    return found


def test_a_link_is_fetched_and_kept() -> None:
    """Without any policy a link is asked for by its tidied URL, and a copy is kept."""
    found = request()
    assert found.url == "https://files.example/a%20b.csv"
    assert found.keep_copy and found.max_bytes == 1000 and found.headers == {} and found.probes == ()


def test_a_service_is_asked_as_one() -> None:
    """A link that looks like a service names the ways to ask it as one."""
    probes = request(replace(LINK, url="https://maps.example/wms", format="WMS")).probes
    assert [probe.request_type for probe in probes] == ["WMS 1.3", "WMS 1.1.1"]


@pytest.mark.parametrize(
    ("previous", "has_copy", "conditional"),
    [
        (KNOWN, True, True),
        (KNOWN, False, False),
        (None, True, False),
        (replace(KNOWN, checked_url="https://files.example/other.csv"), True, False),
        (replace(KNOWN, checked_url=None), True, False),
        (replace(KNOWN, is_broken=True), True, False),
        (replace(KNOWN, is_broken=None), True, False),
        (replace(KNOWN, etag=None, last_modified=None), True, False),
    ],
)
def test_whether_a_request_is_conditional(previous: Previous | None, has_copy: bool, conditional: bool) -> None:
    """It is if the copy is there and is of this URL, as far as the last check could tell."""
    headers = request(replace(LINK, previous=previous), has_copy=has_copy).headers
    wanted = {"If-None-Match": KNOWN.etag, "If-Modified-Since": KNOWN.last_modified} if conditional else {}
    assert headers == wanted


def test_what_is_only_checked_needs_no_copy_to_be_asked_conditionally() -> None:
    """A link of which no copy is kept is asked whether it is as it was."""
    only_checked = replace(SETTINGS, policies=policies(["*=check-only"]))
    found = request(replace(LINK, previous=KNOWN), only_checked)
    assert not found.keep_copy and set(found.headers) == {"If-None-Match", "If-Modified-Since"}


def test_a_header_that_cannot_be_sent_is_not() -> None:
    """An ETag with anything but printable ASCII in it would break the request."""
    odd = replace(KNOWN, etag='"\u00fc"', last_modified="a\r\nX-Evil: 1")
    assert request(replace(LINK, previous=odd), has_copy=True).headers == {}


@pytest.mark.parametrize(
    ("lines", "link", "keep"),
    [
        ([], LINK, True),
        (["org:office=check-only"], LINK, False),
        (["org:other=check-only"], LINK, True),
        (["format:csv=check-only"], LINK, False),
        (["format:CSV=check-only"], replace(LINK, format=" csv "), False),
        (["*=check-only"], LINK, False),
        (["org:office=archive", "*=check-only"], LINK, True),
        (["*=archive", "format:csv=check-only"], LINK, True),
        ([], replace(LINK, private=True), False),
        (["*=archive"], replace(LINK, private=True), False),
    ],
)
def test_of_which_links_a_copy_is_kept(lines: list[str], link: Link, keep: bool) -> None:
    """The first policy that is about a link counts; private datasets have no copies unless the settings say so."""
    settings = replace(SETTINGS, policies=policies(lines))
    assert keeps_copy(link, settings) is keep
    assert keeps_copy(link, replace(settings, private_copies=True)) is (keep or link.private)


def test_policies_as_they_are_written() -> None:
    """Each line names what it is about and what is done."""
    assert policies(["org:a=b=archive", "format:CSV=check-only", "*=archive"]) == (
        Policy("org", "a=b", True),
        Policy("format", "csv", False),
        Policy("*", "", True),
    )


@pytest.mark.parametrize("line", ["", "archive", "org:=archive", "host:x=archive", "org:x=keep", "*", "=archive"])
def test_policies_that_mean_nothing(line: str) -> None:
    """A line that is no policy is an error that says what to write."""
    with pytest.raises(ValueError, match="is no policy: write org:"):
        policies([line])


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("data.csv", "https://portal.example/dataset/d1/resource/r1/download/data.csv"),
        ("https://portal.example/dataset/d1/x.csv", "https://portal.example/dataset/d1/x.csv"),
    ],
)
def test_an_upload_is_read(url: str, address: str) -> None:
    """An upload of this portal is read where it is; rows have no more than its name."""
    assert plan(replace(LINK, url=url, url_type="upload"), SETTINGS) == LocalFile(address)


@pytest.mark.parametrize("url", ["https://cloud.example/data.csv", "https://portal.example.evil.example/data.csv"])
def test_an_upload_in_a_cloud(url: str) -> None:
    """An upload that another machine has is left alone, unless the settings say otherwise."""
    link = replace(LINK, url=url, url_type="upload")
    found = plan(link, SETTINGS)
    assert isinstance(found, Decided)
    assert (found.verdict.status_id, found.verdict.cause) == (status.CHOSE_NOT_TO_DOWNLOAD, Cause.EXTERNAL_UPLOAD)
    assert found.verdict.reason == f"Skipping resource hosted externally to download resource: {url}"
    assert request(link, replace(SETTINGS, archive_cloud=True)).url == url


def test_an_upload_that_ckan_keeps_elsewhere() -> None:
    """It is fetched by the address by which the portal reaches itself, if it may be."""
    link = replace(LINK, url="data.csv", url_type="upload")
    assert isinstance(upload_elsewhere(link, SETTINGS), Decided)
    found = upload_elsewhere(link, replace(SETTINGS, archive_cloud=True))
    assert isinstance(found, Request)
    assert found.url == "http://10.0.0.5:5000/dataset/d1/resource/r1/download/data.csv"


def test_a_path_of_this_portal() -> None:
    """A link without a host, as people write one to their own portal, is asked for there."""
    assert request(replace(LINK, url="/files/data.csv")).url == "http://10.0.0.5:5000/files/data.csv"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "mailto:a@b.example", "http://", "file:///etc/passwd"])
def test_what_is_no_url(url: str) -> None:
    """The verdict on what nobody can ask for is clear."""
    found = plan(replace(LINK, url=url), SETTINGS)
    assert isinstance(found, Decided)
    assert (found.verdict.status_id, found.verdict.cause) == (status.URL_INVALID, Cause.URL_INVALID)
