"""What to do with a link: fetch it and keep a copy, only look whether it answers, read an upload, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urljoin

from . import service_probe, status
from .cause import Cause
from .link import Link
from .urls import UrlInvalid, tidy
from .verdict import Verdict

ARCHIVE, CHECK_ONLY = "archive", "check-only"


@dataclass(frozen=True)
class Policy:
    """Whether copies are kept of some of the resources.

    :ivar kind: ``org``, ``format`` or ``*``
    :ivar value: name of the organization, or the format in lower case; empty for ``*``, which is all
    :ivar keep: whether a copy is kept
    """

    kind: str
    value: str
    keep: bool

    def is_about(self, link: Link) -> bool:
        if self.kind == "org":
            return link.organization == self.value
        return self.kind == "*" or (link.format or "").strip().lower() == self.value


@dataclass(frozen=True)
class Settings:
    """What the portal's configuration says of all links.

    :ivar max_bytes: a file of so many bytes, or more, is not downloaded
    :ivar site_url: of the portal, without a slash at its end
    :ivar site_url_internally: by which the portal reaches itself
    :ivar archive_cloud: whether uploads that are stored elsewhere are downloaded
    :ivar private_copies: whether copies of the resources of private datasets are kept
    :ivar policies: the first one that is about a link counts; if none is, a copy is kept
    """

    max_bytes: int
    site_url: str
    site_url_internally: str
    archive_cloud: bool = False
    private_copies: bool = False
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True)
class Request:
    """What to fetch.

    :ivar url: tidied
    :ivar headers: that make the request conditional, if any
    :ivar keep_copy: whether the body is wanted
    :ivar max_bytes: a body of so many bytes, or more, is refused
    :ivar probes: how to ask in turn if this fails: services may have no answer without parameters
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    keep_copy: bool = True
    max_bytes: int = 50_000_000
    probes: tuple[service_probe.Probe, ...] = ()


@dataclass(frozen=True)
class LocalFile:
    """The link is an upload of this portal: the file is read where CKAN has it.

    :ivar url: by which people get it
    """

    url: str


@dataclass(frozen=True)
class Decided:
    """The verdict is clear without asking anybody."""

    verdict: Verdict


def plan(link: Link, settings: Settings, has_copy: bool = False) -> Request | LocalFile | Decided:
    """Return what to do with a link.

    :param has_copy: whether the file that its archival names is there
    """
    url = link.url.strip()
    if link.url_type == "upload":
        if not url.startswith("http") or _is_below(url, settings.site_url):
            return LocalFile(upload_url(link, settings.site_url))
        if not settings.archive_cloud:
            return Decided(_elsewhere(url))
    return request(link, url, settings, has_copy)


def upload_elsewhere(link: Link, settings: Settings, has_copy: bool = False) -> Request | Decided:
    """Return what to do with an upload of this portal that CKAN keeps on another machine."""
    if not settings.archive_cloud:
        return Decided(_elsewhere(upload_url(link, settings.site_url)))
    return request(link, upload_url(link, settings.site_url_internally), settings, has_copy)


def request(link: Link, url: str, settings: Settings, has_copy: bool) -> Request | Decided:
    """Return how to fetch this URL of a link."""
    if url.startswith("/"):  # of this portal, as dataset forms and harvesters write them
        url = urljoin(f"{settings.site_url_internally}/", url)
    try:
        tidied = tidy(url)
    except UrlInvalid as invalid:
        return Decided(Verdict(status.URL_INVALID, str(invalid), Cause.URL_INVALID))
    keep = keeps_copy(link, settings)
    return Request(
        url=tidied,
        headers=_conditions(link) if has_copy or not keep else {},
        keep_copy=keep,
        max_bytes=settings.max_bytes,
        probes=service_probe.probes(tidied, link.format),
    )


def keeps_copy(link: Link, settings: Settings) -> bool:
    """Return whether a copy of a link is to be kept."""
    if link.private and not settings.private_copies:
        return False
    return next((policy.keep for policy in settings.policies if policy.is_about(link)), True)


def upload_url(link: Link, site_url: str) -> str:
    """Return the address of an upload of this portal; its row has no more than the name of the file."""
    url = link.url.strip()
    if url.startswith("http"):
        return url
    name = url.rpartition("/")[2]
    return f"{site_url}/dataset/{link.package_id}/resource/{link.resource_id}/download/{name}"


def policies(lines: Iterable[str]) -> tuple[Policy, ...]:
    """Return the policies that are written as ``org:<name>=check-only``, ``format:<format>=archive`` or ``*=archive``.

    :raises ValueError: one is written otherwise; names it
    """
    return tuple(_policy(line) for line in lines)


def _policy(line: str) -> Policy:
    about, separator, what = line.strip().rpartition("=")
    kind, _, value = about.partition(":")
    known = about == "*" or (kind in ("org", "format") and value)
    if not separator or not known or what not in (ARCHIVE, CHECK_ONLY):
        raise ValueError(
            f"{line!r} is no policy: write org:<name>=check-only, format:<format>=archive, or *= and one of both"
        )
    return Policy(kind, value.lower() if kind == "format" else value, what == ARCHIVE)


def _is_below(url: str, site_url: str) -> bool:
    return bool(site_url) and (url == site_url or url.startswith(f"{site_url}/"))


def _elsewhere(url: str) -> Verdict:
    reason = f"Skipping resource hosted externally to download resource: {url}"
    return Verdict(status.CHOSE_NOT_TO_DOWNLOAD, reason, Cause.EXTERNAL_UPLOAD)


def _conditions(link: Link) -> dict[str, str]:
    """Return the headers that ask for the file only if it is another one than last time.

    They are sent only if the last check of the same URL was a success: what is known of the file is from it then.
    """
    previous = link.previous
    if previous is None or previous.is_broken is not False or previous.checked_url != link.url:
        return {}
    conditions = {"If-None-Match": previous.etag, "If-Modified-Since": previous.last_modified}
    return {name: value for name, value in conditions.items() if value and value.isascii() and value.isprintable()}
