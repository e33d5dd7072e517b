"""What is wrong with a portal's archiving, and how it is mended.

``ckan archiver doctor`` shows what is found here. Nothing is written unless mending is asked for; then it is done in
small batches, while workers may run.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import diagnosis, lease
from ckanext.relay.celery_app import BULK
from ckanext.relay.diagnosis import SAMPLE, Finding
from ckanext.relay.download import DownloadFailed

from . import batch, config, inventory, runner
from .inventory import Problem
from .model import Archival, lease_table, removals, requests, rows
from .model.setup import MIGRATIONS
from .storage import Store, store

log = logging.getLogger(__name__)

#: The disk is nearly full if so many of the largest files would not fit any more.
ROOM_FOR = 20

_archival = Archival.__table__


def examine(fix: bool = False) -> Iterator[Finding]:
    """Yield what is wrong, and mend it if asked to.

    What cannot be looked at, because something that is needed for it is not there, is left out: that is the finding.
    """
    yield from diagnosis.broker("archiver")
    if finding := diagnosis.tables("archiver", str(MIGRATIONS)):
        yield finding
        return
    yield from diagnosis.sweep(lease_table, runner.SWEEP, "due links", "start beat: ckan relay beat")
    archive = store()
    of_folder = list(_folder(archive))
    yield from of_folder
    yield from _address()
    for check in rows.CHECKS:
        if finding := _rows(check, fix):
            yield finding
    yield from _unscheduled(fix)
    if not any(finding.code == "folder-unwritable" for finding in of_folder):
        yield from _files(archive, fix)


# -- the archive


def _folder(archive: Store) -> Iterator[Finding]:
    try:
        os.makedirs(archive.root, exist_ok=True)
        with tempfile.TemporaryFile(dir=archive.root):
            pass
    except OSError as error:
        remedy = "let the user of the workers write there, or correct ckanext-archiver.archive_dir"
        yield Finding("folder-unwritable", f"{archive.root} cannot be written: {error.strerror}", remedy)
        return
    needed = ROOM_FOR * config.max_content_length()
    free = shutil.disk_usage(archive.root).free
    if batch.is_disk_full() or free < needed:
        what = f"the disk of {archive.root} has {free:,} bytes left; it should have {needed:,}"
        remedy = "make room, or keep fewer copies: ckanext.archiver.policies, ckanext-archiver.max_content_length"
        yield Finding("disk-full", what, remedy)
    if not archive.has_room(1):
        what = f"the copies take {archive.usage().size:,} bytes, which is all that they may"
        yield Finding("quota-reached", what, "raise ckanext.archiver.quota_bytes, or keep fewer copies")


def _files(archive: Store, fix: bool) -> Iterator[Finding]:
    found: dict[str, Finding] = {}
    for problem in inventory.problems(archive):
        code, mend = _kind(problem)
        finding = found.setdefault(code, Finding(code, *_FILES[code], count=0, mendable=mend is not None, left=0))
        finding.count += 1
        finding.samples += [problem.path] * (finding.count <= SAMPLE)
        finding.left += 0 if fix and mend and mend(archive, problem) else 1
    yield from found.values()


_FILES = {
    "orphan-files": ("files are in the archive that nobody needs", "they are removed"),
    "files-of-nobody": (
        "files are in the archive of resources that this portal does not have",
        "if no other portal uses the folder: ckan archiver delete-orphans",
    ),
    "copies-missing": ("copies are named that are not there", "they are forgotten, and their links checked again"),
    "files-unreadable": ("copies cannot be read", "let the web server's user read them: chmod 644"),
    "files-foreign": ("files are in the archive that are no copies", "move them elsewhere"),
}


def _kind(problem: Problem) -> tuple[str, Callable[[Store, Problem], bool] | None]:
    """Return what kind of finding a problem is, and what mends it."""
    if problem.what == inventory.NO_RESOURCE:
        return "files-of-nobody", None
    if problem.orphan:
        return "orphan-files", lambda archive, each: archive.remove(each.path)
    if problem.what.startswith("File not found"):
        return "copies-missing", _forget_copy
    return ("files-unreadable" if problem.resource_id else "files-foreign"), None


def _forget_copy(_archive: Store, problem: Problem) -> bool:
    mine = sa.and_(_archival.c.resource_id == problem.resource_id, _archival.c.cache_filepath == problem.path)
    with lease.transaction() as connection:
        connection.execute(sa.update(_archival).where(mine).values(dict.fromkeys(removals.OF_A_COPY)))
        requests.request(BULK, requests.Wanted(resources=[problem.resource_id]), connection)
    return True


# -- how the copies are served

#: What a copy must be served with, so that nothing in it runs on the portal: header, and what must be in it.
_SAFE = {"content-disposition": "attachment", "x-content-type-options": "nosniff", "content-security-policy": "sandbox"}


def _address() -> Iterator[Finding]:
    """Ask for one copy as a visitor does."""
    root = config.cache_url_root()
    if not root:
        return
    begins = _archival.c.cache_url.startswith(f"{root.rstrip('/')}/", autoescape=True)
    url = model.Session.execute(sa.select(_archival.c.cache_url).where(begins).limit(1)).scalar()
    if not url:
        return
    try:
        with batch.downloader() as downloader:
            answer = downloader.fetch(url, method="HEAD")
    except DownloadFailed as error:
        remedy = (
            "correct the web server, or ckanext-archiver.cache_url_root; unset, the portal serves the copies itself"
        )
        yield Finding("copies-unreachable", f"{url} cannot be fetched: {error}", remedy, samples=[url])
        return
    if answer.status != 200:
        remedy = "let ckanext-archiver.cache_url_root be the address of ckanext-archiver.archive_dir, or unset it"
        what = f"{url} answers {answer.status} {answer.reason}".rstrip()
        yield Finding("copies-unreachable", what, remedy, samples=[url])
        return
    lacking = [name for name, value in _SAFE.items() if value not in answer.headers.get(name, "").lower()]
    if lacking:
        wanted = "; ".join(f"{name}: {_SAFE[name]}" for name in lacking)
        what = "copies are served so that a page or script in one of them runs as part of the portal"
        remedy = f"let the web server add {wanted}; or unset ckanext-archiver.cache_url_root"
        yield Finding("copies-unsafe", what, remedy, samples=[url])


# -- rows


def _rows(check: rows.Check, fix: bool) -> Finding | None:
    count = check.count()
    if not count:
        return None
    finding = Finding(check.code, check.what, check.remedy, count, check.sample(SAMPLE), True, count)
    if fix:
        finding.left = count - check.mend_all()
    return finding


def _unscheduled(fix: bool) -> Iterator[Finding]:
    count = requests.count_unknown()
    if not count:
        return
    what = "resources are not scheduled to be checked, because nobody told the archiver of them"
    finding: Any = Finding("links-unscheduled", what, "they are taken in", count, [], True, count)
    if fix:
        requests.adopt(config.recheck_age())
        finding.left = requests.count_unknown()
    yield finding
