"""The counts of a job."""

from __future__ import annotations

from collections.abc import Mapping

from . import object_state

#: The keys of a job's ``stats``, always all of them and no other.
KEYS = (
    object_state.ADDED,
    object_state.UPDATED,
    object_state.NOT_MODIFIED,
    object_state.ERRORED,
    object_state.DELETED,
)


def combine(by_report_status: Mapping[str | None, int], objects_with_errors: int, gather_errors: int) -> dict[str, int]:
    """Return the ``stats`` of a job.

    An object that is complete may carry errors too (a resource that was skipped, say): it counts as errored as well.
    Objects that are still at work have no report status and count nowhere.
    """
    counts = {key: by_report_status.get(key, 0) for key in KEYS}
    counts[object_state.ERRORED] = max(objects_with_errors, counts[object_state.ERRORED]) + gather_errors
    return counts
