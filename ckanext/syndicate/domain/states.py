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


#: What people are told about each.
EXPLANATIONS = {
    Cause.UNREACHABLE: "The target cannot be reached.",
    Cause.TIMEOUT: "The target takes too long to answer.",
    Cause.BUSY: "The target is busy or down for maintenance.",
    Cause.SERVER_ERROR: "The target failed; its log says why.",
    Cause.ANSWER_INVALID: "The target did not answer as a CKAN does.",
    Cause.FORBIDDEN: "The target does not allow this: check the token of the profile and the rights of its user.",
    Cause.WRONG_PORTAL: "Another portal answers at the address of the target: check ckan_url of the profile.",
    Cause.SETTINGS: "The profile is set up wrongly.",
    Cause.REFUSED: "The target does not take the dataset as it is.",
    Cause.NAME_TAKEN: "Another dataset of the target has the name.",
    Cause.CONFLICT: "The dataset at the target is not ours to write: another portal has put it there.",
    Cause.PLUGIN: "A plugin of this portal failed.",
    Cause.GUARD: "More datasets would be taken from the target than is allowed in a day: approve it, if it is meant.",
}
