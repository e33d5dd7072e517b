"""Actions on harvesters."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.harvest import registry

__all__ = ["harvesters_info_show"]


@tk.side_effect_free
def harvesters_info_show(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return which types of source can be harvested: ``name``, ``title``, ``description``, and whether the form of a
    source shows the configuration (``show_config``)."""
    tk.check_access("harvesters_info_show", context, data_dict)
    return [
        dict(info) | {"show_config": info.get("form_config_interface") == "Text"} for info, _ in registry.harvesters()
    ]
