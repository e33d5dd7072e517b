"""Kept for older extensions: three settings, as they are when they are read."""

from __future__ import annotations

from typing import Any

from . import config

_GETTERS = {
    "ARCHIVE_DIR": config.archive_dir,
    "MAX_CONTENT_LENGTH": config.max_content_length,
    "USER_AGENT_STRING": config.user_agent,
}


def __getattr__(name: str) -> Any:
    """Return ``ARCHIVE_DIR``, ``MAX_CONTENT_LENGTH`` (bytes) or ``USER_AGENT_STRING``."""
    if name not in _GETTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _GETTERS[name]()
