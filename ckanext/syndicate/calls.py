"""One call of an action of another CKAN, through ckanapi; the only place that knows how ckanapi says what went wrong.

It needs no application of CKAN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ckanapi import errors as client_errors

from ckanext.relay.errors import AnswerInvalid, RelayError, RemoteError, RemoteStatus
from ckanext.relay.headers import printable, retry_after
from ckanext.relay.http import relay_errors
from ckanext.relay.redaction import scrub

#: what a person is shown of an answer that says more
_LONGEST = 300


class Refused(RemoteError):
    """The other portal does not take what it was sent.

    :ivar errors: what it says, by field
    """

    def __init__(self, url: str, errors: Mapping[str, Any]) -> None:
        self.errors = {field: said for field, said in errors.items() if field != "__type"}
        super().__init__(url, f"The portal does not take it: {_cut('; '.join(_sentences(self.errors)))}")


class Missing(RemoteError):
    """The other portal has no such thing."""


class Forbidden(RemoteError):
    """Our user may not do that at the other portal, or the token is none: then we are nobody there."""

    hint = "Check the token, and what its user may do in the organization and the groups at the target."


class Redirected(RemoteError):
    """The portal is somewhere else. A redirect is never followed: a POST would arrive as a GET, without its data."""


class SearchFailed(RemoteStatus):
    """The search of the other portal does not work."""

    def __init__(self, url: str, status: int, message: str) -> None:
        super().__init__(url, status)
        self.message = f"The search of the portal failed: {message}"
        self.permanent = False


class Caller:
    """A client of ckanapi that says in the errors of ``relay.errors`` what went wrong; for one thread at a time.

    :param client: a ``RemoteCKAN``, or what behaves like one
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._answer: Any = None
        hooks = getattr(getattr(client, "session", None), "hooks", None)
        if isinstance(hooks, dict):  # ckanapi does not hand out headers
            hooks.setdefault("response", []).append(self._note)

    def call(self, action: str, data: Mapping[str, Any] | None = None) -> Any:
        """Return the result of an action.

        :param data: JSON; with a file, or a tuple with a file, among the values, all others must be text
        :raises Refused: the data is not valid there
        :raises Missing: there is no such thing
        :raises Forbidden: our user may not do that
        :raises RelayError: there is no answer, or no acceptable one; see ``relay.errors``
        """
        self._answer = None
        url = f"{str(getattr(self.client, 'address', '')).rstrip('/')}/api/action/{action}"
        try:
            with relay_errors(url):
                return getattr(self.client.action, action)(**(data or {}))
        except KINDS as error:
            raise self._translated(url, error) from None  # it may quote what was sent
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if self._answer is None:
                raise  # our own mistake: nothing was answered that could be the reason
            if (tags := self._errors_of_tags()) is not None:
                raise Refused(url, tags) from None
            raise AnswerInvalid(url, f"The answer is none of a CKAN portal: {self._said()!r}") from error
        finally:
            self._answer = None

    def close(self) -> None:
        """Close the connections."""
        close = getattr(self.client, "close", None)
        if close is not None:
            close()

    def _note(self, answer: Any, *_args: Any, **_kwargs: Any) -> None:
        self._answer = answer

    def _errors_of_tags(self) -> dict[str, Any] | None:
        """Return the errors of an answer if tags are among them: CKAN's own ValidationError, which ckanapi raises where
        CKAN is installed, cannot be made of what the API says of tags, which are texts."""
        try:
            errors = json.loads(self._answer.text)["error"]
            is_of_tags = errors["__type"] == "Validation Error" and isinstance(errors["tags"], list)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return errors if is_of_tags else None

    def _translated(self, url: str, error: Exception) -> RelayError:
        if isinstance(error, client_errors.ValidationError):
            return Refused(url, error.error_dict)
        if isinstance(error, client_errors.NotFound):
            return Missing(url, f"The portal has no such thing: {_message(error)}")
        if isinstance(error, client_errors.NotAuthorized):
            return Forbidden(url, f"The portal does not allow it: {_message(error)}")
        if isinstance(error, client_errors.SearchQueryError):
            return Refused(url, {"query": [_message(error)]})
        if isinstance(error, (client_errors.SearchError, client_errors.SearchIndexError)):
            return SearchFailed(url, self._status(error) or HTTPStatus.INTERNAL_SERVER_ERROR, _message(error))
        return self._unknown(url, error)

    def _unknown(self, url: str, error: Exception) -> RelayError:
        """Return what an answer means that does not say so itself."""
        status = self._status(error)
        said = self._said() or _message(error)
        if status is not None and 300 <= status < 400:
            return self._redirected(url)
        if status is None or status < 400:
            return AnswerInvalid(url, f"The answer is none of a CKAN portal: {said!r}")
        pause = retry_after(self._answer.headers.get("Retry-After")) if self._answer is not None else None
        return RemoteStatus(url, status, retry_after=pause, hint=f"The portal says: {said!r}" if said else None)

    def _redirected(self, url: str) -> Redirected:
        location = str(self._answer.headers.get("Location", "")) if self._answer is not None else ""
        base = re.sub(r"/api(/\d+)?/action/.*", "", location)
        hint = f"Set ckan_url of the profile to {scrub(base)}." if base != location else None
        where = _cut(location) or "somewhere else"
        return Redirected(url, f"The portal sends requests on to {where}", hint=hint)

    def _status(self, error: Exception) -> int | None:
        if self._answer is not None:
            return int(self._answer.status_code)
        # ckanapi writes URL, status and text into the message; a client without a session of requests has nothing else
        found = re.match(r"\['[^']*', (\d{3}), ", str(error))
        return int(found[1]) if found else None

    def _said(self) -> str:
        return _cut(self._answer.text[: 4 * _LONGEST]) if self._answer is not None else ""


#: All errors of ckanapi: with CKAN, some of them are CKAN's own, and no CKANAPIError.
KINDS = (
    client_errors.CKANAPIError,
    client_errors.ServerIncompatibleError,
    client_errors.CLIError,
    client_errors.NotAuthorized,
    client_errors.NotFound,
    client_errors.ValidationError,
    client_errors.SearchQueryError,
    client_errors.SearchError,
    client_errors.SearchIndexError,
)


def _message(error: Exception) -> str:
    said = error.args[0] if error.args else getattr(error, "extra_msg", None)
    if isinstance(said, dict):
        said = said.get("message")
    return _cut(str(said or ""))


def _cut(text: str) -> str:
    """Return the beginning of a text, in one line and without secrets."""
    line = scrub(printable(" ".join(text.split())))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _sentences(errors: Any, field: str = "") -> list[str]:
    """Return what a portal says of each field, in one sentence each: ``resources.2.size: Invalid integer``."""
    if isinstance(errors, Mapping):
        return [text for key, inner in errors.items() for text in _sentences(inner, f"{field}.{key}".strip("."))]
    if isinstance(errors, list) and not all(isinstance(inner, str) for inner in errors):
        return [text for number, inner in enumerate(errors, 1) for text in _sentences(inner, f"{field}.{number}")]
    text = " ".join(errors) if isinstance(errors, list) else str(errors)
    return [f"{field}: {text}" if field else text]
