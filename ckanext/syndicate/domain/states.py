"""The words for what a dataset is at a target, and for why it is not yet what it should be there."""

from __future__ import annotations

import enum

#: What a dataset is at the target, where we know of it.
ACTIVE, PRIVATE, DELETED = "active", "private", "deleted"

#: What a row of the outbox is: to be worked on, held for a person to approve, or given up until something changes.
WAITING, HELD, FAILED = "waiting", "held", "failed"


class Cause(str, enum.Enum):
    """Why a dataset is not at the target as it should be."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BUSY = "busy"
    SERVER_ERROR = "server_error"
    ANSWER_INVALID = "answer_invalid"
    FORBIDDEN = "forbidden"
    WRONG_PORTAL = "wrong_portal"
    SETTINGS = "settings"
    REFUSED = "refused"
    NAME_TAKEN = "name_taken"
    CONFLICT = "conflict"
    PLUGIN = "plugin"
    GUARD = "guard"

    def __str__(self) -> str:
        return self.value
