"""Actions on objects."""

from __future__ import annotations

import string
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.harvest import reimport
from ckanext.harvest.logic import dictization
from ckanext.harvest.logic.auth import get_obj_object, get_source_object
from ckanext.harvest.logic.parameters import flag
from ckanext.harvest.logic.schema import harvest_object_create_schema
from ckanext.harvest.logic.search_errors import search_errors
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra, current

__all__ = ["harvest_object_create", "harvest_object_list", "harvest_object_show", "harvest_objects_import"]


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
    query = sa.select(HarvestObject.id)
    if flag(data_dict, "only_current", True):
        query = query.where(HarvestObject.current)
    if data_dict.get("source_id"):
        query = query.where(HarvestObject.harvest_source_id == data_dict["source_id"])
    return list(model.Session.execute(query).scalars())


def harvest_object_create(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Create an object, as a gather stage does. Workers take it up if its job is running.

    :param guid: what the record is called at the source
    :param job_id: id of the job that it belongs to
    :param source_id: id of the source; by default the one of the job
    :param content, state, package_id: optional
    :param extras: a dictionary of strings
    :returns: the object
    """
    tk.check_access("harvest_object_create", context, data_dict)
    data, errors = tk.navl_validate(data_dict, harvest_object_create_schema(), context)
    if errors:
        model.Session.rollback()
        raise tk.ValidationError(errors)
    fields = {key: data[key] for key in ("guid", "content", "state", "package_id") if data.get(key)}
    obj = HarvestObject(job=data["job_id"], harvest_source_id=data.get("source_id") or None, **fields)
    for key, value in data.get("extras", {}).items():
        obj.extras.append(HarvestObjectExtra(key=key, value=value))
    model.Session.add(obj)
    model.Session.commit()
    return dictization.harvest_object_dictize(obj, context)


def harvest_objects_import(context: Any, data_dict: dict[str, Any]) -> int:
    """Run the import stage again, by force, for the current objects: of all sources, or of what is named. Nothing is
    gathered or fetched. An object that fails keeps its state and gets an error; the others go on.

    ``join_datasets`` (True: leave out what has no active dataset) and ``segments`` (only objects whose id has one of
    these hex digits first in its MD5 sum) are given in the context, or as parameters.

    :param guid: only the record with this GUID; or
    :param source_id: only those of a source, by id or name; or
    :param harvest_object_id: only this object, be it current or not; or
    :param package_id: only the record of a dataset, by id or name
    :returns: how many were imported
    :raises ValidationError: the source is inactive, or the segments are no hex digits
    """
    tk.check_access("harvest_objects_import", context, data_dict)
    options = data_dict | {key: context[key] for key in ("segments", "join_datasets") if key in context}
    only: dict[str, Any] = {key: data_dict[key] for key in ("guid", "harvest_object_id") if data_dict.get(key)}
    if data_dict.get("source_id"):
        source = get_source_object(context, {"id": data_dict["source_id"]})
        if not source.active:
            raise tk.ValidationError({"source_id": [tk._("Can not import on inactive sources")]})
        only["source_id"] = source.id
    if data_dict.get("package_id"):
        package = model.Package.get(data_dict["package_id"])
        if package is None:
            raise tk.ObjectNotFound(tk._("There is no dataset {0}").format(data_dict["package_id"]))
        only["package_id"] = package.id
    joined, segments = flag(options, "join_datasets", True), _segments(options.get("segments"))
    with search_errors():
        return reimport.run(current.objects(**only, with_dataset=joined, segments=segments))


def _segments(given: Any) -> str:
    """Return hex digits, none for all."""
    digits = str(given or "").lower()
    if set(digits) - set(string.hexdigits):
        message = tk._("Must be hex digits, such as 01234567, not {0}").format(given)
        raise tk.ValidationError({"segments": [message]})
    return digits
