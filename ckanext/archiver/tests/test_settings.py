"""What settings do to a check, from the configuration to the server that is asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ckan import model

from ckanext.archiver import batch, runner, tasks
from ckanext.archiver.model import Archival, lease_table
from ckanext.relay import tickets
from ckanext.relay.download import Limits

from .portal import make_dataset
from .web import Handler, Web, says

pytestmark = pytest.mark.usefixtures("archiver_portal")


def check(url: str) -> Any:
    """Check a link at once and return its archival."""
    resource_id = make_dataset(resources=[{"url": url, "format": "CSV"}])["resources"][0]["id"]
    for _checked in runner.archive_now([resource_id]):
        pass
    model.Session.expire_all()
    return Archival.get_for_resource(resource_id)


@pytest.mark.ckan_config("ckanext-archiver.max_content_length", "100")
def test_a_file_that_is_too_large(web: Web) -> None:
    """As large as the limit is too large."""
    web.pages["/large.csv"], web.pages["/small.csv"] = says(200, b"x" * 100), says(200, b"x" * 99)
    large, small = check(web.url("/large.csv")), check(web.url("/small.csv"))
    assert (large.status_id, large.reason) == (21, "Content-length 100 exceeds maximum allowed value 100")
    assert (small.status_id, small.size) == (0, 99)


@pytest.mark.ckan_config("ckanext-archiver.user_agent_string", "Portal robot")
def test_who_asks(web: Web) -> None:
    """Servers are told what the setting says."""
    names: list[str] = []

    def page(request: Handler) -> None:
        names.append(request.headers["User-Agent"])
        request.answer(200, b"a,b\n1,2\n")

    web.pages["/data.csv"] = page
    check(web.url("/data.csv"))
    assert names == ["Portal robot"]


@pytest.mark.ckan_config("ckanext.archiver.total_seconds", "1")
def test_a_download_that_takes_too_long(web: Web) -> None:
    """It ends, although the server goes on sending."""

    def page(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        for _ in range(600):
            request.wfile.write(b"x")
            time.sleep(0.1)

    web.pages["/drips.csv"] = page
    begun = time.monotonic()
    found = check(web.url("/drips.csv"))
    assert (found.status_id, found.cause) == (12, "timeout")
    assert time.monotonic() - begun < 30


@pytest.mark.ckan_config("ckanext.archiver.connect_seconds", "3")
@pytest.mark.ckan_config("ckanext.archiver.read_seconds", "4")
@pytest.mark.ckan_config("ckanext.archiver.total_seconds", "5")
def test_how_long_is_waited() -> None:
    """Each of the limits is that of what asks."""
    with batch.downloader() as downloader:
        limits: Limits = downloader.limits
        assert (limits.connect, limits.read, limits.total) == (3, 4, 5)


@pytest.mark.ckan_config("ckanext.archiver.threads", "3")
@pytest.mark.ckan_config("ckanext.archiver.host_delay", "0")
def test_how_many_links_at_a_time(web: Web) -> None:
    """Of all hosts together."""
    web.latency = 0.2
    urls = [web.url("/data.csv", host) for host in range(1, 10)]
    resources = make_dataset(resources=[{"url": url, "format": "CSV"} for url in urls])["resources"]
    begun = time.monotonic()
    assert len(list(runner.archive_now([resource["id"] for resource in resources]))) == 9
    assert time.monotonic() - begun >= 3 * 0.2


@pytest.mark.ckan_config("ckanext.archiver.workers", "2")
def test_how_many_workers_at_a_time() -> None:
    """No more messages are sent than workers may begin, however often somebody asks for it."""
    for _ in range(3):
        tasks.send_all([runner.Next("archive", "bulk")])
    assert len(tickets.drawn(lease_table, "archive bulk")) == 2
