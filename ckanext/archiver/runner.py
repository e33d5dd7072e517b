"""One unit of work per function: archive a batch, archive some resources at once, tell others, sweep.

Each claims what it works on, so that it may be called by anybody at any time, twice or never, and no function sends a
message: it returns what comes next, as hints for :mod:`ckanext.archiver.tasks`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import ckan.plugins as p
from ckan import model

from ckanext.relay import lease, search
from ckanext.relay.celery_app import BULK, PRIORITY

from . import batch, config, retention
from .batch import Batch
from .checks import Checked
from .interfaces import IPipe
from .model import hosts, lease_table, notices, rechecks, requests
from .model.resources import Wanted
from .storage import store

log = logging.getLogger(__name__)

#: How many datasets are told of at a time.
NOTICES = 50
#: Seconds after which those who tell are taken for hung; other extensions do their work meanwhile.
NOTICE_SECONDS = 1800
#: Seconds beyond their limits after which tasks that hang are killed.
GRACE_SECONDS = 60
#: Seconds between two looks for what is gone, and for resources that nobody told us of.
TIDY_SECONDS = 3600
#: Seconds that somebody who archives at once waits for a host that another worker has in hand.
PATIENCE = 60
#: The names of what is done now and then, where they say when it was done the last time.
SWEEP, TIDY = "archiver sweep", "archiver tidy"
#: What the leases of all who archive begin with, and what those of who tells others say.
ARCHIVE, TELL = "archive ", "tell"


@dataclass(frozen=True)
class Next:
    """What there is to do next: a task of :mod:`ckanext.archiver.tasks`, and in which lane."""

    task: str
    lane: str

    @property
    def work(self) -> str:
        """What the leases of those who are at it say."""
        return f"{ARCHIVE}{self.lane}" if self.task == "archive" else TELL


def longest(task: str) -> float:
    """Return after how many seconds a task is taken for hung and its lease is not renewed any more."""
    return batch.LONGEST + config.total_seconds() + GRACE_SECONDS if task == "archive" else NOTICE_SECONDS


# -- archive


def archive_batch(lane: str, at_most: int | None = None) -> Iterator[Next]:
    """Check links that are due, of many hosts, for a while.

    :param lane: ``priority``: only what somebody waits for; ``bulk``: all, beginning with that
    :param at_most: how many processes of this worker may do so at a time, this one included
    """
    hosts.refresh(lane if lane == PRIORITY else None)
    if batch.is_disk_full() or not hosts.are_due(_only(lane)):
        return
    with lease.held_if_room(lease_table, f"{ARCHIVE}{lane}", longest("archive"), ARCHIVE, at_most) as lease_id:
        if lease_id is None:
            return
        with _batch(lease_id, _only(lane)) as mine:
            for checked in mine.run():
                _tell_of(checked)
    if notices.are_ready():
        yield Next("tell", lane)
    if not mine.is_stopped and hosts.are_due(_only(lane)):
        yield Next("archive", lane)


def _only(lane: str) -> str | None:
    return PRIORITY if lane == PRIORITY else None


@contextlib.contextmanager
def _batch(lease_id: str, lane: str | None) -> Iterator[Batch]:
    archive = store()
    with archive.temporary(lease_id) as folder, batch.begun(lease_id, lane, archive, folder) as mine:
        try:
            yield mine
        finally:
            hosts.release(lease_id)


def archive_now(resource_ids: Collection[str], lane: str = BULK) -> Iterator[Checked]:
    """Check the links of these resources in this process, and tell who is to be told; yields what becomes of each.

    What somebody else is checking just now, and what cannot be told from a fault of our own, is left to the workers.
    """
    ids = set(resource_ids)
    requests.request(lane if lane == PRIORITY else BULK, Wanted(resources=ids))
    model.Session.commit()
    hosts.refresh()
    task = f"at once: {len(ids)} resources"
    with lease.held(lease_table, task, longest("archive")) as lease_id, _batch(lease_id, None) as mine:
        for checked in mine.run(ids, patience=PATIENCE):
            _tell_of(checked)
            yield from checked
    tell(ids)


# -- tell others


def _tell_of(checked: list[Checked]) -> None:
    """Tell the pipeline of resources whose checks are recorded."""
    for each in checked:
        if each.is_news:
            path = each.copy.cache_filepath if each.copy else _path_before(each)
            _send("archived", each.link.lane, resource_id=each.link.resource_id, cache_filepath=path)


def _path_before(checked: Checked) -> str | None:
    return checked.link.previous.cache_filepath if checked.link.previous else None


def tell(resource_ids: Collection[str] | None = None) -> list[Next]:
    """Tell the search index, and the pipeline, of datasets whose links have been checked.

    :param resource_ids: only of the datasets of these resources, if any are named
    """
    until = time.monotonic() + batch.SECONDS
    with lease.held(lease_table, TELL, longest=NOTICE_SECONDS) as lease_id:
        while found := notices.claim(lease_id, NOTICES, resource_ids):
            try:
                _index([notice for notice in found if notice.shows])
            except search.SearchUnavailable as error:
                log.warning("%s datasets wait for the search index: %s", len(found), error)
                return []
            for notice in found:
                if notice.succeeded:
                    _send("package-archived", notice.queue, package_id=notice.package_id)
            notices.told(lease_id, [notice.package_id for notice in found])
            if resource_ids is None and time.monotonic() > until:
                return [Next("tell", BULK)]
    return []


def _send(operation: str, queue: str, **params: Any) -> None:
    try:
        IPipe.send_data(operation, queue, **params)
        model.Session.commit()
    except Exception:  # the boundary to third-party code, and to what it leaves in the session
        model.Session.rollback()
        log.exception("A plugin of the pipeline failed: %s %s", operation, params)


def waiting_plugins() -> list[str]:
    """Return the names of the plugins in the pipeline."""
    return [plugin.name for plugin in p.PluginImplementations(IPipe)]


def _index(found: Collection[notices.Notice]) -> None:
    # qa indexes a dataset itself when it is through, if it is told of it
    others = {notice.package_id for notice in found if notice.succeeded} if "qa" in waiting_plugins() else set()
    package_ids = [notice.package_id for notice in found if notice.package_id not in others]
    if not package_ids:
        return
    for package_id, reason in search.index(package_ids).items():
        log.error("Solr refuses the document of dataset %s: %s", package_id, reason)
    model.Session.rollback()  # end the transaction that read the datasets


# -- sweep


def sweep() -> Iterator[Next]:
    """Find what is due and what nobody works on; does nothing while another sweep runs."""
    with lease.only_one(SWEEP) as mine:
        if not mine:
            return
        lease.note(lease_table, SWEEP)
        lease.forget_expired(lease_table)
        store().sweep_temporary(lambda: lease.holders(lease_table))
        rechecks.request(config.recheck_budget())
        hosts.refresh()
        if (age := lease.noted(lease_table, TIDY)) is None or age > TIDY_SECONDS:
            lease.note(lease_table, TIDY)
            _tidy()
    if not batch.is_disk_full():
        yield from (Next("archive", lane) for lane in (PRIORITY, BULK) if hosts.are_due(_only(lane)))
    if notices.are_ready():
        yield Next("tell", BULK)


def _tidy() -> None:
    """Look for what is gone, and for resources that nobody told us of."""
    requests.adopt(config.recheck_age())
    hosts.forget_idle()
    try:
        retention.sweep(store())
    except search.SearchUnavailable as error:
        log.warning("Datasets whose copies were removed are indexed later: %s", error)
