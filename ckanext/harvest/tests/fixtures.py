"""Fixtures for third-party test suites: ``pytest_plugins = ["ckanext.harvest.tests.fixtures"]`` in a conftest."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def clean_queues(reset_queues: Any) -> None:
    """Queues without anything that earlier tests left in them: those of harvesting, and CKAN's own of this name."""
    from ckanext.harvest.queue import purge_queues

    reset_queues()
    purge_queues()
