"""Web servers on this machine, of many hosts: every address of 127.0.0.0/8 is one."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

#: Answers a request itself: writes to its ``wfile``, or sends an answer.
Page = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of a connection that stays open."""

    protocol_version = "HTTP/1.1"
    server: _Server
    #: seconds for which a connection may be idle
    timeout = 60

    def do_GET(self) -> None:
        web = self.server.web
        host = self.headers.get("Host", "").partition(":")[0]
        with web.counted(host, self.path):
            time.sleep(web.latency)
            web.page(self.path)(self)

    do_HEAD = do_GET

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; underscores in names of headers stand for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    web: Web

    def handle_error(self, *_: Any) -> None:
        """Whoever asks may hang up."""


class Web:
    """A server of files and other pages.

    :ivar pages: what is answered, by path; other paths are files, whose content is the path, with an ETag, unless they
        begin with ``/missing``
    :ivar latency: seconds before each answer
    :ivar asked: how often each (host, path) was asked for
    :ivar most: how many requests of a host were under way at a time, at most; ``most_together``: of all hosts
    """

    def __init__(self, latency: float = 0, port: int = 0) -> None:
        self.pages: dict[str, Page] = {}
        self.latency = latency
        self.asked: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[int] = Counter()
        self.most: Counter[str] = Counter()
        self.most_together = 0
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = self._listening(port)
        self.port = self._server.server_port

    def _listening(self, port: int) -> _Server:
        server = _Server(("", port), Handler)
        server.web = self
        return server

    def url(self, path: str, host: int = 1) -> str:
        """Return the URL of a path on one of the hosts, which are numbered from 1."""
        return f"http://127.0.{host // 250}.{host % 250 + 1}:{self.port}{path}"

    def page(self, path: str) -> Page:
        return self.pages.get(path) or (missing if path.startswith("/missing") else file)

    @contextlib.contextmanager
    def counted(self, host: str, path: str) -> Iterator[None]:
        with self._lock:
            self.asked[host, path] += 1
            self._now[host] += 1
            self.most[host] = max(self.most[host], self._now[host])
            self.most_together = max(self.most_together, sum(self._now.values()))
        try:
            yield
        finally:
            with self._lock:
                self._now[host] -= 1

    def count(self, path: str | None = None) -> int:
        """Return how many requests there were, for one path if it is named."""
        return sum(count for (_, each), count in self.asked.items() if path in (None, each))

    def __enter__(self) -> Web:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Listen to nobody for a while. (Connections that are open stay so.)"""
        self.__exit__()
        try:
            yield
        finally:
            self._server = self._listening(self.port)
            self.__enter__()


def content(path: str) -> bytes:
    """Return what the file of a path holds."""
    return f"a,b\n{path},1\n".encode()


def file(request: Handler) -> None:
    """Answer with a file that never changes."""
    etag = f'"{abs(hash(request.path))}"'
    if request.headers.get("If-None-Match") == etag:
        request.answer(304, ETag=etag)
    else:
        request.answer(200, content(request.path), ETag=etag, Content_Type="text/csv; charset=utf-8")


def missing(request: Handler) -> None:
    request.answer(404, b"There is nothing", Content_Type="text/plain")


def says(status: int, body: bytes = b"", **headers: str) -> Page:
    """Answer always with the same."""
    return lambda request: request.answer(status, body, **headers)


def hangs(request: Handler) -> None:
    """Answer nothing until the other side hangs up."""
    with contextlib.suppress(OSError):
        request.connection.settimeout(600)
        request.connection.recv(1)
    request.close_connection = True
