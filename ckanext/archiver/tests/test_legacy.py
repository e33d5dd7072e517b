"""The functions, exceptions and texts that other extensions, their tests and old jobs know."""

from __future__ import annotations

import inspect
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import requests
from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.archiver import legacy, tasks
from ckanext.archiver.model import Archival, Status
from ckanext.archiver.tests.portal import CHECKED, make_dataset
from ckanext.archiver.tests.web import Web, content, hangs, says

pytestmark = pytest.mark.usefixtures("archiver_portal")
log = logging.getLogger(__name__)

CAPABILITIES = b"<?xml version='1.0'?><WMS_Capabilities version='1.3.0'></WMS_Capabilities>"
OGC_ERROR = b'<?xml version="1.0"?>\n<ServiceExceptionReport>none</ServiceExceptionReport>'


def archival(resource: dict[str, Any]) -> Any:
    model.Session.expire_all()
    return Archival.get_for_resource(resource["id"])


SIGNATURES = {
    "download": ["context", "resource", "url_timeout", "max_content_length", "method"],
    "archive_resource": ["context", "resource", "log", "result", "url_timeout"],
    "api_request": ["context", "resource"],
    "ogc_request": ["context", "resource", "service", "wms_version"],
    "wms_1_3_request": ["context", "resource"],
    "wms_1_1_1_request": ["context", "resource"],
    "wfs_request": ["context", "resource"],
    "response_is_an_api_error": ["response_body"],
    "save_archival": [
        *("resource", "status_id", "reason", "url_redirected_to", "download_result", "archive_result", "log")
    ],
    "notify_resource": ["resource", "queue", "cache_filepath"],
    "notify_package": ["package", "queue", "_"],
    "tidy_url": ["url"],
    "is_id": ["id_string"],
    "verify_https": [],
    "requests_wrapper": ["log", "func", "args", "kwargs"],
    "get_plugins_waiting_on_ipipe": [],
    "clean": [],
    "update_package": ["package_id", "queue"],
    "update_resource": ["resource_id", "queue"],
    "link_checker": ["context", "data"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_functions_are_where_they_were(name: str) -> None:
    """Each is a plain function of ``tasks``, which takes what it always took, and attributes, too."""
    function: Any = getattr(tasks, name)
    assert inspect.isfunction(function) and list(inspect.signature(function).parameters) == SIGNATURES[name]
    setattr(function, "get_logger", lambda: log)  # noqa: B010  # as old tests do
    del function.__dict__["get_logger"]


def test_exceptions_are_what_they_were() -> None:
    """Whoever catches a kind of error catches those below it."""
    tree = {
        "ArchiverErrorBeforeDownloadStarted": "ArchiverError",
        "DownloadException": "ArchiverError",
        "CkanError": "ArchiverError",
        "ArchiverErrorAfterDownloadStarted": "ArchiverError",
        "DownloadError": "ArchiverErrorAfterDownloadStarted",
        "ArchiveError": "ArchiverErrorAfterDownloadStarted",
        "ChooseNotToDownload": "ArchiverErrorAfterDownloadStarted",
        "NotChanged": "ArchiverErrorAfterDownloadStarted",
        "LinkCheckerError": "ArchiverError",
        "LinkInvalidError": "LinkCheckerError",
        "LinkHeadRequestError": "LinkCheckerError",
        "LinkHeadMethodNotSupported": "LinkCheckerError",
    }
    assert {name: getattr(tasks, name).__bases__[0].__name__ for name in tree} == tree
    error = tasks.DownloadError("so it is", url_redirected_to="http://b.example/")
    assert (str(error), error.url_redirected_to) == ("so it is", "http://b.example/")


# -- whole resources and datasets


def test_update_resource(web: Web, pipe: Any) -> None:
    """A job of CKAN's own queue archives a resource, and returns what it came to as JSON."""
    resource = make_dataset(resources=[{"url": web.url("/data.csv")}])["resources"][0]
    found = json.loads(tasks.update_resource(resource["id"], "priority") or "")
    assert set(found) == {
        *("mimetype", "size", "hash", "headers", "saved_file", "url_redirected_to", "request_type"),
        *("cache_filepath", "cache_url"),
    }
    assert found["headers"]["content-type"].startswith("text/csv") and found["request_type"] == "GET"
    assert Path(found["cache_filepath"]).read_bytes() == content("/data.csv")
    assert archival(resource).status == "Archived successfully"
    assert [call[:2] for call in pipe.calls] == [["archived", "priority"], ["package-archived", "priority"]]


def test_update_resource_of_what_fails(web: Web) -> None:
    """A link that fails is recorded, and the job returns nothing."""
    resource = make_dataset(resources=[{"url": web.url("/missing.csv")}])["resources"][0]
    assert tasks.update_resource(resource_id=resource["id"]) is None
    assert archival(resource).status == "Download error"


def test_update_resource_of_what_is_not_there() -> None:
    """An id that is none, or of nothing, is an error."""
    with pytest.raises(AssertionError):
        tasks.update_resource("not-an-id")
    with pytest.raises(tk.ObjectNotFound):
        tasks.update_resource("00000000-0000-4000-8000-000000000000")


def test_update_package(web: Web, pipe: Any) -> None:
    """A job of CKAN's own queue archives all resources of a dataset, also with keyword arguments."""
    made = make_dataset(resources=[{"url": web.url(f"/{number}.csv")} for number in range(3)])
    tasks.update_package(package_id=made["id"])
    assert [archival(each).status_id for each in made["resources"]] == [0, 0, 0]
    assert pipe.calls[-1][0] == "package-archived"
    with pytest.raises(tk.ObjectNotFound):
        tasks.update_package("no-such-dataset")


def test_a_job_that_waited_in_redis(web: Web) -> None:
    """What an older release put into CKAN's job queue, by the name of the function, is done."""
    from ckan.lib import jobs

    made = make_dataset(resources=[{"url": web.url("/data.csv")}])
    queue = jobs.get_queue("bulk")
    queue.empty()
    queue.enqueue("ckanext.archiver.tasks.update_package", made["id"])
    (waiting,) = queue.jobs
    waiting.perform()
    queue.empty()
    assert archival(made["resources"][0]).status_id == 0


# -- one step at a time


def test_download(web: Web) -> None:
    """A file is downloaded into a temporary file, with all that is known of it."""
    found = tasks.download({}, {"url": web.url("/data.csv")})
    assert set(found) == {"mimetype", "size", "hash", "headers", "saved_file", "url_redirected_to", "request_type"}
    assert (found["mimetype"], found["size"]) == ("text/csv", len(content("/data.csv")))
    assert Path(found["saved_file"]).read_bytes() == content("/data.csv")
    os.unlink(found["saved_file"])


def test_download_after_a_redirect(web: Web) -> None:
    """Where the link led in the end is told."""
    web.pages["/old"] = says(301, Location="/data.csv")
    found = tasks.download({}, {"url": web.url("/old")})
    assert found["url_redirected_to"] == web.url("/data.csv")
    os.unlink(found["saved_file"])


@pytest.mark.parametrize(
    ("page", "error", "reason"),
    [
        (says(404), "DownloadError", "Server reported status error: 404 Not Found"),
        (says(500), "DownloadError", "Server reported status error: 500 Internal Server Error"),
        (says(200, b""), "DownloadError", "Content-length after streaming was 0"),
        (says(200, OGC_ERROR), "DownloadError", "Server content contained an API error message: "),
        (says(200, b"x" * 100), "ChooseNotToDownload", "Content-length 100 exceeds maximum allowed value 100"),
        (hangs, "DownloadException", "Connection timed out after 0.5s"),
    ],
)
def test_download_of_what_fails(web: Web, page: Any, error: str, reason: str) -> None:
    """What goes wrong has the class and the text that others match."""
    web.pages["/data.csv"] = page
    seconds = 0.5 if page is hangs else 30
    with pytest.raises(getattr(tasks, error)) as caught:
        tasks.download({}, {"url": web.url("/data.csv")}, url_timeout=seconds, max_content_length=100)
    assert str(caught.value).startswith(reason)


def test_download_of_nobody(web: Web) -> None:
    """A server that is not there, and a URL that is none, each have their error."""
    with pytest.raises(tasks.DownloadException, match="^Connection error: "):
        tasks.download({}, {"url": "http://127.0.0.1:9/data.csv"})
    with pytest.raises(tasks.LinkInvalidError, match="^Invalid url scheme. Please use one of: "):
        tasks.download({}, {"url": "javascript:alert(1)"})


def test_download_of_what_did_not_change(web: Web) -> None:
    """With an archival that knows the file, the file is not sent again."""
    resource = make_dataset(resources=[{"url": web.url("/data.csv")}])["resources"][0]
    tasks.update_resource(resource["id"])
    with pytest.raises(tasks.NotChanged):
        tasks.download({"previous": archival(resource)}, resource)


def test_archive_resource(web: Web, ckan_config: Any, archive_dir: Path) -> None:
    """A download is stored where the copy belongs; without an address for it, nothing is."""
    resource = make_dataset(resources=[{"url": web.url("/a%20b.csv")}])["resources"][0]
    found = tasks.archive_resource({"cache_url_root": "http://cache.example/x"}, resource, log)
    path = archive_dir / resource["id"][:2] / resource["id"] / "a%20b.csv"
    assert found["cache_filepath"] == str(path) and path.read_bytes() == content("/a%20b.csv")
    assert found["cache_url"] == f"http://cache.example/x/{resource['id'][:2]}/{resource['id']}/a%2520b.csv"
    with pytest.raises(tasks.ArchiveError, match="^No value for ckanext-archiver.cache_url_root in config$"):
        tasks.archive_resource({}, resource, log)


# -- services


def test_api_request(web: Web) -> None:
    """A URL is asked for what services offer; only a description of one counts."""

    def wms(request: Any) -> None:
        request.answer(200, CAPABILITIES if "WMS" in request.path and "1.3" in request.path else b"<html></html>")

    web.page = lambda path: wms  # type: ignore[method-assign]
    found = tasks.api_request({}, {"id": "r", "url": web.url("/maps?map=/a.map&layers=1")})
    assert found is not None and found["request_type"] == "WMS 1.3"
    assert Path(found["saved_file"]).read_bytes() == CAPABILITIES
    os.unlink(found["saved_file"])
    with pytest.raises(tasks.DownloadError, match="did not describe a WFS"):
        tasks.wfs_request({}, {"url": web.url("/maps")})
    web.page = lambda path: says(200, b"<html>Welcome</html>")  # type: ignore[method-assign]
    assert tasks.api_request({}, {"id": "r", "url": web.url("/maps")}) is None


@pytest.mark.parametrize("kind", [bytes, str])
def test_response_is_an_api_error(kind: type) -> None:
    """Error reports of map services are known by their beginning."""
    body = OGC_ERROR if kind is bytes else OGC_ERROR.decode()
    assert tasks.response_is_an_api_error(body) is True
    assert not tasks.response_is_an_api_error(body[:0]) and not tasks.response_is_an_api_error(kind() + body[:20])


# -- saving, and telling others

RESULT = {"mimetype": "text/csv", "size": 8, "hash": "abc", "headers": {"ETag": '"1"', "Last-Modified": "then"}}
STORED = {"cache_filepath": "/archive/x", "cache_url": "http://cache.example/x"}


def test_save_archival() -> None:
    """A success takes over what is known of the copy; a failure leaves it, and counts."""
    resource = make_dataset()["resources"][0]
    tasks.save_archival(resource, Status.by_text("Archived successfully"), "", None, RESULT, STORED, log)
    row = archival(resource)
    assert (row.status_id, row.is_broken, row.failure_count, row.etag, row.last_modified) == (
        0,
        False,
        0,
        '"1"',
        "then",
    )
    assert (row.cache_filepath, row.cache_url, row.size, row.hash) == ("/archive/x", "http://cache.example/x", 8, "abc")
    failed = Status.by_text("Download error")
    for count in (1, 2):
        tasks.save_archival(resource, failed, "no answer", "http://b.example/", None, None, log)
        row = archival(resource)
        assert (row.status_id, row.reason, row.is_broken, row.failure_count) == (failed, "no answer", True, count)
        assert row.url_redirected_to == "http://b.example/" and row.cache_filepath == "/archive/x"
    assert row.first_failure and row.last_success


def test_save_archival_over_an_old_row() -> None:
    """Rows that count nothing, as old databases have them, are counted on."""
    resource = make_dataset()["resources"][0]
    row = Archival.create(resource["id"])
    row.status_id, row.is_broken, row.failure_count, row.updated = 12, True, None, CHECKED
    model.Session.add(row)
    model.Session.commit()
    tasks.save_archival(resource, 12, "again", None, None, None, log)
    assert archival(resource).failure_count == 1


def test_telling_others(pipe: Any) -> None:
    """The pipeline is told by hand, also with what older callers pass in addition."""
    tasks.notify_resource({"id": "r1"}, "bulk", "/archive/x")
    tasks.notify_package({"id": "d1"}, "priority")
    tasks.notify_package({"id": "d2"}, "bulk", "/archive/x")
    assert pipe.calls == [
        ["archived", "bulk", {"resource_id": "r1", "cache_filepath": "/archive/x"}],
        ["package-archived", "priority", {"package_id": "d1"}],
        ["package-archived", "bulk", {"package_id": "d2"}],
    ]
    assert tasks.get_plugins_waiting_on_ipipe() == ["testipipe"]


# -- URLs


def test_tidy_url() -> None:
    """URLs are escaped once, and what is none is refused."""
    assert tasks.tidy_url(" http://a.example/b c%20d?x=1:2 ") == "http://a.example/b%20c%20d?x=1:2"
    for url, reason in (
        ("ldap://a.example", "Invalid url scheme. Please use one of: "),
        ("http://", "URL parsing failure - did not find a host name"),
        ("http://[a", "URL parsing failure: "),
    ):
        with pytest.raises(tasks.LinkInvalidError) as caught:
            tasks.tidy_url(url)
        assert str(caught.value).startswith(reason)


def test_is_id() -> None:
    """Ids are UUIDs in lower case."""
    assert tasks.is_id("0a1b2c3d-0000-4000-8000-00000000000f")
    assert not tasks.is_id("0A1B2C3D-0000-4000-8000-00000000000F") and not tasks.is_id("a-name")


def test_verify_https(ckan_config: Any) -> None:
    """Whether certificates are verified is what the settings say."""
    assert tasks.verify_https() is True
    ckan_config["ckanext-archiver.verify_https"] = "false"
    assert tasks.verify_https() is False


def test_requests_wrapper(web: Web) -> None:
    """What ``requests`` raises becomes an error of ours."""
    assert tasks.requests_wrapper(log, requests.get, web.url("/data.csv"), timeout=5).content == content("/data.csv")
    web.pages["/hangs"] = hangs
    with pytest.raises(tasks.DownloadException, match="^Connection timed out"):
        tasks.requests_wrapper(log, requests.get, web.url("/hangs"), timeout=0.3)
    with pytest.raises(tasks.DownloadException, match="^Connection error: "):
        tasks.requests_wrapper(log, requests.get, "http://127.0.0.1:9/")


def check(url: str, **more: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(tasks.link_checker("{}", json.dumps({"url": url, **more})))
    return found


def test_link_checker(web: Web) -> None:
    """The headers of a URL are returned, their names in lower case; a redirect is not followed."""
    headers = check(web.url("/data.csv"))
    assert headers["content-type"].startswith("text/csv") and headers["content-length"]
    web.pages["/old"] = says(302, Location="/missing")
    assert check(web.url("/old"))["location"] == "/missing" and web.count("/missing") == 0


def test_link_checker_of_what_fails(web: Web) -> None:
    """Each way to fail has its error."""
    web.pages |= {"/no-head": says(405), "/hangs": hangs}
    with pytest.raises(legacy.LinkHeadMethodNotSupported):
        check(web.url("/no-head"))
    with pytest.raises(legacy.LinkHeadRequestError, match="^Server returned HTTP error status: 404 Not Found$"):
        check(web.url("/missing"))
    with pytest.raises(legacy.LinkInvalidError):
        check("http:///")
    for url in (web.url("/hangs"), "http://127.0.0.1:9/", "http://169.254.169.254/latest/"):
        with pytest.raises(legacy.LinkHeadRequestError, match="^Error during request: "):
            check(url, url_timeout=0.3)
