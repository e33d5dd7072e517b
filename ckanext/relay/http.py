"""The one door through which this portal fetches from, and sends to, other machines.

``guarded_session`` makes a ``requests.Session`` that third-party code may use as any other one. It

* connects only to addresses that the policy admits, judged at the moment of connecting, on each redirect anew;
* ends each request, with its redirects, retries and body, at one deadline, even if the server sends a byte now and then
  (only the look-up of a name is left to the time limits of the system's resolver);
* takes no more than a set number of bytes, as sent or unpacked (``response.raw`` is limited as sent only);
* tries GET and HEAD again when the connection fails or the server is busy, and does as ``Retry-After`` says;
* keeps secret headers and cookies from other servers that it is redirected to, and uses no proxy.

It raises errors of ``requests``, as its users expect. ``relay_errors`` turns them into those of ``relay.errors``.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from typing import Any

import requests
import requests.exceptions as session_errors
import urllib3.exceptions as pool_errors
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from .errors import (
    AddressBlocked,
    AnswerInvalid,
    AnswerTooLarge,
    ConfigurationError,
    RelayError,
    RemoteError,
    RemoteStatus,
    RemoteTimeout,
    RemoteUnavailable,
    TooManyRedirects,
    is_secret_key,
    redact,
)
from .ssrf import AddressPolicy, Reason, check_address, check_url


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


# urllib3 logs the paths it asks for and retries, and secrets may be among their parameters.
for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Redacting())

_PIECE = 64 * 1024
_HEADER_BYTES = 64 * 1024


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
def _unpacked(request: requests.PreparedRequest | None) -> Iterator[None]:
    try:
        yield
    except _PastUrllib3 as carrier:
        carrier.error.request = request
        raise carrier.error from None


@dataclass(frozen=True)
class _Exchange:
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
_exchange: ContextVar[_Exchange] = ContextVar("_exchange")


class _MeteredReader(io.RawIOBase):
    """Reads from a socket, but not past the deadline and not more than the limit."""

    def __init__(self, source: io.RawIOBase, sock: socket.socket, exchange: _Exchange, patience: float) -> None:
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


class _MeteredAnswer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, exchange: _Exchange, patience: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_MeteredReader(self.fp.detach(), sock, exchange, patience), _PIECE)


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Look the name up and connect to the first address that is admitted and answers."""
        exchange = _exchange.get()
        try:
            found = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise pool_errors.NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise _PastUrllib3(session_errors.InvalidURL(f"{self.host!r} cannot be a host name")) from error
        failure: Exception | None = None
        for family, kind, protocol, _, address in found:
            reason = check_address(exchange.policy, str(address[0]))
            if reason:
                # a failure to connect to an admitted address says more than that there are others
                failure = failure or _PastUrllib3(BlockedUrl(self.host, reason))
                continue
            try:
                return self._connected(socket.socket(family, kind, protocol), address, exchange)
            except TimeoutError as error:
                exchange.remaining()
                failure = pool_errors.ConnectTimeoutError(self, f"No connection to {self.host} in {self.timeout:g} s")
                failure.__cause__ = error
            except OSError as error:
                failure = pool_errors.NewConnectionError(self, f"No connection to {self.host}: {error}")
                failure.__cause__ = error
        raise failure or pool_errors.NewConnectionError(self, f"{self.host} has no address")

    def _connected(self, sock: socket.socket, address: Any, exchange: _Exchange) -> socket.socket:
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            patience = self.timeout or exchange.limits.connect
            sock.settimeout(min(patience, exchange.remaining()))
            sock.connect(address)
            sock.settimeout(min(patience, exchange.remaining()))  # for the TLS handshake
        except BaseException:
            sock.close()
            raise
        return sock

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
        self.response_class = functools.partial(_MeteredAnswer, exchange=exchange, patience=patience)  # type: ignore[assignment]
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
        with _unpacked(self.request):
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


class _GuardedAdapter(HTTPAdapter):
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


class GuardedSession(requests.Session):
    """A ``requests.Session`` that goes only where it may and stops when it should.

    A ``timeout`` given to a request can only shorten the limits. Settings of the environment do not count, but for
    ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE``.
    """

    def __init__(self, policy: AddressPolicy, limits: Limits) -> None:
        super().__init__()
        self.policy = policy
        self.limits = limits
        self.max_redirects = limits.redirects
        self.trust_env = False
        bundles = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
        self.verify = next(filter(None, bundles), True)
        self.headers["Accept-Encoding"] = "gzip, deflate"
        adapter = _GuardedAdapter(limits)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, or the next one of a redirect.

        :raises BlockedUrl: the policy does not admit it
        :raises DeadlineExceeded: it took too long
        :raises BodyTooLarge: the answer has more bytes than the limit
        """
        url = request.url or ""
        reason = check_url(self.policy, url)
        if reason:
            raise BlockedUrl(url, reason)
        timeout = kwargs.get("timeout")
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        kwargs["timeout"] = (_shorter(connect, self.limits.connect), _shorter(read, self.limits.read))
        with self._exchange_begun(), _unpacked(request):
            return super().send(request, **kwargs)

    @contextlib.contextmanager
    def _exchange_begun(self) -> Iterator[None]:
        deadline = time.monotonic() + self.limits.total
        outer = _exchange.get(None)
        if outer:  # a redirect, which shares the time of the first request
            deadline = min(deadline, outer.deadline)
        token = _exchange.set(_Exchange(self.policy, self.limits, deadline))
        try:
            yield
        finally:
            _exchange.reset(token)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take away from a redirected request what only the first server may see."""
        url = str(prepared_request.url)
        senders = (response.history[0] if response.history else response, response)
        if not any(self.should_strip_auth(sender.request.url, url) for sender in senders):
            return
        for name in [name for name in prepared_request.headers if is_secret_key(name)]:
            del prepared_request.headers[name]
        # Cookies set by hand name no domain and would go anywhere; those set by a server know where they belong.
        cookies = RequestsCookieJar()
        for cookie in prepared_request._cookies or ():  # type: ignore[attr-defined]  # requests has no other way to it
            if cookie.domain:
                cookies.set_cookie(cookie)
        prepared_request.prepare_cookies(cookies)


def _shorter(seconds: float | None, limit: float) -> float:
    return limit if seconds is None else min(seconds, limit)


def guarded_session(
    policy: AddressPolicy,
    limits: Limits = Limits(),  # noqa: B008  # it is frozen
    headers: Mapping[str, str] | None = None,
    user_agent: str | None = None,
) -> GuardedSession:
    """Return a session for one peer or one unit of work; close it, or use it as a context manager.

    :param policy: which addresses it may connect to
    :param limits: how much each request may take
    :param headers: sent with each request, to whichever server it goes
    :param user_agent: how the portal presents itself
    """
    session = GuardedSession(policy, limits)
    session.headers.update({"User-Agent": user_agent or "ckanext-relay", **(headers or {})})
    return session


# What the errors of requests and urllib3 mean; the nearest base class in this table counts. A test holds it complete.
_MEANINGS: dict[type[BaseException], type[RelayError]] = {
    kind: meaning
    for meaning, kinds in {
        RemoteUnavailable: (
            session_errors.ConnectionError,
            session_errors.ChunkedEncodingError,
            session_errors.RetryError,
            pool_errors.PoolError,
            pool_errors.ProtocolError,
            pool_errors.IncompleteRead,
            pool_errors.InvalidChunkLength,
            pool_errors.NewConnectionError,
            pool_errors.ResponseError,
            pool_errors.SSLError,
        ),
        RemoteTimeout: (session_errors.Timeout, session_errors.ConnectTimeout, pool_errors.TimeoutError),
        TooManyRedirects: (session_errors.TooManyRedirects,),
        AnswerInvalid: (
            session_errors.ContentDecodingError,
            session_errors.InvalidJSONError,
            pool_errors.DecodeError,
            pool_errors.HeaderParsingError,
            pool_errors.InvalidHeader,
        ),
        AddressBlocked: (
            session_errors.InvalidSchema,
            session_errors.InvalidURL,
            session_errors.MissingSchema,
            session_errors.URLRequired,
            pool_errors.LocationValueError,
        ),
        ConfigurationError: (
            session_errors.InvalidHeader,
            session_errors.InvalidProxyURL,
            session_errors.ProxyError,
            pool_errors.ProxyError,
            pool_errors.ProxySchemeUnknown,
        ),
    }.items()
    for kind in kinds
}
# Mistakes in our own code, which nobody should take for trouble with the other side.
_BUGS = (
    session_errors.StreamConsumedError,
    session_errors.UnrewindableBodyError,
    pool_errors.BodyNotHttplibCompatible,
    pool_errors.HostChangedError,
    pool_errors.ResponseNotChunked,
    pool_errors.TimeoutStateError,
    pool_errors.UnrewindableBodyError,
)


@contextlib.contextmanager
def relay_errors(url: str) -> Iterator[None]:
    """Turn what ``requests`` and ``urllib3`` raise inside the block into a ``RelayError``.

    :param url: what is asked for, to be named in the error
    """
    try:
        with _unpacked(None):  # for those who read ``response.raw``
            yield
    except _BUGS:
        raise
    except (session_errors.RequestException, pool_errors.HTTPError) as error:
        # "from None": the original quotes the URL with its secrets
        raise _translated(url, error) from None


def _translated(url: str, error: BaseException) -> RelayError:
    if isinstance(error, BodyTooLarge):
        return AnswerTooLarge(url, error.limit)
    if isinstance(error, session_errors.HTTPError) and error.response is not None:
        return RemoteStatus(url, error.response.status_code)
    inner = error.reason if isinstance(error, pool_errors.MaxRetryError) else next(iter(error.args), None)
    if isinstance(inner, (session_errors.RequestException, pool_errors.HTTPError)):
        return _translated(url, inner)
    meaning = next((_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS), RemoteUnavailable)
    first, *others = error.args or (type(error).__name__,)
    message = " ".join([str(first), *(str(other) for other in others if repr(other) not in str(first))])
    return meaning(url, message) if issubclass(meaning, RemoteError) else meaning(f"{message} ({redact(url)})")


def get_text(
    session: requests.Session,
    url: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return the text at a URL, by the charset it declares, else UTF-8, else Latin 1.

    :raises RemoteStatus: the answer is an error
    :raises RelayError: there is no answer, or no acceptable one; see ``relay.errors``
    """
    return _decoded(_get(session, url, params, headers))


def get_json(
    session: requests.Session,
    url: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Return the parsed JSON at a URL.

    :raises AnswerInvalid: the answer is no JSON
    :raises RemoteStatus: the answer is an error
    :raises RelayError: there is no answer, or no acceptable one; see ``relay.errors``
    """
    response = _get(session, url, params, headers)
    text = _decoded(response)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("Content-Type", "no content type")
        start = "".join(c for c in " ".join(text[:400].split()) if c.isprintable())[:80]
        raise AnswerInvalid(url, f"Expected JSON, but got {kind}: {start!r}") from error


def _get(
    session: requests.Session, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> requests.Response:
    with relay_errors(url):
        response = session.get(url, params=params, headers=headers)
    if response.status_code >= 400:
        raise RemoteStatus(url, response.status_code)
    return response


def _decoded(response: requests.Response) -> str:
    declared = Message()
    declared["Content-Type"] = response.headers.get("Content-Type", "")
    charset = declared.get_content_charset() or "utf-8"
    content = response.content
    # the two text codecs of Python that take quadratic time
    if charset in ("punycode", "idna"):
        charset = "utf-8"
    try:
        return content.decode(charset).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        return content.decode("latin-1")
