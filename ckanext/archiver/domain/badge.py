"""Which badge a link has on its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_STATES = {"ok": "not-broken", "broken": "broken", "unsure": "not-sure"}


@dataclass(frozen=True)
class Badge:
    """What a page says of a link.

    :ivar state: the confirmed verdict: ``broken``, ``not-sure`` or ``not-broken``, as in the class of the HTML
    :ivar suspect: whether the latest check found the link broken, which is not confirmed. For those who may edit it.
    """

    state: str
    suspect: bool = False


def badge(archival: Mapping[str, Any]) -> Badge:
    """Return the badge for what the API answers of a resource's archival."""
    is_broken = archival.get("is_broken")
    if "verdict" not in archival:  # from a search index that ckanext-archiver filled
        return Badge("not-sure" if is_broken is None else "broken" if is_broken else "not-broken")
    by_latest_check = "not-broken" if is_broken is False else "not-sure"
    state = _STATES.get(archival["verdict"] or "", by_latest_check)
    failing = archival.get("suspect_since") is not None or is_broken is True
    return Badge(state, suspect=failing and state != "broken")


def worst(archivals: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the worst of the states that the links of a dataset have, or None if none was checked."""
    states = {badge(each).state for each in archivals}
    return next((state for state in ("broken", "not-sure", "not-broken") if state in states), None)
