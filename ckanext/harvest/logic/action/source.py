"""Actions on sources, which are datasets of type ``harvest``."""

from __future__ import annotations

import functools
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest import config, connection, sources
from ckanext.harvest.logic import schema, source_list
from ckanext.harvest.logic.auth import get_source_object, may_edit_source, user_is_sysadmin
from ckanext.harvest.logic.dictization import harvest_source_dicts
from ckanext.harvest.logic.parameters import flag
from ckanext.harvest.model import HarvestSource

__all__ = [
    "harvest_source_create",
    "harvest_source_delete",
    "harvest_source_list",
    "harvest_source_patch",
    "harvest_source_show",
    "harvest_source_show_status",
    "harvest_source_test",
    "harvest_source_update",
]


def harvest_source_create(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Create a source.

    :param url: where to harvest
    :param name: its name on this portal
    :param source_type: the harvester, see ``harvesters_info_show``
    :param title, notes, owner_org, config, frequency: optional; the configuration is what the harvester expects
    :returns: the source
    """
    tk.check_access("harvest_source_create", context, data_dict)
    return _shown(context, tk.get_action("package_create")(context, data_dict | {"type": sources.DATASET_TYPE_NAME}))


def harvest_source_update(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Replace a source with what is given.

    :param id: id or name of the source; the rest as for ``harvest_source_create``
    :returns: the source
    """
    tk.check_access("harvest_source_update", context, data_dict)
    return _shown(context, tk.get_action("package_update")(context, data_dict | {"type": sources.DATASET_TYPE_NAME}))


def harvest_source_patch(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Change the fields of a source that are given, and no others.

    :param id: id or name of the source
    :returns: the source
    """
    tk.check_access("harvest_source_patch", context, data_dict)
    return _shown(context, tk.get_action("package_patch")(context, data_dict | {"type": sources.DATASET_TYPE_NAME}))


def harvest_source_delete(context: Any, data_dict: dict[str, Any]) -> None:
    """Delete a source. Its datasets and its history stay; jobs that were not begun are aborted.

    With ``clear_source`` in the context they are removed for good, see ``harvest_source_clear``.

    :param id: id or name of the source
    """
    tk.check_access("harvest_source_delete", context, data_dict)
    tk.get_action("package_delete")(context, data_dict)
    if context.get("clear_source"):
        own = {key: context[key] for key in ("user", "ignore_auth") if key in context}
        tk.get_action("harvest_source_clear")(own, {"id": data_dict["id"]})


@tk.side_effect_free
def harvest_source_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a source with its ``status`` and whether it is ``active``. Secrets of its configuration are masked for
    those who may not edit it.

    :param id: id or name of the source, or
    :param url: its URL
    """
    if data_dict.get("url") and not data_dict.get("id"):
        found = HarvestSource.filter(url=data_dict["url"]).order_by(HarvestSource.active.desc()).first()
        if found is None:
            raise tk.ObjectNotFound(tk._("Harvest Source was not found."))
        data_dict = data_dict | {"id": found.id}
    tk.check_access("harvest_source_show", context, data_dict)
    return _shown(context, tk.get_action("package_show")(context, data_dict))


def _shown(context: Any, source: dict[str, Any]) -> dict[str, Any]:
    source = dict(source)
    if "status" not in source:
        sources.show(context, source)
    return source | {"active": source["state"] == "active"}


@tk.side_effect_free
def harvest_source_show_status(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return how a source does: ``job_count``, ``last_job`` (None or a job) and ``total_datasets``.

    :param id: id or name of the source
    """
    tk.check_access("harvest_source_show_status", context, data_dict)
    package = model.Package.get(tk.get_or_bust(data_dict, "id"))
    if package is None or HarvestSource.get(package.id) is None:
        raise tk.ObjectNotFound(tk._("Harvest Source was not found."))
    return sources.status(package.id, context)


@tk.side_effect_free
def harvest_source_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sources that the user may see, newest first. Secrets of a configuration are masked for those who may
    not edit the source.

    :param only_active: leave out what was deleted or deactivated
    :param only_to_run: only those that are due
    :param organization_id: only those of an organization
    :param return_last_job_status: add ``last_job_status``
    """
    tk.check_access("harvest_source_list", context, data_dict)
    query = source_list.visible(source_list.matching(data_dict), context).limit(config.source_limit())
    with_status = flag(data_dict, "return_last_job_status")
    # asked once, where it can be: for the others, their rights on each source count
    may_edit = (lambda source_id: True) if user_is_sysadmin(context) else functools.partial(may_edit_source, context)
    return harvest_source_dicts(query.all(), with_status, may_edit)


def harvest_source_test(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Look what is at an address, as a harvester would, for ten seconds at most. Nothing is saved.

    :param url, source_type, config: as for ``harvest_source_create``, with the fields that the harvester adds
    :param id: id or name of the source if there is one: what comes masked, as it was shown, means what is stored
    :returns: ``reachable``; ``right_type``, ``count``: None if that cannot be told; ``records``, a list of ``{title}``
        of some of them; ``message``, for people
    """
    tk.check_access("harvest_source_test", context, data_dict)
    if data_dict.get("id"):
        data_dict = data_dict | {"id": get_source_object(context, {"id": data_dict["id"]}).id}
    given, errors = tk.navl_validate(data_dict, schema.harvest_source_test_schema(), context)
    if errors:
        raise tk.ValidationError(errors)
    return connection.test(given["source_type"], given["url"], given.get("config")).as_dict()
