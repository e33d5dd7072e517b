"""Tables of the archiver; what other extensions import from here keeps its name."""

from __future__ import annotations

from .setup import init_tables
from .tables import (
    Archival,
    Base,
    Status,
    aggregate_archivals_for_a_dataset,
    broken_enum,
    lease_table,
    make_uuid,
    metadata,
)

__all__ = [
    "Archival",
    "Base",
    "Status",
    "aggregate_archivals_for_a_dataset",
    "broken_enum",
    "init_tables",
    "lease_table",
    "make_uuid",
    "metadata",
]
