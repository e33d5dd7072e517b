"""For third parties: the actions that patch, under the name that they import them from."""

from .source import harvest_source_patch

__all__ = ["harvest_source_patch"]
