"""Tables of the harvest plugin; what portals and third-party harvesters import from here keeps its name."""

from __future__ import annotations

import sqlalchemy as sa
from ckan.model import meta

from .db_log import clean_harvest_log
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
    "clean_harvest_log",
    "define_harvester_tables",
    "harvest_object_before_insert_listener",
    "lease_table",
    "setup",
]


def setup() -> None:
    """Make the tables if they are not there. Old test suites call this; new ones call ``migrate_db_for("harvest")``."""
    if sa.inspect(meta.engine).has_table(lease_table.name):
        return
    from ckan.cli.db import _run_migrations

    _run_migrations("harvest", "head", True)


def define_harvester_tables() -> None:
    """Do nothing: the tables are defined when this is imported. Old test suites call it."""
