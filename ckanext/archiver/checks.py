"""What the threads of a worker do: ask for a link, judge what comes, and store the file. No CKAN, no database."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import fetcher
from .domain import status
from .domain.answer import Answer, Failure
from .domain.cause import Cause
from .domain.file_name import file_name
from .domain.history import Copy
from .domain.link import Link
from .domain.plan import Request
from .domain.verdict import Verdict, classify
from .storage import DiskFull, QuotaReached, Store, StoreError
from .uploads import Upload

log = logging.getLogger(__name__)

_PIECE = 1 << 20


@dataclass(frozen=True)
class Checked:
    """What became of one link.

    :ivar outcome: what asking for it came to, without the body; None if nobody was asked
    :ivar copy: what is known of the file after a good answer, but for its public address; None: nothing new
    :ivar full: whether the disk is full
    """

    link: Link
    verdict: Verdict
    outcome: Answer | Failure | None = None
    copy: Copy | None = None
    full: bool = False

    @property
    def is_news(self) -> bool:
        """Whether other extensions are told: not of a file that is as it was."""
        return self.verdict.status_id != status.NOT_CHANGED

    @property
    def redirects(self) -> tuple[tuple[int, str], ...]:
        return self.outcome.redirects if self.outcome else ()


def ask(links: Sequence[Link], request: Request, session: Any, folder: str, store: Store) -> list[Checked]:
    """Ask once for the URL that the links share, and return what became of each.

    :param folder: for what is being downloaded
    """
    try:
        outcome = fetcher.fetch(session, request, folder)
        try:
            return _judge(links, outcome, store)
        finally:
            if isinstance(outcome, Answer) and outcome.path:
                Path(outcome.path).unlink(missing_ok=True)
    except Exception as error:  # the boundary of a thread: a mistake of ours must not look like one of the server
        log.exception("Checking resource %s failed", links[0].resource_id)
        reason = f"Error with the download: {type(error).__name__}: {error}"
        return [Checked(link, Verdict(status.DOWNLOAD_FAILURE, reason, Cause.OWN_FAULT)) for link in links]


def _judge(links: Sequence[Link], outcome: Answer | Failure, store: Store) -> list[Checked]:
    verdicts = [classify(link, outcome) for link in links]
    if not isinstance(outcome, Answer):
        full = outcome.cause is Cause.DISK
        return [Checked(link, verdict, outcome, full=full) for link, verdict in zip(links, verdicts, strict=True)]
    # storing takes the file away, so each one but the last gets a name of its own for it
    wanted = [link.resource_id for link, verdict in zip(links, verdicts, strict=True) if verdict.keep]
    files = {each: _another_name(outcome.path) for each in wanted[:-1] if outcome.path}
    if wanted and outcome.path:
        files[wanted[-1]] = outcome.path
    bare = replace(outcome, head=b"", path=None)
    return [
        _stored(link, verdict, bare, files.get(link.resource_id), store)
        for link, verdict in zip(links, verdicts, strict=True)
    ]


def _stored(link: Link, verdict: Verdict, answer: Answer, file: str | None, store: Store) -> Checked:
    if verdict.status_id != status.ARCHIVED:
        return Checked(link, verdict, answer)
    path = None
    if file is not None:
        try:
            path = store.keep(link.resource_id, file_name(link.url), file, answer.sha256 or "")
        except QuotaReached as error:
            log.info("%s; the copy of resource %s stays as it is", error, link.resource_id)
            return Checked(link, verdict, answer)
        except StoreError as error:
            failed = Verdict(status.SYSTEM_ERROR, error.message, Cause.DISK, verdict.url_redirected_to)
            return Checked(link, failed, answer, full=isinstance(error, DiskFull))
    copy = Copy(
        cache_filepath=path,
        size=answer.size,
        mimetype=answer.mimetype,
        hash=answer.sha1,
        sha256=answer.sha256,
        etag=answer.headers.get("etag"),
        last_modified=answer.headers.get("last-modified"),
    )
    return Checked(link, verdict, answer, copy)


def _another_name(path: str) -> str:
    name = f"{path}-{uuid.uuid4().hex}"
    try:
        os.link(path, name)
    except OSError:  # a file system that has no links
        shutil.copyfile(path, name)
    return name


def read(link: Link, upload: Upload, url: str) -> Checked:
    """Read an upload of this portal and return what became of it. It is not copied: its copy is the file itself.

    :param url: by which people get it
    """
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    try:
        with upload.open() as stream:
            while piece := stream.read(_PIECE):
                sha1.update(piece)
                sha256.update(piece)
                size += len(piece)
    except Exception as error:  # noqa: BLE001  # OSError, or whatever the storage of CKAN, which plugins provide, raises
        log.info("The upload of resource %s cannot be read: %s", link.resource_id, error)
        reason = f"The uploaded file cannot be read: {type(error).__name__}"
        return Checked(link, Verdict(status.URL_REQUEST_FAILED, reason, Cause.UPLOAD_MISSING))
    answer = Answer(url=url, status=200, size=size, sha1=sha1.hexdigest(), sha256=sha256.hexdigest())
    copy = Copy(
        cache_filepath=upload.path,
        cache_url=url,
        size=size,
        mimetype=mimetypes.guess_type(url.partition("?")[0])[0],
        hash=answer.sha1,
        sha256=answer.sha256,
    )
    return Checked(link, Verdict(status.ARCHIVED, url_redirected_to=url), answer, copy)
