"""What people can do about a dataset that is not at a target as it should be."""

from __future__ import annotations

from .domain.states import EXPLANATIONS, HELD, Cause

_PASSES = "It is tried again by itself. If it stays, ask those who run the target."
_LOOK = "Look at the error, correct the dataset or the plugin, and save it; or call: ckan syndicate retry"

_ADVICE = {
    Cause.UNREACHABLE: "It is tried again by itself. If it stays: ckan syndicate doctor",
    Cause.TIMEOUT: f"{_PASSES} A longer time is set by the option timeout of the profile.",
    Cause.BUSY: _PASSES,
    Cause.SERVER_ERROR: f"{_PASSES} Once it is mended: ckan syndicate retry",
    Cause.ANSWER_INVALID: "Check ckan_url of the profile: ckan syndicate doctor",
    Cause.FORBIDDEN: "See what the token may do: ckan syndicate doctor. Once it is mended: ckan syndicate retry",
    Cause.WRONG_PORTAL: "Correct ckan_url of the profile; or, if the target was moved: "
    "ckan syndicate reconcile --accept-target",
    Cause.SETTINGS: "See what is wrong: ckan syndicate doctor",
    Cause.REFUSED: _LOOK,
    Cause.NAME_TAKEN: "Rename one of the two, or set name_prefix of the profile; then: ckan syndicate retry",
    Cause.CONFLICT: "Decide which portal brings it there, and unset the flag at the other one.",
    Cause.PLUGIN: "The log of the workers has the error. Once it is mended: ckan syndicate retry",
    Cause.GUARD: "Look at them: ckan syndicate status. If it is meant: ckan syndicate approve",
}


def explain(cause: str | None) -> str:
    """Return what a cause means; empty if nothing went wrong.

    :param cause: one of :class:`~ckanext.syndicate.domain.states.Cause`, as the tables have it
    """
    known = _cause(cause)
    return EXPLANATIONS[known] if known else ""


def advise(cause: str | None) -> str:
    """Return what to do about a cause; empty if nothing went wrong."""
    known = _cause(cause)
    return _ADVICE[known] if known else ""


def _cause(cause: str | None) -> Cause | None:
    if cause == HELD:  # what the outbox says of a row that is held
        return Cause.GUARD
    return Cause(cause) if cause in {each.value for each in Cause} else None
