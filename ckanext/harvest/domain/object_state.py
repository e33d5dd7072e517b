"""The states of an object and how they follow each other."""

from __future__ import annotations

from typing import Final

from ckanext.relay.lifecycle import Lifecycle

#: Gathered, and not yet begun.
WAITING: Final = "WAITING"
#: Its content is being fetched.
FETCH: Final = "FETCH"
#: Its content is being imported.
IMPORT: Final = "IMPORT"
#: Done; ``report_status`` says what was done.
COMPLETE: Final = "COMPLETE"
#: Failed; its errors say why.
ERROR: Final = "ERROR"

# An object whose worker died is begun anew from whichever open state it was left in.
lifecycle = Lifecycle(
    "harvest object",
    {
        WAITING: (FETCH, IMPORT, COMPLETE, ERROR),
        FETCH: (FETCH, IMPORT, COMPLETE, ERROR),
        IMPORT: (FETCH, IMPORT, COMPLETE, ERROR),
        COMPLETE: (),
        ERROR: (),
    },
)

ADDED: Final = "added"
UPDATED: Final = "updated"
NOT_MODIFIED: Final = "not modified"
DELETED: Final = "deleted"
ERRORED: Final = "errored"
