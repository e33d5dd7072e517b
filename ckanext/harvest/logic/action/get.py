"""For third parties: the actions that show, under the name that they import them from."""

from __future__ import annotations

from typing import Any

from ckanext.harvest.logic.source_list import matching, visible
from ckanext.harvest.model import HarvestSource

from .harvester import harvesters_info_show
from .job import harvest_job_list, harvest_job_report, harvest_job_show
from .log import harvest_log_list
from .object import harvest_object_list, harvest_object_show
from .recipients import harvest_get_notifications_recipients
from .source import harvest_source_list, harvest_source_show, harvest_source_show_status

__all__ = [
    "harvest_get_notifications_recipients",
    "harvest_job_list",
    "harvest_job_report",
    "harvest_job_show",
    "harvest_log_list",
    "harvest_object_list",
    "harvest_object_show",
    "harvest_source_list",
    "harvest_source_show",
    "harvest_source_show_status",
    "harvesters_info_show",
]


def _get_sources_for_user(
    context: Any, data_dict: dict[str, Any], organization_id: str | None = None, limit: int | None = None
) -> list[HarvestSource]:
    """Return the sources that ``harvest_source_list`` is asked for, newest first: those that the user may see.

    :param limit: how many at most (all)
    """
    asked = data_dict | ({"organization_id": organization_id} if organization_id else {})
    return visible(matching(asked), context).limit(limit).all()
