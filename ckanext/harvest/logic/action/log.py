"""Actions on the log that is kept in the database."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.harvest.logic import dictization
from ckanext.harvest.logic.parameters import limit_and_offset
from ckanext.harvest.model import HarvestLog

__all__ = ["harvest_log_list"]

_DEFAULT_LIMIT = 100


@tk.side_effect_free
def harvest_log_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, str]]:
    """Return what was logged to the database, newest first; ``ckan.harvest.log_scope`` says what is.

    :param limit: how many entries at most (100); ``per_page`` is another name for it
    :param offset: how many of the newest to leave out (0)
    :param level: only those of one level: DEBUG, INFO, WARNING, ERROR or CRITICAL
    :returns: a list of ``{content, level, created}``
    """
    tk.check_access("harvest_log_list", context, data_dict)
    given = {"limit": data_dict.get("limit", data_dict.get("per_page")), "offset": data_dict.get("offset")}
    limit, offset = limit_and_offset(given)
    query = HarvestLog.filter().order_by(HarvestLog.created.desc())
    if level := str(data_dict.get("level") or "").upper():
        levels = HarvestLog.__table__.c.level.type.enums
        if level not in levels:
            raise tk.ValidationError({"level": [tk._("Must be one of {0}").format(", ".join(levels))]})
        query = query.filter(HarvestLog.level == level)
    entries = query.offset(offset).limit(_DEFAULT_LIMIT if limit is None else limit)
    return [dictization.harvest_log_dictize(entry, context) for entry in entries]
