"""Whether a source may change a dataset that is here already under the id of one of its records.

A remote portal chooses its ids as it likes. It must not reach what people of this portal made, nor what is harvested
from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A source has harvested the dataset.

    :param active: whether the source is still harvested
    :param current: whether the dataset is now as this source brought it
    """

    source_id: str
    title: str
    active: bool
    current: bool


def refusal(claims: Collection[Claim], source_id: str, is_orphan: bool, may_adopt: bool) -> str | None:
    """Return why a source may not change a dataset, or None if it may.

    It may if the dataset is its own, or was harvested once and no active source has it now: its source was deleted
    and made anew, or brought it and deleted it again.

    :param claims: of the dataset, at most one a source
    :param is_orphan: nothing says from where, but it was harvested: its creator is a user who does nothing else
    :param may_adopt: a person allows this source to take over what nobody harvested
    """
    current = [claim for claim in claims if claim.current]
    if any(claim.source_id == source_id for claim in current):
        return None
    for claim in current:
        if claim.active:
            return (
                f"it is harvested from the source '{claim.title}' ({claim.source_id}); delete that source, or leave "
                "the dataset out with a filter of one of the two"
            )
    if claims or is_orphan or may_adopt:
        return None
    return (
        'it belongs to this portal and was not harvested; if this source is to take it over, set "adopt_existing": '
        "true in its configuration and give the dataset to the organization of the source"
    )
