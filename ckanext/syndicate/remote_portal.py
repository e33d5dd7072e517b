"""The portal that a ``SynchronizationClient`` writes to: asked again where that helps, and no faster than it may be.

It needs no application of CKAN, nor CKAN itself.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from ckanapi import RemoteCKAN

from ckanext.relay.errors import ConfigurationError, RelayError, RemoteError, RemoteStatus, redact

from .domain.payload import Dataset
from .domain.sync_source import InvalidData
from .remote import Missing, Target

log = logging.getLogger(__name__)

#: the pause after the first failed try; it doubles from try to try
_FIRST_PAUSE = 1.0
#: the longest pause, and the longest that a portal may ask for; otherwise it is as good as down
_LONGEST_PAUSE = 120.0

MakeSession = Callable[[], requests.Session]


class _Session(requests.Session):
    """A session that waits only so long for anything; proxies and certificates are as the environment says."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout
        self.auth = _no_password  # else an entry in ~/.netrc would take the place of the token

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if not kwargs.get("timeout"):
            kwargs["timeout"] = self._timeout
        return super().send(request, **kwargs)


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@dataclass(frozen=True, repr=False)
class Connection:
    """Where a portal is, and how it is reached.

    :ivar ckan_url: of its root
    :ivar api_key: an API token of a user there; None for nobody
    :ivar timeout: how many seconds to wait for a connection, or for anything to arrive
    :ivar session: makes the session of ``requests`` for each thread, in place of our own
    :ivar user_agent: how we present ourselves
    """

    ckan_url: str
    api_key: str | None = None
    timeout: float = 60
    session: MakeSession | None = None
    user_agent: str = "ckanext-syndicate"

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.ckan_url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        except (ValueError, AttributeError, TypeError):
            valid = False
        if not valid:
            raise ConfigurationError(
                f"{redact(str(self.ckan_url))!r} is not the address of a portal",
                hint="Write it as https://portal.example.org.",
            )
        if not self.timeout > 0:
            raise ConfigurationError(f"A timeout of {self.timeout!r} is not more than 0 seconds")

    def __repr__(self) -> str:
        return f"Connection({redact(self.ckan_url)!r})"

    def get_target(self) -> Any:
        """Return a client of ckanapi with a session of its own."""
        session = self.session() if self.session else _Session(self.timeout)
        return RemoteCKAN(self.ckan_url, apikey=self.api_key, user_agent=self.user_agent, session=session)


class Pace:
    """Lets requests of several threads pass one by one.

    :param per_second: how many; None for as many as come
    """

    def __init__(self, per_second: float | None = None) -> None:
        if per_second is not None and not per_second > 0:
            raise ConfigurationError(f"requests_per_second is {per_second!r}; it must be more than 0")
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may be sent."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        time.sleep(at - now)

    def stop_for(self, seconds: float) -> None:
        """Let no request pass for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Portal(Target):
    """A portal that is asked again when it, or the way to it, fails for a while.

    Everything is asked again: reading, and changing something to what it should be, do no harm if done twice; and
    whoever creates something looks, if its name is taken, whether it is what was created by the first try.

    :param connection: a :class:`Connection`, or anything else with ``ckan_url`` and ``get_target()``
    :param retries: how often a request is sent again at most
    :param requests_per_second: of all threads together; None for no limit
    """

    def __init__(self, connection: Any, retries: int = 3, requests_per_second: float | None = None) -> None:
        super().__init__(connection)
        if retries < 0:
            raise ConfigurationError(f"retries is {retries!r}; it must not be less than 0")
        self._retries = retries
        self._pace = Pace(requests_per_second)

    def __repr__(self) -> str:
        return f"Portal({redact(self.profile.ckan_url)!r})"

    def call(self, action: str, data: Mapping[str, Any] | None = None) -> Any:
        """Return the result of any action; see :meth:`.calls.Caller.call` for what it raises."""
        _check(action, data)
        for number in range(self._retries + 1):
            self._pace.wait()
            try:
                return super().call(action, data)
            except RemoteError as error:
                pause = _pause(error, number)
                if pause is None or number == self._retries:
                    raise
                log.info("%s; trying again in %.1f s", error, pause)
                if isinstance(error, RemoteStatus):
                    self._pace.stop_for(pause)  # it has too much to do, and not only for this thread
                else:
                    time.sleep(pause)
        raise AssertionError("not reached")

    def change(self, id: str, fields: Mapping[str, Any]) -> Dataset | None:
        """Change some fields of a dataset and return it as it is then; None if there is none.

        :raises Missing: the dataset is there, but not what the fields refer to
        """
        try:
            return self._object("package_patch", {**fields, "id": id})
        except Missing:
            if self.show(id) is None:
                return None
            raise

    def names(self, kind: str) -> set[str]:
        """Return the names of groups or organizations that can be listed; there may be more.

        :param kind: ``group`` or ``organization``
        """
        answer = self.call(f"{kind}_list")
        if not isinstance(answer, list):
            raise self._invalid(f"The answer to {kind}_list is none of a CKAN portal")
        return set(map(str, answer))

    def group(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a group or an organization with all that can be changed of it, also if it is deleted; None if there is
        none."""
        try:
            return self._object(f"{kind}_show", {"id": name, "include_users": False, "include_dataset_count": False})
        except Missing:
            return None


def _check(action: str, data: Mapping[str, Any] | None) -> None:
    try:
        json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidData(f"What is to be sent to {action} cannot be written as JSON: {error}") from None


def _pause(error: RelayError, number: int) -> float | None:
    """Return after how many seconds it is worth trying again, or None if it is not.

    :param number: how many tries failed before
    """
    if error.permanent:
        return None
    asked: float | None = getattr(error, "retry_after", None)
    if asked is not None:
        return asked if asked <= _LONGEST_PAUSE else None
    return min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) * random.uniform(0.5, 1)
