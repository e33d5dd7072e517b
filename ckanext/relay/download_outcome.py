"""What a download comes to: a ``Download``, or a ``DownloadFailed`` that says of which kind the trouble is."""

from __future__ import annotations

import http.client
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import requests.exceptions

from .body import TooManyBytes
from .errors import RemoteError
from .headers import printable
from .transport import BlockedUrl, BodyTooLarge, DeadlineExceeded, Limits

#: status of each redirect, and where it led
Redirects = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Download:
    """What a server answered.

    :ivar url: that answered in the end, without user and password
    :ivar status: of HTTP; 304 also stands for a 200 with the ETag that was sent along, and 200 for a file by FTP
    :ivar reason: the phrase beside the status
    :ivar headers: names in lower case, values printable; of several of one name the first
    :ivar size: bytes of the whole body, unpacked; None if it was not read to its end
    :ivar sha1: hexadecimal; None if there is no file, as with ``sha256`` and ``path``
    :ivar head: the first 64 KiB of the body, unpacked
    :ivar path: file with the whole body, which now belongs to the caller
    :ivar method: ``GET`` or ``HEAD``, or by FTP ``RETR`` or ``LIST``
    :ivar retry_after: after how many seconds the server wants to be asked again
    """

    url: str
    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    redirects: Redirects = ()
    size: int | None = None
    sha1: str | None = None
    sha256: str | None = None
    head: bytes = b""
    path: str | None = None
    method: str = "GET"
    retry_after: float | None = None


class DownloadFailed(RemoteError):
    """There is no answer, or none that is taken.

    :ivar kind: ``dns``, ``connect``, ``tls``, ``tls_expired``, ``tls_hostname``, ``tls_untrusted`` (signed by itself or
        by nobody we know), ``tls_chain`` (perhaps only a certificate in between is missing), ``timeout``,
        ``invalid_http``, ``incomplete``, ``redirect_loop``, ``unknown_encoding``, ``blocked_address``, ``too_large``,
        ``ftp_missing``, ``ftp_refused`` or ``proxy``
    :ivar redirects: as far as it got
    :ivar seconds: which limit was exceeded, if time is the trouble
    :ivar is_deadline: whether it was the limit of the whole download
    :ivar size: bytes as far as is known, if size is the trouble
    :ivar status: of an FTP reply
    """

    def __init__(
        self,
        url: str,
        kind: str,
        message: str,
        *,
        seconds: float | None = None,
        size: int | None = None,
        status: int | None = None,
        is_deadline: bool = False,
    ) -> None:
        super().__init__(url, message)
        self.kind = kind
        self.seconds = seconds
        self.size = size
        self.status = status
        self.is_deadline = is_deadline
        self.redirects: Redirects = ()


class TimedOut(Exception):
    """A server was silent for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:g} s")
        self.seconds = seconds


#: what goes wrong on the way, which ``failed`` makes a ``DownloadFailed`` of
TROUBLE = (
    OSError,
    EOFError,
    UnicodeError,
    http.client.HTTPException,
    requests.exceptions.RequestException,
    zlib.error,
    TimedOut,
    TooManyBytes,
)
_CERTIFICATE_KINDS = {10: "tls_expired", 20: "tls_chain", 21: "tls_chain", 62: "tls_hostname", 64: "tls_hostname"}


def failed(url: str, error: BaseException, limits: Limits, connected: bool) -> DownloadFailed:
    """Return what an error of ``TROUBLE`` means.

    :param connected: whether the server had been reached
    """
    match error:
        case BlockedUrl():
            return DownloadFailed(url, "blocked_address", str(error))
        case DeadlineExceeded():
            message = f"Not done after {limits.total:g} s"
            return DownloadFailed(url, "timeout", message, seconds=limits.total, is_deadline=True)
        case TimedOut(seconds=seconds):
            return DownloadFailed(url, "timeout", f"Silent for {seconds:g} s", seconds=seconds)
        case TimeoutError():
            return DownloadFailed(url, "timeout", f"Silent for {limits.read:g} s", seconds=limits.read)
        case BodyTooLarge(limit=size) | TooManyBytes(size=size):
            return DownloadFailed(url, "too_large", f"At least {size} bytes", size=size)
        case socket.gaierror():
            return DownloadFailed(url, "dns", f"The name of the server is not known ({error.strerror})")
        case ssl.SSLCertVerificationError():
            kind = _CERTIFICATE_KINDS.get(error.verify_code, "tls_untrusted")
            return DownloadFailed(url, kind, f"The certificate is not accepted: {error.verify_message}")
        case EOFError() | http.client.IncompleteRead() | http.client.RemoteDisconnected():
            return DownloadFailed(url, "incomplete", "The connection ended before the answer did")
        case zlib.error():
            return DownloadFailed(url, "invalid_http", "The body is not compressed as its header says")
        case http.client.HTTPException() | UnicodeError() | requests.exceptions.RequestException():
            return DownloadFailed(url, "invalid_http", _printable(error))
        case OSError() if connected:
            return DownloadFailed(
                url, "incomplete", f"The connection broke before the answer ended: {_printable(error)}"
            )
        case ssl.SSLError():
            return DownloadFailed(url, "tls", f"No TLS connection: {(error.reason or 'ended early').replace('_', ' ')}")
        case _:
            return DownloadFailed(url, "connect", _printable(error))


def _printable(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(text)[:200]


def shown_url(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url
