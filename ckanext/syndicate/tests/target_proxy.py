"""A proxy in front of a real CKAN: it counts what is asked, and fails as networks and servers do when told to."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from ckanext.harvest.tests.loopback import Loopback

#: What happens to a request instead of being passed on.
Fault = Callable[["Request"], None]

#: What belongs to one connection, not to the request.
_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "te", "upgrade"}

#: The actions that change a CKAN.
_WRITES = ("_create", "_update", "_patch", "_delete", "_purge", "_revise", "_upsert")


@dataclass(frozen=True)
class Call:
    """A request for an action: what was sent (None: no JSON), and when by ``time.monotonic``."""

    action: str
    data: Any
    at: float

    @property
    def writes(self) -> bool:
        return self.action.endswith(_WRITES)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class _Rule:
    """The fault that hits some calls of an action."""

    action: str
    fault: Fault
    skip: int
    times: int
    name: str | None
    hits: list[float] = field(default_factory=list)

    def fits(self, call: Call) -> bool:
        if self.action not in ("*", call.action) or self.times <= 0:
            return False
        return self.name is None or (isinstance(call.data, dict) and call.data.get("name") == self.name)


class Request(BaseHTTPRequestHandler):
    """One connection to the target."""

    server: TargetProxy
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1  # an answer leaves as a whole
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.is_down:
            self.reset()
            return
        self.action = self.path.partition("?")[0].rpartition("/")[2]
        fault = self.server.note(Call(self.action, self._data(), time.monotonic()))
        try:
            if fault:
                fault(self)
            else:
                self.answer(self.forward())
        finally:
            self.server.end()

    do_POST = do_GET

    def _data(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def forward(self, **headers: str) -> Answer:
        """Pass the request on and return what the target answers.

        :param headers: what to send in place of the client's
        """
        own = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        url = self.server.target + self.path
        answer = self.server.pool.request(self.command, url, body=self.body, headers=own | headers)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        return Answer(answer.status, kept, answer.data)

    def answer(self, answer: Answer, length: int | None = None) -> None:
        """Send an answer.

        :param length: which the headers promise, if it is not the true one
        """
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if length is None else length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection in good order."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Tear the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: ``calls`` of the proxy has it all."""


class TargetProxy(Loopback, ThreadingHTTPServer):
    """Passes requests on to a CKAN from a free port of the loopback interface, while it is used as a context manager.

    ``target`` (without a slash at its end) may be changed at any time: then another CKAN answers.
    """

    request_queue_size = 64

    def __init__(self, target: str = "") -> None:
        super().__init__(Request)
        self.target = target
        self.calls: list[Call] = []
        #: how many requests are under way, and when the last one was answered, by ``time.monotonic``
        self.open, self.answered = 0, 0.0
        self.is_down = False
        self.pool = urllib3.PoolManager(maxsize=16, retries=False, timeout=120)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def note(self, call: Call) -> Fault | None:
        """Remember a call and return what hits it."""
        with self._lock:
            self.calls.append(call)
            self.open += 1
            for rule in self._rules:
                if rule.fits(call):
                    if rule.skip:
                        rule.skip -= 1
                        return None
                    rule.times -= 1
                    rule.hits.append(call.at)
                    return rule.fault
        return None

    def end(self) -> None:
        """Note that a request was answered, or came to nothing."""
        with self._lock:
            self.open -= 1
            self.answered = time.monotonic()

    # -- what a test does

    def fail(
        self, action: str, fault: Fault, *, times: int = 1, skip: int = 0, name: str | None = None
    ) -> Callable[[], int]:
        """Let calls of an action meet a fault; returns a function that tells how many did.

        :param action: its name, ``*`` for any
        :param times: how many calls
        :param skip: how many calls pass before
        :param name: only those whose data has this ``name``
        """
        rule = _Rule(action, fault, skip, times, name)
        with self._lock:
            self._rules.append(rule)
        return lambda: len(rule.hits)

    def well(self) -> None:
        """End all faults and forget all calls."""
        with self._lock:
            self._rules.clear()
            self.calls.clear()
        self.is_down = False

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Tear all connections, old and new, while the block runs."""
        self.is_down = True
        try:
            yield
        finally:
            self.is_down = False

    def counts(self) -> Counter[str]:
        """Return how often each action was called."""
        return Counter(call.action for call in list(self.calls))

    def asked(self, action: str) -> int:
        return self.counts()[action]

    def writes(self) -> list[Call]:
        """Return the calls that change something."""
        return [call for call in list(self.calls) if call.writes]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has enough of an answer hangs up."""


# -- how it can fail


def hang(request: Request) -> None:
    """Take the request and never answer."""
    request.server.stopping.wait(60)
    request.hang_up()


def hang_after(request: Request) -> None:
    """Let the target do what was asked, and never answer."""
    request.forward()
    hang(request)


def too_many(seconds: int = 2) -> Fault:
    """Answer that there were too many requests, and when to come again."""

    def fault(request: Request) -> None:
        body = b"<h1>Too many requests</h1>"
        request.answer(Answer(429, {"Content-Type": "text/html", "Retry-After": str(seconds)}, body))

    return fault


def status(code: int) -> Fault:
    """Answer with a page of a server that fails, without asking the target."""

    def fault(request: Request) -> None:
        request.answer(Answer(code, {"Content-Type": "text/html"}, f"<h1>{code}</h1>".encode()))

    return fault


def status_after(code: int) -> Fault:
    """The same after the target did what was asked."""

    def fault(request: Request) -> None:
        request.forward()
        status(code)(request)

    return fault


def truncated(request: Request) -> None:
    """Answer well with the first half of the JSON; the target did what was asked."""
    answer = request.forward()
    request.answer(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]))


def cut_off(request: Request) -> None:
    """Break off in the middle of the answer; the target did what was asked."""
    answer = request.forward()
    request.answer(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]), len(answer.body))
    request.hang_up()


def html(request: Request) -> None:
    """Answer with a page for people, as a login or a firewall does."""
    request.answer(Answer(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Welcome</title>"))


def reset(request: Request) -> None:
    """Tear the connection before anything is done."""
    request.reset()


def reset_after(request: Request) -> None:
    """Tear the connection when the target did what was asked."""
    request.forward()
    request.reset()


def redirect(request: Request) -> None:
    """Send whoever asks to a login page."""
    request.answer(Answer(302, {"Location": f"{request.server.url}/user/login"}, b""))


def wrong_token(request: Request) -> None:
    """Let the target refuse the token."""
    request.answer(request.forward(Authorization="not-a-token"))


def echo(request: Request) -> None:
    """Refuse as a server does that repeats what it was sent."""
    error = {"message": f"Bad headers: {dict(request.headers.items())}", "__type": "Authorization Error"}
    answers(error, 403)(request)


def slow(seconds: float) -> Fault:
    """Answer well, after so many seconds."""

    def fault(request: Request) -> None:
        request.server.stopping.wait(seconds)
        request.answer(request.forward())

    return fault


def answers(result: Any, code: int = 200) -> Fault:
    """Answer as CKAN does, with something of the test's own, without asking the target.

    :param result: the result, with another code than 200 the error
    """

    def fault(request: Request) -> None:
        body = {"success": code == 200, "result" if code == 200 else "error": result}
        request.answer(Answer(code, {"Content-Type": "application/json"}, json.dumps(body).encode()))

    return fault


def changed(change: Callable[[Any], Any]) -> Fault:
    """Change the result that the target gives.

    :param change: is given the result and returns another one
    """

    def fault(request: Request) -> None:
        answer = request.forward()
        shown = json.loads(answer.body)
        shown["result"] = change(shown["result"])
        request.answer(Answer(answer.status, answer.headers, json.dumps(shown).encode()))

    return fault
