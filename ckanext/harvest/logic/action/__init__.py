"""The actions of the plugin, a module a noun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import clear, dashboard, errors, harvester, job, log, object, recipients, reindex, retry, source

_MODULES = (source, job, errors, retry, object, clear, reindex, harvester, recipients, log, dashboard)


def get_actions() -> dict[str, Callable[..., Any]]:
    """Return the actions by name: exactly those, so that no helper becomes part of the API by accident."""
    return {name: getattr(module, name) for module in _MODULES for name in module.__all__}
