"""A whole harvest in this process, for who develops a harvester."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ckan import model

from . import registry, runner
from .domain import job_state, outcome
from .model import HarvestJob, HarvestObject, HarvestSource, jobs, record

log = logging.getLogger(__name__)


def run(source: HarvestSource, guid: str | None, progress: Callable[[int], Any]) -> HarvestJob:
    """Harvest a source without workers and return the finished job. What a stage raises passes through.

    :param guid: import only this record, and also if it did not change
    :param progress: called with the number of objects; returns a context manager with ``update``
    :raises JobOpen, SourceInactive: no job can be made
    """
    for old in HarvestJob.filter(source_id=source.id, status=job_state.NEW).all():
        record.finish(old.id)
    job = jobs.create(source.id, run=False)
    model.Session.commit()
    harvester = registry.find(source.type)
    if guid:
        job.force_import = guid
    record.gather_begins(job)
    try:
        ids = harvester.gather_stage(job)
        record.gather_ends(job)
        found = model.Session.query(HarvestObject.id, HarvestObject.guid).filter_by(harvest_job_id=job.id).all()
        chosen = [row.id for row in found if guid in (None, row.guid)]
        log.info("%s objects gathered", len(ids or ()))
        with progress(len(chosen)) as bar:
            for object_id in chosen:
                _process(object_id, forced=bool(guid))
                bar.update(1)
    finally:
        # whatever happened, and in whatever state it left the session, the source is free for the next job
        model.Session.rollback()
        record.abort(job)
    return job


def _process(object_id: str, forced: bool) -> None:
    obj = HarvestObject.get(object_id)
    if obj.state != "WAITING":
        return
    if forced:
        obj.force_import = True
    step = runner.fetch_object(obj)
    if step is outcome.Step.IMPORT:
        step = runner.import_object(obj)
    record.object_ends(obj, step)
    model.Session.commit()
