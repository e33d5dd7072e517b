"""Actions on the search documents of sources."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import progress
from ckanext.harvest.logic.auth import get_source_object
from ckanext.harvest.logic.search_errors import search_errors
from ckanext.harvest.model import HarvestSource
from ckanext.relay import search
from ckanext.relay.ckan_211 import index_update_package

__all__ = ["harvest_source_reindex", "harvest_sources_reindex"]

_BATCH = 50


@tk.side_effect_free
def harvest_source_reindex(context: Any, data_dict: dict[str, Any]) -> bool:
    """Bring the search document of a source, which holds its status, up to date.

    ``defer_commit`` in the context leaves the commit of the index to who calls.

    :param id: id or name of the source
    :returns: True
    :raises ValidationError: Solr refuses the document
    """
    tk.check_access("harvest_source_reindex", context, data_dict)
    source_id = get_source_object(context, data_dict).id
    if context.get("defer_commit"):
        index_update_package({"ignore_auth": True}, source_id, defer_commit=True)
    else:
        _complain(_index([source_id]))
    return True


@tk.side_effect_free
def harvest_sources_reindex(context: Any, data_dict: dict[str, Any]) -> bool:
    """Bring the search documents of all active sources up to date.

    :returns: True
    :raises ValidationError: Solr refuses some of the documents; the others are up to date
    """
    tk.check_access("harvest_sources_reindex", context, data_dict)
    query = model.Session.query(HarvestSource.id).filter(HarvestSource.active).order_by(HarvestSource.created)
    ids = [row.id for row in query]
    refused: dict[str, str] = {}
    for first in range(0, len(ids), _BATCH):
        progress.report(first, len(ids))
        refused |= _index(ids[first : first + _BATCH])
    progress.report(len(ids), len(ids))
    _complain(refused)
    return True


def _index(source_ids: list[str]) -> dict[str, str]:
    with search_errors():
        return search.index(source_ids)


def _complain(refused: dict[str, str]) -> None:
    if refused:
        raise tk.ValidationError({"id": [f"{source_id}: {reason}" for source_id, reason in refused.items()]})
