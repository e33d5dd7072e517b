"""What pages show of links: of one, and of all that a dataset has. Templates put it in words.

Of a failure that is not confirmed only those hear who may edit the resource.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ckan import model

from ckanext.relay.errors import redact

from . import config
from .domain.badge import Badge, badge
from .domain.changes import NOT_ARCHIVED_TYPES
from .explanations import Explanation, explain
from .model import Archival, waiting
from .model.waiting import Standing

KEY = "archiver"
#: How many links a dataset's panel says more of; the list of its resources has a badge for each.
MOST = 10
#: Seconds between two looks of a page at a check that is under way, and at one that will take a while.
OFTEN, SELDOM = 2, 15

_ORDER = {"broken": 0, "not-sure": 1, "not-broken": 2}


@dataclass(frozen=True)
class Evidence:
    """What the latest check of a link found, beside what the API says of it.

    :ivar answer: the status that the server answered with, and what that is called; None if it was no such answer
    :ivar redirects: status and target of each redirect that was followed
    :ivar is_of_another_url: whether the resource has had another address since
    :ivar tries: of how many checks that must fail before the link is broken how many have; None if that is not open
    :ivar hours: over how many hours they must be spread
    """

    answer: str | None
    redirects: tuple[tuple[int, str], ...]
    is_of_another_url: bool
    tries: tuple[int, int] | None
    hours: float


@dataclass(frozen=True)
class Panel:
    """What the page of a resource says of its link.

    :ivar archival: as the API has it; None: it was not checked yet
    :ivar evidence: None if there is none, or not for this reader
    :ivar standing: how its next check stands
    :ivar may_edit: whether the reader may edit the resource
    :ivar is_checked: whether links of such a dataset are checked at all
    """

    archival: Mapping[str, Any] | None
    badge: Badge | None
    evidence: Evidence | None
    standing: Standing
    may_edit: bool
    is_checked: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say: it was never checked, and the reader cannot have it checked."""
        return self.archival is None and not (self.may_edit and self.is_checked)

    @property
    def poll_seconds(self) -> int | None:
        """How often the page is to look whether the check is done; None: not at all."""
        return _poll_seconds([self.standing]) if self.may_edit else None

    @property
    def mark(self) -> str:
        """By what a page that waits knows whether anything is new."""
        return self.standing.kind or ""


def of_resource(dataset: Mapping[str, Any], resource: Mapping[str, Any], may_edit: bool) -> Panel:
    """Return the panel of a resource.

    :param dataset: as ``package_show`` returns it
    :param resource: idem
    """
    archival = archival_of(resource)
    shown = badge(archival) if archival else None
    hides = shown is None or (shown.suspect and not may_edit)
    return Panel(
        archival=archival,
        badge=shown,
        evidence=None if archival is None or hides else _evidence(resource, archival),
        standing=waiting.of_resources([resource["id"]]).get(resource["id"], Standing()),
        may_edit=may_edit,
        is_checked=_is_checked(dataset),
    )


def archival_of(resource: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the API says of the link of a resource, or None if it was not checked."""
    archival = resource.get(KEY)
    return archival if isinstance(archival, dict) else None


def _evidence(resource: Mapping[str, Any], archival: Mapping[str, Any]) -> Evidence:
    row = Archival.get_for_resource(resource_id=resource["id"])
    checked, url = archival.get("checked_url"), resource.get("url") or ""
    confirm = config.confirm()
    is_open = bool(archival.get("suspect_since")) and archival.get("verdict") != "broken"
    tries = min(row.suspect_count or 0, confirm.tries) if row and is_open else None
    return Evidence(
        answer=_answer(archival.get("cause")),
        redirects=tuple(_redirects(row.redirects if row else None)),
        is_of_another_url=bool(checked) and resource.get("url_type") != "upload" and checked != redact(url),
        tries=None if tries is None else (tries, confirm.tries),
        hours=confirm.hours,
    )


def _answer(cause: str | None) -> str | None:
    status = (cause or "").removeprefix("http_")
    if not cause or status == cause or not status.isdigit():
        return None
    return f"{status} {_PHRASES.get(int(status), '')}".rstrip()


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _redirects(text: str | None) -> Iterable[tuple[int, str]]:
    for status, url in json.loads(text or "[]"):
        yield int(status), redact(str(url))


def _is_checked(dataset: Mapping[str, Any]) -> bool:
    return dataset.get("state") == model.State.ACTIVE and dataset.get("type") not in NOT_ARCHIVED_TYPES


def _poll_seconds(found: Iterable[Standing]) -> int | None:
    kinds = {each.kind for each in found if each.is_urgent}
    return OFTEN if "soon" in kinds else SELDOM if kinds else None


# -- datasets


@dataclass(frozen=True)
class Row:
    """A link that is not well, for the panel of its dataset."""

    resource: Mapping[str, Any]
    archival: Mapping[str, Any]
    badge: Badge
    explanation: Explanation | None


@dataclass(frozen=True)
class DatasetPanel:
    """What the page of a dataset says of its links.

    :ivar counts: how many links there are of each state of a badge, and as ``unchecked`` of those not checked yet
    :ivar total: how many links there are
    :ivar suspect: how many failed at the latest check, which is not confirmed; 0 for who may not edit the dataset
    :ivar rows: the first of those that are not well
    :ivar more: how many others are not
    :ivar latest: when a link was checked last
    :ivar waiting: how many checks that people asked for are not done
    :ivar mark: by what a page that waits knows whether anything is new
    """

    counts: Mapping[str, int]
    total: int
    suspect: int
    rows: list[Row]
    more: int
    latest: str | None
    waiting: int
    poll_seconds: int | None
    mark: str
    may_edit: bool
    is_checked: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say."""
        unknown = self.counts.get("unchecked", 0) == self.total
        return not self.total or (unknown and not (self.may_edit and self.is_checked))


def of_dataset(dataset: Mapping[str, Any], may_edit: bool) -> DatasetPanel:
    """Return the panel of a dataset, as ``package_show`` returns it."""
    resources = dataset.get("resources") or []
    known = [(each, archival, badge(archival)) for each in resources if (archival := archival_of(each))]
    counts = Counter(shown.state for _, _, shown in known)
    counts["unchecked"] = len(resources) - len(known)
    bad = [each for each in known if each[2].state != "not-broken" or (may_edit and each[2].suspect)]
    bad.sort(key=lambda each: _ORDER[each[2].state])
    urgent = urgent_checks(dataset["id"]) if may_edit else []
    return DatasetPanel(
        counts=counts,
        total=len(resources),
        suspect=sum(shown.suspect for _, _, shown in known) if may_edit else 0,
        rows=[_row(*each, may_edit=may_edit) for each in bad[:MOST]],
        more=max(0, len(bad) - MOST),
        latest=max((archival["updated"] for _, archival, _ in known if archival.get("updated")), default=None),
        waiting=len(urgent),
        poll_seconds=_poll_seconds(urgent),
        mark=mark(urgent),
        may_edit=may_edit,
        is_checked=_is_checked(dataset),
    )


def urgent_checks(package_id: str) -> list[Standing]:
    """Return how those checks of a dataset's links stand that people asked for."""
    return [each for each in waiting.of_dataset(package_id).values() if each.is_urgent]


def mark(urgent: Sequence[Standing]) -> str:
    """Return the mark of a dataset with these checks: how many there are, and how often it is worth a look."""
    return f"{len(urgent)}-{_poll_seconds(urgent)}"


def _row(resource: Any, archival: Any, shown: Badge, may_edit: bool) -> Row:
    hides = shown.suspect and not may_edit
    return Row(resource, archival, shown, None if hides else explain(archival.get("cause")))
