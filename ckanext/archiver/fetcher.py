"""Asking a server for what a link leads to. Runs in the threads of a worker: no CKAN, no database.

What goes wrong on the other side, or on the way there, is an answer or a failure, never an exception.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from ckanext.relay.download import Downloader, DownloadFailed, StorageFailed

from .domain import content, service_probe
from .domain.answer import Answer, Failure
from .domain.cause import Cause
from .domain.plan import Request
from .domain.service_probe import Probe

# Servers that answer so are there, but not for us or not now; asking them in another way is no use.
_NOT_TO_BE_PROBED = frozenset({401, 402, 403, 407, 408, 410, 425, 429, 451, 502, 503, 504})
_PROBE_HEADERS = {
    "SPARQL": {"Accept": "application/sparql-results+json, application/sparql-results+xml;q=0.9"},
    "OGC API": {"Accept": "application/json"},
}
#: by kind of failure; the others are connection errors
_REASONS = {
    "timeout": "Connection timed out after {seconds:g}s",
    "redirect_loop": "Too many redirects",
    "too_large": "Content-length {size} exceeds maximum allowed value {limit}",
    "invalid_http": "Invalid HTTP response: {message}",
    "incomplete": "Error downloading: {message}",
    "ftp_missing": "Error downloading: {message}",
    "ftp_refused": "Error downloading: {message}",
    "unknown_encoding": "Error downloading: {message}",
    "proxy": "Error with the download: {message}",
    "blocked_address": "{message}",
}


def fetch(session: Downloader, request: Request, folder: str) -> Answer | Failure:
    """Ask for a URL, and if it gives no good answer by itself, ask for it as the service that it may be.

    :param session: shared by all threads
    :param folder: where a body is written that is wanted; the file of an answer belongs to the caller
    """
    deadline = time.monotonic() + session.limits.total
    outcome = _asked(session, request, request.url, folder, request.headers, deadline)
    for probe in request.probes if _may_be_service(outcome, request.probes) else ():
        answer = _asked(session, request, probe.url, folder, _PROBE_HEADERS.get(probe.service, {}), deadline)
        if _describes(answer, probe):
            _discard(outcome)
            assert isinstance(answer, Answer)
            return replace(answer, request_type=probe.request_type)
        _discard(answer)
    return outcome


def _asked(
    session: Downloader, request: Request, url: str, folder: str, headers: dict[str, str], deadline: float
) -> Answer | Failure:
    limits = replace(session.limits, total=max(deadline - time.monotonic(), 0))
    try:
        found = session.fetch(
            url, folder if request.keep_copy else None, headers=headers, max_bytes=request.max_bytes, limits=limits
        )
    except DownloadFailed as error:
        return _failure(error, request, session.limits.total)
    except StorageFailed as error:
        return Failure(Cause.DISK, str(error))
    return Answer(**vars(found))


def _failure(error: DownloadFailed, request: Request, total: float) -> Failure:
    seconds = total if error.is_deadline else error.seconds
    reason = _REASONS.get(error.kind, "Connection error: {message}").format(
        message=error.message, seconds=seconds or 0, size=error.size, limit=request.max_bytes
    )
    cause = Cause.OWN_FAULT if error.kind == "proxy" else Cause(error.kind)
    return Failure(cause, reason, error.redirects)


def _may_be_service(outcome: Answer | Failure, probes: tuple[Probe, ...]) -> bool:
    if isinstance(outcome, Failure) or not probes or outcome.status == 304:
        return False
    if outcome.status >= 400:
        return outcome.status not in _NOT_TO_BE_PROBED
    if len(outcome.head) < 2 or content.api_error(outcome.head) is not None:
        return True
    # whoever declares a service may link a page about it; what else comes may well be some of its data
    return probes[0].declared and content.is_html(outcome.head)


def _describes(outcome: Answer | Failure, probe: Probe) -> bool:
    if isinstance(outcome, Failure) or not 200 <= outcome.status < 300:
        return False
    return service_probe.recognized(outcome.head) == probe.service


def _discard(outcome: Answer | Failure) -> None:
    if isinstance(outcome, Answer) and outcome.path:
        os.unlink(outcome.path)
