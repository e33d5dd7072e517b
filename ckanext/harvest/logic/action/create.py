"""For third parties: the actions that create, under the name that they import them from."""

from __future__ import annotations

from .job import harvest_job_create, harvest_job_create_all
from .object import harvest_object_create
from .source import harvest_source_create

__all__ = [
    "InactiveSource",
    "harvest_job_create",
    "harvest_job_create_all",
    "harvest_object_create",
    "harvest_source_create",
]


class InactiveSource(Exception):
    """Kept for who catches it; nobody raises it, see ``HarvestSourceInactiveError``."""
