"""Whether datasets that a remote portal no longer lists may be deleted here.

A portal whose index is being rebuilt, or whose token has run out, looks like one that deleted most of its datasets. So
a run never deletes all datasets of a source, and not more than a share of them, unless a person raised the limit.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

#: Percent of a source's datasets that a run may delete unless the source says otherwise.
DEFAULT_LIMIT = 20
#: So many may go at any rate, so that the share is no obstacle to a small source.
AT_LEAST = 5


@dataclass(frozen=True)
class Decision:
    """What is to be deleted; nothing if there is a refusal, which says why and what to do.

    :param gone: guids
    """

    gone: frozenset[str]
    refusal: str | None = None


def decide(known: Set[str], listed: Set[str], limit: float) -> Decision:
    """Return which datasets are gone and may be deleted.

    :param known: guids of the datasets of the source here
    :param listed: guids of all that the remote portal has now
    :param limit: percent of ``known`` that may go at once; 0 lets none go, 100 all
    """
    gone = frozenset(known - listed)
    if not gone or _is_allowed(len(gone), len(known), limit):
        return Decision(gone)
    percent = -(-len(gone) * 100 // len(known))
    return Decision(frozenset(), _refusal(len(gone), len(known), bool(listed), percent, limit))


def _refusal(gone: int, known: int, lists_any: bool, percent: int, limit: float) -> str:
    said = f"no longer lists {gone} of the {known} datasets" if lists_any else f"lists none of the {known} datasets"
    return (
        f"Nothing was deleted: the remote portal {said} that were harvested from it ({percent} %, and delete_limit is "
        f"{limit:g} %), so that something may be wrong there. If they are really gone, set "
        f'"delete_limit": {percent} in the configuration of the source for one run'
    )


def _is_allowed(gone: int, known: int, limit: float) -> bool:
    if limit >= 100:
        return True
    if limit <= 0 or gone == known:
        return False
    return gone <= AT_LEAST or gone * 100 <= limit * known
