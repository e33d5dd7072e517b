"""What the answer of a harvester's stage means for its object."""

from __future__ import annotations

import enum

from . import object_state


class Step(enum.Enum):
    """What follows a stage."""

    IMPORT = "import"
    COMPLETE = "complete"
    UNCHANGED = "unchanged"
    ERROR = "error"


def after_fetch(answer: object) -> Step:
    """Read what ``fetch_stage`` returned: exactly True goes on, ``'unchanged'`` ends well, the rest is an error."""
    if answer == "unchanged":
        return Step.UNCHANGED
    return Step.IMPORT if answer is True else Step.ERROR


def after_import(answer: object) -> Step:
    """Read what ``import_stage`` returned: ``'unchanged'`` or anything truthy ends well, the rest is an error."""
    if answer == "unchanged":
        return Step.UNCHANGED
    return Step.COMPLETE if answer else Step.ERROR


def final_state(step: Step) -> str:
    """Return the state in which a step leaves the object."""
    return object_state.ERROR if step is Step.ERROR else object_state.COMPLETE


def report_status(step: Step, current: bool | None, has_older: bool) -> str:
    """Say what was done to the dataset of an object.

    :param current: whether the object is the newest one of its dataset; a harvester clears it when it deletes
    :param has_older: whether the dataset has other objects: it was harvested before
    """
    if step is Step.ERROR:
        return object_state.ERRORED
    if step is Step.UNCHANGED:
        return object_state.NOT_MODIFIED
    if not current:
        return object_state.DELETED
    return object_state.UPDATED if has_older else object_state.ADDED
