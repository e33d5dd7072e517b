"""The states of a job and how they follow each other."""

from __future__ import annotations

from typing import Final

from ckanext.relay.lifecycle import Lifecycle

#: Made, and not yet handed to the workers.
NEW: Final = "New"
#: Handed to the workers: waiting to be gathered, or at work.
RUNNING: Final = "Running"
#: Nothing is left to do: all its objects have ended, or a person or the time limit ended it.
FINISHED: Final = "Finished"
#: Never begun, because its source was deleted or deactivated.
ABORTED: Final = "Aborted"

lifecycle = Lifecycle(
    "harvest job",
    {NEW: (RUNNING, FINISHED, ABORTED), RUNNING: (FINISHED,), FINISHED: (), ABORTED: ()},
)
