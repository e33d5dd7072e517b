"""Datasets that are harvested from a source whose configuration says ``read_only`` are not for people to change.

The rule stands in the way of people only: sysadmins are not asked, nor is the harvest itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import ckan.plugins.toolkit as tk
from ckan.logic.auth import get_package_object

from ckanext.harvest.model import claims

AuthResult = dict[str, Any]
_Next = Callable[[Any, Any], AuthResult]


@tk.chained_auth_function
@tk.auth_allow_anonymous_access  # the function behind it decides about them
def package_update(next_auth: _Next, context: Any, data_dict: Any) -> AuthResult:
    """Refuse what was harvested from a read-only source; deletions and resources are asked here, too."""
    answer = next_auth(context, data_dict)
    if not answer["success"]:
        return answer
    package = get_package_object(context, data_dict)
    return answer if package.type == "harvest" else _refused([package.id]) or answer


@tk.chained_auth_function
def bulk_update(next_auth: _Next, context: Any, data_dict: Any) -> AuthResult:
    """Refuse to change several datasets at once if any of them was harvested from a read-only source."""
    answer = next_auth(context, data_dict)
    ids = [each for each in data_dict.get("datasets") or () if isinstance(each, str)]
    return _refused(ids) or answer if answer["success"] and ids else answer


def _refused(package_ids: Collection[str]) -> AuthResult | None:
    titles = [title for title, config in claims.current_sources(package_ids) if _is_read_only(config)]
    if not titles:
        return None
    message = tk._(
        "This dataset is harvested from the source '{0}', which says read_only: it is changed where it comes from"
    )
    return {"success": False, "msg": message.format(titles[0])}


def _is_read_only(config: str) -> bool:
    try:
        settings = json.loads(config or "{}")
    except ValueError:
        return False
    return isinstance(settings, dict) and settings.get("read_only") is True


def get_auth_functions() -> dict[str, Any]:
    """Return the auth functions by the name of their action."""
    bulk = ("bulk_update_private", "bulk_update_public", "bulk_update_delete")
    return {"package_update": package_update} | dict.fromkeys(bulk, bulk_update)
