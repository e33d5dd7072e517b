"""Which changes of a dataset ask for its links to be checked again.

Each resource has a fingerprint of what matters: its URL and format, the file if it is an upload, and of the dataset the
licence and whether it is private. It is compared with the one of the last time that a check was asked for, so nothing
is missed that happened behind our back, and nothing is done about a title or a description.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

#: Harvest sources are datasets of a type of their own. Their URL is none of a file.
NOT_ARCHIVED_TYPES = ("harvest",)


@dataclasses.dataclass(frozen=True)
class Changes:
    """What became of the resources of a dataset.

    :ivar asks: whether its links are to be checked
    :ivar gone: ids of the resources that are no more
    """

    asks: bool
    gone: frozenset[str]


def compare(known: Mapping[str, str], current: Mapping[str, str]) -> Changes:
    """Return what changed.

    :param known: fingerprints by resource id, of the last time that a check was asked for
    :param current: those of now; none if the dataset is deleted or a draft
    """
    return Changes(asks=bool(current) and dict(known) != dict(current), gone=frozenset(known) - frozenset(current))
