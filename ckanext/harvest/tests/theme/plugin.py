"""A theme and a form extension as third parties write them: nothing is used here but what the contract promises."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk

from ckanext.harvest.plugin import Harvest
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester


class Theme(p.SingletonPlugin):
    """Overrides templates of the plugin."""

    p.implements(p.IConfigurer)

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")


class HarvestWithOwnForm(Harvest):
    """Takes the place of the plugin, with a form that adds fields."""

    def package_form(self) -> str:
        return "source/extended_source_form.html"


class CollectionHarvester(ScriptedHarvester):
    """A harvester whose sources have fields of their own."""

    def info(self) -> dict[str, Any]:
        return {"name": "collection", "title": "Collection", "description": "Part of a catalogue"}

    def extra_schema(self) -> dict[str, Any]:
        validators = {name: tk.get_validator(name) for name in ("not_empty", "unicode_safe", "ignore_empty")}
        return {
            "collection": [validators["not_empty"], validators["unicode_safe"]],
            "port": [validators["ignore_empty"], tk.get_validator("is_positive_integer")],
        }
