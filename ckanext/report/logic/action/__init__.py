"""The actions of the plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import report

_MODULES = (report,)


def get_actions() -> dict[str, Callable[..., Any]]:
    """Return the actions by name: exactly those, so that no helper becomes part of the API by accident."""
    return {name: getattr(module, name) for module in _MODULES for name in module.__all__}
