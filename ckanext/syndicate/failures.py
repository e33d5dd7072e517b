"""What went wrong at a target, in a word that decides what follows, and in words for people."""

from __future__ import annotations

from dataclasses import dataclass

from ckanext.relay.errors import (
    AnswerTooLarge,
    RelayError,
    RemoteStatus,
    RemoteTimeout,
    RemoteUnavailable,
    TooManyRedirects,
    redact,
)
from ckanext.relay.texts import storable

from .delivery import Conflict, NameTaken, Vanished, WrongPortal
from .domain.states import Cause
from .remote import Forbidden, Redirected, Refused

_BUSY_STATUSES = frozenset({408, 425, 429, 502, 503, 504})


@dataclass(frozen=True)
class Failure:
    """Why a dataset is not at the target.

    :ivar error: for people, without secrets
    :ivar retry_after: seconds for which the target wants to be left alone, if it said so
    :ivar is_general: whether what was asked for was not about the dataset alone
    """

    cause: Cause
    error: str
    retry_after: float | None = None
    is_general: bool = False


#: the first that fits counts
_CAUSES: tuple[tuple[type[RelayError], Cause], ...] = (
    (Refused, Cause.REFUSED),
    (NameTaken, Cause.NAME_TAKEN),
    (Conflict, Cause.CONFLICT),
    (Vanished, Cause.ANSWER_INVALID),
    (Forbidden, Cause.FORBIDDEN),
    (WrongPortal, Cause.WRONG_PORTAL),
    (Redirected, Cause.SETTINGS),
    (TooManyRedirects, Cause.SETTINGS),
    (RemoteUnavailable, Cause.UNREACHABLE),
    (RemoteTimeout, Cause.TIMEOUT),
    (AnswerTooLarge, Cause.ANSWER_INVALID),
)


def of_target(error: RelayError, is_general: bool = False) -> Failure:
    """Return what an error of a request to the target means."""
    return Failure(_cause(error), said(error), getattr(error, "retry_after", None), is_general)


def _cause(error: RelayError) -> Cause:
    if isinstance(error, RemoteStatus):
        if error.status in (401, 403):
            return Cause.FORBIDDEN
        return Cause.BUSY if error.status in _BUSY_STATUSES else Cause.SERVER_ERROR
    found = next((cause for kind, cause in _CAUSES if isinstance(error, kind)), None)
    if found is not None:
        return found
    # settings that lead nowhere are no errors of the remote side; what is left of these is an answer that is none
    return Cause.ANSWER_INVALID if hasattr(error, "url") else Cause.SETTINGS


def of_plugin(error: Exception) -> Failure:
    """Return what an error of code in this portal means."""
    text = said(error) if isinstance(error, RelayError) else f"{type(error).__name__}: {error}"
    return Failure(Cause.PLUGIN, storable(redact(text))[:2000])


def said(error: RelayError) -> str:
    """Return what an error says, and what can be done about it."""
    return f"{error}. {error.hint}" if error.hint else str(error)
