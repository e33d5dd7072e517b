"""The machinery under ``relay.http``: connections that ask the policy, and that meter time and bytes.

``requests`` and ``urllib3`` do the talking; this module puts its own connections, retries and responses into them:
``GuardedAdapter`` → pools → ``_GuardedConnection`` → ``MeteredAnswer`` → ``MeteredReader``, which reads the socket.
``open_socket`` is where all of ``relay`` connects. Only ``relay.http``, ``relay.download`` and ``relay.ftp`` use it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import random
import socket
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import requests
import requests.exceptions as session_errors
import urllib3.exceptions as pool_errors
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from .errors import redact
from .ssrf import AddressPolicy, Reason, check_address


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


# urllib3 logs the paths it asks for and retries, and secrets may be among their parameters.
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Redacting())

_CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PIECE = 64 * 1024
_HEADER_BYTES = 64 * 1024


def ca_bundle() -> str | None:
    """Return the file or folder of certificates that the environment names, if it does; the first variable counts."""
    return next(filter(None, map(os.environ.get, _CA_BUNDLE_VARIABLES)), None)


@dataclass(frozen=True)
class Limits:
    """How much one request may take; seconds, unless they say bytes.

    :param connect: for one attempt to connect, TLS included
    :param read: for the server to send or take anything at all
    :param total: for the whole request: redirects, retries, the pauses between them, and the body
    :param body_bytes: of the body, as sent and as unpacked
    :param redirects: how many are followed
    :param tries: how often a GET or HEAD is sent at most
    :param backoff: the pause after the first failed try; it doubles from try to try
    :param backoff_max: the longest pause, unless the server asks for a longer one
    """

    connect: float = 10
    read: float = 60
    total: float = 300
    body_bytes: int = 64 * 1024 * 1024
    redirects: int = 5
    tries: int = 3
    backoff: float = 1
    backoff_max: float = 30


class BlockedUrl(session_errors.InvalidURL):
    """The policy admits no address of this URL."""

    def __init__(self, url: str, reason: Reason) -> None:
        super().__init__(f"{redact(url)} is refused: it {reason.value}")
        self.reason = reason


class BodyTooLarge(session_errors.RequestException):
    """The answer has more bytes than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The answer is larger than {limit} bytes")
        self.limit = limit


class DeadlineExceeded(session_errors.Timeout):
    """The request was not done at its deadline."""


class _PastUrllib3(Exception):
    """Carries an error through urllib3, which would take it (an OSError) for a broken connection and try again."""

    def __init__(self, error: session_errors.RequestException) -> None:
        self.error = error


@contextlib.contextmanager
def unpacked(request: requests.PreparedRequest | None) -> Iterator[None]:
    """Raise what urllib3 carried as the error of ``requests`` that it is."""
    try:
        yield
    except _PastUrllib3 as carrier:
        carrier.error.request = request
        raise carrier.error from None


@dataclass(frozen=True)
class Exchange:
    """One request with all its redirects and retries."""

    policy: AddressPolicy
    limits: Limits
    deadline: float  # by time.monotonic()

    def remaining(self) -> float:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise _PastUrllib3(DeadlineExceeded(f"Not done after {self.limits.total:g} seconds"))
        return seconds


# What requests calls through urllib3 cannot be handed down as arguments.
_exchange: ContextVar[Exchange] = ContextVar("_exchange")


@contextlib.contextmanager
def exchange_begun(policy: AddressPolicy, limits: Limits) -> Iterator[None]:
    """Let the connections of this thread know, within the block, what the request may do and when it has to end."""
    deadline = time.monotonic() + limits.total
    outer = _exchange.get(None)
    if outer:  # a redirect, which shares the time of the first request
        deadline = min(deadline, outer.deadline)
    token = _exchange.set(Exchange(policy, limits, deadline))
    try:
        yield
    finally:
        _exchange.reset(token)


class MeteredReader(io.RawIOBase):
    """Reads from a socket, but not past the deadline and not more than the limit."""

    def __init__(self, source: io.RawIOBase, sock: socket.socket, exchange: Exchange, patience: float) -> None:
        self._source = source
        self._sock = sock
        self._exchange = exchange
        self._patience = patience
        # Headers and the lengths of chunks count as well. The limit of the body itself is held by GuardedResponse.
        self._bytes_left = exchange.limits.body_bytes + _HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(self._patience, self._exchange.remaining()))
        try:
            count = self._source.readinto(buffer)
        except TimeoutError:
            self._exchange.remaining()  # was it the deadline?
            raise
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise _PastUrllib3(BodyTooLarge(self._exchange.limits.body_bytes))
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


class MeteredAnswer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, exchange: Exchange, patience: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(MeteredReader(self.fp.detach(), sock, exchange, patience), _PIECE)


def open_socket(
    host: str, port: int, exchange: Exchange, patience: float, options: Iterable[tuple[Any, ...]] = ()
) -> socket.socket:
    """Look a name up and connect to the first of its addresses that is admitted and answers.

    :param patience: how many seconds each address gets
    :param options: arguments of ``setsockopt``
    :raises socket.gaierror: the name is not known
    :raises TimeoutError: nobody answered
    :raises OSError: there is no connection for another reason
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _PastUrllib3(session_errors.InvalidURL(f"{host!r} cannot be a host name")) from error
    failure: Exception | None = None
    for family, kind, protocol, _, address in found:
        reason = check_address(exchange.policy, str(address[0]))
        if reason:
            # a failure to connect to an admitted address says more than that there are others
            failure = failure or _PastUrllib3(BlockedUrl(host, reason))
            continue
        try:
            return _connected(socket.socket(family, kind, protocol), address, exchange, patience, options)
        except OSError as error:
            exchange.remaining()  # was it the deadline?
            failure = error
    raise failure or OSError(f"{host} has no address")


def _connected(
    sock: socket.socket, address: Any, exchange: Exchange, patience: float, options: Iterable[tuple[Any, ...]]
) -> socket.socket:
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(min(patience, exchange.remaining()))
        sock.connect(address)
        sock.settimeout(min(patience, exchange.remaining()))  # for the TLS handshake
    except BaseException:
        sock.close()
        raise
    return sock


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        exchange = _exchange.get()
        patience = self.timeout or exchange.limits.connect
        try:
            return open_socket(self._dns_host, self.port, exchange, patience, self.socket_options or ())
        except socket.gaierror as error:
            raise pool_errors.NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            message = f"No connection to {self.host} in {self.timeout:g} s"
            raise pool_errors.ConnectTimeoutError(self, message) from error
        except OSError as error:
            raise pool_errors.NewConnectionError(self, f"No connection to {self.host}: {error}") from error

    def send(self, data: Any) -> None:
        """Send in small pieces, so that a server that takes them slowly is noticed."""
        if self.sock is None:
            self.connect()
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self.sock.settimeout(min(_exchange.get().limits.read, _exchange.get().remaining()))
            super().send(view[start : start + _PIECE])

    def getresponse(self) -> Any:
        exchange = _exchange.get()
        patience = self.timeout or exchange.limits.read
        # http.client only ever calls it
        self.response_class = functools.partial(MeteredAnswer, exchange=exchange, patience=patience)  # type: ignore[assignment]
        return super().getresponse()


class _GuardedTLSConnection(_GuardedConnection, HTTPSConnection):
    pass


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class _PatientRetry(Retry):
    """Pauses from the first retry on, never past the deadline."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (pool_errors.InvalidHeader, ValueError, OverflowError):
            return None  # the server said nothing that can be understood

    def get_backoff_time(self) -> float:
        pause = self.backoff_factor * 2 ** (len(self.history) - 1)
        return float(min(pause, self.backoff_max) * random.uniform(0.5, 1))

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        retry = super().increment(method, url, response, *args, **kwargs)
        pause = response and retry.get_retry_after(response)
        if pause and pause >= _exchange.get().remaining():
            # makes urllib3 hand out the answer as it is: the caller may come back that late, we cannot
            raise pool_errors.MaxRetryError(kwargs["_pool"], url, pool_errors.ResponseError("Retry-After is too late"))
        return retry

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        pause = (response and self.get_retry_after(response)) or self.get_backoff_time()
        time.sleep(min(pause, _exchange.get().remaining()))


class GuardedResponse(requests.Response):
    """A response whose body ends with an error where the limit is reached."""

    body_bytes = Limits.body_bytes

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """Yield the body in pieces of at most ``chunk_size`` bytes, and of 64 KiB at most.

        :raises BodyTooLarge: the body has more bytes than the limit
        :raises DeadlineExceeded: it did not come in time
        """
        # None if unknown, 0 if no body comes: after HEAD, whatever its Content-Length
        announced: int | None = getattr(self.raw, "length_remaining", None)
        # Codings that we did not ask for, and whose unpacking may take any amount of memory.
        coding = self.headers.get("Content-Encoding", "").lower()
        if announced != 0 and ("," in coding or coding.strip() in ("br", "zstd")):
            raise session_errors.ContentDecodingError(f"Content-Encoding {coding!r} is not supported", response=self)
        pieces = super().iter_content(min(chunk_size or _PIECE, _PIECE), decode_unicode)
        return self._limited(pieces, announced or 0)

    def _limited(self, pieces: Iterator[Any], announced: int) -> Iterator[Any]:
        taken = 0
        with unpacked(self.request):
            if announced <= self.body_bytes:
                for piece in pieces:
                    taken += len(piece)
                    if taken > self.body_bytes:
                        break
                    yield piece
                else:
                    return
        self.close()  # the connection is of no more use
        raise BodyTooLarge(self.body_bytes)


class GuardedAdapter(HTTPAdapter):
    """Lets a session connect, try again and answer within the limits, inside ``exchange_begun``."""

    def __init__(self, limits: Limits) -> None:
        self._body_bytes = limits.body_bytes
        super().__init__(
            max_retries=_PatientRetry(
                total=limits.tries - 1,
                other=0,  # TLS trouble: a bad certificate will not get better
                allowed_methods={"GET", "HEAD"},
                status_forcelist={429, 502, 503, 504},
                backoff_factor=limits.backoff,
                backoff_max=limits.backoff_max,
                raise_on_status=False,
            )
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        raise session_errors.ProxyError("A proxy would connect to any address, so none may be used")

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = GuardedResponse()
        vars(response).update(vars(super().build_response(req, resp)))
        response.body_bytes = self._body_bytes
        return response
