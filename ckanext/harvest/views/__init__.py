"""The pages of the plugin, and the blueprints that they make up."""

from __future__ import annotations

from flask import Blueprint

from . import dashboard, jobs, objects, sources  # noqa: F401  (each adds its routes to the blueprint)
from .blueprint import harvester

__all__ = ["get_blueprints", "harvester"]


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [harvester]
