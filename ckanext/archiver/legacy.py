"""The functions and exceptions that other extensions, their tests and jobs that wait in Redis know.

A facade over the runner: :mod:`ckanext.archiver.tasks` offers all of it, nothing inside of this package uses it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.relay import clock
from ckanext.relay.download import DownloadFailed
from ckanext.relay.errors import RelayError, RemoteTimeout, RemoteUnavailable, TooManyRedirects
from ckanext.relay.http import relay_errors

from . import batch, config, fetcher, runner
from .domain import content, history, plan, service_probe, status, urls
from .domain import verdict as verdicts
from .domain.answer import Answer, Failure
from .domain.cause import HOST_LEVEL, Cause
from .domain.file_name import file_name
from .domain.history import Copy
from .domain.link import Link, Previous
from .interfaces import IPipe
from .model import Archival
from .storage import StoreError, sha256, store

log = logging.getLogger(__name__)

ALLOWED_SCHEMES = set(urls.SCHEMES)
#: The lane of who does not say.
DEFAULT_QUEUE = "bulk"
_NO_ANSWER = HOST_LEVEL | {Cause.TIMEOUT, Cause.INVALID_HTTP, Cause.REDIRECT_LOOP, Cause.INCOMPLETE}
#: What is said of a status that comes without a cause.
_CAUSES = {
    status.URL_INVALID: Cause.URL_INVALID,
    status.URL_REQUEST_FAILED: Cause.UPLOAD_MISSING,
    status.DOWNLOAD_ERROR: Cause.INVALID_HTTP,
    status.CHOSE_NOT_TO_DOWNLOAD: Cause.TOO_LARGE,
    status.DOWNLOAD_FAILURE: Cause.OWN_FAULT,
    status.SYSTEM_ERROR: Cause.DISK,
}


class ArchiverError(Exception):
    """Base of what goes wrong while a resource is archived."""


class ArchiverErrorBeforeDownloadStarted(ArchiverError):
    """Nothing was asked of anybody yet."""


class DownloadException(ArchiverError):
    """No answer came."""


class CkanError(ArchiverError):
    """CKAN did not take or give what it should."""


class ArchiverErrorAfterDownloadStarted(ArchiverError):
    """Something went wrong later; knows where the request was sent on to."""

    def __init__(self, msg: str | None = None, url_redirected_to: str | None = None) -> None:
        super().__init__(msg)
        self.url_redirected_to = url_redirected_to


class DownloadError(ArchiverErrorAfterDownloadStarted):
    """The answer is an error."""


class ArchiveError(ArchiverErrorAfterDownloadStarted):
    """The file could not be stored."""


class ChooseNotToDownload(ArchiverErrorAfterDownloadStarted):
    """The file is too large, or of no use."""


class NotChanged(ArchiverErrorAfterDownloadStarted):
    """The file is the same as last time."""


class LinkCheckerError(ArchiverError):
    """A link could not be checked."""


class LinkInvalidError(LinkCheckerError):
    """It is no URL."""


class LinkHeadRequestError(LinkCheckerError):
    """The server answered HEAD with an error, or not at all."""


class LinkHeadMethodNotSupported(LinkCheckerError):
    """The server does not know HEAD."""


# -- whole resources and datasets: what CKAN's own job queue may still hold


def update_package(package_id: str, queue: str = DEFAULT_QUEUE) -> None:
    """Archive all resources of a dataset in this process.

    :raises ObjectNotFound: there is no such dataset
    """
    package = model.Package.get(package_id)
    if package is None:
        raise tk.ObjectNotFound(f"Dataset {package_id} is not there")
    for _ in runner.archive_now([resource.id for resource in package.resources], queue):
        pass


def update_resource(resource_id: str, queue: str = DEFAULT_QUEUE) -> str | None:
    """Archive a resource in this process; return what was downloaded as a JSON object, or None if nothing was.

    :raises AssertionError: the id is no lower-case UUID
    :raises ObjectNotFound: there is no such resource
    """
    assert is_id(resource_id), resource_id
    resource = model.Resource.get(resource_id)
    if resource is None or resource.state != "active":
        raise tk.ObjectNotFound(f"Resource {resource_id} is not there")
    result = None
    for checked in runner.archive_now([resource_id], queue):
        if checked.verdict.status_id == status.ARCHIVED and isinstance(checked.outcome, Answer):
            archival = Archival.get_for_resource(resource_id)
            stored = {"cache_filepath": archival.cache_filepath, "cache_url": archival.cache_url} if archival else {}
            result = json.dumps({**_as_result(checked.outcome), **stored})
    return result


# -- one step at a time


def download(
    context: dict[str, Any],
    resource: dict[str, Any],
    url_timeout: float = 30,
    max_content_length: int | str = "default",
    method: str = "GET",
) -> dict[str, Any]:
    """Download what the ``url`` of a resource leads to into a temporary file, which the caller removes.

    :param context: may hold ``site_url``, and ``previous``, the :class:`Archival` of the last time
    :param max_content_length: bytes, or ``default`` for what the settings say
    :param method: GET, whatever it says
    :returns: ``mimetype, size, hash, headers, saved_file, url_redirected_to, request_type``
    :raises LinkInvalidError: the URL is none
    :raises DownloadException: no answer came
    :raises DownloadError: the answer is an error
    :raises ChooseNotToDownload: it is too large
    :raises NotChanged: it is what ``previous`` is about
    """
    url = tidy_url(str(resource["url"]))
    limit = config.max_content_length() if max_content_length == "default" else int(max_content_length)
    etag = getattr(context.get("previous"), "etag", None)
    conditions = {"If-None-Match": str(etag)} if etag else {}
    return _downloaded(plan.Request(url, headers=conditions, max_bytes=limit), url_timeout)


def _downloaded(request: plan.Request, url_timeout: float = 30) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, batch.downloader(read_seconds=url_timeout) as downloader:
        found = fetcher.fetch(downloader, request, folder)
        _raise(found, verdicts.classify(Link("", "", request.url), found))
        assert isinstance(found, Answer)
        handle, saved = tempfile.mkstemp()
        os.close(handle)
        shutil.move(str(found.path), saved)
    return _as_result(found) | {"saved_file": saved}


def _raise(found: Answer | Failure, verdict: verdicts.Verdict) -> None:
    """Raise what a verdict other than a success is to these functions."""
    if verdict.status_id == status.NOT_CHANGED:
        raise NotChanged("Content has not changed", verdict.url_redirected_to)
    if verdict.status_id == status.CHOSE_NOT_TO_DOWNLOAD:
        raise ChooseNotToDownload(verdict.reason, verdict.url_redirected_to)
    if verdict.cause in _NO_ANSWER and not found.redirects:
        raise DownloadException(verdict.reason)
    if verdict.status_id != status.ARCHIVED:
        raise DownloadError(verdict.reason, verdict.url_redirected_to)


def _as_result(answer: Answer) -> dict[str, Any]:
    return {
        "mimetype": answer.mimetype,
        "size": answer.size,
        "hash": answer.sha1,
        "headers": dict(answer.headers),
        "saved_file": None,
        "url_redirected_to": answer.redirects[-1][1] if answer.redirects else None,
        "request_type": answer.request_type,
    }


def archive_resource(
    context: dict[str, Any],
    resource: dict[str, Any],
    log: Any,
    result: dict[str, Any] | None = None,
    url_timeout: float = 30,
) -> dict[str, Any]:
    """Move a downloaded file to where the copy of the resource belongs.

    :param context: ``cache_url_root`` in it comes before the one of the settings
    :param result: what :func:`download` returned; it is called if there is nothing
    :returns: ``cache_filepath`` and ``cache_url``
    :raises ArchiveError: there is no ``cache_url_root``, or the file cannot be stored
    """
    found = result or download(context, resource, url_timeout)
    root = context.get("cache_url_root") or config.cache_url_root()
    if not root:
        os.unlink(found["saved_file"])
        raise ArchiveError("No value for ckanext-archiver.cache_url_root in config")
    archive = store()
    try:
        saved = found["saved_file"]
        with open(saved, "rb") as file:
            digest = sha256(file)
        path = archive.keep(resource["id"], file_name(resource["url"]), saved, digest)
    except StoreError as error:
        raise ArchiveError(error.message) from error
    log.info("Archived resource %s as %s", resource["id"], path)
    return {"cache_filepath": path, "cache_url": f"{root.rstrip('/')}/{quote(archive.relative(path) or '')}"}


# -- services


def api_request(context: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any] | None:
    """Ask a URL for what services offer, in turn; return what :func:`download` does for the first that answers as one,
    or None."""
    for request in (wms_1_3_request, wms_1_1_1_request, wfs_request):
        try:
            return request(context, resource)
        except (ArchiverError, LinkInvalidError) as error:
            log.debug("%s is no such service: %s", resource.get("id"), error)
    return None


def ogc_request(context: dict[str, Any], resource: dict[str, Any], service: str, wms_version: str) -> dict[str, Any]:
    """Return what :func:`download` does for the description of a map service.

    :param service: ``WMS`` or ``WFS``
    :param wms_version: such as ``1.3``
    :raises DownloadError: it is none
    """
    known = {"1.1.1": "WMS 1.1.1", "1.3": "WMS 1.3", "1.3.0": "WMS 1.3"}
    request_type = known.get(wms_version, "WMS 1.3") if service == "WMS" else "WFS 2.0"
    probe = service_probe.probe(tidy_url(str(resource["url"])), request_type, service)
    found = download(context, {**resource, "url": probe.url})
    with open(found["saved_file"], "rb") as file:
        if service_probe.recognized(file.read(content.HEAD_BYTES)) != service:
            os.unlink(found["saved_file"])
            raise DownloadError(f"The server did not describe a {service} service")
    return {**found, "request_type": request_type}


def wms_1_3_request(context: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    """Ask for a WMS of version 1.3; see :func:`ogc_request`."""
    return ogc_request(context, resource, "WMS", "1.3")


def wms_1_1_1_request(context: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    """Ask for a WMS of version 1.1.1; see :func:`ogc_request`."""
    return ogc_request(context, resource, "WMS", "1.1.1")


def wfs_request(context: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    """Ask for a WFS; see :func:`ogc_request`."""
    return ogc_request(context, resource, "WFS", "2.0")


def response_is_an_api_error(response_body: str | bytes) -> bool:
    """Return whether a body is the error report of a map service."""
    return content.is_ogc_exception(response_body)


# -- saving, and telling others


def save_archival(
    resource: dict[str, Any],
    status_id: int,
    reason: str,
    url_redirected_to: str | None,
    download_result: dict[str, Any] | None,
    archive_result: dict[str, Any] | None,
    log: Any,
) -> None:
    """Record the outcome of a check in the session, and commit it.

    :param resource: with ``id`` and ``url``
    :param download_result: what :func:`download` returned, of a success
    :param archive_result: what :func:`archive_resource` returned, of a success
    """
    archival = Archival.get_for_resource(resource["id"])
    if archival is None:
        archival = Archival.create(resource["id"])
        model.Session.add(archival)
    got, stored = download_result or {}, archive_result or {}
    headers = {name.lower(): value for name, value in dict(got.get("headers") or {}).items()}
    copy = Copy(
        cache_filepath=stored.get("cache_filepath"),
        cache_url=stored.get("cache_url"),
        size=got.get("size"),
        mimetype=got.get("mimetype"),
        hash=got.get("hash"),
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
    )
    previous = None if archival.status_id is None else _previous(archival)
    facts = history.Facts(str(resource.get("url") or ""), (), copy if download_result is not None else None)
    verdict = verdicts.Verdict(status_id, str(reason or ""), _CAUSES.get(status_id), url_redirected_to)
    columns = history.record(previous, verdict, facts, clock.now(), config.confirm())
    for name, value in {**columns, "redirects": None}.items():
        setattr(archival, name, value)
    model.Session.commit()
    log.info("Archival of resource %s saved: %s %s", resource["id"], archival.status, reason or "")


def _previous(archival: Any) -> Previous:
    known = {field.name: getattr(archival, field.name) for field in dataclasses.fields(Previous)}
    counts = {"failure_count": archival.failure_count or 0, "suspect_count": archival.suspect_count or 0}
    return Previous(**{**known, **counts})


def notify_resource(resource: dict[str, Any], queue: str, cache_filepath: str | None = None) -> None:
    """Tell the pipeline that a resource was archived."""
    IPipe.send_data("archived", queue, resource_id=resource["id"], cache_filepath=cache_filepath)


def notify_package(package: dict[str, Any], queue: str = DEFAULT_QUEUE, *_: Any) -> None:
    """Tell the pipeline that the resources of a dataset were archived.

    :param package: with ``id``
    """
    IPipe.send_data("package-archived", queue, package_id=package["id"])


def get_plugins_waiting_on_ipipe() -> list[str]:
    """Return the names of the plugins in the pipeline."""
    return runner.waiting_plugins()


# -- URLs


def tidy_url(url: str) -> str:
    """Return a URL as it is sent.

    :raises LinkInvalidError: it is none
    """
    try:
        return urls.tidy(url)
    except urls.UrlInvalid as error:
        raise LinkInvalidError(str(error)) from None


def is_id(id_string: str) -> bool:
    """Return whether a text looks like the id of a resource: a UUID in lower case."""
    return bool(model.is_id(id_string))


def verify_https() -> bool:
    """Return whether certificates of servers are verified."""
    return config.verify_https()


def requests_wrapper(log: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that asks a server through ``requests``, and turn what it raises into our errors.

    :raises DownloadException: no answer came
    """
    try:
        with relay_errors(str(kwargs.get("url") or next(iter(args), ""))):
            return func(*args, verify=config.verify_https(), **kwargs)
    except RelayError as error:
        raise _no_answer(error) from error


def _no_answer(error: RelayError) -> DownloadException:
    if isinstance(error, TooManyRedirects):
        return DownloadException("Too many redirects")
    if isinstance(error, RemoteTimeout):
        return DownloadException(f"Connection timed out: {error.message}")
    if isinstance(error, RemoteUnavailable):
        return DownloadException(f"Connection error: {error.message}")
    return DownloadException(f"Error downloading: {error.message}")


def link_checker(context: str, data: str) -> str:
    """Ask a server for the headers of a URL; redirects are not followed, and count as success.

    :param data: a JSON object with ``url`` and, if it is not to be 30 seconds, ``url_timeout``
    :returns: a JSON object of the headers, their names in lower case
    :raises LinkInvalidError: the URL is none
    :raises LinkHeadMethodNotSupported: the server does not know HEAD
    :raises LinkHeadRequestError: the answer is an error, or there is none
    """
    given = json.loads(data)
    url, limits = tidy_url(given["url"]), {"read_seconds": float(given.get("url_timeout", 30))}
    try:
        with batch.downloader(**limits) as downloader:
            answer = downloader.fetch(url, method="HEAD", follow=False)
    except DownloadFailed as error:
        raise LinkHeadRequestError(f"Error during request: {error}") from error
    if answer.status == 405:
        raise LinkHeadMethodNotSupported(f"Server returned HTTP error status: {answer.status} {answer.reason}")
    if answer.status >= 400:
        raise LinkHeadRequestError(f"Server returned HTTP error status: {answer.status} {answer.reason}")
    return json.dumps(dict(answer.headers))


def clean() -> None:
    """Kept for who calls it."""
    log.error("clean is not implemented: use ckan archiver delete-orphans")


__all__ = [
    "ALLOWED_SCHEMES",
    "ArchiverError",
    "ArchiverErrorBeforeDownloadStarted",
    "DownloadException",
    "CkanError",
    "ArchiverErrorAfterDownloadStarted",
    "DownloadError",
    "ArchiveError",
    "ChooseNotToDownload",
    "NotChanged",
    "LinkCheckerError",
    "LinkInvalidError",
    "LinkHeadRequestError",
    "LinkHeadMethodNotSupported",
    "update_package",
    "update_resource",
    "download",
    "archive_resource",
    "api_request",
    "ogc_request",
    "wms_1_3_request",
    "wms_1_1_1_request",
    "wfs_request",
    "response_is_an_api_error",
    "save_archival",
    "notify_resource",
    "notify_package",
    "get_plugins_waiting_on_ipipe",
    "tidy_url",
    "is_id",
    "verify_https",
    "requests_wrapper",
    "link_checker",
    "clean",
]
