"""The actions of the plugin, a module a noun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import job, object, source


def get_actions() -> dict[str, Callable[..., Any]]:
    """Return the actions by name: exactly those, so that no helper becomes part of the API by accident."""
    return {name: getattr(module, name) for module in (source, job, object) for name in module.__all__}
