"""A link that is to be checked, with what is known of it from the last time."""

from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True)
class Previous:
    """What a check needs to know of the archival of a resource as it stands before. Times are UTC, naive.

    :ivar is_broken: by the latest attempt; None: not sure
    :ivar checked_url: URL of the resource at the latest attempt; None in rows that another archiver wrote
    :ivar verdict: the confirmed one: ``ok``, ``broken`` or ``unsure``; None: not confirmed yet
    :ivar suspect_since: since when the link fails in a way that will make it broken; None: it is not suspect
    :ivar suspect_count: how many tries failed in that way since then
    """

    etag: str | None = None
    last_modified: str | None = None
    cache_filepath: str | None = None
    is_broken: bool | None = None
    checked_url: str | None = None
    first_failure: datetime.datetime | None = None
    failure_count: int = 0
    verdict: str | None = None
    suspect_since: datetime.datetime | None = None
    suspect_count: int = 0


@dataclasses.dataclass(frozen=True)
class Link:
    """One resource whose URL is to be checked.

    :ivar url: as the resource has it, not tidied
    :ivar url_type: the resource's: ``upload`` or something else
    :ivar format: the resource's, as written there
    :ivar organization: name of the organization that owns the dataset
    :ivar private: whether the dataset is private
    :ivar lane: ``priority`` or ``bulk``
    :ivar host: that the URL names, lower case, with its port unless that is a usual one; empty if it names none
    :ivar tries: how often a check of it came to nothing by our own fault
    :ivar fingerprint: of all that asks for a new check when it changes; who records a check shows that it is still so
    """

    resource_id: str
    package_id: str
    url: str
    url_type: str | None = None
    format: str | None = None
    organization: str | None = None
    private: bool = False
    lane: str = "bulk"
    previous: Previous | None = None
    host: str = ""
    tries: int = 0
    fingerprint: str = ""
