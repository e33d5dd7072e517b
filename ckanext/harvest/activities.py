"""What the activity stream keeps of a source: everybody who may see the source may read that."""

from __future__ import annotations

from typing import Any

from ckan import plugins as p
from sqlalchemy import event
from sqlalchemy.orm import attributes

from . import sources


def keep_secrets_out() -> None:
    """Mask the secrets in activities about sources from now on, if the plugin ``activity`` is there: in new ones before
    they are saved, in those that ckanext-harvest has saved whenever they are read. These are left as they are in the
    table, where the source has its configuration too."""
    if not p.plugin_loaded("activity"):
        return
    from ckanext.activity.model import Activity

    for name, listener in (("before_insert", _inserted), ("load", _read), ("refresh", _read)):
        if not event.contains(Activity, name, listener):
            event.listen(Activity, name, listener)


def _inserted(_mapper: Any, _connection: Any, activity: Any) -> None:
    if masked := _masked(activity.data):
        activity.data = masked


def _read(activity: Any, *_: Any) -> None:
    # not what was deferred, or is not asked for anew; and no change to be written
    if masked := _masked(vars(activity).get("data")):
        attributes.set_committed_value(activity, "data", masked)


def _masked(data: Any) -> dict[str, Any] | None:
    """Return what an activity about a source may say, or None if it is about something else."""
    package = (data or {}).get("package") or {}
    if package.get("type") != sources.DATASET_TYPE_NAME:
        return None
    return data | {"package": sources.without_secrets(package)}
