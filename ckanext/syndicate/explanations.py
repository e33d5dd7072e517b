"""What went wrong with a dataset at a target, and what people can do about it, in their language."""

from __future__ import annotations

import ckan.plugins.toolkit as tk

from .domain.states import HELD, Cause

#: What may pass by itself.
_PASSING = (Cause.UNREACHABLE, Cause.TIMEOUT, Cause.BUSY, Cause.SERVER_ERROR)


def explain(cause: str | None) -> str:
    """Return what a cause means; empty if nothing went wrong.

    :param cause: one of :class:`~ckanext.syndicate.domain.states.Cause`, as the tables have it
    """
    known = _cause(cause)
    return _explanations()[known] if known else ""


def advise(cause: str | None, given_up: bool = False) -> str:
    """Return what those who run this portal can do about a cause; empty if nothing went wrong.

    :param given_up: whether it is not tried again by itself
    """
    known = _cause(cause)
    if given_up and known in _PASSING:
        return tk._("It was given up after many attempts. Ask those who run the target; once it is mended, retry.")
    return _advice()[known] if known else ""


def advise_publisher(cause: str | None, given_up: bool = False) -> str:
    """Return what who may edit the dataset, and nothing else, can do about a cause; empty if nothing went wrong.

    :param given_up: whether it is not tried again by itself
    """
    known = _cause(cause)
    if known is None:
        return ""
    if given_up and known in _PASSING:
        return tk._("It was given up after many attempts: retry, or ask the administrators of this portal.")
    own = {
        Cause.REFUSED: tk._("Correct what the error names, and save the dataset: it is pushed again by itself."),
        Cause.NAME_TAKEN: tk._("Give the dataset another URL, or ask the administrators of this portal."),
        Cause.CONFLICT: tk._("Decide which portal brings it there, and take the choice away at the other one."),
        Cause.GUARD: tk._("An administrator of this portal must approve it."),
    }
    if known in own:
        return own[known]
    if known in _PASSING:
        return tk._("There is nothing to do: it is tried again by itself.")
    return tk._("Ask the administrators of this portal.")


def _explanations() -> dict[Cause, str]:
    return {
        Cause.UNREACHABLE: tk._("The target cannot be reached."),
        Cause.TIMEOUT: tk._("The target takes too long to answer."),
        Cause.BUSY: tk._("The target is busy or down for maintenance."),
        Cause.SERVER_ERROR: tk._("The target failed; its log says why."),
        Cause.ANSWER_INVALID: tk._("The target did not answer as a CKAN does."),
        Cause.FORBIDDEN: tk._(
            "The target does not allow this: check the token of the profile and the rights of its user."
        ),
        Cause.WRONG_PORTAL: tk._("Another portal answers at the address of the target: check ckan_url of the profile."),
        Cause.SETTINGS: tk._("The profile is set up wrongly."),
        Cause.REFUSED: tk._("The target does not take the dataset as it is."),
        Cause.NAME_TAKEN: tk._("Another dataset of the target has the name."),
        Cause.CONFLICT: tk._("The dataset at the target is not ours to write: another portal has put it there."),
        Cause.PLUGIN: tk._("A plugin of this portal failed."),
        Cause.GUARD: tk._(
            "More datasets would be taken from the target than is allowed in a day: approve it, if it is meant."
        ),
    }


def _advice() -> dict[Cause, str]:
    return {
        Cause.UNREACHABLE: tk._("It is tried again by itself. If it stays: ckan syndicate doctor"),
        Cause.TIMEOUT: tk._(
            "It is tried again by itself. If it stays, ask those who run the target, or set the option timeout of the "
            "profile to a longer time."
        ),
        Cause.BUSY: tk._("It is tried again by itself. If it stays, ask those who run the target."),
        Cause.SERVER_ERROR: tk._(
            "It is tried again by itself. If it stays, ask those who run the target; once it is mended, retry."
        ),
        Cause.ANSWER_INVALID: tk._("Check ckan_url of the profile: ckan syndicate doctor"),
        Cause.FORBIDDEN: tk._("See what the token may do: ckan syndicate doctor. Once it is mended, retry."),
        Cause.WRONG_PORTAL: tk._(
            "Correct ckan_url of the profile; or, if the target was moved: ckan syndicate reconcile --accept-target"
        ),
        Cause.SETTINGS: tk._("See what is wrong: ckan syndicate doctor"),
        Cause.REFUSED: tk._("Look at the error, correct the dataset or the plugin, and save it; or retry."),
        Cause.NAME_TAKEN: tk._("Rename one of the two, or set name_prefix of the profile; then retry."),
        Cause.CONFLICT: tk._("Decide which portal brings it there, and unset the flag at the other one."),
        Cause.PLUGIN: tk._("The log of the workers has the error. Once it is mended, retry."),
        Cause.GUARD: tk._("Look at the datasets that are held. If it is meant, approve it."),
    }


def _cause(cause: str | None) -> Cause | None:
    if cause == HELD:  # what the outbox says of a row that is held
        return Cause.GUARD
    return Cause(cause) if cause in {each.value for each in Cause} else None
