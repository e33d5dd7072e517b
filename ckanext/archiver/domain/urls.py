"""URLs as people write them, made into ones that can be asked for."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

SCHEMES = ("http", "https", "ftp")

# what may stand as it is; all of it is ASCII
_PATH_SAFE = "!$%&'()*+,/:;=@~[]"
_QUERY_SAFE = _PATH_SAFE + "?|{}\\^`"
# Letters that the older standard for names, the one that Python knows, changes into others.
_DEVIATIONS = re.compile("[ßς\u200c\u200d]")
_LABEL = re.compile("[a-z0-9_-]{1,63}")


class UrlInvalid(ValueError):
    """Nobody could ask for this URL; the text is the reason to be recorded."""


def tidy(url: str) -> str:
    """Return a URL as it is sent: in ASCII, with what must be escaped escaped once, and without a fragment.

    Escapes that are there already stay, and nothing else is changed that could matter to a server.

    :raises UrlInvalid: it has no scheme that we know, no host, or a part that cannot be
    """
    # browsers take out line breaks and tabs wherever they are, too
    url = re.sub(r"[\t\r\n]", "", url.strip().strip("\ufeff\u200b").strip())
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise UrlInvalid(f"URL parsing failure: {error}") from None
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise UrlInvalid("URL parsing failure: it has a control character in it")
    if parts.scheme not in SCHEMES:
        raise UrlInvalid(f"Invalid url scheme. Please use one of: {' '.join(SCHEMES)}")
    if not host:
        raise UrlInvalid("URL parsing failure - did not find a host name")
    path = _without_dots(_escaped(parts.path, _PATH_SAFE)) or "/"
    query = _escaped(parts.query, _QUERY_SAFE)
    return urlunsplit((parts.scheme, _authority(parts, _ascii_host(host), port), path, query, ""))


def _authority(parts: SplitResult, host: str, port: int | None) -> str:
    user_info = parts.netloc.rpartition("@")[0]
    usual = {"http": 80, "https": 443, "ftp": 21}[parts.scheme]
    return "".join(
        [
            f"{_escaped(user_info, _PATH_SAFE)}@" if user_info else "",
            host,
            "" if port in (None, usual) else f":{port}",
        ]
    )


def _escaped(text: str, safe: str) -> str:
    """Escape what may not stand in a URL; a ``%`` that begins no escape is one of those."""
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text), safe=safe, errors="replace")


def _without_dots(path: str) -> str:
    """Take ``.`` and ``..`` out of a path, as browsers do before they ask."""
    if "/." not in path or path.startswith("//"):
        return path
    return urlsplit(urljoin("http://host/", path)).path


def _ascii_host(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        labels = [_ascii_label(label) for label in re.split("[.\u3002\uff0e\uff61]", host.removesuffix("."))]
    except UnicodeError:
        labels = []
    name = ".".join(labels)
    if not labels or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlInvalid(f"URL parsing failure: {host[:253]!r} cannot be a host name")
    return name


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    if _DEVIATIONS.search(label):
        return "xn--" + label.lower().encode("punycode").decode("ascii")
    return label.encode("idna").decode("ascii").lower()
