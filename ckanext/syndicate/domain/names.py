"""What a dataset is called at a target."""

from __future__ import annotations

import uuid

#: how long the name of a dataset may be
LONGEST = 100
_HASH = 8


def remote_name(name: str, prefix: str = "") -> str:
    """Return the name of a dataset at a target: ``<prefix>-<name>``, or the name alone if there is no prefix.

    One that is too long ends with eight characters that stand for the whole of it, so that two of them stay different.
    """
    prefixed = f"{prefix}-{name}" if prefix else name
    if len(prefixed) <= LONGEST:
        return prefixed
    return prefixed[: LONGEST - _HASH] + str(uuid.uuid3(uuid.NAMESPACE_DNS, prefixed))[:_HASH]
