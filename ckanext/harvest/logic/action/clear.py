"""Actions that remove what sources have brought."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import clearing, progress
from ckanext.harvest.logic.auth import get_source_object
from ckanext.harvest.logic.parameters import flag
from ckanext.harvest.logic.search_errors import search_errors
from ckanext.harvest.model import HarvestSource

log = logging.getLogger(__name__)

__all__ = [
    "harvest_source_clear",
    "harvest_source_index_clear",
    "harvest_source_job_history_clear",
    "harvest_sources_job_history_clear",
]


def harvest_source_clear(context: Any, data_dict: dict[str, Any]) -> dict[str, str]:
    """Remove all that a source has brought for good: datasets, objects, jobs, errors and entries of the search index.
    The source itself stays. An open job is aborted first.

    It may be called again if it is interrupted, and then goes on. A dataset that another source has brought, too, is
    kept unless its current object is of this source.

    :param id: id or name of the source
    :returns: ``{id}``
    :raises ValidationError: somebody clears it already, or a plugin refuses to let a dataset go
    """
    tk.check_access("harvest_source_clear", context, data_dict)
    source_id = get_source_object(context, data_dict).id
    with _refusals(source_id):
        clearing.clear_source(source_id, context.get("user") or "")
    return {"id": source_id}


def harvest_source_index_clear(context: Any, data_dict: dict[str, Any]) -> dict[str, str]:
    """Remove the datasets of a source from the search index, and only from there.

    :param id: id or name of the source
    :returns: ``{id}``
    """
    tk.check_access("harvest_source_index_clear", context, data_dict)
    source_id = get_source_object(context, data_dict).id
    with search_errors():
        clearing.clear_index(source_id)
    return {"id": source_id}


def harvest_source_job_history_clear(context: Any, data_dict: dict[str, Any]) -> dict[str, str]:
    """Remove the jobs and objects of a source, never a dataset.

    :param id: id or name of the source
    :param keep_current: keep jobs that have not ended, and all objects of a job that has a current one (False: an open
        job is aborted and everything goes)
    :returns: ``{id}``
    :raises ValidationError: somebody clears it already
    """
    tk.check_access("harvest_source_job_history_clear", context, data_dict)
    source_id = get_source_object(context, data_dict).id
    with _refusals(source_id):
        clearing.clear_history(source_id, flag(data_dict, "keep_current"))
    return {"id": source_id}


def harvest_sources_job_history_clear(context: Any, data_dict: dict[str, Any]) -> list[dict[str, str]]:
    """Remove the jobs and objects of all sources, never a dataset. A source that somebody clears already is left out.

    :param keep_current: see ``harvest_source_job_history_clear``
    :returns: a list of ``{id}``
    """
    tk.check_access("harvest_sources_job_history_clear", context, data_dict)
    keep_current = flag(data_dict, "keep_current")
    cleared = []
    ids = [row.id for row in model.Session.query(HarvestSource.id).order_by(HarvestSource.created)]
    for source_id in progress.of(ids):
        try:
            with search_errors():
                clearing.clear_history(source_id, keep_current)
        except clearing.SourceBusy:
            log.warning("Source %s is being cleared by somebody else, its history is left alone", source_id)
        else:
            cleared.append({"id": source_id})
    return cleared


@contextlib.contextmanager
def _refusals(source_id: str) -> Iterator[None]:
    try:
        with search_errors():
            yield
    except clearing.SourceBusy:
        message = tk._("Source {0} is being cleared already. Try again when that has ended.")
        raise tk.ValidationError({"id": [message.format(source_id)]}) from None
    except clearing.NotRemoved as error:
        raise tk.ValidationError({"id": [str(error)]}) from None
