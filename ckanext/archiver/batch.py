"""A batch: links of many hosts, asked for by many threads, recorded together by one.

The thread that runs the batch claims, plans, judges and records; the others ask, hash and store (``checks``). A link
that hangs holds a thread and one of the turns of its host, and nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from ckanext.relay import clock, lease
from ckanext.relay import config as relay_config
from ckanext.relay.download import Downloader, DownloadFailed, Limits

from . import checks, config, uploads
from .cache_urls import cache_url
from .checks import Checked
from .crew import Crew, Job
from .domain import history, plan, status
from .domain.answer import Failure
from .domain.cause import Cause
from .domain.host import DOUBTFUL, Host, Manners, is_own_fault
from .domain.link import Link
from .domain.verdict import Verdict
from .model import hosts, lease_table, links, record, removals, requests
from .model.resources import Wanted
from .storage import Store

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Seconds after which a batch ends as soon as nothing hangs, and after which it begins nothing more in any case.
SECONDS, LONGEST = 20, 300
#: A request that takes longer than this does not keep others from being begun.
STRAGGLES = 2
#: How many checks are recorded together at most, and for how many seconds one waits to be recorded.
TOGETHER, RECORD_SECONDS = 100, 1.0
#: How many hosts are claimed at a time, and how many URLs of a host are read at a time.
CLAIM, PAGE = 16, 50
#: Seconds that pass between two looks for more hosts when there was none.
LOOK_SECONDS = 1.0
#: For how many seconds it counts that our network works, and that a host answered.
FRESH_SECONDS = 60
#: Seconds for which links are put off because of a fault of our own.
OWN_FAULT_SECONDS = 300
#: Seconds for which nothing is archived after the disk was full.
DISK_SECONDS = 60
#: Name under which it is noted that the disk was full.
DISK_FULL = "archiver disk full"
#: How often a worker may die while it has a link in hand.
TRIES = 5
_GIVEN_UP = Verdict(
    status.DOWNLOAD_FAILURE, f"Given up after {TRIES} tries: the worker process died each time", Cause.OWN_FAULT
)
#: How uploads are treated: they are on our own disk.
_AT_HOME = Manners(concurrency=4, delay=0)


def is_disk_full() -> bool:
    """Return whether the disk was full a moment ago."""
    age = lease.noted(lease_table, DISK_FULL)
    return age is not None and age < DISK_SECONDS


@contextlib.contextmanager
def begun(lease_id: str, lane: str | None, store: Store, folder: str) -> Iterator[Batch]:
    """Make a batch and its threads.

    :param lane: only links of this lane, if one is named
    :param folder: for what is being downloaded
    """
    with downloader() as mine, Crew(config.threads()) as crew:
        yield Batch(lease_id, lane, store, folder, mine, crew)


def downloader(read_seconds: float | None = None) -> Downloader:
    """Return what downloads as the settings say; close it after use.

    :param read_seconds: how long a server may send nothing, if not as the settings say
    """
    seconds = config.connect_seconds(), read_seconds or config.read_seconds(), config.total_seconds()
    limits = Limits(*seconds, redirects=10)
    policy, proxy = relay_config.address_policy(), config.download_proxy()
    return Downloader(policy, limits, config.user_agent(), config.verify_https(), proxy)


class Batch:
    """The links in the hands of a worker."""

    def __init__(
        self, lease_id: str, lane: str | None, store: Store, folder: str, downloader: Downloader, crew: Crew
    ) -> None:
        #: whether it ended early, for a fault of our own
        self.is_stopped = False
        self._lease_id, self._lane = lease_id, lane
        self._store, self._folder, self._downloader, self._crew = store, folder, downloader, crew
        self._settings, self._manners = config.settings(), config.manners()
        self._age, self._confirm = config.recheck_age(), config.confirm()
        self._only: set[str] | None = None
        self._pending: list[Checked] = []
        self._doubtful: list[Checked] = []
        self._answered: dict[str, float] = {}
        self._works_until = self._next_look = self._doubted = 0.0
        self._last_record = time.monotonic()

    def run(self, only: Collection[str] | None = None, patience: float = 0) -> Iterator[list[Checked]]:
        """Check links until none is due, or the time is over; yields what is recorded.

        :param only: ids of the resources that are meant; all that are due unless told otherwise
        :param patience: for how many seconds nothing may happen, because others have the hosts, before it ends
        """
        self._only = set(only) if only is not None else None
        begun = last = time.monotonic()
        while True:
            now = time.monotonic()
            may_begin = not self.is_stopped and (only is not None or self._has_time(now - begun))
            if may_begin:
                self._claim(now)
            else:
                self._crew.stop()
            recorded = self._step()
            if recorded:
                last = time.monotonic()
                yield recorded
            elif not self._is_at_work() and (not may_begin or self._is_through(now - last, patience)):
                break
        self._give_back(final=True)

    def _is_at_work(self) -> bool:
        return bool(self._crew.busy or self._crew.waiting or self._pending or self._doubtful)

    def _has_time(self, seconds: float) -> bool:
        return seconds < SECONDS or (seconds < LONGEST and self._crew.oldest() > STRAGGLES)

    def _is_through(self, seconds: float, patience: float) -> bool:
        if not patience:
            return self._next_look > time.monotonic()  # we have just looked and found nothing
        return not self._left() or seconds > patience

    def _left(self) -> bool:
        return bool(self._only and _patiently(partial(links.hosts_of, self._only)))

    # -- begin

    def _claim(self, now: float) -> None:
        """Take hosts in hand as far as there are threads, and read what is to be asked of those that run out."""
        if self._crew.room > 0 and now >= self._next_look:
            claimed = self._claimed(min(self._crew.room, CLAIM))
            for each in claimed:
                manners = self._manners if each.host else _AT_HOME
                self._crew.take(Host(each.host, manners, each.failures, each.interrupted))
            if not claimed:
                self._next_look = now + LOOK_SECONDS
        found = self._crew.running_out()
        if names := [host.name for host in found if not host.is_suspect]:
            self._read(names, PAGE)
        if names := [host.name for host in found if host.is_suspect]:
            self._read(names, 1, is_suspect=True)

    def _claimed(self, limit: int) -> list[hosts.Claimed]:
        if self._only is not None:
            named = _patiently(partial(links.hosts_of, self._only))
            return _patiently(partial(hosts.claim, self._lease_id, limit, None, named))
        return _patiently(partial(hosts.claim, self._lease_id, limit, self._lane))

    def _read(self, names: list[str], each: int, is_suspect: bool = False) -> None:
        """Read links of these hosts.

        :param is_suspect: whether one of them may have killed a worker; one that always does is given up
        """
        under_way = self._crew.in_hand() | {each.link.resource_id for each in (*self._pending, *self._doubtful)}
        found = _patiently(partial(links.due, self._lease_id, each, self._lane, names, under_way, self._only))
        if is_suspect and found:
            ids = [link.resource_id for link in found]
            _patiently(partial(links.put_off, self._lease_id, ids, 0))  # counts as a try until it is recorded
        of_hosts: dict[str, list[Link]] = {name: [] for name in names}
        for link in found:
            of_hosts[link.host].append(link)
        for name, mine in of_hosts.items():
            if mine:
                self._crew.give(name, list(self._jobs(mine)))
            else:
                self._crew.exhaust(name)

    def _jobs(self, found: Iterable[Link]) -> Iterator[Job]:
        """Decide what to do with links; those that share a URL stand next to each other, and one request."""
        shared: list[Link] = []
        request: plan.Request | None = None
        for link in found:
            what = self._plan(link) if link.tries < TRIES else plan.Decided(_GIVEN_UP)
            if isinstance(what, plan.Decided):
                self._pending.append(Checked(link, what.verdict))
                continue
            if isinstance(what, Job):
                yield what
                continue
            if shared and what != request:
                yield self._asking(shared, request)
                shared = []
            shared.append(link)
            request = what
        if shared:
            yield self._asking(shared, request)

    def _plan(self, link: Link) -> plan.Request | plan.Decided | Job:
        previous = link.previous
        has_copy = bool(previous and previous.cache_filepath and os.path.exists(previous.cache_filepath))
        what = plan.plan(link, self._settings, has_copy)
        if not isinstance(what, plan.LocalFile):
            return what
        upload = uploads.locate(link.resource_id, link.url)
        if upload is None:
            return plan.upload_elsewhere(link, self._settings, has_copy)
        return Job((link,), what.url, lambda: [checks.read(link, upload, what.url)])

    def _asking(self, shared: list[Link], request: plan.Request | None) -> Job:
        assert request is not None
        run = partial(checks.ask, tuple(shared), request, self._downloader, self._folder, self._store)
        return Job(tuple(shared), request.url, run)

    # -- end

    def _step(self) -> list[Checked]:
        """Begin what may begin, wait a moment for something to end, and record what is to be recorded now."""
        for checked in self._crew.condemned():
            self._note(checked)
        for checked in self._crew.collect(self._pause(self._crew.start())):
            self._note(checked)
        now = time.monotonic()
        if len(self._pending) < TOGETHER and now - self._last_record < RECORD_SECONDS and self._crew.busy:
            return []
        self._judge()
        recorded = self._record()
        self._give_back()
        return recorded

    def _pause(self, next_start: float | None) -> float:
        """Return for how many seconds there is nothing to do but to wait for something to end."""
        if self._crew.busy or next_start is not None:
            at_hand = not self._crew.busy and (self._pending or self._doubtful)
            return 0.0 if at_hand else min(RECORD_SECONDS, next_start if next_start is not None else RECORD_SECONDS)
        # all that is left is with other workers, or being changed by somebody
        return LOOK_SECONDS / 4 if self._is_at_work() or self._only is not None else 0.0

    def _note(self, checked: Checked) -> None:
        """Put what is done to what is to be recorded, or to what may be a fault of our own."""
        outcome, now = checked.outcome, time.monotonic()
        if checked.full:
            self._stop_for_disk(checked)
        if not isinstance(outcome, Failure) or outcome.cause not in DOUBTFUL or outcome.redirects:
            if outcome is not None:
                self._answered[checked.link.host] = now
            self._pending.append(checked)
        else:
            self._doubted = self._doubted if self._doubtful else now
            self._doubtful.append(checked)

    def _judge(self) -> None:
        """Decide whether hosts could not be reached by their own fault, or because our network is down."""
        if not self._doubtful:
            return
        failed = {each.link.host for each in self._doubtful}
        now = time.monotonic()
        answered = any(now - at < FRESH_SECONDS for name, at in self._answered.items() if name not in failed)
        if now < self._works_until or answered:
            ours = False
        elif self._crew.busy and now - self._doubted < 2 * RECORD_SECONDS:
            return  # somebody may answer in a moment
        else:
            ours = is_own_fault(failed, False, self._witnesses(failed))
        if ours:
            self._put_off(sorted(failed))
        else:
            self._works_until = now + FRESH_SECONDS
            self._pending += self._doubtful
        self._doubtful = []

    def _witnesses(self, failed: Collection[str]) -> list[bool]:
        """Ask hosts that answered lately, and return whether they still do."""
        names = _patiently(partial(hosts.witnesses, failed, 3))
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            return list(pool.map(self._answers, names))

    def _answers(self, host: str) -> bool:
        seconds = self._downloader.limits.connect
        for scheme in ("http", "https"):
            limits = replace(self._downloader.limits, read=seconds, total=2 * seconds)
            try:
                self._downloader.fetch(f"{scheme}://{host}/", method="HEAD", follow=False, limits=limits)
                return True
            except DownloadFailed as error:
                if error.kind not in DOUBTFUL:
                    return True
        return False

    def _put_off(self, failed: list[str]) -> None:
        log.warning("Our own network is down: nothing is recorded of %s", ", ".join(failed[:5]))
        ids = [each.link.resource_id for each in self._doubtful]
        _patiently(partial(links.put_off, self._lease_id, ids, OWN_FAULT_SECONDS, False))
        for host in self._crew.hosts():
            host.forgive(OWN_FAULT_SECONDS)
        self._stop()

    def _stop_for_disk(self, checked: Checked) -> None:
        if not self.is_stopped:
            log.error("The disk is full, archiving pauses for %s s: %s", DISK_SECONDS, checked.verdict.reason)
            _patiently(partial(lease.note, lease_table, DISK_FULL))
        self._stop()

    def _stop(self) -> None:
        self.is_stopped = True
        self._crew.stop()

    def _record(self) -> list[Checked]:
        """Record what is known, and return it as far as it counts."""
        self._last_record = time.monotonic()
        mine = {each.link.resource_id: each for each in self._pending}
        if not mine:
            return []
        now = clock.now()
        rows = [self._row(each, now) for each in mine.values()]
        recorded = _patiently(partial(record.record_all, self._lease_id, rows))
        self._pending = [mine[each.link.resource_id] for each in recorded.busy]
        done = [mine[each.link.resource_id] for each in recorded.done]
        counted = {each.link.resource_id for each in (*done, *self._pending)}
        self._clean_up([each for key, each in mine.items() if key not in counted])
        self._ask_again([each.link for each in done if each.full])
        return done

    def _ask_again(self, found: Iterable[Link]) -> None:
        """Have links checked again that failed because the disk was full."""
        for lane, group in itertools.groupby(sorted(found, key=lambda link: link.lane), lambda link: link.lane):
            ids = [link.resource_id for link in group]
            _patiently(partial(_request, lane, ids))
            _patiently(partial(links.put_off, self._lease_id, ids, DISK_SECONDS, False))

    def _clean_up(self, lost: Iterable[Checked]) -> None:
        """Have the files removed of checks that do not count, unless they are needed after all."""
        copies = [(each.link.resource_id, each.copy) for each in lost if each.copy]
        if paths := [(resource_id, copy.cache_filepath) for resource_id, copy in copies if copy.cache_filepath]:
            _patiently(partial(_remove, paths))

    def _row(self, checked: Checked, now: Any) -> record.Checked:
        link, copy = checked.link, checked.copy
        if copy and copy.cache_filepath and copy.cache_url is None:
            copy = replace(copy, cache_url=cache_url(link.package_id, link.resource_id, copy.cache_filepath))
        facts = history.Facts(link.url, checked.redirects, copy)
        columns = history.record(link.previous, checked.verdict, facts, now, self._confirm)
        return record.Checked(link, columns, history.next_check(columns, self._age, self._confirm))

    def _give_back(self, final: bool = False) -> None:
        """Give hosts back of which there is nothing more to ask now."""
        waited_for = {each.link.host for each in (*self._pending, *self._doubtful)}
        idle = [host for host in self._crew.idle() if final or host.name not in waited_for]
        if not idle:
            return
        known = [hosts.Known(each.name, each.failures, each.answered, each.pause) for each in idle if each.name]
        _patiently(partial(hosts.record, self._lease_id, known))
        _patiently(partial(hosts.release, self._lease_id, [each.name for each in idle]))
        for host in idle:
            self._crew.drop(host.name)


def _request(lane: str, resource_ids: Collection[str]) -> None:
    with lease.transaction() as connection:
        requests.request(lane, Wanted(resources=resource_ids), connection)


def _remove(paths: Collection[tuple[str, str]]) -> None:
    with lease.transaction() as connection:
        removals.put_paths(paths, connection)


def _patiently(do: Callable[[], Result]) -> Result:
    """Do something with the database; while that is away, try again for as long as our lease holds."""
    until = time.monotonic() + relay_config.lease_seconds()
    while True:
        try:
            return do()
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            if time.monotonic() > until:
                raise
            log.warning("The database is away, trying again: %s", error.orig)
            time.sleep(0.5)
