"""Actions on objects."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest.logic import dictization
from ckanext.harvest.logic.auth import get_obj_object
from ckanext.harvest.model import HarvestObject

__all__ = ["harvest_object_list", "harvest_object_show"]


@tk.side_effect_free
def harvest_object_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its errors and extras. The record of a private dataset is for those who may see that.

    :param id: id of the object, or its value of the column
    :param attr: another column to look in, such as ``guid``; or
    :param dataset_id: id or name of a dataset, whose current object is meant
    """
    tk.check_access("harvest_object_show", context, data_dict := _with_id(data_dict))
    return dictization.harvest_object_dictize(get_obj_object(context, data_dict), context)


def _with_id(data_dict: dict[str, Any]) -> dict[str, Any]:
    if data_dict.get("id"):
        if data_dict.get("attr", "id") not in HarvestObject.__table__.c:
            raise tk.ValidationError({"attr": [tk._("No such column: {0}").format(data_dict["attr"])]})
        return data_dict
    if not data_dict.get("dataset_id"):
        raise tk.ValidationError({"id": [tk._('Please provide either an "id" or a "dataset_id" parameter')]})
    package = model.Package.get(data_dict["dataset_id"])
    current = HarvestObject.filter(package_id=package.id if package else None, current=True)
    obj = current.order_by(HarvestObject.import_finished.desc()).first() if package else None
    if obj is None:
        raise tk.ObjectNotFound(tk._("Harvest Object was not found."))
    return {"id": obj.id}


@tk.side_effect_free
def harvest_object_list(context: Any, data_dict: dict[str, Any]) -> list[str]:
    """Return the ids of objects.

    :param only_current: leave out those that a newer object of the same dataset replaced (True)
    :param source_id: only those of a source
    """
    tk.check_access("harvest_object_list", context, data_dict)
    query = model.Session.query(HarvestObject.id)
    if tk.asbool(data_dict.get("only_current", True)):
        query = query.filter(HarvestObject.current)
    if data_dict.get("source_id"):
        query = query.filter(HarvestObject.harvest_source_id == data_dict["source_id"])
    return [row.id for row in query]
