"""For third parties: the actions that delete, under the name that they import them from."""

from .source import harvest_source_delete

__all__ = ["harvest_source_delete"]
