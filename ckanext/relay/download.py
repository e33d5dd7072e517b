"""Fetching files from many servers at a time, to disk and at little cost.

``Downloader`` is the other half of the one door, beside the sessions of ``relay.http``: the same policy, asked about
each address at the moment of connecting to it and on each redirect anew; the same deadlines and limits. It tries
nothing again, as whoever checks thousands of links comes back later anyway. It talks through the standard library's
``http.client``, at a sixth of what ``requests`` costs.
"""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.cookiejar import CookieJar
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from requests.utils import requote_uri

from .body import HEAD_BYTES, PIECE, Body, StorageFailed, inflated
from .connections import NO_ADMISSION, Connection, Connections, Origin, Proxy, basic, proxy_failed, tls_context
from .download_outcome import TROUBLE, Download, DownloadFailed, Redirects, failed, shown_url
from .errors import redact
from .ftp import retrieve
from .headers import both_spellings, first_number, is_known, plain_headers, printable, retry_after
from .ssrf import AddressPolicy, check_url
from .transport import BlockedUrl, Exchange, Limits, unpacked

__all__ = ["Download", "DownloadFailed", "Downloader", "Limits", "StorageFailed"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: packed files whose packing some servers declare as one of the way; what people expect to get is the packed file
_PACKED_FILES = frozenset({"application/gzip", "application/x-gzip", "application/x-tgz", "application/x-gtar"})


class Downloader:
    """Downloads; any number of threads may share one. Close it, or use it as a context manager.

    :param policy: which addresses may be connected to
    :param limits: how much each download may take; ``tries`` and the pauses between them do not count
    :param user_agent: how the portal presents itself
    :param verify: whether the certificates of servers are verified
    :param proxy: address of an HTTP proxy for http and https, see ``Proxy``; FTP goes without
    :raises ConfigurationError: the proxy is none
    """

    def __init__(
        self,
        policy: AddressPolicy,
        limits: Limits,
        user_agent: str,
        verify: bool = True,
        proxy: str | None = None,
    ) -> None:
        self.policy = policy
        self.limits = limits
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"}
        self.proxy = Proxy.of(proxy) if proxy else None
        self.context = tls_context(verify)
        self.connections = Connections()

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that nobody uses; those in use are closed by their threads."""
        self.connections.close()

    def fetch(
        self,
        url: str,
        folder: str | None = None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        follow: bool = True,
        limits: Limits | None = None,
    ) -> Download:
        """Fetch what is at a URL, with any status.

        :param url: in ASCII, escaped; user and password in it are sent to this server only
        :param folder: where to write the body of a good answer (2xx); None: only its first 64 KiB are read
        :param method: GET or HEAD
        :param headers: sent with each request, but ``If-Modified-Since`` not to where a redirect leads
        :param max_bytes: a body of so many bytes or more is not taken, sent or unpacked, if it is to be written
        :param follow: whether redirects are followed
        :param limits: other ones than those of this downloader
        :raises DownloadFailed: there is no answer, or no complete one
        :raises StorageFailed: the file cannot be written
        """
        limits = limits or self.limits
        limits = replace(limits, body_bytes=max_bytes if max_bytes is not None else limits.body_bytes)
        exchange = Exchange(self.policy, limits, time.monotonic() + limits.total)
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise DownloadFailed(redact(url), "invalid_http", f"This is no URL: {error}") from None
        if parts.scheme == "ftp":
            return retrieve(url, folder, exchange)
        sent = {**self._headers, **(headers or {})}
        if "If-None-Match" in sent:
            sent["If-None-Match"] = both_spellings(sent["If-None-Match"])
        return _Chain(self, exchange, folder, method, sent).fetch(url, follow)


class _Chain:
    """One download with all its redirects."""

    def __init__(
        self, downloader: Downloader, exchange: Exchange, folder: str | None, method: str, headers: dict[str, str]
    ) -> None:
        self._downloader = downloader
        self._exchange = exchange
        self._folder = folder
        self._method = method
        self._headers = headers
        self._redirects: Redirects = ()
        self._cookies: CookieJar | None = None
        self._secret = False
        self._connected = False
        self._shown = ""

    def fetch(self, url: str, follow: bool) -> Download:
        seen = {(url, str(None))}
        while True:
            try:
                with unpacked(None):
                    answer = self._answer(url, follow)
                    if isinstance(answer, Download):
                        return answer
                    visit = (answer, str(self._cookies))
                    if visit in seen or len(self._redirects) > self._exchange.limits.redirects:
                        raise DownloadFailed(self._shown, "redirect_loop", "The server sends us on and on")
                    seen.add(visit)
            except DownloadFailed as error:
                error.redirects = self._redirects
                raise
            except TROUBLE as error:
                trouble = failed(self._shown, error, self._exchange.limits, self._connected)
                trouble.redirects = self._redirects
                # "from None": the original may quote the URL with its secrets
                raise trouble from None
            url = answer

    def _answer(self, url: str, follow: bool) -> Download | str:
        """Return what is at the URL, or where it leads."""
        parts = urlsplit(url)
        self._shown = shown_url(url)
        reason = check_url(self._exchange.policy, url)
        if reason:
            raise BlockedUrl(self._shown, reason)
        connection, response = self._asked(parts)
        try:
            if response.status == 407 and self._downloader.proxy:
                raise proxy_failed(self._shown, NO_ADMISSION)
            location = response.getheader("Location") if response.status in _REDIRECTS else None
            if location and follow:
                _drain(response)
                found: Download | str = self._next(url, response, location)
            else:
                found = self._taken(response)
            if response.isclosed() and connection.sock:  # the whole answer was read, and the server goes on
                self._downloader.connections.give(connection)
                return found
        except BaseException:
            response.close()
            connection.close()
            raise
        response.close()
        connection.close()
        return found

    def _asked(self, parts: SplitResult) -> tuple[Connection, http.client.HTTPResponse]:
        """Send the request, over a connection that waits for one if there is any."""
        origin = Origin.of(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = self._headers_for(parts)
        waiting = self._downloader.connections.take(origin)
        if waiting:
            try:
                return waiting, self._ask(waiting, target, headers)
            except TimeoutError:
                raise
            except (OSError, http.client.BadStatusLine):
                pass  # the server ended it just now, which it may; a new one will tell
        connection = Connection(origin, self._downloader.context, self._downloader.proxy)
        return connection, self._ask(connection, target, headers)

    def _ask(self, connection: Connection, target: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            return connection.ask(self._exchange, self._method, target, headers)
        except BaseException:
            connection.close()
            raise
        finally:
            self._connected = connection.is_established

    def _headers_for(self, parts: SplitResult) -> dict[str, str]:
        headers = self._headers
        credentials = basic(parts)
        if credentials:
            self._secret = True
            headers = {**headers, "Authorization": credentials}
        if self._cookies is not None:
            request = urllib.request.Request(self._shown)
            self._cookies.add_cookie_header(request)
            cookie = request.get_header("Cookie")
            headers = {**headers, "Cookie": cookie} if cookie else headers
        return headers

    def _next(self, url: str, response: http.client.HTTPResponse, location: str) -> str:
        """Note a redirect, and the cookies that some sites ask for when one comes back; return where it leads."""
        if response.msg.get("Set-Cookie"):
            self._cookies = CookieJar() if self._cookies is None else self._cookies
            self._cookies.extract_cookies(response, urllib.request.Request(self._shown))
        before = urlsplit(url)
        try:
            after = _where(url, location)
            same = before.hostname == after.hostname and (
                Origin.of(before) == Origin.of(after)
                or (before.port, after.port, after.scheme) == (None, None, "https")
            )
        except ValueError:
            raise DownloadFailed(self._shown, "invalid_http", "The server redirects to what is no URL") from None
        shown = urlunsplit(after)
        self._redirects += ((response.status, redact(shown) if self._secret else shown),)
        # a date says nothing about another file
        self._headers = {name: value for name, value in self._headers.items() if name != "If-Modified-Since"}
        user = before.netloc.rpartition("@")[0] if same else ""
        return urlunsplit(after._replace(netloc=f"{user}@{after.netloc}")) if user else shown

    def _taken(self, response: http.client.HTTPResponse) -> Download:
        """Read as much of the answer as is wanted."""
        headers = plain_headers(response.msg)
        status = response.status
        if status == 200 and is_known(headers.get("etag"), self._headers.get("If-None-Match")):
            status = 304
        folder = self._folder if 200 <= status < 300 and self._method == "GET" else None
        with Body(folder, self._exchange.limits.body_bytes) as body:
            if status == 304:
                _drain(response)
            else:
                self._read(response, headers, body)
            return Download(
                url=self._shown,
                status=status,
                reason=printable(response.reason)[:200],
                headers=headers,
                redirects=self._redirects,
                size=body.size if response.isclosed() and self._method == "GET" and status != 304 else None,
                sha1=body.sha1(),
                sha256=body.sha256(),
                head=body.head,
                path=body.path,
                method=self._method,
                retry_after=retry_after(headers.get("retry-after")),
            )

    def _read(self, response: http.client.HTTPResponse, headers: Mapping[str, str], body: Body) -> None:
        if response.length is None and not response.chunked:  # http.client does not read "5, 5"
            response.length = first_number(headers.get("content-length"))
        announced = response.length or 0
        if body.path and announced >= self._exchange.limits.body_bytes:
            raise DownloadFailed(self._shown, "too_large", f"{announced} bytes are announced", size=announced)
        try:
            with unpacked(None):
                body.take(self._pieces(response, headers))
        except (DownloadFailed, *TROUBLE):
            if response.status < 300:
                raise
            # the page that comes with an error may be as broken as it likes

    def _pieces(self, response: http.client.HTTPResponse, headers: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the body, unpacked if it was packed for the way."""
        coding = headers.get("content-encoding", "").strip().lower()
        if coding in ("", "identity", "none", "binary", "utf-8") or response.isclosed():
            return _sent(response)
        if coding not in ("gzip", "x-gzip", "deflate"):
            message = f"The server used Content-Encoding {coding[:50]!r} unasked"
            raise DownloadFailed(self._shown, "unknown_encoding", message)
        if headers.get("content-type", "").partition(";")[0].strip().lower() in _PACKED_FILES:
            return _sent(response)
        return inflated(_sent(response))


def _where(url: str, location: str) -> SplitResult:
    """Return where a redirect leads, in ASCII, without user, password and fragment.

    :raises ValueError: nowhere
    """
    with contextlib.suppress(UnicodeError):  # header values are read as Latin 1, but many are UTF-8
        location = location.encode("latin-1").decode("utf-8")
    parts = urlsplit(urljoin(url, location.strip()))
    host = parts.netloc.rpartition("@")[2]
    _ = parts.port  # is it a number?
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    return SplitResult(parts.scheme, host, requote_uri(parts.path), requote_uri(parts.query), "")


def _sent(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := response.read(PIECE):
        yield piece
    if response.length:  # http.client puts up with less than was announced
        raise http.client.IncompleteRead(b"", response.length)


def _drain(response: http.client.HTTPResponse) -> None:
    """Read a short body that nobody wants, if it is there already, so that the connection can be used again."""
    if response.length is not None and response.length <= HEAD_BYTES:
        with contextlib.suppress(OSError, http.client.HTTPException):  # then it cannot be used again
            response.read1(HEAD_BYTES)
            if response.length == 0:
                response.read(1)  # lets it notice that this was all
