"""What went wrong with a link, in words for machines; status and reason say it to people."""

from __future__ import annotations

import enum
import re


class Cause(str, enum.Enum):
    """Why a link is not known to be fine; the values are stored. ``Cause("http_404")`` makes the one of a status."""

    URL_INVALID = "url_invalid"
    UPLOAD_MISSING = "upload_missing"
    # the way to the server
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TLS_EXPIRED = "tls_expired"
    TLS_HOSTNAME = "tls_hostname"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_CHAIN = "tls_chain"
    TIMEOUT = "timeout"
    # how it talks; http_<status> belongs here
    INVALID_HTTP = "invalid_http"
    INCOMPLETE = "incomplete"
    REDIRECT_LOOP = "redirect_loop"
    FTP_MISSING = "ftp_missing"
    FTP_REFUSED = "ftp_refused"
    # what it sends
    EMPTY = "empty"
    API_ERROR = "api_error"
    SOFT_404 = "soft_404"
    HTML_INSTEAD_OF_DATA = "html_instead_of_data"
    SERVICE_INVALID = "service_invalid"
    UNKNOWN_ENCODING = "unknown_encoding"
    # what we do not do, or failed to do
    BLOCKED_ADDRESS = "blocked_address"
    TOO_LARGE = "too_large"
    EXTERNAL_UPLOAD = "external_upload"
    OWN_FAULT = "own_fault"
    DISK = "disk"

    # what is stored, shown and looked up is the value, with every release of Python
    __hash__ = str.__hash__
    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]

    @classmethod
    def _missing_(cls, value: object) -> Cause | None:
        if not isinstance(value, str) or not re.fullmatch(r"http_[1-9][0-9]{2}", value):
            return None
        member = str.__new__(cls, value)
        member._name_, member._value_ = value.upper(), value
        # the same object each time, as with all members
        known: Cause = cls._value2member_map_.setdefault(value, member)  # type: ignore[assignment]
        return known


class Weight(enum.Enum):
    """What a failure of this kind does to the confirmed verdict."""

    IMMEDIATE = "immediate"
    """It will not get better: broken at once."""
    CONFIRM = "confirm"
    """Broken after several tries over some time."""
    NEVER = "never"
    """It says nothing about the file, or is our own doing: unsure, however often."""


#: true for every link of the host
HOST_LEVEL = frozenset(
    {
        Cause.DNS,
        Cause.CONNECT,
        Cause.TLS,
        Cause.TLS_EXPIRED,
        Cause.TLS_HOSTNAME,
        Cause.TLS_UNTRUSTED,
        Cause.TLS_CHAIN,
    }
)

_NEVER = frozenset(
    {
        Cause.TLS_CHAIN,  # browsers find the missing certificate on their own
        Cause.FTP_REFUSED,
        Cause.HTML_INSTEAD_OF_DATA,
        Cause.SERVICE_INVALID,
        Cause.UNKNOWN_ENCODING,
        Cause.BLOCKED_ADDRESS,
        Cause.TOO_LARGE,
        Cause.EXTERNAL_UPLOAD,
        Cause.OWN_FAULT,
        Cause.DISK,
        # 202: not ready yet, or a riddle for browsers; the others say that we may not, or not now
        *(Cause(f"http_{status}") for status in (202, 401, 402, 403, 407, 408, 425, 429, 451)),
    }
)


def http(status: int) -> Cause:
    """Return the cause of an HTTP status, 100 to 999."""
    return Cause(f"http_{status}")


def weight(cause: Cause) -> Weight:
    """Return what a failure with this cause does to the confirmed verdict."""
    if cause is Cause.URL_INVALID:
        return Weight.IMMEDIATE
    return Weight.NEVER if cause in _NEVER else Weight.CONFIRM
