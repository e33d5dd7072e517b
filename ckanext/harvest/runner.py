"""One unit of work per function: gather a job, process a batch of objects, finish a job, sweep.

Each claims what it works on, so that it may be called by anybody at any time, twice or never, and no function sends a
message: it returns what comes next, as hints for :mod:`ckanext.harvest.tasks`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib.search import SearchError, SearchIndexError

from ckanext.relay import clock, lease, search
from ckanext.relay.errors import RelayError

from . import config, notifications, registry
from .domain import job_state, object_state, outcome
from .domain.outcome import Step
from .model import (
    HarvestGatherError,
    HarvestJob,
    HarvestObject,
    HarvestObjectError,
    clearings,
    jobs,
    lease_table,
    mails,
    record,
    tally,
    work,
)

log = logging.getLogger(__name__)

#: How often a job is gathered, and an object processed, before it is given up.
TRIES = 5
#: Seconds after which a batch hands the rest of its objects back, so that other sources have their turn.
BATCH_SECONDS = 20
_UNIQUE_VIOLATION = "23505"  # PostgreSQL's code
#: Seconds beyond their limits after which tasks that hang are killed.
GRACE_SECONDS = 60
#: Seconds after which a clearing that does not end is taken for hung, and new jobs may be made again.
CLEAR_SECONDS = 24 * 3600
#: Seconds before what failed for a passing reason is tried again, doubled at each try.
RETRY_SECONDS = 15
#: What the leases of all who gather begin with.
GATHER = "gather "
#: The name of the sweep where it says when it last ran.
SWEEP = "harvest sweep"


@dataclass(frozen=True)
class Next:
    """What there is to do next: a task of :mod:`ckanext.harvest.tasks`, the id it takes, and when (in seconds)."""

    task: str
    id: str
    countdown: int = 0


@dataclass
class Batch:
    """What the objects of a batch share.

    A harvester whose class says ``batched_writes`` finds it as ``harvest_object.batch``: it may leave its dataset
    uncommitted and put the id into ``saved``; the dataset is then committed together with its object's state, and
    indexed with the batch, from ``documents`` if its document was made already (:func:`ckanext.relay.search.saved`).
    """

    lease_id: str
    #: the objects of the batch, all of one source
    objects: list[HarvestObject] = field(default_factory=list)
    #: what the harvester looked up for all of them
    memo: dict[str, Any] = field(default_factory=dict)
    saved: dict[str, str] = field(default_factory=dict)
    documents: search.Documents = field(default_factory=dict)
    #: objects whose datasets are committed, with the datasets' ids
    to_index: dict[str, str] = field(default_factory=dict)
    #: whether anything was sent to Solr
    wrote: bool = False


def longest(task: str) -> int:
    """Return after how many seconds a task is taken for hung and its lease is not renewed any more."""
    if task == "clear":
        return CLEAR_SECONDS
    return config.gather_seconds() if task == "gather" else BATCH_SECONDS + config.object_seconds()


def gather_task(job_id: str) -> str:
    """Return what the lease of who gathers a job says."""
    return f"{GATHER}{job_id}"


def process_task(source_id: str) -> str:
    """Return what the leases of those who process a source's objects say."""
    return f"process {source_id}"


# -- gather


def gather(job_id: str, at_most: int | None = None) -> Iterator[Next]:
    """Run the gather stage of a job, unless somebody else does or did.

    :param at_most: how many processes of this worker may gather at a time, this one included
    """
    with lease.held_if_room(lease_table, gather_task(job_id), longest("gather"), GATHER, at_most) as lease_id:
        if lease_id is None or not work.claim_job(job_id, lease_id):
            return
        job = model.Session.get(HarvestJob, job_id, populate_existing=True)
        yield from _gather_claimed(job)
    yield from _process_or_finish(job_id)


def _gather_claimed(job: HarvestJob) -> Iterator[Next]:
    harvester = registry.find(job.source.type)
    if harvester is None:
        mail = _mail(job.id)
        record.abort(job, f"No harvester could be found for source type {job.source.type}")
        yield from mail
        return
    if job.attempts > TRIES:
        HarvestGatherError.create(f"Given up after {TRIES} tries: the worker process died each time", job)
        record.gather_ends(job)
        return
    job_id, streams = job.id, registry.streams(harvester)
    if job.attempts > 1 and not streams:
        record.discard_objects(job)  # what a worker that died left behind
    try:
        if streams:
            for page in harvester.gather_pages(job):
                if not record.is_running(job_id):
                    break  # aborted
                if page:
                    yield Next("process", job.source_id)
        elif not isinstance(harvester.gather_stage(job), list) and not job.get_gather_errors():
            HarvestGatherError.create("The gather stage failed without saying why", job)
    except Exception as error:  # the boundary to third-party code
        model.Session.rollback()
        if record.is_gone(job_id):
            log.info("Job %s was removed while it was gathered: its source was cleared", job_id)
            return
        job = record.attached(job)
        if _is_passing(error) and job.attempts < TRIES and record.is_running(job.id):
            log.warning("Gathering job %s waits for another try: %s", job.id, describe(error))
            job.claimed_by = _put_off(job.id, job.attempts)
            model.Session.commit()
            return
        log.exception("Gathering job %s failed", job.id)
        if not streams:
            record.discard_objects(job)
        HarvestGatherError.create(describe(error), job)
    if not record.is_gone(job_id):
        record.gather_ends(record.attached(job))


def _process_or_finish(job_id: str) -> Iterator[Next]:
    if not record.is_running(job_id):
        return
    job = model.Session.get(HarvestJob, job_id)
    if job_id in work.jobs_to_finish(job.source_id):
        yield Next("finish", job_id)
    else:
        for _ in range(config.workers_per_source()):
            yield Next("process", job.source_id)


# -- fetch and import


def process_batch(source_id: str, processes: int = 1) -> list[Next]:
    """Claim a batch of a source's objects and take each through its fetch and import stage.

    :param processes: how many there are to share the objects with, this one included
    """
    task = process_task(source_id)
    if lease.alive(lease_table, task) >= config.workers_per_source():
        return []
    worked = False
    if work.has_waiting(source_id):
        try:
            search.require()
            with lease.held(lease_table, task, longest=longest("process")) as lease_id, search.deferred_commits():
                worked = _process_claimed(source_id, lease_id, min(config.workers_per_source(), processes))
        except search.SearchUnavailable as error:
            log.warning("Objects of source %s wait: %s", source_id, error)
            return [Next("process", source_id, RETRY_SECONDS)]
    over = [Next("finish", job_id) for job_id in work.jobs_to_finish(source_id)]
    return over if over or not worked else [Next("process", source_id)]


def _process_claimed(source_id: str, lease_id: str, processes: int) -> bool:
    batch = Batch(lease_id)
    batch.to_index.update(work.claim_unindexed(source_id, lease_id, config.batch_size()))
    # one that began a moment ago, and has claimed nothing yet, is to have its share
    free = max(1, processes - work.count_busy(source_id, process_task(source_id)))
    ids = work.claim_objects(source_id, lease_id, _share(source_id, free))
    # read at once, and kept here so that the session, which holds them weakly, finds them one by one below
    loaded = model.Session.query(HarvestObject).filter(HarvestObject.id.in_(ids)).all()
    batch.objects = loaded
    log.debug("%s objects of source %s claimed", len(loaded), source_id)
    until = time.monotonic() + BATCH_SECONDS
    for position, object_id in enumerate(ids):
        if time.monotonic() > until:
            work.release_objects(ids[position:], lease_id)
            break
        process_object(object_id, batch)
    _index(batch)
    return bool(ids or batch.to_index)


def _share(source_id: str, free: int) -> int:
    """Return how many objects to claim, so that all have something to do, and none more batches than it must: each ends
    with a commit of Solr, which takes as long as several objects.

    :param free: how many processes are not at work on the source, this one included
    """
    most = config.batch_size()
    return min(most, max(1, most // 5, math.ceil(work.count_ready(source_id, most * free) / free)))


def process_one(object_id: str) -> bool:
    """Claim one object and take it through its stages, for who works by hand; False if it is not to be had.

    :raises SearchUnavailable: Solr went away; the dataset is indexed later
    """
    task = f"process object {object_id}"
    with lease.held(lease_table, task, longest=longest("process")) as lease_id, search.deferred_commits():
        if not work.claim_object(object_id, lease_id):
            return False
        batch = Batch(lease_id, [model.Session.get(HarvestObject, object_id, populate_existing=True)])
        process_object(object_id, batch)
        _index(batch)
    return True


def process_object(object_id: str, batch: Batch) -> None:
    """Take one claimed object through its stages and record what became of it."""
    obj = HarvestObject.get(object_id)
    if obj is None or obj.state not in object_state.lifecycle.open:
        return  # its harvester deleted or ended it meanwhile
    obj.batch = batch
    stage = "Fetch"
    try:
        if obj.retry_times > TRIES:
            step = _fail(obj, f"Given up after {TRIES} tries: the worker process died each time", stage)
        else:
            step = fetch_object(obj)
            if step is Step.IMPORT:
                stage = "Import"
                step = import_object(obj)
        _end_object(object_id, obj, step, batch)
    except Exception as error:  # the boundary to third-party code, and to what it leaves in the session
        model.Session.rollback()
        batch.saved.pop(object_id, None)
        if not _is_mine(object_id, batch):
            return
        obj = HarvestObject.get(object_id)  # the harvester may have removed the session
        if _try_later(obj, error):
            return
        log.exception("Object %s failed", object_id)
        _end_object(object_id, obj, _fail(obj, describe(error), stage), batch)


def fetch_object(obj: HarvestObject) -> Step:
    """Run the fetch stage of an object and return what follows; exceptions pass through."""
    harvester = registry.find(obj.source.type)
    if harvester is None:
        return _fail(obj, f"No harvester could be found for source type {obj.source.type}", "Fetch")
    record.fetch_begins(obj)
    return outcome.after_fetch(harvester.fetch_stage(obj))


def import_object(obj: HarvestObject) -> Step:
    """Run the import stage of an object and return what it came to; exceptions pass through."""
    record.import_begins(obj)
    return outcome.after_import(registry.find(obj.source.type).import_stage(obj))


def _try_later(obj: HarvestObject, error: Exception) -> bool:
    """Put an object off, for longer at each try, if its error may pass and it has tries left. Commits."""
    if not _is_passing(error) or obj.retry_times >= TRIES:
        return False
    log.warning("Object %s waits for another try: %s", obj.id, describe(error))
    obj.claimed_by = _put_off(obj.id, obj.retry_times)
    model.Session.commit()
    return True


def _put_off(row_id: str, tries: int) -> str:
    """Return a lease that keeps a job or object from the workers for a while, longer after each try."""
    return lease.postpone(lease_table, f"retry {row_id}", RETRY_SECONDS * 2 ** (tries - 1))


def _end_object(object_id: str, obj: HarvestObject, step: Step, batch: Batch) -> None:
    """Commit the dataset and the final state of its object together, if the object is still ours."""
    if obj in model.Session.deleted:
        model.Session.commit()  # its harvester has no more use for it
        return
    if not _is_mine(object_id, batch):
        return
    obj = record.attached(obj)
    package_id = batch.saved.pop(object_id, None)
    record.object_ends(obj, step)
    if package_id:
        obj.needs_index = True
    else:
        obj.claimed_by = None
    model.Session.commit()
    batch.wrote = batch.wrote or step is Step.COMPLETE
    if package_id:
        batch.to_index[object_id] = package_id


def _is_mine(object_id: str, batch: Batch) -> bool:
    """Tell whether an object is still ours, and throw away what was done for it if not: it was aborted or deleted, or
    the lease ran out and another worker has it."""
    if work.is_mine(object_id, batch.lease_id):
        return True
    model.Session.rollback()
    batch.saved.pop(object_id, None)
    record.end_with_job(object_id)
    return False


def _index(batch: Batch) -> None:
    """Send the batch's datasets to Solr and commit once. What fails half-way stays marked and is done again."""
    if not (batch.to_index or batch.wrote):
        return
    refused = search.index(batch.to_index.values(), batch.documents)
    model.Session.rollback()  # nothing was written since the last object; end the transaction that read the datasets
    work.indexed(list(batch.to_index))
    for object_id, package_id in batch.to_index.items():
        if package_id in refused:
            _fail(HarvestObject.get(object_id), refused[package_id], "Index")


def _fail(obj: HarvestObject, message: str, stage: str) -> Step:
    HarvestObjectError.create(message, obj, stage)
    return Step.ERROR


def _is_passing(error: BaseException) -> bool:
    """Tell whether an error is no fault of the record: the database, Solr or a remote portal was away for a while, or
    two workers took the same name at the same time."""
    if isinstance(error, RelayError):
        return not error.permanent
    if isinstance(error, sa.exc.IntegrityError):
        return getattr(error.orig, "pgcode", None) == _UNIQUE_VIOLATION
    return isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError, SearchError, SearchIndexError))


def describe(error: BaseException) -> str:
    """Return what an error says to who looks after the source."""
    if isinstance(error, RelayError):
        return str(error)
    if isinstance(error, sa.exc.DBAPIError):
        return f"{type(error).__name__}: {error.orig}"  # without the statement, which holds the whole record
    return f"{type(error).__name__}: {error}"


# -- finish


def finish(job_id: str) -> list[Next]:
    """End a job that has nothing left to do."""
    job = HarvestJob.get(job_id)
    if job is None or job_id not in work.jobs_to_finish(job.source_id):
        return []
    mail = _mail(job_id)
    return [Next("reindex", job.source_id), *mail] if record.finish(job_id) else []


def _mail(job_id: str) -> list[Next]:
    """Record, before the job ends, that people are to be told of it."""
    return [Next("mail", job_id)] if notifications.job_ends(job_id) else []


def mail(job_id: str) -> list[Next]:
    """Tell people that a job has ended. What fails is tried again by a later sweep."""
    notifications.send(job_id)
    return []


def reindex(source_id: str) -> list[Next]:
    """Bring the search document of a source, which holds its status, up to date."""
    try:
        refused = search.index([source_id])
    except search.SearchUnavailable as error:
        log.warning("The document of source %s waits: %s", source_id, error)
        return [Next("reindex", source_id, RETRY_SECONDS)]
    for message in refused.values():
        log.error("Solr refuses the document of source %s: %s", source_id, message)
    return []


# -- sweep


def sweep() -> Iterator[Next]:
    """Start what is due and find what nobody works on; does nothing while another sweep runs."""
    with lease.only_one(SWEEP) as mine:
        if mine:
            lease.note(lease_table, SWEEP)
            lease.forget_expired(lease_table)
            _start_due()
            with _apart("how far the jobs are"):
                tally.note(seconds=1)
            yield from tick()


def tick(source_id: str | None = None) -> Iterator[Next]:
    """End what is over, and name what nobody works on; of one source only if one is named."""
    yield from _end_timed_out(source_id)
    for job_id in work.jobs_to_finish(source_id):
        with _apart(f"job {job_id}"):
            yield from finish(job_id)
    yield from (Next("gather", job_id) for job_id in work.jobs_to_gather(source_id))
    yield from (Next("process", each) for each in work.sources_to_process() if source_id in (None, each))
    yield from (Next("clear", each) for each in clearings.waiting() if source_id in (None, each))
    yield from (Next("mail", job_id) for job_id in mails.due() if source_id is None)


def _start_due() -> None:
    for source_id in jobs.due_sources(clock.now()):
        with _apart(f"source {source_id}"):
            try:
                jobs.start_due(source_id)
            except (jobs.JobOpen, jobs.NoSource, jobs.SourceInactive):
                log.info("Source %s was started, switched off or removed meanwhile", source_id)


@contextlib.contextmanager
def _apart(what: str) -> Iterator[None]:
    """Keep what goes wrong with one source from the others: the boundary of each step of a sweep."""
    try:
        yield
    except Exception:
        model.Session.rollback()
        log.exception("The sweep passes over %s", what)


def _end_timed_out(source_id: str | None) -> Iterable[Next]:
    minutes = config.timeout_minutes()
    if not minutes:
        return
    query: Any = HarvestJob.filter(status=job_state.RUNNING)
    for job in (query.filter_by(source_id=source_id) if source_id else query).all():
        with _apart(f"job {job.id}"):
            last = job.get_last_action_time()
            if last and (clock.now() - last).total_seconds() > minutes * 60:
                error = f"Job {job.id} timeout: nothing happened for {minutes} minutes (ckan.harvest.timeout)"
                mail = _mail(job.id)
                record.abort(job, error)
                yield from (Next("reindex", job.source_id), *mail)
