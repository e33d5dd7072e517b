"""Calls of another portal: what each way of failing is taken for, and that nobody learns the token from it."""

from __future__ import annotations

import inspect
import io
import json
import logging
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from ckanapi import RemoteCKAN
from ckanapi import errors as client_errors

from ckanext.relay import redaction
from ckanext.relay.errors import (
    AddressBlocked,
    AnswerInvalid,
    AnswerTooLarge,
    RelayError,
    RemoteStatus,
    RemoteTimeout,
    RemoteUnavailable,
)
from ckanext.relay.http import Limits, guarded_session
from ckanext.relay.ssrf import AddressPolicy, networks
from ckanext.relay.tests.servers import Handler, Server, answer, endless, redirect, reset, silence, slowly
from ckanext.syndicate.calls import KINDS, Caller, Forbidden, Missing, Redirected, Refused, SearchFailed

TOKEN = "s3cr3t-t0ken-of-the-target"
ACTION = "/api/action/package_create"
QUICK = Limits(connect=5, read=1, total=3, body_bytes=100_000, tries=1)
LOOPBACK = AddressPolicy(networks(["127.0.0.0/8"]))

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def known_token() -> None:
    """As whoever reads it from the settings does."""
    redaction.install()
    redaction.remember([TOKEN])


def caller(url: str, policy: AddressPolicy = LOOPBACK) -> Caller:
    return Caller(RemoteCKAN(url, apikey=TOKEN, session=guarded_session(policy, QUICK)))


def error_of(server: Server, handler: Handler, data: dict[str, Any] | None = None) -> RelayError:
    """Return what a call raises to which the handler answers."""
    server.on(ACTION, handler)
    with pytest.raises(RelayError) as raised:
        caller(server.url).call("package_create", data or {"name": "roads"})
    return raised.value


def ckan_error(kind: str, status: int, **error: Any) -> Handler:
    """Answer as the API of CKAN does."""
    body = {"help": "…", "success": False, "error": {"__type": kind, **error}}
    return answer(status, json.dumps(body).encode(), content_type="application/json;charset=utf-8")


def test_a_call(server: Server) -> None:
    """The result comes back; the data goes as JSON, the token in headers."""
    server.on(ACTION, answer(body=b'{"success": true, "result": {"id": "9"}}'))
    assert caller(server.url + "/").call("package_create", {"name": "roads", "extras": []}) == {"id": "9"}
    seen = server.seen[0]
    assert (seen.method, json.loads(seen.body)) == ("POST", {"name": "roads", "extras": []})
    assert seen.headers["authorization"] == TOKEN


def test_a_file_goes_beside_text(server: Server) -> None:
    """A file is sent in a form."""
    server.on("/api/action/organization_patch", answer(body=b'{"success": true, "result": {"id": "9"}}'))
    picture = ("city.png", io.BytesIO(b"picture"), "image/png")
    caller(server.url).call("organization_patch", {"id": "9", "image_upload": picture})
    seen = server.seen[0]
    assert seen.headers["content-type"].startswith("multipart/form-data")
    assert b'filename="city.png"' in seen.body and b"picture" in seen.body


# -- what CKAN says


def test_validation(server: Server) -> None:
    """What the portal says of each field is kept, and said in sentences."""
    said = {"name": ["That URL is already in use."], "resources": [{}, {"size": ["Invalid integer"]}], "x": "y"}
    error = error_of(server, ckan_error("Validation Error", 409, **said))
    assert isinstance(error, Refused) and error.permanent
    assert error.errors == said
    assert "name: That URL is already in use.; resources.2.size: Invalid integer; x: y" in str(error)
    assert pickle.loads(pickle.dumps(error)).errors == said


@pytest.mark.parametrize(
    ("kind", "status", "expected", "permanent"),
    [
        ("Not Found Error", 404, Missing, True),
        ("Authorization Error", 403, Forbidden, True),
        ("Search Query Error", 400, Refused, True),
        ("Search Error", 409, SearchFailed, False),
        ("Search Index Error", 500, SearchFailed, False),
        ("Search Connection Error", 500, RemoteStatus, False),
        ("Internal Server Error", 500, RemoteStatus, False),
        ("Integrity Error", 400, RemoteStatus, True),
    ],
)
def test_errors_of_ckan(server: Server, kind: str, status: int, expected: type, permanent: bool) -> None:
    """Each error of CKAN's API is told apart, and said in its words."""
    error = error_of(server, ckan_error(kind, status, message="Because: of that"))
    assert type(error) is expected
    assert error.permanent is permanent
    assert "of that" in f"{error} {error.hint}"
    assert not isinstance(error, RemoteStatus) or error.status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<!doctype html><title>Welcome</title>", 200),
        (b'{"success": tr', 200),
        (b"", 200),
        (b"null", 200),
        (b'["a", "b"]', 200),
        (b'{"success": true}', 200),
        (b'{"success": false}', 200),
        (b'{"success": false, "error": "a text"}', 200),
        (b'{"success": false, "error": null}', 200),
        (b'{"success": false, "error": {"__type": "Validation Error", "tags": 5}}', 409),
        (b"[" * 50_000, 200),
        (b"\xff\xfe\x00", 200),
    ],
)
def test_answers_that_are_none(server: Server, body: bytes, status: int) -> None:
    """Whatever a server answers with success that is no answer of CKAN is called that."""
    error = error_of(server, answer(status, body, content_type="application/json"))
    assert type(error) is AnswerInvalid or (status == 409 and type(error) in (Refused, AnswerInvalid))
    assert error.permanent


def test_errors_of_tags(server: Server) -> None:
    """What the API says of tags are texts, of which CKAN's own ValidationError cannot be made."""
    body = b'{"success": false, "error": {"__type": "Validation Error", "tags": ["Tag \\"a/b\\" is none"]}}'
    error = error_of(server, answer(409, body, content_type="application/json"))
    assert isinstance(error, Refused)
    assert error.errors == {"tags": ['Tag "a/b" is none']}


@pytest.mark.parametrize(
    ("status", "headers", "pause", "permanent"),
    [
        (401, {}, None, True),
        (403, {}, None, True),
        (404, {}, None, True),
        (413, {}, None, True),
        (429, {"Retry-After": "120"}, 120, False),
        (429, {"Retry-After": "soon"}, None, False),
        (500, {}, None, False),
        (502, {}, None, False),
        (503, {"Retry-After": "7"}, 7, False),
        (504, {}, None, False),
    ],
)
def test_errors_of_servers(
    server: Server,
    status: int,
    headers: dict[str, str],
    pause: float | None,
    permanent: bool,
) -> None:
    """A page with an error says its status, and for how long the server wants to be left alone."""
    error = error_of(server, answer(status, b"<h1>Oh dear</h1>", **headers))
    assert isinstance(error, RemoteStatus)
    assert (error.status, error.retry_after, error.permanent) == (status, pause, permanent)
    assert "Oh dear" in str(error.hint)
    assert len(server.seen) == 1  # a POST is never sent again by itself


# -- what networks do


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (reset, RemoteUnavailable),
        (silence, RemoteTimeout),
        (slowly(answer(), 4), RemoteTimeout),
        (answer(200, b'{"success": tr', **{"Content-Length": "1000"}), RemoteTimeout),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000), AnswerTooLarge),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05), RemoteTimeout),
        (answer(200, b"", **{"Content-Length": "200000"}), AnswerTooLarge),
    ],
)
def test_broken_answers(server: Server, handler: Handler, expected: type) -> None:
    """A portal that hangs up, is silent, slow or endless costs no more than the limits allow."""
    error = error_of(server, handler)
    assert type(error) is expected


def test_nobody_is_there(server: Server) -> None:
    """A portal that is down is unavailable, which may be over soon."""
    server.close()
    with pytest.raises(RemoteUnavailable) as raised:
        caller(server.url).call("package_show", {"id": "x"})
    assert not raised.value.permanent


def test_only_where_we_may_go(server: Server) -> None:
    """The address of a target is bound by the same rules as any other."""
    with pytest.raises(AddressBlocked):
        caller(server.url, AddressPolicy()).call("package_show", {"id": "x"})
    assert server.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: Server, status: int) -> None:
    """A POST never becomes a GET: the error says which address belongs into the settings."""
    location = "https://data.example/ckan/api/action/package_create"
    error = error_of(server, redirect(location, status))
    assert isinstance(error, Redirected) and error.permanent
    assert location in str(error)
    assert error.hint == "Set ckan_url of the profile to https://data.example/ckan."
    assert len(server.seen) == 1


def test_redirects_to_anywhere(server: Server) -> None:
    """A redirect to a page that is no API says where to, and recommends nothing."""
    error = error_of(server, redirect("/user/login?came_from=%2Fapi"))
    assert "/user/login" in str(error) and error.hint is None
    assert isinstance(error_of(server, answer(302, b"")), Redirected)


# -- every error of the client


def test_every_error_of_ckanapi_is_known() -> None:
    """A release of ckanapi with another error fails here."""
    kinds = {
        kind
        for _, kind in inspect.getmembers(client_errors, inspect.isclass)
        if issubclass(kind, Exception) and kind is not ImportError
    }
    assert kinds == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("said", ["Because of that", {"message": "Because of that"}, {}])
def test_every_error_of_ckanapi_becomes_ours(kind: type[Exception], said: Any) -> None:
    """Also that of a client which has no session, as tests of other projects make them."""

    def fail(**_data: Any) -> None:
        raise kind(said)

    client = SimpleNamespace(address="http://target.example", action=SimpleNamespace(package_show=fail))
    with pytest.raises(RelayError) as raised:
        Caller(client).call("package_show", {"id": "x"})
    assert "http://target.example/api/action/package_show" in str(raised.value)
    assert not said or "Because of that" in str(raised.value)


def test_a_client_without_a_session_says_the_status(server: Server) -> None:
    """The session that ckanapi makes by itself cannot be listened to, but its errors tell the status."""
    server.on(ACTION, answer(503, b"busy"))
    with pytest.raises(RemoteStatus) as raised:
        Caller(RemoteCKAN(server.url)).call("package_create", {})
    assert raised.value.status == 503


def test_our_own_mistakes_are_no_answers(server: Server) -> None:
    """What cannot be sent is no error of the other side."""
    with pytest.raises(TypeError):
        caller(server.url).call("package_create", {"name": object()})
    assert server.seen == []


# -- secrets


@pytest.mark.parametrize(
    "handler",
    [
        answer(500, f"Authorization: {TOKEN}".encode()),
        answer(200, f"you sent {TOKEN}".encode()),
        ckan_error("Validation Error", 409, token=[f"{TOKEN} is not valid"]),
        ckan_error("Authorization Error", 403, message=f"Access denied: {TOKEN}"),
        ckan_error("Not Found Error", 404, message=f"Not found: {TOKEN}"),
        redirect(f"https://elsewhere.example/{TOKEN}/api/action/x?token={TOKEN}"),
    ],
)
def test_no_error_tells_the_token(
    server: Server,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A portal that repeats the token does not bring it into an error or a log."""
    caplog.set_level(logging.DEBUG)
    error = error_of(server, handler)
    logging.getLogger(__name__).exception("failed", exc_info=error)
    assert TOKEN not in f"{error} {error!r} {error.hint} {error.args}"
    assert TOKEN not in caplog.text


def test_credentials_in_the_address_are_not_told(server: Server) -> None:
    """User and password of an address are in no error."""
    server.on(ACTION, answer(500))
    url = server.url.replace("://", "://someone:hunter2-secret@")
    with pytest.raises(RemoteStatus) as raised:
        caller(url).call("package_create", {})
    assert "hunter2" not in f"{raised.value} {raised.value.url} {raised.value.args}"
