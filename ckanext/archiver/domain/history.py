"""What a check makes of the archival of a resource: the latest attempt, as other extensions print it, and beside it
the confirmed verdict.

One failed attempt is not yet a broken link: a link is *suspect* from its first failure on, and broken when enough tries
failed over enough time. What says nothing for certain (a site that keeps robots out, a file that is too large) makes it
*unsure*. A fault of our own changes nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from ckanext.relay.errors import redact

from . import status
from .cause import Cause, Weight, weight
from .link import Previous
from .verdict import Verdict

OK, BROKEN, UNSURE = "ok", "broken", "unsure"

_OWN = frozenset({Cause.OWN_FAULT, Cause.DISK})

#: A link is not asked again earlier than this, however it stands.
SHORTEST = datetime.timedelta(minutes=15)
#: After how long a broken or unsure link is asked again at first.
A_DAY = datetime.timedelta(days=1)

#: Columns by which the search index or a page shows a link differently; the counters and times are not among them.
SHOWN = ("is_broken", "reason", "verdict", "cause", "url_redirected_to", "cache_url", "size", "mimetype", "hash")


@dataclasses.dataclass(frozen=True)
class Confirm:
    """When a link that fails is broken: after so many failed tries that are spread over so many hours."""

    tries: int
    hours: float


@dataclasses.dataclass(frozen=True)
class Copy:
    """What is known of a file after a good answer; None where there is nothing, as for a link that is only checked.

    :ivar cache_filepath: absolute path of the copy, or of the upload
    :ivar cache_url: where people get the copy
    :ivar size: bytes
    :ivar hash: SHA-1, in hexadecimal
    """

    cache_filepath: str | None = None
    cache_url: str | None = None
    size: int | None = None
    mimetype: str | None = None
    hash: str | None = None
    sha256: str | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a check found beside its verdict.

    :ivar checked_url: URL of the resource
    :ivar redirects: status and target of each redirect that was followed
    :ivar copy: of a good answer; None: what is known of the file stays as it is
    """

    checked_url: str
    redirects: tuple[tuple[int, str], ...] = ()
    copy: Copy | None = None


def record(
    previous: Previous | None, verdict: Verdict, facts: Facts, now: datetime.datetime, confirm: Confirm
) -> dict[str, Any]:
    """Return the columns of the archival that a check changes, with their new values. The others stay as they are.

    :param now: UTC, naive
    """
    is_broken = status.is_broken(verdict.status_id)
    columns: dict[str, Any] = {
        "status_id": verdict.status_id,
        "is_broken": is_broken,
        "reason": redact(verdict.reason),
        "url_redirected_to": redact(verdict.url_redirected_to) if verdict.url_redirected_to else None,
        "updated": now,
        "cause": verdict.cause.value if verdict.cause else None,
        "checked_url": facts.checked_url,
        "redirects": [[code, redact(url)] for code, url in facts.redirects],
    }
    if is_broken is False:
        columns |= {"last_success": now, "first_failure": None, "failure_count": 0}
        if facts.copy is not None:
            columns |= dataclasses.asdict(facts.copy)
    elif previous is None or previous.is_broken is False:
        columns |= {"first_failure": now, "failure_count": 1}
    else:
        columns |= {"first_failure": previous.first_failure or now, "failure_count": previous.failure_count + 1}
    if facts.copy is None and previous and previous.checked_url not in (None, facts.checked_url):
        columns |= dataclasses.asdict(Copy())  # what there is is a copy of another URL
    return columns | _confirmed(previous, verdict, facts, now, confirm)


def _confirmed(
    previous: Previous | None, verdict: Verdict, facts: Facts, now: datetime.datetime, confirm: Confirm
) -> dict[str, Any]:
    """Return the confirmed verdict and how suspect the link is."""
    is_broken = status.is_broken(verdict.status_id)
    if is_broken is False:
        return _stands(OK)
    before = previous or Previous()
    if before.checked_url not in (None, facts.checked_url):
        before = Previous()  # what was found of another URL says nothing of this one
    if verdict.cause in _OWN:
        return _stands(before.verdict or UNSURE, before.suspect_since, before.suspect_count)
    kind = _weight(verdict.cause, is_broken)
    if kind is Weight.NEVER:
        return _stands(UNSURE, before.suspect_since, before.suspect_count)
    since, count = before.suspect_since or now, before.suspect_count + 1
    enough = count >= confirm.tries and now - since >= datetime.timedelta(hours=confirm.hours)
    if kind is Weight.IMMEDIATE or enough:
        return _stands(BROKEN, since, count)
    return _stands(before.verdict, since, count)


def _stands(verdict: str | None, since: datetime.datetime | None = None, count: int = 0) -> dict[str, Any]:
    return {"verdict": verdict, "suspect_since": since, "suspect_count": count}


def _weight(cause: Cause | None, is_broken: bool | None) -> Weight:
    if cause is None:  # other extensions record what they find without one
        return Weight.CONFIRM if is_broken else Weight.NEVER
    return weight(cause)


def is_suspect(columns: Mapping[str, Any]) -> bool:
    """Return whether the latest attempt was a failed try and it is not yet sure that the link is broken.

    :param columns: as :func:`record` returns them
    """
    if columns["suspect_since"] is None or columns["verdict"] == BROKEN:
        return False
    cause = Cause(columns["cause"]) if columns["cause"] else None
    return _weight(cause, columns["is_broken"]) is Weight.CONFIRM


def next_check(columns: Mapping[str, Any], age: datetime.timedelta, confirm: Confirm) -> datetime.datetime:
    """Return when a link is to be asked again unless somebody asks for it before. UTC, naive.

    :param columns: as :func:`record` returns them
    :param age: after how long a link that is well is asked again
    """
    now: datetime.datetime = columns["updated"]
    if is_suspect(columns):
        # so that the tries that are left are spread over the time that is left
        left = columns["suspect_since"] + datetime.timedelta(hours=confirm.hours) - now
        return now + min(age, max(SHORTEST, left / max(1, confirm.tries - columns["suspect_count"])))
    if columns["verdict"] == OK and columns["is_broken"] is False:
        return now + age
    # at growing distances: what has just failed may soon be mended
    return now + min(age, max(A_DAY, now - (columns.get("first_failure") or now)))


def shows(before: Mapping[str, Any] | None, columns: Mapping[str, Any]) -> bool:
    """Return whether pages and search index show a resource differently after a check.

    :param before: the columns of its archival before it; None: there was none
    :param columns: as :func:`record` returns them
    """
    return before is None or any(name in columns and columns[name] != before[name] for name in SHOWN)
