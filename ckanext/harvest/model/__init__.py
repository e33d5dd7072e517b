"""Tables of the harvest plugin; what portals and third-party harvesters import from here keeps its name."""

from __future__ import annotations

from .tables import (
    UPDATE_FREQUENCIES,
    HarvestDomainObject,
    HarvestError,
    HarvestGatherError,
    HarvestJob,
    HarvestLog,
    HarvestObject,
    HarvestObjectError,
    HarvestObjectExtra,
    HarvestSource,
    PackageIdHarvestSourceIdMismatch,
    harvest_object_before_insert_listener,
    lease_table,
)

__all__ = [
    "UPDATE_FREQUENCIES",
    "HarvestDomainObject",
    "HarvestError",
    "HarvestGatherError",
    "HarvestJob",
    "HarvestLog",
    "HarvestObject",
    "HarvestObjectError",
    "HarvestObjectExtra",
    "HarvestSource",
    "PackageIdHarvestSourceIdMismatch",
    "harvest_object_before_insert_listener",
    "lease_table",
]
