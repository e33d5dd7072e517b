"""What the tests of the harvest plugin share: a migrated database, and a portal to run the stages in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_migrated: set[str] = set()


@pytest.fixture
def harvest_db(with_plugins: None, non_clean_db: None, migrate_db_for: object) -> None:
    """The plugins and their tables; whatever other tests left in these stays."""
    if not _migrated:  # the plugins are loaded by test, the database is there for the session
        migrate_db_for("harvest")
        _migrated.add("harvest")


@pytest.fixture
def portal(harvest_db: None, clean_db: None, clean_index: None, with_request_context: None) -> Iterator[None]:
    """An empty portal, in the request context that a worker has, too."""
    from ckan import model

    yield
    model.Session.remove()
