"""Clearing a source: its datasets, its history and its entries in the search index, or only some of these.

What is done is committed bit by bit. Who is interrupted calls the same again and goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from functools import partial

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease, search, search_entries
from ckanext.relay.errors import redact

from . import progress, runner
from .domain import job_state
from .model import HarvestError, HarvestJob, HarvestSource, clear, clearings, jobs, lease_table, record

log = logging.getLogger(__name__)

#: Datasets that are removed between two commits of the search index, and mostly in one transaction.
_BATCH = 500
#: Seconds to wait for workers of aborted jobs to come to the end of the record that they are at.
_PATIENCE = 20
_FIELD = "harvest_source_id"


class SourceBusy(HarvestError):
    """Somebody else clears the source just now."""


class NotRemoved(HarvestError):
    """Datasets could not be removed; ``reasons`` says why, by id."""

    def __init__(self, reasons: dict[str, str]) -> None:
        package_id, reason = next(iter(reasons.items()))
        super().__init__(f"{len(reasons)} datasets could not be removed, such as {package_id}: {reason}")
        self.reasons = reasons


def clear_source(source_id: str, user: str) -> None:
    """Remove the datasets of a source for good, its jobs, objects and index entries; the source itself stays.

    Its open jobs are aborted first, and nobody can start another until this ends. Commits.

    :param user: name of who asks for it; what they may do is not checked here
    :raises SourceBusy: somebody else is at it
    :raises NotRemoved: some of the datasets are still there; their history is too
    :raises SearchUnavailable: Solr went away
    """
    search.require()
    with _exclusive(source_id):
        # a worker that did not end in time may have saved one more
        while ids := clear.datasets(source_id):
            _remove(ids, user)
        clear.outdated_objects(source_id)
        if ids := clear.datasets(source_id):
            _remove(ids, user)
        clear.history(source_id)
        _tidy_index(source_id)
        clearings.done(source_id)
    search.index([source_id])


def carry_out(source_id: str) -> None:
    """Clear a source if somebody asked the workers for it and none of them is at it.

    What goes wrong is recorded; what may pass by itself is tried again by a later sweep.
    """
    with lease.only_one(f"harvest {jobs.clear_task(source_id)}") as mine:
        asked = clearings.find(source_id) if mine else None
        if asked is None or asked.error is not None:
            return
        try:
            with progress.told_to(partial(clearings.note, source_id)):
                clear_source(source_id, asked.user_name)
        except (SourceBusy, search.SearchUnavailable) as error:
            log.warning("The clearing of source %s waits: %s", source_id, error or "somebody else is at it")
        except NotRemoved as error:
            clearings.failed(source_id, str(error))
        except Exception as error:  # the boundary to the plugins that are told of each dataset
            model.Session.rollback()
            log.exception("Source %s cannot be cleared", source_id)
            clearings.failed(source_id, redact(runner.describe(error)))


def clear_history(source_id: str, keep_current: bool) -> None:
    """Remove the jobs and objects of a source, never a dataset. Commits.

    :param keep_current: keep jobs that have not ended, and those that have a current object, whole; else open jobs are
        aborted and everything goes
    :raises SourceBusy: somebody else is at it
    :raises SearchUnavailable: Solr went away; only the document of the source is missing then
    """
    if keep_current:
        clear.history_but_current(source_id)
    else:
        with _exclusive(source_id):
            clear.history(source_id)
    search.index([source_id])


def clear_index(source_id: str) -> None:
    """Remove the datasets of a source from the search index, and only from there.

    :raises SearchUnavailable: Solr does not answer
    """
    search_entries.remove_having(_FIELD, source_id)


@contextlib.contextmanager
def _exclusive(source_id: str) -> Iterator[None]:
    """End the jobs of a source that are open, and let nobody make one while the block runs."""
    task = jobs.clear_task(source_id)
    with lease.held(lease_table, task, longest=runner.longest("clear")):
        if lease.alive(lease_table, task) > 1:
            raise SourceBusy(source_id)
        # who makes a job holds this lock too: after it there is none that we do not see
        model.Session.execute(sa.select(HarvestSource.id).where(HarvestSource.id == source_id).with_for_update())
        open_jobs = HarvestJob.filter(source_id=source_id).filter(
            HarvestJob.status.in_(sorted(job_state.lifecycle.open))
        )
        aborted = [record.abort(job).id for job in open_jobs.all()]
        model.Session.commit()
        _wait_for_workers(source_id, aborted)
        yield


def _wait_for_workers(source_id: str, job_ids: Sequence[str]) -> None:
    tasks = [runner.process_task(source_id), *(runner.gather_task(job_id) for job_id in job_ids)]
    until = time.monotonic() + _PATIENCE
    while any(lease.alive(lease_table, task) for task in tasks):
        if time.monotonic() > until:
            log.warning("A worker is still busy with a record of source %s, which is cleared now", source_id)
            return
        time.sleep(0.2)


def _remove(package_ids: Sequence[str], user: str) -> None:
    """Remove datasets for good; their objects go with them."""
    refused: dict[str, str] = {}
    one_by_one = _somebody_is_told()
    size = max(_BATCH // 10, 1) if one_by_one else _BATCH  # somebody watches how far it is
    progress.report(0, len(package_ids))
    for first in range(0, len(package_ids), size):
        batch = package_ids[first : first + size]
        if one_by_one or not _remove_at_once(batch):
            refused |= _remove_one_by_one(batch, user)
        progress.report(first + len(batch), len(package_ids))
    if refused:
        raise NotRemoved(refused)


def _somebody_is_told() -> bool:
    """Tell whether a plugin wants to know of each dataset that is removed."""
    action = "dataset_purge"
    chained = any(action in plugin.get_actions() for plugin in p.PluginImplementations(p.IActions))
    # CKAN's own looks after the search index, as we do
    notified = any(
        not type(plugin).__module__.startswith("ckan.")
        for plugin in p.PluginImplementations(p.IDomainObjectModification)
    )
    return chained or notified or any(tk.signals.action_succeeded.receivers_for(action))


def _remove_at_once(package_ids: Sequence[str]) -> bool:
    """Remove datasets in one transaction; False, and nothing is done, if the table of a plugin refers to one."""
    try:
        clear.remove_datasets(package_ids)
    except sa.exc.IntegrityError as error:
        model.Session.rollback()
        log.info("Datasets cannot be removed together: %s", error.orig)
        return False
    search_entries.remove(package_ids)
    return True


def _remove_one_by_one(package_ids: Sequence[str], user: str) -> dict[str, str]:
    """Remove datasets by the action, each in a transaction of its own; return why one cannot be, by its id."""
    refused: dict[str, str] = {}
    purge = tk.get_action("dataset_purge")
    with search.deferred_commits():
        for package_id in package_ids:
            try:
                purge({"user": user, "ignore_auth": True}, {"id": package_id})
            except tk.ObjectNotFound:
                log.info("Dataset %s was removed by somebody else", package_id)
            except (tk.ValidationError, sa.exc.IntegrityError) as error:
                model.Session.rollback()
                refused[package_id] = str(getattr(error, "orig", error))
    search.index([])
    return refused


def _tidy_index(source_id: str) -> None:
    """Remove what the search index has of a source without a dataset, and bring the rest up to date: datasets that
    are not of the source any more, or that somebody keeps."""
    ids = search_entries.having(_FIELD, source_id)
    existing = clear.existing(ids)
    search_entries.remove([package_id for package_id in ids if package_id not in existing])
    kept = sorted(existing)
    for first in range(0, len(kept), _BATCH):
        search.index(kept[first : first + _BATCH])
