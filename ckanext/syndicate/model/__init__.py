"""Tables of syndication; what other extensions import from here keeps its name."""

from __future__ import annotations

from .log import SyndicationLog
from .setup import init_tables
from .tables import Base, lease_table, metadata

__all__ = ["Base", "SyndicationLog", "init_tables", "lease_table", "metadata"]
