"""What can go wrong, and whether trying again may help.

::

    RelayError                     permanent, unless said otherwise below
    ├── ConfigurationError         the portal or a source is set up wrongly
    ├── InvalidTransition          a status may not change in this way
    ├── AddressBlocked             the portal may not connect there (nothing was sent)
    └── RemoteError                the other side, or the way to it; knows the ``url``
        ├── RemoteUnavailable      no name, refused, reset, TLS trouble           (temporary)
        ├── RemoteTimeout          too slow, or not done at the deadline          (temporary)
        ├── RemoteStatus           answered with 400 or more; knows the ``status``
        │                          (408, 425, 429, 500, 502, 503, 504 are temporary)
        ├── TooManyRedirects       sent on too often, or in a circle
        ├── AnswerTooLarge         more bytes than the limit
        └── AnswerInvalid          an answer, but not what was asked for

Whoever retries reads ``permanent`` and nothing else. No error shows a secret: message and address are redacted.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import unquote

MASK = "********"

_SECRET_NAME = re.compile(
    # not "secretariat", which is an organisation
    r"passw(?:or)?d|passphrase|passcode|pwd|secret(?!ar)|token|authorization|credential|cookie|signature"
    r"|(?:api|access|auth|private|subscription|signing|encryption)_?key"
    r"|^(?:auth|bearer|jwt|pass|sig)$"
)
_REFERENCE = re.compile(r"(?:env|file):[\w.-]+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#]*@")
# The look-behind lets a match begin only where a name begins: a long hostile text costs linear time.
_NAMED_VALUE = re.compile(r"(?<![\w.%\[\]-])([\w.%\[\]-]+)=([^\s&;,\"'<>()#]+)")

# As a header, or as JSON or Python write one: Authorization: Bearer x, 'X-API-Key': 'x'. A bare "token: x" is prose.
_HEADER = re.compile(
    r"(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,40}?(?:key|token|auth|secret|password)[\w-]{0,40})(\s*:\s*)"
    r"(?![\s\"'])[^\r\n\"',<>]+",
    re.IGNORECASE,
)
# "secret": "value", 'secret': 'value', ["secret", "value"]; also inside of another text, where quotes are escaped
_QUOTED_NAME = re.compile(
    r"""(?:(?<=[\[(])(?P<pair>(?=[^,]{1,120},)))?(?<!\\)(\\{0,3}["'])([\w.-]{1,100})\2\s?(?(pair),|:)\s?(\\{0,3}["'])"""
)
#: Credentials of a scheme; words after it are not: "Bearer authentication", "Basic information".
_SCHEME = re.compile(
    r"\b((?i:Bearer|Basic|Token|Apikey|Api-Key))(\s+)(?=[\w.~+/:-]*(?:[\d=_/+~]|[a-z][A-Z]))([\w.~+/:-]{6,}=*)"
)

_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_secret_key(name: str) -> bool:
    """Return whether a value of this name is a secret: ``api_key``, ``X-CKAN-API-Key``, ``clientSecret``, ``Cookie``.

    In doubt the answer is yes.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]+", "_", snake.lower())) is not None


def redact(text: str) -> str:
    """Return the text without user and password of addresses, and without secrets that show by what stands around
    them: ``secret=value``, ``"secret": "value"``, ``Authorization: …``, ``Bearer …``."""

    def hide(pair: re.Match[str]) -> str:
        name = unquote(pair[1])
        # "key" is no secret in a configuration, but it is what several web services call theirs in an address
        return f"{pair[1]}={MASK}" if name.lower() == "key" or is_secret_key(name) else pair[0]

    text = _NAMED_VALUE.sub(hide, _CREDENTIALS.sub(f"{MASK}@", text))
    text = _hide_quoted(text)
    return _SCHEME.sub(rf"\1\2{MASK}", _HEADER.sub(rf"\1\2{MASK}", text))


def _hide_quoted(text: str) -> str:
    kept = []
    at = 0
    for name in _QUOTED_NAME.finditer(text):
        if name.start() < at or not is_secret_key(name[3]):
            continue
        end = _closing(text, name[4], name.end())
        if not _shows_nothing(text[name.end() : end]):
            kept += [text[at : name.end()], MASK]
            at = end
    return "".join([*kept, text[at:]])


def _closing(text: str, quote: str, at: int) -> int:
    """Return where the text ends that was begun with a quote; what is cut off ends with the text."""
    while (at := text.find(quote, at)) != -1:
        if text[at - 1] != "\\":
            return at
        at += 1
    return len(text)


def _shows_nothing(value: str) -> bool:
    """Tell whether a value is no secret: masked already, or a reference to one."""
    return value == MASK or is_reference(value)


def is_reference(value: str) -> bool:
    """Return whether a text stands for a secret that is kept elsewhere: ``env:NAME``, ``file:NAME``."""
    return _REFERENCE.fullmatch(value) is not None


class RelayError(Exception):
    """Whatever this package raises on purpose.

    :param message: one sentence for a person; secrets are taken out
    :param hint: what to do about it, in words for a sysadmin
    """

    permanent: bool = True
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = redact(message)
        if hint is not None:
            self.hint = hint
        # also replaces the raw arguments, which Python keeps in ``args`` and shows in reports
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are pickled on their way out of a worker process; the default would call __init__ with ``args``.
        return type(self).__new__, (type(self), self.message), vars(self)


class ConfigurationError(RelayError):
    """The portal or a source is set up wrongly."""


class InvalidTransition(RelayError):
    """A status may not change in this way."""


class AddressBlocked(RelayError):
    """The portal may not connect to this address; nothing was sent."""

    hint = "Only the public internet is open, by http and https; ckanext.relay.allowed_networks opens more."


class RemoteError(RelayError):
    """The other side, or the way to it, failed.

    :param url: what was asked for; shown and kept without its secrets
    """

    def __init__(self, url: str, message: str, *, hint: str | None = None) -> None:
        self.url = redact(url)
        super().__init__(message, hint=hint)

    def __str__(self) -> str:
        return f"{self.message} ({self.url})"


class RemoteUnavailable(RemoteError):
    """No such name, connection refused or broken, or no TLS connection."""

    permanent = False


class RemoteTimeout(RemoteError):
    """The other side was too slow, or the request was not done at its deadline."""

    permanent = False


class RemoteStatus(RemoteError):
    """The other side answered with an error.

    :param status: the HTTP status, 400 or more
    :param retry_after: for how many seconds the server wants to be left alone, None if it does not say
    """

    def __init__(self, url: str, status: int, *, hint: str | None = None, retry_after: float | None = None) -> None:
        phrase = next((known.phrase for known in HTTPStatus if known == status), "(no known status)")
        super().__init__(url, f"The server answered {status} {phrase}", hint=hint)
        self.status = status
        self.retry_after = retry_after
        self.permanent = status not in _TEMPORARY_STATUSES


class TooManyRedirects(RemoteError):
    """The other side sent us on too often, or in a circle."""


class AnswerTooLarge(RemoteError):
    """The answer has more bytes than we take, as sent or when unpacked.

    :param limit: the number of bytes we take
    """

    def __init__(self, url: str, limit: int, *, hint: str | None = None) -> None:
        super().__init__(url, f"The answer is larger than {limit} bytes", hint=hint)
        self.limit = limit


class AnswerInvalid(RemoteError):
    """An answer came, but not what was asked for."""
