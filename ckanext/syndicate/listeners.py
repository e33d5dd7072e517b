"""Kept for other extensions, which may send these receivers what CKAN's signal ``action_succeeded`` sends.

We do not connect them: the plugin is told of each change by the session that saves it.
"""

from __future__ import annotations

from typing import Any

from . import asking, config


def package_modification(sender: str, **kwargs: Any) -> None:
    """Ask for a dataset that an action has saved to be brought to the targets at which it is to be.

    :param sender: name of the action
    :param kwargs: ``result`` of the action, a dataset or its id, and ``data_dict`` that it was called with
    """
    result, data = kwargs.get("result"), kwargs.get("data_dict") or {}
    dataset_id = result.get("id") if isinstance(result, dict) else result
    if config.get_sync_on_changes() and (dataset_id or data.get("id")):
        asking.notify_sync(str(dataset_id or data["id"]))


def member_modification(sender: str, **kwargs: Any) -> None:
    """Ask for a dataset that was put into a group, or taken out, to be brought to the targets at which it is to be.

    :param sender: name of the action
    :param kwargs: ``data_dict`` that the action was called with
    """
    data = kwargs.get("data_dict") or {}
    if data.get("object_type") == "package" and data.get("object") and config.get_sync_on_member_changes():
        asking.notify_sync(str(data["object"]))
