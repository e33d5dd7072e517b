"""The hostile-server lab: servers that mean harm, or only fail, and the verdict that the documentation names for each.

Each case goes the whole way from the link to the copy, without a database. Nothing may connect to an address that is
not open, and no file may be left anywhere but in the place of a copy.
"""

from __future__ import annotations

import gzip
import os
import re
import socket
import threading
import time
import uuid
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from ckanext.archiver import checks
from ckanext.archiver.checks import Checked
from ckanext.archiver.domain import plan
from ckanext.archiver.domain.answer import Answer
from ckanext.archiver.domain.link import Link, Previous
from ckanext.archiver.storage import Store
from ckanext.archiver.tests.verdict_table import row
from ckanext.relay.download import Downloader, Limits
from ckanext.relay.ssrf import AddressPolicy, networks
from ckanext.relay.tests.ftp_server import FtpServer
from ckanext.relay.tests.servers import (
    Certificates,
    Handler,
    Names,
    Seen,
    Server,
    answer,
    endless,
    log_of_connections,
    redirect,
    reset,
    silence,
    slowly,
)

LOOPBACK = AddressPolicy(networks(["127.0.0.0/8"]))
LIMITS = Limits(connect=10, read=10, total=20, redirects=5)
#: for who is to be waited for in vain
IMPATIENT = Limits(connect=10, read=0.5, total=1.5, redirects=5)
SETTINGS = plan.Settings(100_000, "http://portal.example", "http://portal.example")
CSV = b"a,b\n1,2\n"
PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body>Hello</body></html>"
CAPABILITIES = b'<!DOCTYPE x SYSTEM "http://169.254.169.254/x.dtd"><WMT_MS_Capabilities version="1.1.1"/>'


@dataclass
class Lab:
    """A worker without a database: what it is told, what it asks, what it stores."""

    root: Path
    connected: list[str]
    policy: AddressPolicy = LOOPBACK
    verify: bool = True
    limits: Limits = LIMITS

    def check(self, url: str, declared: str = "CSV", previous: Previous | None = None, keep: bool = True) -> Checked:
        """Check a link as a worker does, and hold what must hold whatever comes."""
        link = Link(str(uuid.uuid4()), "package", url, format=declared, previous=previous)
        settings = SETTINGS if keep else replace(SETTINGS, policies=plan.policies(["*=check-only"]))
        what = plan.plan(link, settings, has_copy=previous is not None)
        if isinstance(what, plan.Decided):
            return self._holding(Checked(link, what.verdict))
        assert isinstance(what, plan.Request)
        store = Store(str(self.root / "archive"))
        with store.temporary("lease") as folder, Downloader(self.policy, self.limits, "Lab", self.verify) as downloader:
            (checked,) = checks.ask([link], what, downloader, folder, store)
            assert os.listdir(folder) == [], "nothing half is left"
        return self._holding(checked)

    def check_again(self, url: str, declared: str = "CSV") -> Checked:
        """Check a link with an empty archive, after another one."""
        self.root = self.root / "again"
        return self.check(url, declared)

    def _holding(self, checked: Checked) -> Checked:
        assert set(self.connected) <= {"127.0.0.1"}
        files = [path for path in self.root.rglob("*") if path.is_file()]
        kept = checked.copy.cache_filepath if checked.copy else None
        assert (kept is not None) == checked.verdict.keep
        own = f"{checked.link.resource_id[:2]}/{checked.link.resource_id}"
        shape = rf"archive/(\.content/[0-9a-f]{{2}}/[0-9a-f]{{64}}|{own}/[^/]+)"
        for path in files:
            assert re.fullmatch(shape, str(path.relative_to(self.root))), path
            assert path.stat().st_mode & 0o777 == 0o644
        if kept is None:
            assert files == []
        return checked


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, log_of_connections(monkeypatch))


def expect(checked: Checked, cause: str) -> None:
    """Hold that the verdict is what the documentation says of this cause, and that nothing is kept."""
    said, verdict = row(cause), checked.verdict
    assert verdict.cause == cause, verdict
    assert verdict.status_id == said.status
    assert said.says(verdict.reason), verdict.reason
    assert not verdict.keep
    assert len(verdict.reason) < 500 and verdict.reason.isprintable()


def fine(checked: Checked, content: bytes = CSV) -> None:
    """Hold that the link is fine and its copy has this content."""
    assert (checked.verdict.status_id, checked.verdict.reason, checked.verdict.cause) == (0, "", None)
    assert checked.copy and checked.copy.cache_filepath
    assert Path(checked.copy.cache_filepath).read_bytes() == content


def raw(text: bytes) -> Handler:
    """Answer with these bytes and hang up."""

    def handle(connection: socket.socket, _seen: Seen) -> None:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_RDWR)

    return handle


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CASES: dict[str, tuple[Handler, str]] = {
    # slow
    "says nothing": (silence, "timeout"),
    "slow headers": (endless(OK, b"X", 0.1), "timeout"),
    "slow-loris body": (endless(OK + b"Content-Length: 900\r\n\r\n", b"X", 0.1), "timeout"),
    "slow-loris chunks": (endless(CHUNKED, b"1\r\nX\r\n", 0.1), "timeout"),
    # large
    "endless body": (endless(OK + b"\r\n", bytes(5000)), "too_large"),
    "endless chunks": (
        endless(CHUNKED, b"3e8\r\n" + bytes(1000) + b"\r\n"),
        "too_large",
    ),
    "large file announced": (answer(body=bytes(100_000)), "too_large"),
    "gzip bomb": (answer(body=gzip.compress(bytes(50_000_000)), content_encoding="gzip"), "too_large"),
    "endless headers": (endless(OK, b"X: a\r\n"), "invalid_http"),
    # wrong
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.9\r\n"), "invalid_http"),
    "not HTTP, but bytes": (raw(bytes(range(256))), "invalid_http"),
    "hangs up": (reset, "incomplete"),
    "says goodbye": (raw(b""), "incomplete"),
    "announces too much": (raw(OK + b"Content-Length: 500\r\n\r\na,b"), "incomplete"),
    "ends in a chunk": (raw(CHUNKED + b"1f4\r\na,b"), "incomplete"),
    "ends in a gzip": (answer(body=gzip.compress(CSV * 99)[:-9], content_encoding="gzip"), "incomplete"),
    "not gzip": (answer(body=CSV, content_encoding="gzip"), "invalid_http"),
    "brotli unasked": (answer(body=CSV, content_encoding="br"), "unknown_encoding"),
    "redirects without a target": (answer(302, b""), "invalid_http"),
    "redirects to no URL": (redirect("http://[::1"), "invalid_http"),
    "redirects to itself": (redirect("/x"), "redirect_loop"),
    # says so
    "404": (answer(404), "http_404"),
    "410": (answer(410), "http_410"),
    "500": (answer(500), "http_500"),
    "403": (answer(403), "http_403"),
    "429": (answer(429, retry_after="120"), "http_429"),
    "202": (answer(202, PAGE % b"Just a moment"), "http_202"),
    # does not say so
    "nothing": (answer(body=b""), "empty"),
    "one byte": (answer(body=b"\n"), "empty"),
    "no content": (answer(204, b""), "empty"),
    "a page instead of data": (answer(body=PAGE % b"Login", content_type="text/html"), "html_instead_of_data"),
    "a page that says 404": (answer(body=PAGE % b"404 - Page not found | City"), "soft_404"),
    "an OGC exception": (answer(body=b"<ServiceExceptionReport>no layer</ServiceExceptionReport>"), "api_error"),
    "an ArcGIS error": (answer(body=b'{"error":{"code":400,"message":"Invalid URL"}}'), "api_error"),
    # leads inside
    **{
        f"leads to {target}": (redirect(target), "blocked_address")
        for target in (
            "http://169.254.169.254/latest/meta-data/",
            "http://[::ffff:169.254.169.254]/",
            "http://localhost:8983/solr/",
            "http://[::1]:6379/",
            "http://10.0.0.1/",
            "http://0x0a000001/",
            "http://inside.example/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_FLUSHALL",
        )
    },
}


@pytest.mark.parametrize("keep", [True, False], ids=["archive", "check only"])
@pytest.mark.parametrize("name", CASES)
def test_a_server(name: str, keep: bool, lab: Lab, server: Server, names: Names) -> None:
    """It gets the verdict that the documentation names, soon."""
    names["localhost"], names["inside.example"] = cycle([["::1"]]), cycle([["192.168.0.1", "fd00::1"]])
    handler, cause = CASES[name]
    lab.limits = IMPATIENT if cause == "timeout" else LIMITS
    began = time.monotonic()
    checked = lab.check(server.on("/x", handler), keep=keep)
    assert time.monotonic() - began < lab.limits.total + 10
    if not keep and cause == "too_large":  # nobody wanted all of it
        assert (checked.verdict.status_id, checked.verdict.keep) == (0, False)
    elif not keep and name == "ends in a gzip":
        assert checked.verdict.cause in (cause, None)
    else:
        expect(checked, cause)


def test_a_good_server(lab: Lab, server: Server) -> None:
    """The file is archived, under the name that the URL has."""
    checked = lab.check(server.on("/data.csv", answer(body=CSV)))
    fine(checked)
    assert checked.copy and str(checked.copy.cache_filepath).endswith(f"/{checked.link.resource_id}/data.csv")


def test_a_login_that_is_asked_for_with_200(lab: Lab, server: Server) -> None:
    """Is a 403 in other words."""
    checked = lab.check(server.on("/x", answer(body=b'{"error":{"code":499,"message":"Token Required"}}')))
    assert (checked.verdict.status_id, checked.verdict.cause) == (12, "http_403")
    assert row("api_error").says(checked.verdict.reason)


def test_a_busy_server_says_when_to_come_back(lab: Lab, server: Server) -> None:
    """The scheduler gets it in seconds."""
    checked = lab.check(server.on("/x", answer(429, retry_after="120")))
    assert isinstance(checked.outcome, Answer) and checked.outcome.retry_after == 120


@pytest.mark.parametrize("length", ["b'8'", "eight", "8, 8", "-1"])
def test_garbage_as_content_length(length: str, lab: Lab, server: Server) -> None:
    """Is left out of account."""
    fine(lab.check(server.on("/x", raw(OK + f"Content-Length: {length}\r\n\r\n".encode() + CSV))))


def test_an_etag_without_change(lab: Lab, server: Server) -> None:
    """No body is sent for what is as it was; a server that sends it anyway is not read to the end."""
    previous = Previous(etag='"1"', is_broken=False, checked_url=f"{server.url}/x", cache_filepath="/copy")
    for handler in (answer(304, b""), answer(200, bytes(90_000), ETag='"1"')):
        checked = lab.check(server.on("/x", handler), previous=previous)
        assert (checked.verdict.status_id, checked.copy) == (1, None)
        assert server.seen[-1].headers["if-none-match"] == '"1"'
    fine(lab.check(server.on("/x", answer(200, CSV, ETag='"2"')), previous=previous))


def test_what_failed_is_not_asked_for_conditionally(lab: Lab, server: Server) -> None:
    """An error page with an ETag must not make the link look unchanged."""
    previous = Previous(etag='"1"', is_broken=True, checked_url=f"{server.url}/x")
    fine(lab.check(server.on("/x", answer(200, CSV, ETag='"1"')), previous=previous))


LONG = "/" + "a" * 5000


@pytest.mark.parametrize(
    "path",
    ["/a/..", "/a/.", "/..%2f..%2fetc%2fpasswd", "/%00", "/a%0ab", "/%2e%2e", "/....//", LONG, "/.bashrc"],
)
def test_names_that_lead_elsewhere(path: str, lab: Lab, server: Server) -> None:
    """The copy is in the folder of its resource, and nothing else is touched."""
    for sent in (path, "/", "/a/", "/....//"):
        server.on(sent, answer(body=CSV))
    fine(lab.check(server.url + path))


@pytest.mark.parametrize(
    "url", ["http://h/\x00", "http:///x", "file:///etc/passwd", "javascript:alert(1)", "", "http://h:x/", "nonsense"]
)
def test_urls_that_are_none(url: str, lab: Lab) -> None:
    """Are known without asking anybody."""
    checked = lab.check(url)
    assert (checked.verdict.cause, checked.verdict.status_id) == ("url_invalid", 10)
    assert lab.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/x",
        "http://localhost:{port}/x",
        "http://2130706433:{port}/x",
        "http://user@127.0.0.1:{port}/x",
        "http://169.254.169.254/",
        "http://[::]:{port}/",
        "https://127.0.0.1:{port}/x",
        "ftp://127.0.0.1:{port}/x",
    ],
)
def test_what_is_not_opened_is_closed(url: str, lab: Lab, server: Server) -> None:
    """Without a setting, loopback and all else that is not the public internet is refused."""
    lab.policy = AddressPolicy()
    expect(lab.check(url.format(port=server.port)), "blocked_address")
    assert (lab.connected, server.connections) == ([], 0)


def test_a_name_that_changes_between_check_and_connect(lab: Lab, server: Server, names: Names) -> None:
    """There is only one look-up, and what it gave is what is judged and connected to."""
    names["rebind.example"] = iter([["127.0.0.1"], ["10.0.0.1"]])
    url = f"http://rebind.example:{server.port}/x"
    server.on("/x", answer(body=CSV))
    fine(lab.check(url))
    expect(lab.check_again(url), "blocked_address")
    assert lab.connected == ["127.0.0.1"]


def test_no_such_name_and_nobody_there(lab: Lab, server: Server, names: Names) -> None:
    """Both say something about the host, not about the link."""
    names["gone.example"] = cycle([[]])
    server.close()
    expect(lab.check("http://gone.example/x"), "dns")
    expect(lab.check(f"{server.url}/x"), "connect")


@pytest.mark.parametrize("cause", ["tls_expired", "tls_untrusted", "tls_hostname", "tls_chain"])
def test_certificates(
    cause: str, certificates: Certificates, lab: Lab, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of trouble has its own cause; with ``verify_https`` off there is none."""
    names["good.example"] = cycle([["127.0.0.1"]])
    authority = certificates.make(f"{cause}-ca.pem", f"Authority {cause}", ca=True)
    unknown = certificates.make(f"{cause}-unknown.pem", f"Unknown {cause}", ca=True)
    kinds: dict[str, dict[str, Any]] = {
        "tls_expired": {"issuer": authority, "expired": True},
        "tls_hostname": {"issuer": authority, "host": "other.example"},
        "tls_untrusted": {},
        "tls_chain": {"issuer": unknown},
    }
    path = certificates.make(f"{cause}.pem", **{"host": "good.example", **kinds[cause]})
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    server = Server(tls=Certificates.context(path))
    server.on("/x", answer(body=CSV))
    url = f"https://good.example:{server.port}/x"
    expect(lab.check(url), cause)
    lab.verify = False
    fine(lab.check(url))
    server.close()


def test_a_server_that_speaks_no_tls(lab: Lab) -> None:
    """It answers a greeting that it does not understand; nothing can be verified, and nothing be switched off."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        for lab.verify in (True, False):
            expect(lab.check(f"https://127.0.0.1:{listener.getsockname()[1]}/x"), "tls")


# --- services


def test_a_service_that_wants_to_be_asked(lab: Lab, server: Server) -> None:
    """Its description is archived; vendor parameters stay, nothing is loaded for the document type."""
    server.on("/wms?map=/a.map", answer(400))
    asked = "/wms?map=/a.map&service=WMS&request=GetCapabilities&version="
    server.on(f"{asked}1.3", answer(400))
    server.on(f"{asked}1.1.1", answer(body=CAPABILITIES, content_type="text/xml"))
    checked = lab.check(f"{server.url}/wms?map=/a.map", "WMS")
    fine(checked, CAPABILITIES)
    assert isinstance(checked.outcome, Answer) and checked.outcome.request_type == "WMS 1.1.1"
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "other",
    [
        answer(body=PAGE % b"Welcome"),
        answer(body=b"<ServiceExceptionReport/>"),
        answer(body=b"all is well"),
        answer(body=b'<!DOCTYPE x [<!ENTITY a "a"><!ENTITY b "&a;&a;">]><WMS_Capabilities c="&b;"/>'),
        answer(404),
        silence,
    ],
)
def test_no_page_makes_a_dead_service_alive(other: Handler, lab: Lab, server: Server) -> None:
    """A 404 stays a 404."""
    lab.limits = replace(LIMITS, read=2) if other is silence else LIMITS
    server.on("/wms", answer(404))
    for version in ("1.3", "1.1.1"):
        server.on(f"/wms?service=WMS&request=GetCapabilities&version={version}", other)
    expect(lab.check(f"{server.url}/wms", "WMS"), "http_404")


def test_a_dead_file_is_asked_for_once(lab: Lab, server: Server) -> None:
    """Only what looks like a service is asked in other ways."""
    expect(lab.check(server.on("/download?id=999", answer(404)), "CSV"), "http_404")
    assert server.paths() == ["/download?id=999"]


def test_a_service_that_is_away_is_asked_once(lab: Lab, server: Server) -> None:
    """Three more requests would find the same."""
    for handler, cause in ((silence, "timeout"), (answer(503), "http_503"), (answer(403), "http_403")):
        server.seen.clear()
        lab.limits = IMPATIENT if handler is silence else LIMITS
        expect(lab.check(server.on("/wms", handler), "WMS"), cause)
        assert len(server.seen) == 1


def test_a_page_about_a_service(lab: Lab, server: Server) -> None:
    """Says nothing about it, if it does not answer as one."""
    page = answer(body=PAGE % b"Our maps", content_type="text/html")
    server.on("/maps", page)
    server.on("/maps?f=json", page, answer(body=b'{"currentVersion": 10.9, "layers": []}'))
    expect(lab.check(f"{server.url}/maps", "ArcGIS REST"), "service_invalid")
    checked = lab.check_again(f"{server.url}/maps", "ArcGIS REST")
    assert checked.verdict.status_id == 0
    assert isinstance(checked.outcome, Answer) and checked.outcome.request_type == "ArcGIS REST"


def test_all_probes_together_have_one_deadline(lab: Lab, server: Server) -> None:
    """A service that is slow to fail does not get it four times."""
    server.on("/wms", slowly(answer(400), 0.25))
    for version in ("1.3", "1.1.1"):
        drip = endless(OK + b"Content-Length: 900\r\n\r\n", b"X", 0.1)
        server.on(f"/wms?service=WMS&request=GetCapabilities&version={version}", drip)
    lab.limits = replace(LIMITS, total=3)
    began = time.monotonic()
    expect(lab.check(f"{server.url}/wms", "WMS"), "http_400")
    assert time.monotonic() - began < 2 * lab.limits.total


# --- FTP


def test_a_file_by_ftp(lab: Lab, ftp: FtpServer) -> None:
    """Is archived as any other; the data comes from where the server is, whatever it says."""
    ftp.files["a/data.csv"] = CSV
    ftp.passive_host = "10.0.0.1"
    fine(lab.check(f"{ftp.url}/a/data.csv"))


def test_ftp_that_fails(lab: Lab, ftp: FtpServer) -> None:
    """Each kind of failure has its cause."""
    expect(lab.check(f"{ftp.url}/gone.csv"), "ftp_missing")
    ftp.greeting = "421 Too many users"
    expect(lab.check(f"{ftp.url}/gone.csv"), "ftp_refused")
    ftp.greeting = "220 Hello"
    ftp.files["x"], ftp.announced = bytes(10), 100_000
    expect(lab.check(f"{ftp.url}/x"), "too_large")
    ftp.announced, ftp.pause = 500, 0
    expect(lab.check(f"{ftp.url}/x"), "incomplete")


# --- our own trouble


def test_a_full_disk(lab: Lab, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says nothing about the link."""
    from ckanext.relay import body

    def full(self: body.Body, _piece: bytes) -> None:
        raise body.StorageFailed("Cannot write: No space left on device")

    monkeypatch.setattr(body.Body, "_write", full)
    checked = lab.check(server.on("/x", answer(body=CSV)))
    expect(checked, "disk")
    assert checked.full


def test_many_links_to_one_url(lab: Lab, server: Server) -> None:
    """One request, and each gets its verdict by its own format, and its own copy."""
    url = server.on("/x", answer(body=PAGE % b"Login", content_type="text/html"))
    links = [Link(str(uuid.uuid4()), "package", url, format=declared) for declared in ("CSV", "HTML", "", "ZIP")]
    request = plan.plan(links[0], SETTINGS)
    assert isinstance(request, plan.Request)
    store = Store(str(lab.root / "archive"))
    with store.temporary("lease") as folder, Downloader(LOOPBACK, LIMITS, "Lab") as downloader:
        found = checks.ask(links, request, downloader, folder, store)
        assert os.listdir(folder) == []
    assert [each.verdict.status_id for each in found] == [21, 0, 0, 21]
    assert len({each.copy.cache_filepath for each in found if each.copy}) == 2
    assert len(server.seen) == 1
