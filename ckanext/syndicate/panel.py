"""What the page of a dataset says of it at the targets."""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ckan.plugins.toolkit as tk

from ckanext.relay import clock

from . import status
from .explanations import advise_publisher

#: Where on the page of a dataset it stands.
ANCHOR = "syndication"
#: Selected, and neither there nor on its way.
MISSING = "missing"
#: Seconds between two looks at what is on its way: while a worker may be at it, and while nobody can be.
_SOON, _LATER = 2, 20


@dataclass(frozen=True)
class Line:
    """A target.

    :ivar host: of the target
    :ivar state: one of :data:`ckanext.syndicate.status.STATES`, or ``missing``
    :ivar entry: see :class:`ckanext.syndicate.status.Entry`; empty if it is not there, and nothing waits
    :ivar reason: why the dataset is not to be there, '' if it is
    :ivar advice: what whoever looks can do about a failure
    :ivar down_since: since when the target does not answer
    :ivar button: ``push``, ``retry``, or '' if neither would do anything
    """

    profile_id: str
    host: str
    state: str
    entry: Mapping[str, Any]
    reason: str
    advice: str
    down_since: str | None
    button: str


@dataclass(frozen=True)
class Panel:
    """All targets.

    :ivar lines: those where the dataset is, or is to be
    :ivar others: those where it is neither
    """

    lines: list[Line]
    others: list[Line]

    @property
    def waits(self) -> bool:
        """Whether anything is on its way."""
        return any(line.state == status.WAITING for line in self.lines)

    @property
    def seconds(self) -> int:
        """After how many seconds it is worth another look."""
        soon = any(line.state == status.WAITING and not _rests(line) for line in self.lines)
        return _SOON if soon else _LATER

    @property
    def mark(self) -> str:
        """By what a page that waits knows whether anything is new."""
        return f"{zlib.crc32(repr(self).encode()):x}"


def _rests(line: Line) -> bool:
    return bool(line.down_since or line.entry.get("attempts"))


def of(found: Iterable[Mapping[str, Any]]) -> Panel:
    """Return what is shown of a dataset.

    :param found: as the action ``syndicate_status`` returns it
    """
    is_sysadmin = bool(tk.h.check_access("sysadmin"))
    lines = [_line(each, is_sysadmin) for each in found]
    concerns = {line.profile_id for line in lines if line.entry or not line.reason}
    return Panel(
        lines=[line for line in lines if line.profile_id in concerns],
        others=[line for line in lines if line.profile_id not in concerns],
    )


def _line(found: Mapping[str, Any], is_sysadmin: bool) -> Line:
    entry = found["entry"] or {}
    state = entry.get("state", MISSING)
    of_publisher = advise_publisher(entry.get("cause"), given_up=state == status.FAILED)
    return Line(
        profile_id=found["profile_id"],
        host=host_of(found["ckan_url"]),
        state=state,
        entry=entry,
        reason=_reason(found["skipped"]),
        advice=entry.get("advice", "") if is_sysadmin else of_publisher,
        down_since=found["down_since"],
        button=_button(state, entry, is_selected=found["skipped"] is None),
    )


def state_names() -> dict[str, str]:
    """Return what each state of a line is called in the language of the reader."""
    return {
        status.FAILED: tk._("failed"),
        status.HELD: tk._("held"),
        status.WAITING: tk._("waiting"),
        status.UNKNOWN: tk._("unknown"),
        status.SYNCED: tk._("synced"),
        status.PRIVATE: tk._("private"),
        status.DELETED: tk._("deleted"),
        MISSING: tk._("not there yet"),
    }


def host_of(url: str) -> str:
    """Return the host of an address, '' if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _button(state: str, entry: Mapping[str, Any], is_selected: bool) -> str:
    if state == status.FAILED or (state == status.WAITING and _is_put_off(entry)):
        return "retry"
    return "push" if is_selected and state not in (status.WAITING, status.HELD) else ""


def _is_put_off(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("due")) and datetime.datetime.fromisoformat(entry["due"]) > clock.now()


def _reason(skipped: str | None) -> str:
    """Return why a dataset is not to be at a target; plugins and predicates say it in their own words."""
    if skipped is None:
        return ""
    # regular expressions
    known = {
        "package is private": tk._("The dataset is private."),
        "package is a draft": tk._("The dataset is a draft."),
        "deleted package was never syndicated": tk._("The dataset is deleted, and never was there."),
        "syndication flag disabled on package": tk._("It is not chosen for this target."),
        "datasets of the type (?P<type>.*) are not syndicated to .*": tk._(
            "Datasets of the type {type} are not syndicated to this target."
        ),
        "the plugin (?P<plugin>.*) skips it": tk._("The plugin {plugin} skips it."),
        "the predicate (?P<predicate>.*) says no": tk._("The predicate {predicate} says no."),
        "the dataset was purged": tk._("The dataset was purged."),
        "nobody knows: (?P<error>.*)": tk._("Nobody knows: {error}"),
    }
    for pattern, sentence in known.items():
        if found := re.fullmatch(pattern, skipped, re.DOTALL):
            return str(sentence.format(**found.groupdict()))
    return skipped
