"""There are only so many messages about one piece of work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ckanext.harvest.model import lease_table
from ckanext.relay import lease, tickets

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "harvest ckan_harvester"),
    pytest.mark.usefixtures("with_plugins", "clean_leases"),
]


@pytest.fixture
def clean_leases(clean_db: None, migrate_db_for: Callable[[str], None]) -> None:
    """Begin and end without leases."""
    migrate_db_for("harvest")
    lease.execute(lease_table.delete())


def test_only_so_many_tickets_are_drawn_for_a_task() -> None:
    """The next message about a task is not sent while enough of them are on their way; other tasks have their own."""
    assert all(tickets.draw(lease_table, "process a", 2) for _ in range(2))
    assert tickets.draw(lease_table, "process a", 2) is None
    assert tickets.draw(lease_table, "process b", 2)


def test_who_works_counts_too() -> None:
    """A worker at a task stands for one of its messages."""
    with lease.held(lease_table, "process a", longest=60):
        assert tickets.draw(lease_table, "process a", 2)
        assert tickets.draw(lease_table, "process a", 2) is None


def test_of_copies_of_a_message_one_counts() -> None:
    """A ticket can be given back once, and another one be drawn then."""
    ticket = tickets.draw(lease_table, "process a", 1)
    assert ticket and tickets.drawn(lease_table, "process a") == [ticket]
    assert tickets.give_back(lease_table, ticket)
    assert not tickets.give_back(lease_table, ticket)
    assert tickets.drawn(lease_table, "process a") == []
    assert tickets.draw(lease_table, "process a", 1)
