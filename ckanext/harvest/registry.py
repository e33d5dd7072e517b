"""Which harvesters there are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p

from .interfaces import IHarvester

log = logging.getLogger(__name__)


def harvesters() -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the info and the instance of each enabled harvester; one that does not say its name is logged and left."""
    for harvester in p.PluginImplementations(IHarvester):
        try:
            info = harvester.info() if hasattr(harvester, "info") else None
        except Exception:  # third-party code: the others are there all the same
            log.exception("Harvester %s raises in info()", harvester)
            continue
        if info and info.get("name"):
            yield info, harvester
        else:
            log.error("Harvester %s does not provide its name in info()", harvester)


def find(source_type: str) -> Any:
    """Return the harvester of a type of source, or None if no enabled plugin provides it."""
    return next((harvester for info, harvester in harvesters() if info["name"] == source_type), None)


def types() -> list[str]:
    """Return the types of source that can be harvested."""
    return [info["name"] for info, _ in harvesters()]


def streams(harvester: Any) -> bool:
    """Tell whether ``gather_pages`` speaks for this harvester."""
    return speaks(harvester, "gather_pages")


def speaks(harvester: Any, method: str) -> bool:
    """Tell whether a method speaks for this harvester: nobody overrode ``gather_stage`` closer to it."""
    for cls in type(harvester).__mro__:
        if method in vars(cls):
            return True
        if "gather_stage" in vars(cls):
            return False
    return False
