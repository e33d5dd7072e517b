"""The secrets that this process knows, kept out of every log line and stored message.

Patterns, as :func:`ckanext.relay.errors.redact` has them, find a secret by what stands around it. A server that repeats
the token it was sent, or a library that puts a header into its error, gives no such sign. So whoever reads a secret
from a configuration or resolves a reference tells it to :func:`remember`, and :func:`scrub` knows it by its value.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from . import secrets
from .errors import MASK, redact

#: Shorter ones are likely to be words of a message; nobody can tell them apart.
_SHORTEST = 6
#: How many are kept, the latest: a process works on a few sources at a time.
_MOST = 500

#: How SQLAlchemy shortens the rows that it logs: what is left of a secret there is known to nobody.
_TRUNCATED = re.compile(r"\S{0,200} \.\.\. \(\d+ characters truncated\) \.\.\. \S{0,200}")

_known: dict[str, None] = {}
_changes = itertools.count(1)
_version = [0]
_lock = threading.Lock()
_formatter = logging.Formatter()


def remember(values: Iterable[str]) -> None:
    """Keep secrets from now on out of what this process logs and stores, also as URLs, ``repr`` and basic auth write
    them."""
    spellings = {spelling for value in values for spelling in _spellings(value) if len(spelling) >= _SHORTEST}
    with _lock:
        if spellings <= _known.keys():
            return
        for spelling in spellings:
            _known.pop(spelling, None)
            _known[spelling] = None
        for oldest in list(_known)[:-_MOST]:
            del _known[oldest]
        _version[0] = next(_changes)


def remember_all(config: Mapping[str, Any] | str | None) -> None:
    """Keep the secrets of a configuration, or of a URL, out of what this process logs and stores.

    :param config: a mapping, JSON text, or a URL
    """
    remember(_secrets_of(config) if isinstance(config, str) else tuple(secrets.values(config)))


@functools.lru_cache(maxsize=256)
def _secrets_of(text: str) -> tuple[str, ...]:
    try:
        return tuple(secrets.values(json.loads(text)))
    except (ValueError, RecursionError):
        return tuple(secrets.values(text))


def _spellings(value: str) -> Iterable[str]:
    for text in (value, value.strip()):  # headers are sent without blanks and line ends around them
        yield text
        yield repr(text)[1:-1]
        yield quote(text, safe="", errors="replace")
        if ":" in text:  # user:password
            yield base64.b64encode(text.encode(errors="replace")).decode()


@functools.lru_cache(maxsize=1)
def _pattern(version: int) -> re.Pattern[str] | None:
    # the longest first: one may be the beginning of another
    values = sorted(_known, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)") if values else None


def scrub(text: str) -> str:
    """Return the text without secrets: those that show by what stands around them, and those that are known."""
    pattern = _pattern(_version[0])
    if "characters truncated)" in text:
        text = _TRUNCATED.sub(MASK, text)
    return redact(pattern.sub(MASK, text) if pattern else text)


def install() -> None:
    """Scrub every log record of this process from now on, whoever makes it and wherever it goes."""
    make = logging.getLogRecordFactory()
    if getattr(make, "scrubs", False):
        return

    def scrubbed(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        _scrub_record(record)
        return record

    scrubbed.scrubs = True  # type: ignore[attr-defined]  # how the next call knows
    logging.setLogRecordFactory(scrubbed)


def _scrub_record(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
        args = _masked(record.args)
        clean = scrub(message if args == record.args else str(record.msg) % args)
    except (TypeError, ValueError, KeyError):
        return  # arguments that do not fit: logging itself says so when it formats the record
    if clean != message:
        record.msg, record.args = clean, ()
    if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
        # formatters take the text if there is one
        record.exc_text = scrub(_formatter.formatException(record.exc_info))


def _masked(argument: Any) -> Any:
    """Return what is logged without the secrets that show by their place in it: the data of a request, say."""
    if isinstance(argument, tuple):
        return tuple(map(_masked, argument))
    return masked(argument) if type(argument) is dict or type(argument) is list else argument


def masked(value: Any) -> Any:
    """Return a deep copy of a dictionary or list to show, as ``secrets.mask`` does, also masked in those texts in it
    that are JSON, such as the configuration of a source."""
    return _masked_texts(secrets.mask(value))


def _masked_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list(map(_masked_texts, value))
    return secrets.mask_json(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
