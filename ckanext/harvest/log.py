"""For third parties and logging configurations: ``class = ckanext.harvest.log.DBLogHandler``."""

from __future__ import annotations

from .model.db_log import DBLogHandler

__all__ = ["DBLogHandler"]
