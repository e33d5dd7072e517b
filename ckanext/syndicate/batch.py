"""A batch: the datasets that one process brings to one target, for a while.

The main thread asks CKAN and its plugins, decides and records; ``profile.connections`` threads talk to the target
(:mod:`.delivery`). What goes wrong with a dataset is recorded at it, and the others go on; what goes wrong with the
target ends the batch, and lets the target rest.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckanapi import ValidationError

from ckanext.relay import lease
from ckanext.relay.errors import RelayError

from . import delivery, failures, hooks, identity
from .delivery import Conflict, Delivered, Delivery, Found
from .domain import retry, states
from .domain.marker import ORIGIN, PATH
from .domain.states import Cause
from .domain.topic import Decision, Step
from .failures import Failure
from .model import SyndicationLog, copies, outbox, targets
from .model.outbox import Row
from .organizations import Replicator
from .preparation import Preparation, Prepared, Subject
from .quota import Quota
from .remote import Refused, Target
from .types import Profile

log = logging.getLogger(__name__)

#: Seconds after which a batch hands the rest back, so that other work has its turn.
SECONDS = 20
#: How many rows are claimed at a time: those that become urgent meanwhile wait for them.
CLAIM = 20
#: How many datasets are made ready for each thread, with the one that it is at.
AHEAD = 2

SYNCED, STOPPED, FAILED = SyndicationLog.State.SYNCED, SyndicationLog.State.STOPPED, SyndicationLog.State.FAILED
WAITING, HELD = states.WAITING, states.HELD


@dataclass(frozen=True)
class Outcome:
    """What became of a dataset at a target.

    :ivar state: as in the log: ``synced``, ``failed``, ``stopped``; ``waiting``: tried again later; ``held``: waits for
        a person
    :ivar step: what was done; None if nothing was tried
    :ivar target_id: its id there, '' if there is none
    :ivar reason: why that was to be done
    :ivar cause: of a failure, see :class:`ckanext.syndicate.domain.states.Cause`
    :ivar error: what went wrong, for people
    """

    local_id: str
    profile_id: str
    state: str
    step: Step | None = None
    target_id: str = ""
    reason: str | None = None
    cause: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Work:
    """What is under way."""

    row: Row
    subject: Subject
    delivery: Delivery


class _Failed(Exception):
    """A dataset cannot be brought to the target now."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


@contextlib.contextmanager
def _plugins_asked(what: str) -> Iterator[None]:
    """Turn whatever plugins raise into a failure of a dataset."""
    try:
        yield
    except _Failed:
        raise
    except Exception as error:  # the boundary to third-party code, and to what it leaves in the session
        model.Session.rollback()
        log.exception("A plugin failed: %s", what)
        raise _Failed(failures.of_plugin(error)) from error


@contextlib.contextmanager
def _target_asked(is_general: bool = False) -> Iterator[None]:
    try:
        yield
    except RelayError as error:
        raise _Failed(failures.of_target(error, is_general)) from error


class Batch:
    """A process at a target; a context manager that waits in the end for what is under way.

    :param lease_id: for which rows are claimed
    :param only: ids of datasets, if not all are meant that wait; for somebody who waits for them, all in one thread
    :param insists: whether they are brought there even if they are not selected
    :ivar is_stopped: whether the target is left alone for now
    """

    def __init__(
        self, profile: Profile, lease_id: str, only: Collection[str] | None = None, insists: bool = False
    ) -> None:
        self.profile = profile
        self.is_stopped = False
        self._lease_id, self._only, self._insists = lease_id, only, insists
        self._target = Target(profile)
        self._replicator = Replicator(self._target, profile)
        self._preparation = Preparation(profile)
        self._pool = ThreadPoolExecutor(profile.connections, thread_name_prefix="syndicate") if only is None else None
        self._rows: deque[Row] = deque()
        self._under_way: dict[Future[Delivered], _Work] = {}
        self._here: deque[_Work] = deque()
        self._until = time.monotonic() + SECONDS
        self._failures, self._in_a_row = targets.get(profile.id).failures, 0
        self._is_verified = False
        #: ids of organizations at the target by their ids here: as recorded, and as looked up in this batch
        self._recorded_owners: dict[str, str | None] = {}
        self._owners: dict[str, str] = {}

    @cached_property
    def _site(self) -> str | None:
        return identity.known(self.profile)

    @cached_property
    def _quota(self) -> Quota:
        return Quota(self.profile)

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._target.close()
        outbox.release(self._lease_id)

    def run(self) -> Iterator[Outcome]:
        """Work until nothing is due, the time is over, or the target fails; yields what becomes of each dataset."""
        while True:
            has_room = len(self._under_way) < self._room()
            yield from self._collect(waits=not has_room)
            row = self._next() if has_room else None
            if row is not None:
                outcome = self._begin(row)
                if outcome is not None:
                    yield outcome
            elif has_room and self._under_way:
                yield from self._collect(waits=True)
            elif has_room:
                return

    def _room(self) -> int:
        # a target that was left alone is asked for one dataset first
        return 1 if self._failures or self._pool is None else self.profile.connections * AHEAD

    def _next(self) -> Row | None:
        if self.is_stopped or time.monotonic() > self._until:
            return None
        if not self._rows:
            if self._only is None:
                # so that datasets are read as they are after the claim
                model.Session.rollback()
                model.Session.expire_all()
            # as many as are tried: who has waited longest may be due only when the first has succeeded
            limit = 1 if self._failures else CLAIM
            self._rows.extend(outbox.claim(self.profile.id, self._lease_id, limit, self._only))
            self._preparation.fetch([row.local_id for row in self._rows])
        return self._rows.popleft() if self._rows else None

    # -- begin

    def _begin(self, row: Row) -> Outcome | None:
        """Decide what to do, and let a thread begin; or return what became of the dataset if nothing is to be done."""
        try:
            with _plugins_asked(row.local_id):
                subject = self._preparation.look(row.local_id, self._insists)
            if subject.decision.step is Step.NOTHING:
                return self._leave(row, subject)
            if subject.decision.step in (Step.DELETE, Step.PRIVATE):
                return self._begin_retraction(row, subject)
            return self._begin_push(row, subject)
        except _Failed as failed:
            return self._failed(row, failed.failure)

    def _begin_push(self, row: Row, subject: Subject) -> Outcome | None:
        prepared = self._prepared(row, subject)
        if prepared is None:
            outbox.done(row, self._lease_id)
            return self._outcome(row, SYNCED, Step.NOTHING, subject, reason="it is there as it is here")
        site = self._verify_for(subject)
        if reason := self._preparation.loop(subject.package):
            return self._leave(row, replace(subject, decision=Decision(Step.NOTHING, reason, loops=True)))
        details = {"package": subject.package, "prepared": prepared.dataset, "topic": subject.topic.name}
        with _plugins_asked(row.local_id):
            hooks.before_dataset(row.local_id, self.profile, details)
        if subject.target_id is None:
            copies.intend(row.local_id, self.profile.id, (subject.package or {})["name"])
        looks = row.force or bool(row.attempts)
        self._start(_Work(row, subject, self._preparation.delivery(subject, prepared, site, looks)))
        return None

    def _begin_retraction(self, row: Row, subject: Subject) -> Outcome | None:
        if subject.decision.guarded and not self._quota.take():
            reason = f"{subject.decision.reason}, as with {self._quota.taken} others since yesterday"
            outbox.hold(row, self._lease_id, reason)
            return self._outcome(row, HELD, None, subject, cause=Cause.GUARD, error=reason)
        site = self._verify_for(subject)
        self._start(_Work(row, subject, self._preparation.delivery(subject, None, site)))
        return None

    def _prepared(self, row: Row, subject: Subject) -> Prepared | None:
        """Return what is to be at the target, or None if it is there."""
        package = subject.package or {}
        with _plugins_asked(row.local_id):
            owner = self._owner(package)
            prepared = self._preparation.prepare(subject, owner)
            if not row.force and subject.copy is not None and subject.copy.payload_hash == prepared.hash:
                return None
            if (checked := self._owner(package, is_written=True)) != owner:
                prepared = self._preparation.prepare(subject, checked)
        return prepared

    def _owner(self, package: dict[str, Any], is_written: bool = False) -> str | None:
        """Return id or name of the organization at the target, which is looked up there once before it is written to.

        :param is_written: whether the dataset will be written
        """
        organization = package.get("organization")
        if not organization or not (self.profile.replicate_organization or self.profile.update_organization):
            return self.profile.organization or None
        local_id = organization["id"]
        if local_id in self._owners:
            return self._owners[local_id]
        if not is_written and not self.profile.update_organization:
            if local_id not in self._recorded_owners:
                self._recorded_owners[local_id] = self._replicator.known(local_id)
            if recorded := self._recorded_owners[local_id]:
                return recorded
        self._verify()
        with _target_asked():
            self._owners[local_id] = self._replicator.remote_id(local_id)
        return self._owners[local_id]

    def _verify_for(self, subject: Subject) -> str | None:
        """Make sure that the target is the one that it was; or return which one it must be, if the thread can tell by
        the copy, so that an edit costs two requests."""
        if subject.target_id is not None and not self._is_verified and self._site is not None:
            return self._site
        self._verify()
        return None

    def _verify(self) -> None:
        """Make sure once, before anything is written, that the target is the one that it was."""
        if not self._is_verified:
            with _plugins_asked(f"the client of {self.profile.id}"), _target_asked(is_general=True):
                self._preparation.target_sites.add(identity.verify(self._target, self.profile))
            self._is_verified = True

    def _leave(self, row: Row, subject: Subject) -> Outcome:
        """Do nothing, and say why."""
        reason = subject.decision.reason
        with self._done(row) as connection:
            if subject.target_id is not None and subject.package is not None:
                copies.record(row.local_id, self.profile.id, state=STOPPED, error=reason, connection=connection)
        return self._outcome(row, STOPPED, Step.NOTHING, subject, reason=reason)

    def _start(self, work: _Work) -> None:
        if self._pool is None:
            self._here.append(work)
        else:
            self._under_way[self._pool.submit(delivery.deliver, self._target, work.delivery)] = work

    # -- end

    def _collect(self, waits: bool) -> Iterator[Outcome]:
        """Yield what became of the datasets that threads are done with.

        :param waits: whether to wait for one of them
        """
        done = wait(self._under_way, None if waits else 0, FIRST_COMPLETED).done if self._under_way else ()
        ended = [(self._under_way.pop(future), future.result) for future in done]
        while self._here:
            work = self._here.popleft()
            ended.append((work, partial(delivery.deliver, self._target, work.delivery)))
        for work, result in ended:
            outcome = self._end(work, result)
            if outcome is not None:
                yield outcome

    def _end(self, work: _Work, result: Callable[[], Delivered]) -> Outcome | None:
        """Record what was done at the target; None: there is more to do."""
        try:
            with _plugins_asked(work.row.local_id), _target_asked():
                try:
                    delivered = result()
                except Found as found:
                    self._claim_copy(work, found.target_id)
                    known = replace(work.delivery, target_id=found.target_id, is_lost=False)
                    self._start(replace(work, delivery=known))
                    return None
                except Refused as refusal:
                    if self._reattaches(work, refusal):
                        self._start(replace(work, delivery=replace(work.delivery, reattaches=True, is_lost=False)))
                        return None
                    raise
        except _Failed as failed:
            return self._failed(work.row, failed.failure, work.subject)
        self._answered()
        is_told = work.subject.package is not None and hooks.are_told_after()
        if is_told:
            self._record(work, delivered)
            try:
                with _plugins_asked(work.row.local_id):
                    hooks.after_dataset(work.row.local_id, self.profile, delivered.dataset or {})
            except _Failed as failed:
                # without the hash it is pushed again, so that the receivers are told again
                return self._failed(work.row, failed.failure, work.subject, payload_hash=None)
        with self._done(work.row) as connection:
            if not is_told:
                self._record(work, delivered, connection)
        target_id = (delivered.dataset or {}).get("id") or work.subject.target_id
        subject = replace(work.subject, target_id=target_id)
        return self._outcome(work.row, _log_state(work.subject), delivered.step, subject, work.subject.decision.reason)

    @contextlib.contextmanager
    def _done(self, row: Row) -> Iterator[sa.engine.Connection]:
        """Take a row away in the transaction of the block, or after it if somebody asks for the dataset just now."""
        with lease.transaction() as connection:
            yield connection
            is_done = outbox.done_with(connection, row, self._lease_id)
        if not is_done:
            outbox.done(row, self._lease_id)

    def _claim_copy(self, work: _Work, target_id: str) -> None:
        """Make sure that a copy that was found is no other dataset's: two that somebody made of one that came here name
        the same origin."""
        if other := copies.other_of(target_id, work.row.local_id, self.profile.id):
            raise Conflict(
                f"The dataset {other} has the same origin, {work.delivery.marker.origin}, and has the copy",
                hint=f"Remove the extras {ORIGIN} and {PATH} from the one that did not come from there.",
            )

    def _reattaches(self, work: _Work, refusal: Refused) -> bool:
        """Ask the plugins whether what the target said means that the name is taken, and the owner may have it back."""
        if work.delivery.step is not Step.CREATE or not self.profile.author or work.delivery.reattaches:
            return False
        return hooks.reattaches(ValidationError(refusal.errors))

    def _record(self, work: _Work, delivered: Delivered, connection: sa.engine.Connection | None = None) -> None:
        """Record what is at the target now, in a transaction of its own unless another is given."""
        subject, remote = work.subject, delivered.dataset
        columns: dict[str, Any] = {"presence": delivered.presence, "intent": None, "payload_hash": delivered.hash}
        if remote is not None:
            columns |= {"target_id": remote["id"], "target_name": remote.get("name")}
            columns["target_modified"] = remote.get("metadata_modified")
        if work.delivery.content is not None:
            columns |= {"resources": delivered.resources, "groups": delivered.groups, "pushed": lease.now}
        elif subject.decision.guarded and delivered.step is not Step.NOTHING:
            columns["retracted"] = lease.now
        if subject.package is not None:
            columns["name"] = subject.package["name"]
        state = _log_state(subject)
        error = subject.decision.reason if state == STOPPED else None
        copies.record(subject.local_id, self.profile.id, state=state, error=error, connection=connection, **columns)
        for sentence in delivered.dropped:
            log.info("%s at %s: %s", subject.local_id, self.profile.id, sentence)

    def _failed(self, row: Row, failure: Failure, subject: Subject | None = None, **columns: Any) -> Outcome:
        """Record a failure, and let the target rest if it may be its own.

        :param columns: of the copy that are other now
        """
        is_general = failure.is_general or self._is_away(failure)
        treatment = retry.treat(
            failure.cause,
            attempts=row.attempts,
            max_attempts=self.profile.max_attempts,
            in_a_row=self._in_a_row,
            failures=self._failures,
            retry_after=failure.retry_after,
            is_general=is_general,
            jitter=random.random(),
        )
        if failure.cause in retry.FINAL:
            self._answered()
        elif failure.cause not in retry.OURS:
            self._in_a_row += 1
        if treatment.pause is not None:
            self._rest(failure, treatment.pause)
        if treatment.is_final:
            outbox.fail(row, self._lease_id, failure.cause.value, failure.error)
        else:
            outbox.put_off(
                row, self._lease_id, treatment.delay, failure.cause.value, failure.error, counts=treatment.counts
            )
        copies.record(row.local_id, self.profile.id, state=FAILED, error=failure.error, **columns)
        step = subject.decision.step if subject else None
        return self._outcome(row, FAILED, step, subject, cause=failure.cause, error=failure.error)

    def _is_away(self, failure: Failure) -> bool:
        """Return whether the target does not even say who it is: then no dataset is at fault, however few wait for it,
        and no try counts until it is back."""
        if failure.cause not in retry.DOUBTFUL or failure.retry_after is not None or self._failures:
            return False
        try:
            with _plugins_asked(f"the client of {self.profile.id}"), _target_asked():
                self._target.status()
        except _Failed:
            return True
        return False

    def _answered(self) -> None:
        """Note that the target does what it is asked for; if it did not before, all that waits goes on in its order."""
        self._in_a_row = 0
        if self._failures:
            self._failures = 0
            targets.answered(self.profile.id)
            outbox.resume(self.profile.id, {cause.value for cause in retry.PASSING})

    def _rest(self, failure: Failure, seconds: float) -> None:
        """Leave the target alone for a while, once for all that are under way."""
        if not self.is_stopped:
            self.is_stopped = True
            self._failures += 1
            targets.failed(self.profile.id, failure.cause.value, failure.error, seconds)

    def _outcome(
        self,
        row: Row,
        state: str,
        step: Step | None,
        subject: Subject | None,
        reason: str | None = None,
        cause: Cause | None = None,
        error: str | None = None,
    ) -> Outcome:
        target_id = (subject.target_id if subject else None) or ""
        return Outcome(
            row.local_id, self.profile.id, state, step, target_id, reason, cause.value if cause else None, error
        )


def _log_state(subject: Subject) -> str:
    """Return what the log says of a dataset that was brought to its target, or taken from it."""
    if subject.decision.step in (Step.CREATE, Step.UPDATE):
        return SYNCED
    # that a dataset is deleted is what ckanext-syndicate brings to a target, too
    return SYNCED if subject.package and subject.package["state"] == model.State.DELETED else STOPPED
