"""The status of an archival: numbers and texts that other extensions compare literally."""

from __future__ import annotations

ARCHIVED = 0
NOT_CHANGED = 1
URL_INVALID = 10
URL_REQUEST_FAILED = 11
DOWNLOAD_ERROR = 12
CHOSE_NOT_TO_DOWNLOAD = 21
DOWNLOAD_FAILURE = 22
SYSTEM_ERROR = 23

TEXTS = {
    ARCHIVED: "Archived successfully",
    NOT_CHANGED: "Content has not changed",
    URL_INVALID: "URL invalid",
    URL_REQUEST_FAILED: "URL request failed",
    DOWNLOAD_ERROR: "Download error",
    CHOSE_NOT_TO_DOWNLOAD: "Chose not to download",
    DOWNLOAD_FAILURE: "Download failure",
    SYSTEM_ERROR: "System error during archival",
}


def is_broken(status_id: int | None) -> bool | None:
    """Return whether a status says that the link is broken; None: it does not say."""
    if status_id is None or status_id >= 20:
        return None
    return status_id >= 10


def is_ok(status_id: int | None) -> bool:
    """Return whether a status says that the file was archived, now or earlier and is the same since."""
    return status_id in (ARCHIVED, NOT_CHANGED)
