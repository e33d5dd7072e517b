"""Plugins that no package offers: classes of the tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def known(classes: dict[str, Any]) -> Iterator[None]:
    """Let CKAN find plugins by these names while the block runs."""
    import ckan.plugins as p

    entry_point = p.core._get_service

    def service(name: str) -> Any:
        return classes[name](name=name) if name in classes else entry_point(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(p.core, "_get_service", service)
        yield


@contextlib.contextmanager
def loaded(name: str, plugin: Any) -> Iterator[Any]:
    """Load a plugin of this class while the block runs; yields it."""
    import ckan.plugins as p

    with known({name: plugin}):
        p.load(name)
        try:
            yield p.get_plugin(name)
        finally:
            p.unload(name)
