"""What the activity stream keeps of a source: everybody who may see the source may read that."""

from __future__ import annotations

from typing import Any

from ckan import plugins as p
from sqlalchemy import event

from . import sources


def keep_secrets_out() -> None:
    """Mask the secrets in activities about sources from now on, if the plugin ``activity`` is there."""
    if not p.plugin_loaded("activity"):
        return
    from ckanext.activity.model import Activity

    if not event.contains(Activity, "before_insert", _mask):
        event.listen(Activity, "before_insert", _mask)


def _mask(_mapper: Any, _connection: Any, activity: Any) -> None:
    package = (activity.data or {}).get("package") or {}
    if package.get("type") == sources.DATASET_TYPE_NAME:
        activity.data = activity.data | {"package": sources.without_secrets(package)}
