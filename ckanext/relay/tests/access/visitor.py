"""Requests to the portal, as somebody of each role and as a browser that is logged in."""

from __future__ import annotations

import contextvars
import functools
from typing import Any


class Visitors:
    """Somebody of each role, known by the header of their token.

    :param tokens: by role; who has none is anonymous
    """

    def __init__(self, flask_app: Any, tokens: dict[str, str]) -> None:
        self._flask_app = flask_app
        self._tokens = tokens

    def ask(self, role: str, method: str, path: str, **options: Any) -> Any:
        """Send a request; redirects are not followed."""
        headers = options.pop("headers", {})
        if role in self._tokens:
            headers = {**headers, "Authorization": self._tokens[role]}
        return _send(self._flask_app.test_client(use_cookies=False), method, path, headers=headers, **options)


class Browser:
    """A browser in which somebody has logged in."""

    def __init__(self, flask_app: Any, name: str, password: str) -> None:
        self._client = flask_app.test_client()
        answer = self.ask("POST", "/user/login", data={"login": name, "password": password})
        assert answer.status_code == 302, answer.text

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Send a request; redirects are not followed."""
        return _send(self._client, method, path, **options)


def _send(client: Any, method: str, path: str, **options: Any) -> Any:
    # the language is said by what CKAN 2.11 has around the application; the request is no part of one around the test
    # what is streamed is read here, for its end gives back a session of the database
    options |= {"environ_overrides": {"CKAN_LANG": "en"}, "buffered": True}
    send = functools.partial(client.open, path, method=method, **options)
    return contextvars.Context().run(send)
