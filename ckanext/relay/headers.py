"""Headers of answers, as servers write them."""

from __future__ import annotations

from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime

_LONGEST_WAIT = 7 * 86400.0


def plain_headers(message: Message) -> dict[str, str]:
    """Return headers with names in lower case; of several of one name the first."""
    headers: dict[str, str] = {}
    for name, value in message.items():
        headers.setdefault(name.lower(), printable(value))
    return headers


def printable(text: str) -> str:
    """Return a text without control characters, which a database may not take."""
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())


def is_known(etag: str | None, asked: str | None) -> bool:
    """Return whether a server that sends a file sends the one that we said we have; not all of them look."""
    if not etag or not asked:
        return False
    return etag.removeprefix("W/") in {asked, *(each.strip().removeprefix("W/") for each in asked.split(","))}


def both_spellings(etag: str) -> str:
    """Return an ETag for ``If-None-Match``, with the one beside it that Apache compares.

    It calls the packed form of ``"a"`` ``"a-gzip"``, but does not know it again.
    """
    return f'{etag}, {etag[:-6]}"' if etag.endswith('-gzip"') and "," not in etag else etag


def first_number(text: str | None) -> int | None:
    """Return the first of the numbers with commas between them, or None if it is none."""
    first = (text or "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) < 20 else None


def retry_after(text: str | None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, a week at most; None if it says nothing that one can read."""
    if not text:
        return None
    seconds: float | None = first_number(text)
    if seconds is None:
        try:
            then = parsedate_to_datetime(text)
            seconds = (then.replace(tzinfo=then.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)
