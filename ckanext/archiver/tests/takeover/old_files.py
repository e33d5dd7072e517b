"""The server of the portal that was recorded: what it answers changes from round to round, as files do."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
ROUNDS = 3
#: Too large for the default limit of ckanext-archiver.
TOO_LARGE = 60_000_000


def table(name: str, version: int = 1) -> bytes:
    return f"name;version\n{name};{version}\n".encode()


class OldFiles:
    """A context manager; ``round`` says which of the rounds it is."""

    def __init__(self) -> None:
        self.round = 1
        #: (path, status) of each answer
        self.answered: list[tuple[str, int]] = []
        files = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                files.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """Say nothing: clients go away when they have read enough."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        headers: dict[str, str] = {}
        body, status = b"", 404
        if path == "/redirected.csv":
            status, headers["Location"] = 302, "/moved/here.csv"
        elif path == "/large.zip":
            status, headers["Content-Length"] = 200, str(TOO_LARGE)
        else:
            body, status = self._file(path)
        if path == "/lower-case-etag.csv":
            headers["etag"] = '"lower"'
        elif status == 200:
            headers["ETag"], headers["Last-Modified"] = f'"{path}-{body.hex()[-6:]}"', MODIFIED
        if status == 200 and (headers.get("ETag") or headers.get("etag")) == request.headers.get("If-None-Match"):
            body, status = b"", 304
        self._send(request, status, body, headers)

    def _file(self, path: str) -> tuple[bytes, int]:
        version = 2 if path == "/changed.csv" and self.round > 1 else 1
        if path in (
            *("/ok.csv", "/changed.csv", "/moved/here.csv", "/with%20space.csv", "/lower-case-etag.csv"),
            *("/raced.csv", "/private.csv", "/deleted.csv", "/unset.csv"),
        ):
            return table(path, version), 200
        is_there = {"/recovered.csv": self.round > 1, "/lost.csv": self.round == 1}.get(path, False)
        return (table(path), 200) if is_there else (b"There is no such file.\n", 404)

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.answered.append((request.path, status))
        request.send_response(status)
        if status != 304:
            for name, value in {"Content-Type": "text/csv", "Content-Length": str(len(body)), **headers}.items():
                request.send_header(name, value)
        request.end_headers()
        if "Content-Length" not in headers:
            request.wfile.write(body)
        else:
            request.close_connection = True

    def __enter__(self) -> OldFiles:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
