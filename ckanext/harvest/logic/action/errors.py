"""Actions on the errors of jobs."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.harvest import registry
from ckanext.harvest.logic.auth import get_job_object
from ckanext.harvest.logic.parameters import limit_and_offset, text
from ckanext.harvest.model import HarvestSource, errors

__all__ = ["harvest_job_error_causes", "harvest_job_error_list"]

#: The most errors that are listed at a time.
_MOST = 1000


@tk.side_effect_free
def harvest_job_error_causes(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what the errors of a job come down to: messages that differ only in ids, numbers, addresses and dates have
    the same cause. The most frequent ones come first; beyond a thousand they are left out.

    :param id: id of the job
    :param stage: only errors of this stage
    :param q: only errors with this text in the message, or of the record with this GUID
    :param limit: how many causes at most (20)
    :param offset: how many to leave out (0)
    :returns: ``count`` of causes, ``stages`` {name: errors}, and ``results``, a list of ``{stage, cause, count,
        message}`` whose message is that of one of them
    """
    tk.check_access("harvest_job_error_causes", context, data_dict)
    job_id = get_job_object(context, data_dict).id
    stage, q = text(data_dict, "stage"), text(data_dict, "q")
    limit, offset = limit_and_offset(data_dict)
    stages: Counter[str] = Counter()
    found = errors.causes(errors.Wanted(job_id, text=q))
    for each in found:
        stages[each.stage] += each.count
    of_stage = [each for each in found if stage in (None, each.stage)]
    shown = of_stage[offset : offset + (20 if limit is None else limit)]
    results = [
        {"stage": each.stage, "cause": each.cause, "count": each.count, "message": _message(job_id, each, q)}
        for each in shown
    ]
    return {"count": len(of_stage), "stages": dict(stages), "results": results}


def _message(job_id: str, cause: errors.Cause, q: str | None) -> str:
    first = errors.entries(errors.Wanted(job_id, cause.stage or None, cause.cause, q), limit=1)
    return str(first[0]["message"] or "") if first else ""


@tk.side_effect_free
def harvest_job_error_list(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return errors of a job, the oldest first, each with its record.

    :param id: id of the job
    :param stage: only errors of this stage; ``Gather`` is what went wrong for the whole job
    :param cause: only errors of this cause, see ``harvest_job_error_causes``
    :param q: only errors with this text in the message, or of the record with this GUID
    :param limit: how many at most (100; 1000 at most)
    :param offset: how many to leave out (0)
    :returns: ``count``, and ``results``, a list of ``{id, stage, cause, message, line, created, harvest_object_id,
        guid, state, report_status, dataset_name, dataset_title}``, with ``original_url`` if the harvester knows it
    """
    tk.check_access("harvest_job_error_list", context, data_dict)
    job = get_job_object(context, data_dict)
    wanted = errors.Wanted(job.id, *(text(data_dict, name) for name in ("stage", "cause", "q")))
    limit, offset = limit_and_offset(data_dict)
    found = errors.entries(wanted, min(100 if limit is None else limit, _MOST), offset)
    original_url = getattr(registry.find(HarvestSource.get(job.source_id).type), "get_original_url", None)
    for entry in found:
        if isinstance(entry["created"], datetime.datetime):
            entry["created"] = entry["created"].isoformat()
        object_id = entry["harvest_object_id"]
        if original_url and object_id and (url := original_url(object_id)):
            entry["original_url"] = url
    return {"count": errors.count(wanted), "results": found}
