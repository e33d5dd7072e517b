"""Downloads, from servers that are good, bad and slow; everything stays on the loopback interface."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from ckanext.relay import body, connections
from ckanext.relay.download import Download, Downloader, DownloadFailed, Limits, StorageFailed
from ckanext.relay.errors import ConfigurationError
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
    redirect,
    reset,
    silence,
    slowly,
)

LOOPBACK = AddressPolicy(networks(["127.0.0.0/8"]))
LIMITS = Limits(connect=5, read=1, total=2, body_bytes=100_000, redirects=3)
KIB = 1024


@pytest.fixture
def downloader() -> Iterator[Downloader]:
    with Downloader(LOOPBACK, LIMITS, "Tests") as downloader:
        yield downloader


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)


def failure(downloader: Downloader, url: str, folder: str | None = None, **options: Any) -> DownloadFailed:
    """Fetch, hold that it fails and that no file is left, and return how."""
    with pytest.raises(DownloadFailed) as caught:
        downloader.fetch(url, folder, **options)
    assert folder is None or os.listdir(folder) == []
    return caught.value


def raw(text: bytes, hang_up: bool = True) -> Handler:
    """Answer with these bytes."""

    def handle(connection: socket.socket, _seen: Seen) -> None:
        connection.sendall(text)
        if hang_up:
            connection.shutdown(socket.SHUT_RDWR)

    return handle


# --- what comes back


def test_a_file_is_written_and_described(server: Server, downloader: Downloader, folder: str) -> None:
    """Size, hashes and beginning are those of the file, which is in the folder."""
    content = os.urandom(200 * KIB)
    url = server.on("/a%20b.csv?x=1:2", answer(body=content, content_type="text/csv; charset=utf-8", ETag='"1"'))
    got = downloader.fetch(url, folder, max_bytes=10**6)
    assert got.path and os.path.dirname(got.path) == folder
    assert Path(got.path).read_bytes() == content
    assert (got.url, got.status, got.reason, got.size) == (url, 200, "Whatever", len(content))
    assert (got.sha1, got.sha256) == (hashlib.sha1(content).hexdigest(), hashlib.sha256(content).hexdigest())
    assert got.head == content[: 64 * KIB]
    assert (got.headers["content-type"], got.headers["etag"]) == ("text/csv; charset=utf-8", '"1"')
    assert server.seen[0].path == "/a%20b.csv?x=1:2"
    assert server.seen[0].headers["user-agent"] == "Tests"


def test_without_a_folder_only_the_beginning_is_read(server: Server, downloader: Downloader) -> None:
    """64 KiB at most, however large the file, and the size is only known of what ended before."""
    large = server.on("/large", answer(body=bytes(10**6)))
    small = server.on("/small", answer(body=b"a,b\n"))
    assert (len(downloader.fetch(large).head), downloader.fetch(large).size) == (64 * KIB, None)
    got = downloader.fetch(small)
    assert (got.head, got.size, got.path, got.sha1) == (b"a,b\n", 4, None, None)


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_an_error_is_an_answer(status: int, server: Server, downloader: Downloader, folder: str) -> None:
    """Its body is not written; Retry-After is read."""
    url = server.on("/", answer(status, b"<h1>gone</h1>", retry_after="120"))
    got = downloader.fetch(url, folder)
    assert (got.status, got.head, got.path, got.retry_after) == (status, b"<h1>gone</h1>", None, 120)
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("0", 0, 0),
        ("Fri, 01 Jan 2021 00:00:00 GMT", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 7 * 86400, 7 * 86400),
        ("9" * 5000, None, None),
        ("soon", None, None),
        ("Fri, 99 Jan 99999 00:00:00 GMT", None, None),
        ("-5", None, None),
    ],
)
def test_retry_after_of_any_kind(
    text: str, least: float | None, most: float | None, server: Server, downloader: Downloader
) -> None:
    """A number or a date, never more than a week; nonsense is nothing."""
    got = downloader.fetch(server.on("/", answer(429, retry_after=text))).retry_after
    assert got is None if least is None or most is None else got is not None and least <= got <= most


DRIP = endless(b"HTTP/1.1 404 Gone\r\nContent-Length: 5000\r\n\r\n", b"X", 0.1)


@pytest.mark.parametrize(
    "handler",
    [
        answer(404, b"gone", content_encoding="br"),
        answer(404, b"gone", content_encoding="gzip"),
        raw(b"HTTP/1.1 404 Gone\r\nContent-Length: 5000\r\n\r\ngone"),
        DRIP,
    ],
)
def test_an_error_stays_one_whatever_comes_behind_it(
    handler: Handler, server: Server, downloader: Downloader, folder: str
) -> None:
    """The page that goes with it may be broken itself."""
    assert downloader.fetch(server.on("/", handler), folder).status == 404


@pytest.mark.parametrize("path", ["//a//b", "/a?", "/?a", "/a;b?c?d=/e", "/%2e%2e/x"])
def test_paths_are_sent_as_they_are(path: str, server: Server, downloader: Downloader) -> None:
    """However odd; an empty query is none."""
    server.on(path.removesuffix("?"), answer())
    assert downloader.fetch(server.url + path).status == 200


def test_head_is_asked_for_without_a_body(server: Server, downloader: Downloader, folder: str) -> None:
    """Nothing is read or written, and the connection goes on."""
    url = server.on("/", answer(body=b"a" * 500))
    got = downloader.fetch(url, folder, method="HEAD")
    assert (got.method, got.head, got.size, got.path) == ("HEAD", b"", None, None)
    assert downloader.fetch(url, folder).size == 500
    assert server.connections == 1


@pytest.mark.parametrize(
    ("sent", "has"), [('"1"', '"1"'), ('W/"1"', '"1"'), ('"1"', 'W/"1"'), ('"2"', '"1"'), ('"0", "1"', '"1"')]
)
def test_an_etag_that_we_have_is_no_change(
    sent: str, has: str, server: Server, downloader: Downloader, folder: str
) -> None:
    """Some servers send what they were asked not to send: then nothing is written."""
    url = server.on("/", answer(body=b"abc", ETag=has))
    got = downloader.fetch(url, folder, headers={"If-None-Match": sent})
    assert server.seen[0].headers["if-none-match"] == sent
    assert (got.status, got.path is None) == ((200, False) if sent == '"2"' else (304, True))


@pytest.mark.parametrize(
    ("etag", "sent"), [('"a-gzip"', '"a-gzip", "a"'), ('W/"a-gzip"', 'W/"a-gzip", W/"a"'), ('"a"', '"a"')]
)
def test_apache_knows_its_packed_files_again(etag: str, sent: str, server: Server, downloader: Downloader) -> None:
    """It compares the ETag of the file, but sends that of the packed form."""
    downloader.fetch(server.on("/", answer()), headers={"If-None-Match": etag})
    assert server.seen[0].headers["if-none-match"] == sent


def test_not_modified_has_no_body(server: Server, downloader: Downloader, folder: str) -> None:
    """A 304 is an answer, whatever length it announces."""
    url = server.on("/", answer(304, b"", content_length="50"), answer())
    got = downloader.fetch(url, folder, headers={"If-None-Match": '"1"'})
    assert (got.status, got.size, got.path) == (304, None, None)
    assert downloader.fetch(url).head == b"ok"
    assert server.connections == 1


def test_headers_are_plain_text(server: Server, downloader: Downloader) -> None:
    """Control characters would not get into a database; of several headers of one name the first counts."""
    url = server.on(
        "/", raw(b'HTTP/1.1 200 O\x00K\r\nETag: "a\x00\x1b[31mb"\r\nETag: 2\r\nContent-Length: 2\r\n\r\nok')
    )
    got = downloader.fetch(url)
    assert (got.reason, got.headers["etag"]) == ("OK", '"a[31mb"')


# --- limits


@pytest.mark.parametrize("length", [1000, 1001, 5000])
@pytest.mark.parametrize("announce", [True, False])
def test_too_many_bytes(length: int, announce: bool, server: Server, downloader: Downloader, folder: str) -> None:
    """As many bytes as the limit are too many, announced or not; one less is not."""
    head = f"Content-Length: {length}\r\n" if announce else ""
    url = server.on("/", raw(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + bytes(length)))
    error = failure(downloader, url, folder, max_bytes=1000)
    assert (error.kind, error.size) == ("too_large", length)
    assert downloader.fetch(url, folder, max_bytes=length + 1).size == length


def test_an_endless_body_ends(server: Server, downloader: Downloader, folder: str) -> None:
    """Chunk by chunk, with no length announced."""
    url = server.on(
        "/", endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + bytes(1024) + b"\r\n")
    )
    assert failure(downloader, url, folder, max_bytes=50_000).kind == "too_large"


def test_endless_headers_end(server: Server, downloader: Downloader) -> None:
    """They are limited in number, and all together."""
    url = server.on("/", endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 5000 + b"\r\n"))
    assert failure(downloader, url).kind in ("invalid_http", "too_large")


@pytest.mark.parametrize(
    "handler",
    [
        silence,
        endless(b"HTTP/1.1 200 OK\r\n", b"X", 0.1),
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"X", 0.1),
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nX\r\n", 0.1),
        slowly(redirect("/"), 0.25),
    ],
)
def test_slow_servers_get_no_more_than_their_time(
    handler: Handler, server: Server, downloader: Downloader, folder: str
) -> None:
    """Whether they are silent, or say a byte now and then."""
    url = server.on("/", handler)
    began = time.monotonic()
    error = failure(Downloader(LOOPBACK, replace(LIMITS, redirects=50), "Tests"), url, folder)
    assert error.kind in ("timeout", "redirect_loop")
    assert time.monotonic() - began < LIMITS.total + 10


def test_a_silent_server_says_which_time_is_up(server: Server, downloader: Downloader) -> None:
    """The one for silence, or the one for all."""
    error = failure(downloader, server.on("/", silence))
    assert (error.kind, error.seconds, error.is_deadline) == ("timeout", LIMITS.read, False)
    drip = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"X", 0.1)
    error = failure(downloader, server.on("/drip", drip))
    assert (error.kind, error.seconds, error.is_deadline) == ("timeout", LIMITS.total, True)


@pytest.mark.parametrize("keep", [True, False])
def test_a_bomb_does_not_go_off(keep: bool, server: Server, downloader: Downloader, folder: str) -> None:
    """What is small on the way and large unpacked is stopped at the limit, within little memory."""
    bomb = gzip.compress(bytes(100 * KIB * KIB))
    url = server.on("/", answer(body=bomb, content_encoding="gzip"))
    tracemalloc.start()
    try:
        if keep:
            assert failure(downloader, url, folder, max_bytes=10**6).kind == "too_large"
        else:
            assert len(downloader.fetch(url, max_bytes=10**6).head) == 64 * KIB
        assert tracemalloc.get_traced_memory()[1] < 3 * KIB * KIB
    finally:
        tracemalloc.stop()


def test_memory_stays_flat(server: Server, folder: str) -> None:
    """A large file is never in memory."""
    piece = bytes(KIB * KIB)

    def handle(connection: socket.socket, _seen: Seen) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {100 * len(piece)}\r\n\r\n".encode())
        for _ in range(100):
            connection.sendall(piece)

    url = server.on("/", handle)
    with Downloader(LOOPBACK, Limits(read=5, total=30), "Tests") as downloader:
        tracemalloc.start()
        got = downloader.fetch(url, folder, max_bytes=10**9)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert got.size == 100 * len(piece)
    assert peak < 3 * KIB * KIB


# --- what is packed


def test_a_packed_body_is_unpacked(server: Server, downloader: Downloader, folder: str) -> None:
    """Size and hashes are those of the file that people get."""
    content = b"a,b\n1,2\n" * 1000
    url = server.on("/", answer(body=gzip.compress(content), content_encoding="gzip", content_type="text/csv"))
    got = downloader.fetch(url, folder)
    assert got.path and Path(got.path).read_bytes() == content
    assert (got.size, got.sha1) == (len(content), hashlib.sha1(content).hexdigest())


@pytest.mark.parametrize("kind", ["application/gzip", "application/x-gzip; charset=binary"])
def test_a_packed_file_stays_packed(kind: str, server: Server, downloader: Downloader, folder: str) -> None:
    """Servers that call a .gz file packed for the way mean the file."""
    content = gzip.compress(b"a,b\n")
    got = downloader.fetch(server.on("/", answer(body=content, content_encoding="gzip", content_type=kind)), folder)
    assert got.size == len(content)


@pytest.mark.parametrize(
    ("content", "coding", "kind"),
    [
        (gzip.compress(b"a" * 5000)[:-20], "gzip", "incomplete"),
        (b"no gzip at all", "gzip", "invalid_http"),
        (b"whatever", "br", "unknown_encoding"),
        (b"whatever", "gzip, gzip", "unknown_encoding"),
    ],
)
def test_what_cannot_be_unpacked(
    content: bytes, coding: str, kind: str, server: Server, downloader: Downloader, folder: str
) -> None:
    """A cut or wrong body, and codings that nobody asked for."""
    url = server.on("/", answer(body=content, content_encoding=coding))
    assert failure(downloader, url, folder).kind == kind


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
@pytest.mark.parametrize("parts", [1, 3])
def test_unpacking_in_pieces(size: int, parts: int) -> None:
    """Whatever the size of the pieces and the number of members; padding is left out."""
    content = os.urandom(100_000) + bytes(300_000)
    third = len(content) // 3 if parts == 3 else len(content)
    members = [content[at : at + third] for at in range(0, len(content), third)]
    packed = b"".join(gzip.compress(member) for member in members) + bytes(10)
    pieces = list(body.inflated(packed[at : at + size] for at in range(0, len(packed), size)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 64 * KIB


# --- lengths that are wrong


@pytest.mark.parametrize("keep", [True, False])
def test_a_body_that_ends_too_early(keep: bool, server: Server, downloader: Downloader, folder: str) -> None:
    """Fewer bytes than announced are no file."""
    url = server.on("/", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc"))
    assert failure(downloader, url, folder if keep else None).kind == "incomplete"
    url = server.on("/chunked", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"))
    assert failure(downloader, url, folder if keep else None).kind == "incomplete"


@pytest.mark.parametrize("length", ["b'5'", "five", "-5", "", "5, 5", "5,5"])
def test_lengths_that_are_none(length: str, server: Server, downloader: Downloader, folder: str) -> None:
    """Are left out of account: the body ends with the connection."""
    url = server.on("/", raw(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabcde".encode()))
    assert downloader.fetch(url, folder).size == 5


# --- connections


def test_connections_are_kept(server: Server, downloader: Downloader, folder: str) -> None:
    """Also after an error and a redirect."""
    server.on("/1", redirect("/2"))
    server.on("/2", answer(404))
    server.on("/3", answer(304, b""))
    for path in ("/1", "/3", "/2", "/1"):
        downloader.fetch(server.url + path, folder)
    assert server.connections == 1


def test_a_connection_that_ended_meanwhile_is_no_failure(server: Server, downloader: Downloader) -> None:
    """Servers end connections when they like; the request is sent again over a new one."""
    hang_up = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    url = server.on("/", hang_up)
    assert [downloader.fetch(url).head for _ in range(3)] == [b"ok"] * 3


def test_a_connection_that_ends_under_a_request_is_no_failure(server: Server, downloader: Downloader) -> None:
    """If it was kept from before: the server may have ended it in the same moment."""
    url = server.on("/", answer(), reset, answer())
    assert [downloader.fetch(url).head for _ in range(2)] == [b"ok"] * 2


def test_a_new_connection_is_not_tried_twice(server: Server, downloader: Downloader) -> None:
    """Whoever checks thousands of links comes back later."""
    url = server.on("/", reset)
    error = failure(downloader, url)
    assert (error.kind, len(server.seen)) == ("incomplete", 1)


def test_a_silent_server_is_not_asked_twice(server: Server, downloader: Downloader) -> None:
    """Silence on a connection that was kept is the server's."""
    url = server.on("/", answer(), silence)
    downloader.fetch(url)
    assert failure(downloader, url).kind == "timeout"
    assert len(server.seen) == 2


def test_what_is_left_unread_is_not_taken_for_the_next_answer(server: Server, downloader: Downloader) -> None:
    """A connection with something still in it is closed."""
    server.on("/large", answer(body=bytes(10**6)))
    server.on("/", answer())
    downloader.fetch(server.url + "/large")
    assert downloader.fetch(server.url + "/").head == b"ok"
    assert server.connections == 2


def test_idle_connections_are_bounded() -> None:
    """Those of the least recently used servers are closed first."""
    idle = connections.Connections(most=2)
    context = connections.tls_context(True)
    made = [connections.Connection(connections.Origin("http", f"host{n}", 80), context, None) for n in range(3)]
    ends = [socket.socketpair() for _ in made]
    for connection, (mine, _) in zip(made, ends, strict=True):
        connection.sock = mine
        idle.give(connection)
    assert [connection.sock is None for connection in made] == [True, False, False]
    assert idle.take(made[0].origin) is None
    assert idle.take(made[1].origin) is made[1]
    ends[2][1].close()
    assert idle.take(made[2].origin) is None, "the server has closed it"
    for pair in ends:
        pair[0].close()
        pair[1].close()


def test_many_threads_share_one(server: Server, other: Server, folder: str) -> None:
    """Each gets its own answer, and there are no more connections than threads."""
    for each in (server, other):
        for number in range(40):
            each.on(f"/{number}", answer(body=f"{each.port} {number}".encode() * 100))
    urls = [f"{each.url}/{number}" for each in (server, other) for number in range(40)] * 3
    with Downloader(LOOPBACK, replace(LIMITS, read=5, total=20), "Tests") as shared, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda url: shared.fetch(url, folder), urls))
    for url, got in zip(urls, found, strict=True):
        words = url.removeprefix("http://127.0.0.1:").replace("/", " ")
        assert got.head == words.encode() * 100
    assert server.connections <= 16
    assert len(os.listdir(folder)) == len(urls)


# --- where it connects to


def test_the_policy_counts_in_every_thread(server: Server, connected: list[str]) -> None:
    """Nothing is sent to an address that is not admitted, however it is written."""
    hosts = ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "127.1", "2130706433")
    with Downloader(AddressPolicy(), LIMITS, "Tests") as closed, ThreadPoolExecutor(4) as pool:
        kinds = list(pool.map(lambda host: failure(closed, f"http://{host}:{server.port}/").kind, hosts))
    assert set(kinds) == {"blocked_address"}
    assert (server.connections, connected) == (0, [])


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//169.254.169.254/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://2852039166/",
        "http://inside.example/",
        "http://localhost/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
    ],
)
def test_redirects_pass_the_same_door(
    location: str, server: Server, downloader: Downloader, names: Names, connected: list[str], folder: str
) -> None:
    """Each of them is judged anew."""
    names["inside.example"] = cycle([["10.0.0.1"]])
    names["localhost"] = cycle([["::1"]])
    error = failure(downloader, server.on("/", redirect(location)), folder)
    assert error.kind == "blocked_address"
    assert len(error.redirects) == 1
    assert connected == ["127.0.0.1"]


def test_rebinding_is_harmless(server: Server, downloader: Downloader, names: Names, connected: list[str]) -> None:
    """The name is looked up once for each connection, and just the address that was judged is connected to."""
    names["rebind.example"] = iter([["127.0.0.1"], ["10.0.0.1"]])
    url = f"http://rebind.example:{server.port}/"
    server.on("/", answer(connection="close"))
    assert downloader.fetch(url).head == b"ok"
    assert failure(downloader, url).kind == "blocked_address"
    assert connected == ["127.0.0.1"]


def test_unknown_names_and_closed_ports(server: Server, downloader: Downloader, names: Names) -> None:
    """Are told apart."""
    names["gone.example"] = cycle([[]])
    server.close()
    assert failure(downloader, "http://gone.example/").kind == "dns"
    assert failure(downloader, server.url).kind == "connect"
    assert failure(downloader, f"http://{'a' * 64}.example/").kind in ("dns", "invalid_http")


# --- redirects


def test_redirects_are_recorded(server: Server, other: Server, downloader: Downloader) -> None:
    """Status and target of each; the URL that answered is the last one."""
    server.on("/1", redirect("/a b?c=ü", 301))
    server.on("/a%20b?c=%C3%BC", redirect(f"{other.url}/x#part", 307))
    other.on("/x", answer())
    got = downloader.fetch(server.url + "/1")
    assert got.redirects == ((301, f"{server.url}/a%20b?c=%C3%BC"), (307, f"{other.url}/x"))
    assert got.url == f"{other.url}/x"


def test_a_redirect_is_followed_whatever_comes_behind_it(server: Server, downloader: Downloader) -> None:
    """Its body may take as long as it likes."""
    drip = endless(b"HTTP/1.1 302 Found\r\nLocation: /2\r\nContent-Length: 500\r\n\r\n", b"X", 0.1)
    server.on("/2", answer())
    assert downloader.fetch(server.on("/1", drip)).head == b"ok"


def test_a_loop_is_noticed(server: Server, downloader: Downloader) -> None:
    """As soon as it closes, or after the allowed number."""
    server.on("/a", redirect("/b"))
    server.on("/b", redirect("/a"))
    error = failure(downloader, server.url + "/a")
    assert (error.kind, len(server.seen)) == ("redirect_loop", 2)
    for number in range(10):
        server.on(f"/{number}", redirect(f"/{number + 1}"))
    error = failure(downloader, server.url + "/0")
    assert (error.kind, len(error.redirects)) == ("redirect_loop", LIMITS.redirects + 1)


def test_a_site_that_wants_its_cookie_back_gets_it(server: Server, downloader: Downloader) -> None:
    """Some sites send one to where one is, with a cookie."""

    def doorman(connection: socket.socket, seen: Seen) -> None:
        back = seen.headers.get("cookie") == "seen=yes"
        (answer() if back else answer(302, b"", location="/", set_cookie="seen=yes; Path=/"))(connection, seen)

    assert downloader.fetch(server.on("/", doorman)).head == b"ok"
    server.on("/", answer())
    downloader.fetch(server.url + "/")
    assert "cookie" not in server.seen[-1].headers, "the next download knows nothing of it"


@pytest.mark.parametrize("location", ["http://[::1", "http://h:99999/", "http://℀.com/", "http://h:x/"])
def test_redirects_to_nowhere(location: str, server: Server, downloader: Downloader) -> None:
    """What cannot be a URL is the server's fault."""
    assert failure(downloader, server.on("/", redirect(location))).kind in ("invalid_http", "dns")


def test_redirects_need_not_be_followed(server: Server, downloader: Downloader) -> None:
    """The answer is the redirect itself."""
    got = downloader.fetch(server.on("/", redirect("/2")), follow=False, method="HEAD")
    assert (got.status, got.headers["location"]) == (302, "/2")


def test_a_date_is_not_sent_on(server: Server, downloader: Downloader) -> None:
    """The server that we are sent to may hold another file, older than ours; an ETag tells."""
    server.on("/1", redirect("/2"))
    server.on("/2", answer())
    downloader.fetch(server.url + "/1", headers={"If-Modified-Since": "yesterday", "If-None-Match": '"1"'})
    assert [seen.headers.get("if-modified-since") for seen in server.seen] == ["yesterday", None]
    assert [seen.headers.get("if-none-match") for seen in server.seen] == ['"1"', '"1"']


# --- secrets


def test_credentials_are_sent_to_their_server_only(server: Server, other: Server, downloader: Downloader) -> None:
    """As Basic authentication; no URL that is shown has them."""
    server.on("/1", redirect("/2"))
    server.on("/2", redirect(f"{other.url}/3?token=abc"))
    other.on("/3?token=abc", answer())
    got = downloader.fetch(f"http://m%65:p%40ss@127.0.0.1:{server.port}/1")
    assert [seen.headers.get("authorization") for seen in server.seen] == ["Basic bWU6cEBzcw=="] * 2
    assert "authorization" not in other.seen[0].headers
    assert "ss@" not in str(got) and "abc" not in str(got.redirects)


def test_failures_show_no_secret(server: Server, downloader: Downloader) -> None:
    """Neither message, nor URL, nor the redirects."""
    server.on("/1?token=geheim", redirect("http://me:geheim@169.254.169.254/?password=geheim"))
    error = failure(downloader, f"http://me:geheim@127.0.0.1:{server.port}/1?token=geheim")
    assert "geheim" not in f"{error!r} {error} {error.url} {error.redirects} {error.args}"


# --- TLS


def test_certificates_are_judged(certificates: Certificates, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of trouble has its own name; switched off, none is."""
    names["good.example"] = names["evil.example"] = cycle([["127.0.0.1"]])
    authority = certificates.make("ca.pem", "Authority", ca=True)
    unknown = certificates.make("unknown.pem", "Unknown", ca=True)
    servers = {
        "good": certificates.make("good.pem", "good.example", issuer=authority),
        "tls_expired": certificates.make("expired.pem", "good.example", issuer=authority, expired=True),
        "tls_hostname": certificates.make("other.pem", "other.example", issuer=authority),
        "tls_untrusted": certificates.make("self.pem", "good.example"),
        "tls_chain": certificates.make("chain.pem", "good.example", issuer=unknown),
    }
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    strict = Downloader(LOOPBACK, LIMITS, "Tests")
    lax = Downloader(LOOPBACK, LIMITS, "Tests", verify=False)
    for kind, path in servers.items():
        server = Server(tls=Certificates.context(path))
        server.on("/", answer())
        url = f"https://good.example:{server.port}/"
        if kind == "good":
            assert [strict.fetch(url).head for _ in range(2)] == [b"ok", b"ok"]
            assert server.connections == 1
        else:
            assert failure(strict, url).kind == kind
        assert lax.fetch(url).head == b"ok"
        server.close()


def test_no_tls_where_tls_should_be(server: Server, downloader: Downloader) -> None:
    """A server that speaks plain HTTP on such a port, or nothing at all."""
    server.on("/", answer())
    assert failure(downloader, f"https://127.0.0.1:{server.port}/").kind in ("tls", "timeout")


def test_certificates_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting is named at once."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match="gone.pem"):
        Downloader(LOOPBACK, LIMITS, "Tests")


# --- disk


def test_a_full_disk_is_not_the_servers_fault(
    server: Server, downloader: Downloader, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its own error, and the half file is removed."""
    url = server.on("/", answer(body=bytes(5000)))
    real = body.Body._write

    def full(self: body.Body, piece: bytes) -> None:
        self._file.close()  # type: ignore[union-attr]
        self._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        real(self, piece)

    monkeypatch.setattr(body.Body, "_write", full)
    with pytest.raises(StorageFailed, match=os.strerror(errno.ENOSPC)):
        downloader.fetch(url, folder)
    assert os.listdir(folder) == []
    with pytest.raises(StorageFailed, match="nowhere"):
        downloader.fetch(url, folder + "/nowhere")


# --- proxy


def proxied(server: Server, policy: AddressPolicy = LOOPBACK, user: str = "") -> Downloader:
    return Downloader(policy, LIMITS, "Tests", proxy=f"http://{user}127.0.0.1:{server.port}")


def test_a_proxy_is_asked_for_names_that_only_it_knows(server: Server, names: Names) -> None:
    """Its own address needs no admission; user and password go to it alone."""
    names["far.example"] = cycle([[]])
    server.on("http://far.example/x?y=1", answer(body=b"far"))
    got = proxied(server, AddressPolicy(), "me:secret@").fetch("http://far.example/x?y=1")
    assert (got.head, got.url) == (b"far", "http://far.example/x?y=1")
    assert server.seen[0].headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert server.seen[0].headers["host"] == "far.example"


def test_a_proxy_that_does_not_want_us_is_our_own_trouble(server: Server) -> None:
    """A 407 is no answer of the server behind it."""
    server.on("http://127.0.0.1:5/x", answer(407))
    assert failure(proxied(server), "http://127.0.0.1:5/x").kind == "proxy"


def test_a_proxy_opens_no_way_inside(server: Server, names: Names) -> None:
    """What is refused without a proxy is refused before it is asked, as far as we know the address."""
    names["inside.example"] = cycle([["10.0.0.1"]])
    for url in ("http://169.254.169.254/", "http://inside.example/", "https://inside.example/"):
        assert failure(proxied(server), url).kind == "blocked_address"
    assert server.connections == 0


def test_a_proxy_makes_a_tunnel(certificates: Certificates, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """For https it passes bytes on; the certificate is that of the server."""
    names["tunnel.example"] = cycle([[]])
    path = certificates.make("tunnel.pem", "tunnel.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    target = Server(tls=Certificates.context(path))
    target.on("/", answer())

    def tunnel(connection: socket.socket, _seen: Seen) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        far = socket.create_connection(("127.0.0.1", target.port))

        def pump(source: socket.socket, sink: socket.socket) -> None:
            while data := source.recv(65536):
                sink.sendall(data)

        threading.Thread(target=pump, args=(far, connection), daemon=True).start()
        pump(connection, far)

    server = Server()
    server.on(f"tunnel.example:{target.port}", tunnel)
    assert proxied(server).fetch(f"https://tunnel.example:{target.port}/").head == b"ok"
    assert server.seen[0].method == "CONNECT"
    server.on(f"tunnel.example:{target.port}", answer(407))
    assert failure(proxied(server), f"https://tunnel.example:{target.port}/").kind == "proxy"
    server.on(f"tunnel.example:{target.port}", answer(502))
    assert failure(proxied(server), f"https://tunnel.example:{target.port}/").kind == "connect"
    for each in (server, target):
        each.close()


def test_a_proxy_that_is_away_is_our_own_trouble(server: Server) -> None:
    """No link is to blame."""
    server.close()
    assert failure(proxied(server), "http://127.0.0.1/").kind == "proxy"


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://proxy:1", "http://", "http://[::1", "http://h:x"])
def test_what_cannot_be_a_proxy(proxy: str) -> None:
    """Is said at the start, without showing what may hold a password."""
    with pytest.raises(ConfigurationError, match="no HTTP proxy"):
        Downloader(LOOPBACK, LIMITS, "Tests", proxy=proxy)


# --- FTP


def test_a_file_by_ftp(ftp: FtpServer, downloader: Downloader, folder: str) -> None:
    """Anonymously, in one piece, with the same facts as by HTTP."""
    ftp.files["a/b c.csv"] = content = os.urandom(80_000)
    got = downloader.fetch(f"{ftp.url}/a/b%20c.csv", folder)
    assert got.path and Path(got.path).read_bytes() == content
    assert (got.status, got.size, got.method) == (200, len(content), "RETR")
    assert got.sha1 == hashlib.sha1(content).hexdigest()
    assert ftp.commands[:2] == ["USER anonymous", "PASS anonymous@"]
    assert len(downloader.fetch(f"{ftp.url}/a/b%20c.csv").head) == 64 * KIB


@pytest.mark.parametrize("path", ["dir/", "dir", ""])
def test_a_directory_by_ftp(path: str, ftp: FtpServer, downloader: Downloader, folder: str) -> None:
    """Is its listing."""
    ftp.files["dir/"] = b""
    got = downloader.fetch(f"{ftp.url}/{path}", folder)
    assert (got.method, got.head[:3], got.headers) == ("LIST", b"-rw", {"content-type": "text/plain"})


def test_ftp_user_and_password(ftp: FtpServer, downloader: Downloader) -> None:
    """Come from the URL and are not shown."""
    ftp.files["x"] = b"abc"
    ftp.users["me"] = "p@ss"
    assert downloader.fetch(f"ftp://me:p%40ss@127.0.0.1:{ftp.port}/x").url == f"{ftp.url}/x"
    error = failure(downloader, f"ftp://me:geheim@127.0.0.1:{ftp.port}/x")
    assert (error.kind, error.status) == ("ftp_refused", 530)
    assert "geheim" not in repr(error)


@pytest.mark.parametrize("path", ["/gone.csv", "/a%0d%0aDELE%20x"])
def test_a_file_that_is_not_there_by_ftp(path: str, ftp: FtpServer, downloader: Downloader, folder: str) -> None:
    """Is missing; a name with a line break in it sends no second command."""
    assert failure(downloader, ftp.url + path, folder).kind == "ftp_missing"
    assert not any(command.startswith("DELE") for command in ftp.commands)


def test_ftp_connects_where_it_may(ftp: FtpServer, downloader: Downloader, connected: list[str]) -> None:
    """The policy counts, and the address that the server names for the data does not."""
    ftp.files["x"] = b"abc"
    ftp.passive_host = "169.254.169.254"
    assert downloader.fetch(f"{ftp.url}/x").head == b"abc"
    assert set(connected) == {"127.0.0.1"}
    with Downloader(AddressPolicy(), LIMITS, "Tests") as closed:
        assert failure(closed, f"{ftp.url}/x").kind == "blocked_address"


def test_ftp_has_the_same_limits(ftp: FtpServer, downloader: Downloader, folder: str) -> None:
    """Of size, announced or not, and of time."""
    ftp.files["x"] = bytes(5000)
    assert failure(downloader, f"{ftp.url}/x", folder, max_bytes=5000).kind == "too_large"
    ftp.announced = 10
    assert failure(downloader, f"{ftp.url}/x", folder, max_bytes=5000).kind == "too_large"
    ftp.announced = 6000
    assert failure(downloader, f"{ftp.url}/x", folder).kind == "incomplete"
    ftp.pause = 0.05
    began = time.monotonic()
    assert failure(downloader, f"{ftp.url}/x", folder).kind == "timeout"
    assert time.monotonic() - began < LIMITS.total + 10


@pytest.mark.parametrize("greeting", ["421 Too many users", "nonsense", "220-" + "a" * 100_000])
def test_ftp_servers_that_do_not_want(greeting: str, ftp: FtpServer, downloader: Downloader) -> None:
    """Are refusing, whatever they say."""
    ftp.greeting = greeting
    assert failure(downloader, f"{ftp.url}/x").kind == "ftp_refused"


def test_nobody_at_the_ftp_port(ftp: FtpServer, downloader: Downloader, names: Names) -> None:
    """Is the same trouble as with HTTP."""
    names["gone.example"] = cycle([[]])
    ftp.close()
    assert failure(downloader, f"{ftp.url}/x").kind == "connect"
    assert failure(downloader, "ftp://gone.example/x").kind == "dns"


def test_results_cannot_be_changed() -> None:
    """They go from thread to thread."""
    got = Download("http://h/", 200)
    with pytest.raises(AttributeError):
        got.status = 500  # type: ignore[misc]


@pytest.mark.parametrize("url", ["http://h:99999/", "ftp://h:99999/x", "http://[::1", "http://user:pa55@[::1"])
def test_what_is_no_url(downloader: Downloader, connected: list[str], url: str) -> None:
    """It is a failure like others, and what is secret in it is not shown."""
    failed = failure(downloader, url)
    assert failed.kind == "invalid_http" and "pa55" not in f"{failed} {failed.url}"
    assert connected == []
