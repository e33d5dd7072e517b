"""HTTP connections of a ``Downloader``: guarded, kept alive, and shared by its threads."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.wait import wait_for_read

from .download_outcome import DownloadFailed, TimedOut
from .errors import ConfigurationError
from .ssrf import check_address
from .transport import BlockedUrl, Exchange, MeteredAnswer, ca_bundle, open_socket

NO_ADMISSION = "does not accept our user and password"
_PORTS = {"http": 80, "https": 443}
_NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class Origin(NamedTuple):
    """With whom a connection is."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, parts: SplitResult) -> Origin:
        """Return the origin of a URL of http or https."""
        return cls(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


class Proxy(NamedTuple):
    """A proxy for all downloads. Its own address needs no admission: whoever runs the portal has named it.

    What it connects to, it decides itself; of a name we check only the addresses that we find.
    """

    host: str
    port: int
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Return the proxy at an address such as ``http://user:password@proxy:3128``.

        :raises ConfigurationError: it is not the address of an HTTP proxy
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 3128
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(
                "The proxy for downloads is no HTTP proxy", hint="Write it as http://proxy.example.org:3128."
            )
        credentials = basic(parts)
        return cls(parts.hostname, port, {"Proxy-Authorization": credentials} if credentials else {})


def basic(parts: SplitResult) -> str | None:
    """Return the header value for user and password of a URL, or None if it has none."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def tls_context(verify: bool) -> ssl.SSLContext:
    """Return how connections are secured; loading the certificates takes long, so it is shared.

    :raises ConfigurationError: the file of certificates that the environment names is of no use
    """
    bundle = ca_bundle() or DEFAULT_CA_BUNDLE_PATH
    folder = os.path.isdir(bundle)
    try:
        context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    except OSError as error:
        raise ConfigurationError(f"The certificates in {bundle} cannot be read: {error.strerror}") from error
    # As strict as browsers, not stricter: old servers do not announce secure renegotiation, which nobody needs, and
    # some certificates lack an extension that later releases of Python ask for.
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connected(host: str, port: int, exchange: Exchange, options: Iterable[tuple[Any, ...]] = ()) -> socket.socket:
    """Connect to an address that the policy of the exchange admits.

    :param options: arguments of ``setsockopt``
    :raises TimedOut: nobody answered
    """
    patience = exchange.limits.connect
    try:
        return open_socket(host, port, exchange, patience, options)
    except TimeoutError:
        raise TimedOut(patience) from None


class Connection(http.client.HTTPConnection):
    """One connection, used by one thread at a time."""

    def __init__(self, origin: Origin, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self.origin = origin
        self._context = context
        self._proxy = proxy
        self._exchange: Exchange
        #: whether it stood once; what goes wrong afterwards is not a matter of reaching the server
        self.is_established = False
        super().__init__(proxy.host if proxy else origin.host, proxy.port if proxy else origin.port)
        if proxy and origin.scheme == "https":
            self.set_tunnel(origin.host, origin.port, proxy.headers)

    def connect(self) -> None:
        """Connect to an address that the policy of the exchange admits.

        :raises DownloadFailed: the proxy does not answer
        """
        sock = (
            self._to_proxy(self._proxy) if self._proxy else connected(self.host, self.port, self._exchange, _NO_DELAY)
        )
        self.sock = self._secured(sock) if self.origin.scheme == "https" else sock
        self.is_established = True

    def _secured(self, sock: socket.socket) -> socket.socket:
        try:
            return self._context.wrap_socket(sock, server_hostname=self.origin.host)
        except TimeoutError:
            sock.close()
            self._exchange.remaining()  # was it the deadline?
            raise TimedOut(self._exchange.limits.connect) from None
        except BaseException:
            sock.close()
            raise

    def _to_proxy(self, proxy: Proxy) -> socket.socket:
        exchange = self._exchange
        _check_names(self.origin, exchange)
        patience = min(exchange.limits.connect, exchange.remaining())
        try:
            self.sock = socket.create_connection((proxy.host, proxy.port), patience)
        except OSError as error:
            raise proxy_failed(self._url, f"cannot be reached: {error.strerror or error}") from error
        if self.origin.scheme == "https":
            try:
                self._tunnel()  # type: ignore[attr-defined]  # http.client has no other way to it
            except OSError as error:
                if "407" in str(error):
                    raise proxy_failed(self._url, NO_ADMISSION) from None
                raise
        assert self.sock
        return self.sock

    def ask(self, exchange: Exchange, method: str, target: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request and return the answer, of which the body is not read yet."""
        self._exchange = exchange
        patience = exchange.limits.read
        self.response_class = functools.partial(MeteredAnswer, exchange=exchange, patience=patience)  # type: ignore[assignment]
        if self.sock:
            self.sock.settimeout(min(patience, exchange.remaining()))
        if self._proxy and self.origin.scheme == "http":
            target = f"http://{self._authority()}{target}"
            headers = {**headers, **self._proxy.headers}
        self.request(method, target, headers=headers)
        return self.getresponse()

    def _authority(self) -> str:
        host = f"[{self.origin.host}]" if ":" in self.origin.host else self.origin.host
        return host if self.origin.port == _PORTS[self.origin.scheme] else f"{host}:{self.origin.port}"

    @property
    def _url(self) -> str:
        return f"{self.origin.scheme}://{self._authority()}/"

    @property
    def is_dropped(self) -> bool:
        """Whether the server has ended the connection while nobody used it."""
        return self.sock is None or wait_for_read(self.sock, timeout=0.0)


def proxy_failed(url: str, message: str) -> DownloadFailed:
    """Return the error for a proxy that is of no use, which is no fault of the server behind it."""
    return DownloadFailed(url, "proxy", f"The proxy for downloads {message}")


def _check_names(origin: Origin, exchange: Exchange) -> None:
    """Refuse a host that only has addresses which the policy does not admit; names that are not known here may be to
    the proxy."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return
    reasons = [check_address(exchange.policy, str(address[0])) for *_, address in found]
    if reasons and all(reasons):
        raise BlockedUrl(origin.host, next(filter(None, reasons)))


class Connections:
    """Connections that wait for their next request; those of the least recently used servers are closed first.

    :param most: how many may wait
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._count = 0
        self._waiting: dict[Origin, list[Connection]] = {}
        self._lock = threading.Lock()

    def take(self, origin: Origin) -> Connection | None:
        """Return a connection that is still alive, as far as one can tell, or None."""
        while True:
            with self._lock:
                waiting = self._waiting.get(origin)
                if not waiting:
                    return None
                connection = waiting.pop()
                self._count -= 1
                if not waiting:
                    del self._waiting[origin]
            if not connection.is_dropped:
                return connection
            connection.close()

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next request to its server."""
        with self._lock:
            waiting = self._waiting.pop(connection.origin, [])
            waiting.append(connection)
            self._waiting[connection.origin] = waiting  # now the last one
            self._count += 1
            surplus = self._oldest() if self._count > self._most else None
        if surplus:
            surplus.close()

    def _oldest(self) -> Connection:
        origin, waiting = next(iter(self._waiting.items()))
        if len(waiting) == 1:
            del self._waiting[origin]
        self._count -= 1
        return waiting.pop(0)

    def close(self) -> None:
        """Close all connections that wait."""
        with self._lock:
            waiting = [each for connections in self._waiting.values() for each in connections]
            self._waiting.clear()
            self._count = 0
        for connection in waiting:
            with contextlib.suppress(OSError):  # an error of a socket that nobody needs any more
                connection.close()
