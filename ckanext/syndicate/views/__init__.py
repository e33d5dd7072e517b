"""The pages: of the targets, for sysadmins, and of a dataset at them, for those who may edit it."""

from __future__ import annotations

from flask import Blueprint

from .dataset import dataset
from .targets import syndicate


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [syndicate, dataset]
