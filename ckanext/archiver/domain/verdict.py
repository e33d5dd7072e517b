"""Which verdict an answer, or the lack of one, is; `docs/archiver-verdicts.rst` has it as a table."""

from __future__ import annotations

from dataclasses import dataclass

from . import content, status
from .answer import Answer, Failure
from .cause import Cause, http
from .link import Link
from .service_probe import probes

#: those of all other causes are ``DOWNLOAD_ERROR``
_STATUS_IDS = {
    Cause.URL_INVALID: status.URL_INVALID,
    Cause.UPLOAD_MISSING: status.URL_REQUEST_FAILED,
    Cause.HTML_INSTEAD_OF_DATA: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.SERVICE_INVALID: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.UNKNOWN_ENCODING: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.BLOCKED_ADDRESS: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.TOO_LARGE: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.EXTERNAL_UPLOAD: status.CHOSE_NOT_TO_DOWNLOAD,
    Cause("http_202"): status.CHOSE_NOT_TO_DOWNLOAD,
    Cause.OWN_FAULT: status.DOWNLOAD_FAILURE,
    Cause.DISK: status.SYSTEM_ERROR,
}


@dataclass(frozen=True)
class Verdict:
    """What is recorded of a check.

    :ivar status_id: see ``domain.status``
    :ivar reason: for people, in English; empty if all is well
    :ivar cause: for machines; None if all is well
    :ivar url_redirected_to: where the link led in the end, if elsewhere
    :ivar keep: whether the file that was fetched becomes the copy
    """

    status_id: int
    reason: str = ""
    cause: Cause | None = None
    url_redirected_to: str | None = None
    keep: bool = False


def status_id(cause: Cause) -> int:
    """Return the status of a check that failed with this cause."""
    return _STATUS_IDS.get(cause, status.DOWNLOAD_ERROR)


def classify(link: Link, outcome: Answer | Failure) -> Verdict:
    """Return the verdict on a link by what asking for it came to."""
    last = outcome.redirects[-1][1] if outcome.redirects else None
    redirected = None if last == link.url.strip() else last  # a detour to get a cookie leads back
    if isinstance(outcome, Failure):
        return Verdict(status_id(outcome.cause), outcome.message, outcome.cause, redirected)
    fault = fault_of(outcome, link.format)
    if fault:
        cause, reason = fault
        return Verdict(status_id(cause), reason, cause, redirected)
    if outcome.status == 304:
        return Verdict(status.NOT_CHANGED, url_redirected_to=redirected)
    kept = outcome.path is not None
    return Verdict(status.ARCHIVED, "", None, redirected, kept)


def fault_of(answer: Answer, declared: str | None) -> tuple[Cause, str] | None:
    """Return what is wrong with an answer and the reason to be recorded, or None if nothing is.

    :param declared: the format that the resource names
    """
    if answer.status == 304:
        return None
    if answer.status >= 400:
        return http(answer.status), f"Server reported status error: {answer.status} {answer.reason}".rstrip()
    if not 200 <= answer.status < 300:
        return Cause.INVALID_HTTP, f"Invalid HTTP response: {answer.status} {answer.reason}".rstrip()
    if answer.method == "HEAD":
        return None
    return _fault_of_body(answer, declared)


def _fault_of_body(answer: Answer, declared: str | None) -> tuple[Cause, str] | None:
    head = answer.head
    seen = len(head) if answer.size is None else answer.size
    if seen < 2:
        return Cause.EMPTY, f"Content-length after streaming was {seen}"
    message = content.api_error(head)
    if message is not None:
        cause = http(403) if content.wants_login(head) else Cause.API_ERROR
        return cause, f"Server content contained an API error message: {message}"
    if answer.status == 202:
        return http(202), f"The server has accepted the request, but not sent the file: 202 {answer.reason}".rstrip()
    if content.is_not_found_page(head):
        return Cause.SOFT_404, "The server sent a page that says that there is nothing, without an error status"
    if content.is_page_instead_of_data(head, answer.headers, declared):
        return Cause.HTML_INSTEAD_OF_DATA, f"The server sent a web page, but the resource is said to be {declared}"
    if content.is_html(head) and any(probe.declared for probe in probes(answer.url, declared)):
        return Cause.SERVICE_INVALID, f"The server sent a web page, and nothing that a {declared} service would"
    return None
