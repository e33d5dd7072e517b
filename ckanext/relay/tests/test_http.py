"""The HTTP door against a server that means harm; everything stays on the loopback interface."""

from __future__ import annotations

import gzip
import inspect
import logging
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.exceptions
import urllib3.exceptions

from ckanext.relay import errors, http, transport
from ckanext.relay.http import Limits, get_json, get_text, guarded_session, relay_errors
from ckanext.relay.ssrf import AddressPolicy, Reason, networks
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
LIMITS = Limits(connect=5, read=1, total=3, body_bytes=100_000, redirects=3, tries=3, backoff=0.01)


@pytest.fixture
def session() -> Iterator[http.GuardedSession]:
    with guarded_session(LOOPBACK, LIMITS) as session:
        yield session


class Clock:
    """Holds that the block took between ``least`` and ``most`` seconds."""

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        assert self.least <= time.monotonic() - self.began <= self.most


# --- where it connects to


def test_loopback_is_closed_by_default(server: Server, connected: list[str]) -> None:
    """Nothing is sent to an address that the policy does not admit, and nothing tries again."""
    session = guarded_session(AddressPolicy(), LIMITS)
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "127.1"):
        with pytest.raises(http.BlockedUrl) as caught:
            session.get(f"http://{host}:{server.port}/")
        assert caught.value.reason is Reason.LOOPBACK
        assert isinstance(caught.value, requests.exceptions.InvalidURL)
    assert (server.connections, connected) == (0, [])


def test_a_mapped_literal_is_its_ipv4_address(server: Server, session: http.GuardedSession) -> None:
    """What is open in IPv4 is open in its IPv6 spelling."""
    server.on("/", answer())
    assert session.get(f"http://[::ffff:127.0.0.1]:{server.port}/").text == "ok"


def test_rebinding_is_harmless(server: Server, names: Names, connected: list[str]) -> None:
    """The name is looked up once for each connection, and just the address that was judged is connected to."""
    names["rebind.example"] = iter([["127.0.0.1"], ["10.0.0.1"]])
    server.on("/", answer(connection="close"))
    session = guarded_session(LOOPBACK, LIMITS)
    assert session.get(f"http://rebind.example:{server.port}/").text == "ok"
    with pytest.raises(http.BlockedUrl):
        session.get(f"http://rebind.example:{server.port}/")
    assert connected == ["127.0.0.1"]


def test_only_admitted_addresses_of_a_name_are_tried(
    server: Server, names: Names, connected: list[str], session: http.GuardedSession
) -> None:
    """Of several addresses the refused ones are passed over, and a dead one is followed by the next."""
    names["mixed.example"] = iter([["10.0.0.1", "169.254.169.254", "127.0.0.9", "127.0.0.1"]])
    server.on("/", answer())
    assert session.get(f"http://mixed.example:{server.port}/").text == "ok"
    assert connected == ["127.0.0.9", "127.0.0.1"]


def test_an_unknown_name_is_unavailable(names: Names, session: http.GuardedSession) -> None:
    """A name without an address may get one: temporary, and tried again."""
    names["gone.example"] = cycle([[]])
    with pytest.raises(errors.RemoteUnavailable, match="gone.example"):
        get_text(session, "http://gone.example/")


def test_a_refused_connection_is_unavailable(server: Server, session: http.GuardedSession) -> None:
    """Nobody listens: temporary."""
    server.close()
    with pytest.raises(errors.RemoteUnavailable, match="refused"):
        get_text(session, server.url)


@pytest.mark.parametrize("value", ["http://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_proxies_of_the_environment_are_ignored(
    value: str, server: Server, session: http.GuardedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would choose the address in our place."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, value)
    assert get_text(session, server.on("/", answer())) == "ok"


def test_proxies_of_the_code_are_refused(server: Server, session: http.GuardedSession) -> None:
    """A proxy set by hand is a mistake to be seen, also where somebody trusts the environment again."""
    url = server.on("/", answer())
    with pytest.raises(requests.exceptions.ProxyError):
        session.get(url, proxies={"http": "http://127.0.0.1:1"})
    session.proxies["http"] = "http://127.0.0.1:1"
    with pytest.raises(errors.ConfigurationError, match="proxy"):
        get_text(session, url)
    assert server.seen == []


# --- redirects


def test_redirects_are_followed(server: Server, session: http.GuardedSession) -> None:
    """Up to the limit, as requests does it."""
    server.on("/1", redirect("/2"))
    server.on("/2", redirect("/3", 301))
    server.on("/3", redirect("/4", 308))
    server.on("/4", answer())
    response = session.get(server.url + "/1")
    assert (response.text, len(response.history)) == ("ok", 3)


def test_a_redirect_loop_ends(server: Server, session: http.GuardedSession) -> None:
    """After the allowed number of redirects; permanent."""
    url = server.on("/", redirect("/"))
    with pytest.raises(errors.TooManyRedirects):
        get_text(session, url)
    assert len(server.seen) == LIMITS.redirects + 1


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("//169.254.169.254/", "metadata"),
        ("http://[::ffff:a9fe:a9fe]/", "metadata"),
        ("http://2852039166/", "metadata"),
        ("http://localhost/", "own machine"),
        ("http://inside.example/", "private"),
        ("http://[::1]/", "own machine"),
        ("file:///etc/passwd", "neither http nor https"),
        ("ftp://example.org/", "neither http nor https"),
    ],
)
@pytest.mark.parametrize("allow_redirects", [True, False])
def test_redirects_pass_the_same_door(
    location: str,
    says: str,
    allow_redirects: bool,
    server: Server,
    names: Names,
    connected: list[str],
) -> None:
    """Each hop is judged like the first URL; also when the user of the session follows by hand."""
    names["localhost"] = cycle([["127.0.0.9"]])
    names["inside.example"] = cycle([["10.0.0.1"]])
    session = guarded_session(AddressPolicy(networks(["127.0.0.1"])), LIMITS)
    url = server.on("/", redirect(location))
    with pytest.raises(errors.AddressBlocked, match=says), relay_errors(url):
        response = session.get(url, allow_redirects=allow_redirects)
        assert response.next is not None
        session.send(response.next)
    assert connected == ["127.0.0.1"]


SECRETS = {"Authorization": "hunter2", "X-CKAN-API-Key": "hunter2", "Cookie": "a=hunter2", "X-Auth-Token": "hunter2"}


@pytest.mark.parametrize("on_session", [True, False])
def test_secrets_do_not_follow_to_another_origin(on_session: bool, server: Server, other: Server) -> None:
    """Secret headers and cookies set by hand stay with the first server, whoever set them, however often it goes on."""
    session = guarded_session(LOOPBACK, LIMITS, headers=SECRETS if on_session else None)
    session.cookies.set("by_hand", "hunter2")
    url = server.on("/", redirect(other.url + "/1"))
    other.on("/1", redirect("/2"))
    other.on("/2", redirect(server.url + "/back"))
    server.on("/back", answer())
    session.get(url, headers=None if on_session else {**SECRETS, "Accept": "x/y"}, cookies={"also": "hunter2"})
    first, back = server.seen
    assert [first.headers[name.lower()] for name in SECRETS if name != "Cookie"] == ["hunter2"] * 3
    for seen in (*other.seen, back):
        assert "hunter2" not in str(seen.headers)
    assert on_session or other.seen[1].headers["accept"] == "x/y"


def test_credentials_of_the_request_do_not_follow_either(server: Server, other: Server) -> None:
    """Those of ``auth=`` and of the URL."""
    session = guarded_session(LOOPBACK, LIMITS)
    other.on("/", answer())
    url = server.on("/", redirect(other.url + "/"))
    session.get(url, auth=("me", "hunter2"))
    session.get(url.replace("http://", "http://me:hunter2@"))
    assert ["authorization" in seen.headers for seen in server.seen + other.seen] == [True, True, False, False]


def test_secrets_follow_on_the_same_server(server: Server, session: http.GuardedSession) -> None:
    """A redirect from one path to another keeps them, and cookies that a server set go back to it."""
    server.on("/", answer(302, location="/next", set_cookie="session=1"))
    server.on("/next", answer())
    session.get(server.url + "/", headers={"X-CKAN-API-Key": "k", "Authorization": "a"})
    headers = server.seen[1].headers
    assert (headers["x-ckan-api-key"], headers["authorization"], headers["cookie"]) == ("k", "a", "session=1")


def test_a_server_gets_its_cookies_after_a_redirect_from_another(server: Server, session: http.GuardedSession) -> None:
    """Some sites send you round in circles until you bring their cookie."""
    url = server.on("/", redirect(f"http://localhost:{server.port}/set"))
    server.on("/set", answer(302, location="/use", set_cookie="session=1"))
    server.on("/use", answer())
    session.get(url)
    assert server.seen[-1].headers["cookie"] == "session=1"


# --- how much it takes


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS_BODIES = {
    "no length": endless(HEAD + b"\r\n", b"x" * 10_000),
    "chunked": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"2710\r\n" + b"x" * 10_000 + b"\r\n"),
    "one chunk": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", b"x" * 10_000),
    "length of a chunk": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 10_000),
    "busy": endless(b"HTTP/1.1 503 Busy\r\n\r\n", b"x" * 10_000),
    "redirect": endless(b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n", b"x" * 10_000),
    "continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize("name", ENDLESS_BODIES)
def test_an_endless_answer_is_cut_off(name: str, server: Server, session: http.GuardedSession) -> None:
    """Wherever the server puts its endless bytes, it ends at the limit, soon and for good."""
    url = server.on("/", ENDLESS_BODIES[name])
    with pytest.raises(errors.AnswerTooLarge, match="100000 bytes"):
        get_text(session, url)
    assert len(server.seen) == 1


def test_a_body_announced_as_too_large_is_not_read(server: Server, session: http.GuardedSession) -> None:
    """10 GB are not begun."""
    url = server.on("/", endless(HEAD + b"Content-Length: 10000000000\r\n\r\n", b"", pause=9))
    with pytest.raises(http.BodyTooLarge):
        session.get(url)


def test_the_size_without_the_body_is_no_offence(server: Server, session: http.GuardedSession) -> None:
    """HEAD is how one asks for the size."""
    url = server.on("/", answer(body=b"", Content_Length="10000000000", content_encoding="br"))
    assert session.head(url).headers["Content-Length"] == "10000000000"


def test_a_body_at_the_limit_is_taken(server: Server, session: http.GuardedSession) -> None:
    """The limit is of the body; headers do not count against it, and one byte more is too much."""
    server.on("/fits", answer(body=b"x" * LIMITS.body_bytes, x_filler="y" * 30_000))
    server.on("/chunked", answer(body=b"186a1\r\n" + b"x" * 100_001 + b"\r\n0\r\n\r\n", transfer_encoding="chunked"))
    assert len(session.get(server.url + "/fits").content) == LIMITS.body_bytes
    with pytest.raises(http.BodyTooLarge):
        session.get(server.url + "/chunked")


@pytest.mark.parametrize("chunk_size", [1000, 10**9, None])
def test_streams_are_limited_too(chunk_size: int | None, server: Server, session: http.GuardedSession) -> None:
    """Whoever reads piece by piece gets the allowed bytes, then the error."""
    response = session.get(server.on("/", ENDLESS_BODIES["no length"]), stream=True)
    taken = 0
    with pytest.raises(http.BodyTooLarge):
        for piece in response.iter_content(chunk_size):
            taken += len(piece)
    assert LIMITS.body_bytes - transport._PIECE <= taken <= LIMITS.body_bytes


def test_raw_streams_are_limited_as_sent(server: Server, session: http.GuardedSession) -> None:
    """Whoever bypasses ``iter_content`` meets the limit nevertheless."""
    url = server.on("/", ENDLESS_BODIES["no length"])
    with pytest.raises(errors.AnswerTooLarge), relay_errors(url):
        session.get(url, stream=True).raw.read()


@pytest.mark.parametrize("stream", [True, False])
def test_a_gzip_bomb_is_defused(stream: bool, server: Server) -> None:
    """64 MB in 64 kB: neither all of it is unpacked nor much memory is taken."""
    session = guarded_session(LOOPBACK, Limits(body_bytes=LIMITS.body_bytes))
    bomb = gzip.compress(b"\0" * 64_000_000)
    url = server.on("/", answer(body=bomb, content_encoding="gzip"))
    tracemalloc.start()
    with pytest.raises(http.BodyTooLarge):
        b"".join(session.get(url, stream=stream).iter_content(None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(bomb) < LIMITS.body_bytes
    assert peak < 5_000_000


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_codings_that_nobody_asked_for_are_refused(coding: str, server: Server, session: http.GuardedSession) -> None:
    """Not every unpacker can be stopped half-way, and layers multiply."""
    url = server.on("/", answer(content_encoding=coding))
    with pytest.raises(errors.AnswerInvalid, match="not supported"):
        get_text(session, url)
    assert server.seen[0].headers["accept-encoding"] == "gzip, deflate"


def test_broken_gzip_is_invalid(server: Server, session: http.GuardedSession) -> None:
    """What cannot be unpacked is an answer, but not an acceptable one."""
    with pytest.raises(errors.AnswerInvalid):
        get_text(session, server.on("/", answer(content_encoding="gzip", body=b"no gzip")))


# --- how long it takes


SLOW_ANSWERS = {
    "status line": endless(b"HTTP/1.1 ", b"2", pause=0.05),
    "headers": endless(HEAD, b"x: y\r\n", pause=0.05),
    "body": endless(HEAD + b"\r\n", b"x", pause=0.05),
    "body with length": endless(HEAD + b"Content-Length: 1000\r\n\r\n", b"x", pause=0.05),
    "chunks": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause=0.05),
    "length of a chunk": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0", pause=0.05),
    "redirect": endless(b"HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 1000\r\n\r\n", b"x", pause=0.05),
    "busy": endless(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n", b"x", pause=0.05),
    "many redirects": slowly(redirect("/"), 0.05),
}


@pytest.mark.parametrize("name", SLOW_ANSWERS)
def test_a_slow_server_ends_at_the_deadline(name: str, server: Server) -> None:
    """A byte now and then keeps no connection open for longer than the total, wherever the byte belongs."""
    session = guarded_session(LOOPBACK, Limits(read=0.3, total=0.5, redirects=100))
    url = server.on("/", SLOW_ANSWERS[name])
    with Clock(0.45, 10), pytest.raises(errors.RemoteTimeout, match=r"0\.5 seconds"):
        get_text(session, url)


def test_a_slow_stream_ends_at_the_deadline(server: Server) -> None:
    """The clock began with the request, also where the body is read later."""
    session = guarded_session(LOOPBACK, Limits(read=0.3, total=0.5))
    with Clock(0.45, 10), pytest.raises(http.DeadlineExceeded):
        response = session.get(server.on("/", SLOW_ANSWERS["body"]), stream=True)
        b"".join(response.iter_content(1))


def test_a_server_that_takes_slowly_ends_at_the_deadline(server: Server) -> None:
    """What we send is under the clock as well."""
    session = guarded_session(LOOPBACK, Limits(read=0.2, total=0.5))
    url = server.on("/", endless(b"", b"", pause=9))
    with Clock(0.15, 10), pytest.raises(requests.exceptions.RequestException) as caught:
        session.post(url, data=b"x" * 50_000_000)
    with pytest.raises(errors.RelayError), relay_errors(url):
        raise caught.value


def test_silence_is_tried_again_and_then_a_timeout(server: Server) -> None:
    """A server that hangs before answering gets its second chance; both fit into the total."""
    session = guarded_session(LOOPBACK, Limits(read=1, total=20, tries=2, backoff=0.01))
    url = server.on("/", silence)
    with Clock(1.9, 15), pytest.raises(errors.RemoteTimeout):
        get_text(session, url)
    assert len(server.seen) == 2


@pytest.mark.parametrize("timeout", [0.2, (3600, 0.2), (None, 0.2)])
def test_a_request_may_shorten_its_timeout(timeout: Any, server: Server) -> None:
    """In both ways that requests knows."""
    url = server.on("/", silence)
    with Clock(0.2, 10), pytest.raises(requests.exceptions.ReadTimeout):
        guarded_session(LOOPBACK).post(url, timeout=timeout)


def test_a_request_may_not_lengthen_its_timeout(server: Server, session: http.GuardedSession) -> None:
    """Third-party code that asks for an hour gets what the limits allow."""
    url = server.on("/", silence)
    with Clock(0.3, 10), pytest.raises(requests.exceptions.ReadTimeout):
        session.post(url, timeout=(3600, 3600))


def test_requests_of_a_session_do_not_share_a_deadline(server: Server) -> None:
    """The clock starts anew with each request."""
    session = guarded_session(LOOPBACK, Limits(total=2))
    url = server.on("/", slowly(answer(), 0.8))
    assert [get_text(session, url) for _ in range(3)] == ["ok"] * 3


# --- trying again


@pytest.mark.parametrize(
    "failures",
    [
        [reset],
        [reset, reset],
        [answer(502), answer(504)],
        [answer(429)],
        [answer(503, retry_after="soon")],
        [answer(503, retry_after="9" * 5000)],
        [silence],
        [lambda connection, seen: connection.sendall(b"no http\r\n\r\n")],
    ],
)
def test_passing_trouble_is_overcome(failures: list[Handler], server: Server, session: http.GuardedSession) -> None:
    """A reset connection, a busy server, a moment of silence or nonsense."""
    assert get_text(session, server.on("/", *failures, answer())) == "ok"
    assert len(server.seen) == len(failures) + 1


def test_retry_after_is_respected(server: Server) -> None:
    """The server says when to come back."""
    session = guarded_session(LOOPBACK, Limits(total=5, backoff=0.01))
    with Clock(1, 10):
        assert get_text(session, server.on("/", answer(503, retry_after="1"), answer())) == "ok"


def test_a_retry_after_beyond_the_deadline_is_left_to_the_caller(server: Server) -> None:
    """We do not wait for what cannot be waited for."""
    session = guarded_session(LOOPBACK, Limits(total=20))
    url = server.on("/", answer(503, retry_after="3600"))
    with Clock(0, 10), pytest.raises(errors.RemoteStatus) as caught:
        get_text(session, url)
    assert (caught.value.status, caught.value.permanent, len(server.seen)) == (503, False, 1)
    assert session.get(url).headers["Retry-After"] == "3600"


def test_pauses_grow_from_the_first_retry_on(server: Server) -> None:
    """A busy server is left alone for a while, and longer the next time."""
    session = guarded_session(LOOPBACK, Limits(tries=3, backoff=0.2))
    with Clock(0.3, 10):
        assert session.get(server.on("/", answer(503))).status_code == 503


@pytest.mark.parametrize("failure", [reset, answer(503), answer(503, retry_after="0")])
def test_what_may_have_been_done_is_not_done_again(
    failure: Handler, server: Server, session: http.GuardedSession
) -> None:
    """Only GET and HEAD are sent twice."""
    url = server.on("/", failure)
    with suppress(requests.exceptions.ConnectionError):
        session.post(url, json={})
    assert len(server.seen) == 1


def test_a_server_that_always_resets_is_unavailable(server: Server, session: http.GuardedSession) -> None:
    """After the last try; temporary."""
    url = server.on("/", reset)
    with pytest.raises(errors.RemoteUnavailable):
        get_text(session, url)
    assert len(server.seen) == LIMITS.tries


def test_a_body_that_breaks_off_is_unavailable(server: Server, session: http.GuardedSession) -> None:
    """Half an answer is none."""

    def half(connection: socket.socket, seen: Seen) -> None:
        connection.sendall(HEAD + b"Content-Length: 10\r\n\r\nhalf")
        reset(connection, seen)

    with pytest.raises(errors.RemoteUnavailable):
        get_text(session, server.on("/", half))


def test_connections_are_kept(server: Server, session: http.GuardedSession) -> None:
    """One connection serves many requests, errors and redirects included."""
    server.on("/", redirect("/ok"), answer(404), answer(503), answer())
    server.on("/ok", answer())
    assert [session.get(server.url + "/").status_code for _ in range(3)] == [200, 404, 200]
    assert (server.connections, len(server.seen)) == (1, 5)


# --- what comes out


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        ("é".encode(), "application/json", "é"),
        ("é".encode(), "", "é"),
        ("é".encode("utf-8-sig"), "text/csv", "é"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("é".encode("latin-1"), "text/plain", "é"),
        ("é".encode("cp1250"), 'text/xml; charset="windows-1250"', "é"),
        ("é".encode(), "text/plain; charset=utf8", "é"),
        (b"e", "text/plain; charset=nonsense", "e"),
        (b"e", "text/plain; charset=hex", "e"),
        (b"e-", "text/plain; charset=punycode", "e-"),
    ],
)
def test_text_is_decoded(
    body: bytes, content_type: str, text: str, server: Server, session: http.GuardedSession
) -> None:
    """By the declared charset, else as UTF-8, else as Latin 1; never by a slow or a binary codec."""
    assert get_text(session, server.on("/", answer(body=body, content_type=content_type))) == text


def test_json_with_parameters_and_headers(server: Server, session: http.GuardedSession) -> None:
    """They go where requests puts them."""
    server.on("/?q=a+b", answer(body=b'{"success": true}'))
    assert get_json(session, server.url + "/", {"q": "a b"}, {"X-Test": "1"}) == {"success": True}
    assert server.seen[0].headers["x-test"] == "1"


def test_the_session_says_who_it_is(server: Server) -> None:
    """Admins of the other side can see who calls."""
    url = server.on("/", answer())
    guarded_session(LOOPBACK).get(url)
    guarded_session(LOOPBACK, user_agent="my portal", headers={"X-Test": "1"}).get(url)
    assert [seen.headers["user-agent"] for seen in server.seen] == ["ckanext-relay", "my portal"]
    assert server.seen[1].headers["x-test"] == "1"


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"<!doctype html>\n\t<title>Login\x1b[2J</title>" + b"x" * 500, "text/html", "text/html: '<!doctype html> <"),
        (b"", "application/json", "application/json: ''"),
        (b"[" * 100_000, "application/json", r"\[\[\["),
        (b"9" * 5000, "application/json", "999"),
        (b"\xff\xfe", "application/octet-stream", "octet-stream"),
    ],
)
def test_what_is_not_json_is_shown(
    body: bytes, content_type: str, says: str, server: Server, session: http.GuardedSession
) -> None:
    """The error says what came instead, in one short clean line."""
    with pytest.raises(errors.AnswerInvalid, match=says) as caught:
        get_json(session, server.on("/", answer(body=body, content_type=content_type)))
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (404, True), (500, False), (503, False), (999, True)])
def test_error_statuses_are_errors(status: int, permanent: bool, server: Server, session: http.GuardedSession) -> None:
    """Whatever the body says."""
    with pytest.raises(errors.RemoteStatus) as caught:
        get_json(session, server.on("/", answer(status, b"{}")))
    assert (caught.value.status, caught.value.permanent) == (status, permanent)


@pytest.mark.parametrize(
    "url",
    ["no-scheme", "http://[::1", "http://", "http://example.org:port/", "ftp://h/", f"http://{'a' * 70}.example/"],
)
def test_what_is_no_address_is_blocked(url: str, session: http.GuardedSession) -> None:
    """A nonsense URL is the mistake of whoever wrote it: permanent."""
    with pytest.raises(errors.AddressBlocked):
        get_text(session, url)


SECRET = "hunter2"  # the traceback shows the line that uses it


@pytest.mark.parametrize(
    "handler", [silence, reset, answer(404), redirect(f"/?token={SECRET}"), redirect(f"ftp://me:{SECRET}@h/")]
)
def test_errors_show_no_secrets(
    handler: Handler,
    server: Server,
    session: http.GuardedSession,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the message, nor the traceback that a log shows of it, nor what urllib3 logs on the way."""
    caplog.set_level(logging.DEBUG)
    # CKAN's logging settings switch off all loggers that were there before
    monkeypatch.setattr(logging.getLogger("urllib3.connectionpool"), "disabled", False)
    monkeypatch.setattr(logging.getLogger("urllib3.util.retry"), "disabled", False)
    server.on(f"/?token={SECRET}", handler)
    with pytest.raises(errors.RelayError) as caught:
        get_text(session, f"http://me:{SECRET}@127.0.0.1:{server.port}/?token={SECRET}")
    logging.getLogger("ckanext.relay").error("failed", exc_info=caught.value)
    assert "urllib3.connectionpool" in caplog.text
    assert SECRET not in caplog.text + repr(caught.value)


def test_a_header_that_is_none_is_not_quoted(server: Server, session: http.GuardedSession) -> None:
    """The token in it is known to nobody else: requests quotes it, as Python writes it."""
    with pytest.raises(errors.ConfigurationError) as caught:
        get_text(session, server.on("/", answer()), headers={"Authorization": f"{SECRET}\nx"})
    assert "line ends" in (caught.value.hint or "")
    assert SECRET not in str(caught.value)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key for good.example."""
    return Certificates(tmp_path_factory.mktemp("tls")).make("both.pem", "good.example")


@pytest.fixture
def tls_server(certificate: Path, names: Names) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names["good.example"] = names["evil.example"] = cycle([["127.0.0.1"]])
    server = Server(tls=context)
    server.on("/", answer())
    yield server
    server.close()


def test_a_self_signed_certificate_is_unavailable(tls_server: Server, session: http.GuardedSession) -> None:
    """It is not trusted, and not tried again."""
    with pytest.raises(errors.RemoteUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        get_text(session, f"https://good.example:{tls_server.port}/")
    assert (tls_server.connections, tls_server.seen) == (1, [])


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_of_the_environment_are_trusted(
    variable: str, tls_server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle of the portal counts, and the name is checked although we connect to an address."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(certificate))
    session = guarded_session(LOOPBACK, LIMITS)
    assert get_text(session, f"https://good.example:{tls_server.port}/") == "ok"
    with pytest.raises(errors.RemoteUnavailable, match="evil.example"):
        get_text(session, f"https://evil.example:{tls_server.port}/")


def test_limits_hold_within_tls(tls_server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless body and a slow one end as they do without TLS."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    session = guarded_session(LOOPBACK, Limits(total=0.5, body_bytes=100_000))
    tls_server.on("/endless", ENDLESS_BODIES["chunked"])
    tls_server.on("/slow", SLOW_ANSWERS["headers"])
    url = f"https://good.example:{tls_server.port}"
    with pytest.raises(errors.AnswerTooLarge):
        get_text(session, url + "/endless")
    with Clock(0.45, 10), pytest.raises(errors.RemoteTimeout):
        get_text(session, url + "/slow")


def test_a_handshake_that_hangs_ends() -> None:
    """A server that takes the connection and then says nothing."""
    session = guarded_session(LOOPBACK, Limits(connect=5, total=0.4))
    with socket.create_server(("127.0.0.1", 0)) as listener, Clock(0.35, 10), pytest.raises(errors.RemoteTimeout):
        get_text(session, f"https://127.0.0.1:{listener.getsockname()[1]}/")


# --- the table of errors


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for module in (requests.exceptions, urllib3.exceptions)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, (requests.exceptions.RequestException, urllib3.exceptions.HTTPError))
        if kind not in (requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_error_has_a_meaning(kind: type[Exception]) -> None:
    """A new error of requests or urllib3 has to be thought about."""
    known = {*http._MEANINGS, *http._BUGS, requests.exceptions.HTTPError}
    assert known.intersection(kind.__mro__)


def test_bugs_of_ours_stay_what_they_are(server: Server, session: http.GuardedSession) -> None:
    """Reading a body twice is no trouble with the other side."""
    response = session.get(server.on("/", answer()), stream=True)
    list(response.iter_content(10))
    with pytest.raises(requests.exceptions.StreamConsumedError), relay_errors("http://h/"):
        list(response.iter_content(10))


def test_raise_for_status_is_understood(server: Server, session: http.GuardedSession) -> None:
    """Whoever uses the session as any other one may call it inside ``relay_errors``."""
    url = server.on("/", answer(404))
    with pytest.raises(errors.RemoteStatus) as caught, relay_errors(url):
        session.get(url).raise_for_status()
    assert caught.value.status == 404
