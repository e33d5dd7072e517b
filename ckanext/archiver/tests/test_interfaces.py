"""The pipeline tells the plugins that are in it, in their order."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p
import pytest

from ckanext.archiver.interfaces import IPipe
from ckanext.archiver.plugin import TestIPipePlugin

pytestmark = pytest.mark.usefixtures("archiver_plugins")


def test_plugins_hear_what_is_said(pipe: TestIPipePlugin) -> None:
    """Operation, queue and parameters, as lists that tests of other extensions compare."""
    IPipe.send_data("archived", "priority", resource_id="r", cache_filepath=None)
    IPipe.send_data("package-archived", queue="bulk", package_id="p")
    IPipe.send_data("qa", "bulk")
    assert pipe.calls == [
        ["archived", "priority", {"resource_id": "r", "cache_filepath": None}],
        ["package-archived", "bulk", {"package_id": "p"}],
        ["qa", "bulk", {}],
    ]
    pipe.reset()
    assert pipe.calls == []


def test_who_fails_stops_the_rest(pipe: TestIPipePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends hears of it: an observer that did not do its part must not be passed over."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(pipe, "receive_data", fail)
    with pytest.raises(ValueError, match="no"):
        IPipe.send_data("archived", "bulk", resource_id="r", cache_filepath=None)


def test_who_implements_nothing_ignores_all() -> None:
    """``inherit=True`` is enough to be in the pipeline."""

    class Silent(p.SingletonPlugin):
        p.implements(IPipe, inherit=True)

    assert Silent().receive_data("archived", "bulk", resource_id="r") is None
