"""Servers that mean harm, or only fail, for tests of whatever fetches; everything stays on the loopback interface."""

from __future__ import annotations

import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

Handler = Callable[[socket.socket, "Seen"], None]


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Server:
    """Does what ``handlers`` say, by path; several handlers for a path take turns."""

    handlers: dict[str, Iterator[Handler]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, path: str, *handlers: Handler) -> str:
        """Let the handlers answer a path, and return its URL."""
        self.handlers[path] = cycle(handlers)
        return self.url + path

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def close(self) -> None:
        self.closing.set()
        with suppress(OSError):  # wakes the thread that waits for connections; else one more would be taken
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        # the client goes away when it has seen enough, and that is what we test
        with suppress(OSError, ValueError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as lines:
                while (request := lines.readline()) and not self.closing.is_set():
                    method, path, _ = request.decode().split()
                    headers: dict[str, str] = {}
                    while (line := lines.readline().decode().strip()) != "":
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    seen = Seen(method, path, headers, lines.read(int(headers.get("content-length", 0))))
                    self.seen.append(seen)
                    next(self.handlers[path])(connection, seen)


def answer(status: int = 200, body: bytes = b"ok", **headers: str) -> Handler:
    """Answer properly; ``content_type="…"`` becomes a header."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    lines.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    def handle(connection: socket.socket, seen: Seen) -> None:
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode())
        if seen.method != "HEAD":
            connection.sendall(body)

    return handle


def redirect(location: str, status: int = 302) -> Handler:
    return answer(status, b"moved", location=location)


def endless(start: bytes, piece: bytes, pause: float = 0) -> Handler:
    """Send the start, then the piece again and again, until the client goes away."""

    def handle(connection: socket.socket, _seen: Seen) -> None:
        connection.sendall(start)
        while not select.select([connection], [], [], pause)[0]:
            connection.sendall(piece)

    return handle


def slowly(then: Handler, pause: float) -> Handler:
    def handle(connection: socket.socket, seen: Seen) -> None:
        time.sleep(pause)
        then(connection, seen)

    return handle


def reset(connection: socket.socket, _seen: Seen) -> None:
    # closing, which follows from the error, with a linger time of zero sends RST
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise OSError


def silence(connection: socket.socket, _seen: Seen) -> None:
    connection.recv(1)


#: the addresses of names, to be given out at one look-up after the other
Names = dict[str, Iterator[list[str]]]


def table_of_names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Return a table; names resolve as it says: to the next list of addresses at each look-up."""
    table: Names = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        addresses = next(table[host]) if host in table else [host]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [info for address in addresses for info in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


def log_of_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses to which anything tries to connect from now on."""
    log: list[str] = []

    class Recording(socket.socket):
        def connect(self, address: Any) -> None:
            log.append(address[0])
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Recording)
    return log


_CA_CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
default_days = 2
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Certificates:
    """Makes certificates with ``openssl``, in a folder; skips the test where that is not installed."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self._folder = folder
        self._config = folder / "ca.cnf"
        self._config.write_text(_CA_CONFIG.format(folder=folder))
        (folder / "index").write_text("")
        (folder / "serial").write_text("01")

    def make(
        self, file_name: str, host: str, issuer: Path | None = None, expired: bool = False, ca: bool = False
    ) -> Path:
        """Return a file with a key and the certificate of a host, by default signed by itself."""
        path = self._folder / file_name
        request = path.with_suffix(".csr")
        extension = "basicConstraints=critical,CA:true" if ca else f"subjectAltName=DNS:{host}"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
        self._run("req", "-new", *key, "-subj", f"/CN={host}", "-addext", extension, "-out", str(request))
        signer = ["-cert", str(issuer), "-keyfile", str(issuer)] if issuer else ["-selfsign", "-keyfile", str(path)]
        dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] if expired else []
        certificate = path.with_suffix(".crt")
        files = ["-in", str(request), "-out", str(certificate)]
        self._run("ca", "-batch", "-notext", "-config", str(self._config), *signer, *dates, *files)
        path.write_bytes(path.read_bytes() + certificate.read_bytes())
        return path

    @staticmethod
    def context(path: Path) -> ssl.SSLContext:
        """Return how a server presents this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
