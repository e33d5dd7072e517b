"""Datasets as rows of CKAN's tables, and what is in ours: made and looked at without the actions of CKAN."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.syndicate.model import lease_table, outbox
from ckanext.syndicate.model.tables import copy_table, outbox_table

TARGET = "target"


def profile(name: str = TARGET, **options: str) -> dict[str, str]:
    """Return the settings of a profile to which nothing can be pushed: nobody listens there."""
    options = {"ckan_url": "http://127.0.0.1:9", "api_key": "no-such-key", **options}
    return {f"ckanext.syndicate.profile.{name}.{option}": value for option, value in options.items()}


def add_dataset(*names: str, **fields: Any) -> None:
    """Add datasets whose ids are their names; CKAN tells nobody."""
    for name in names:
        row = {"id": name, "name": name, "type": "dataset", "state": "active", "private": False, **fields}
        with lease.transaction() as connection:
            connection.execute(sa.insert(model.Package.__table__).values(row))


def ask(*datasets: str, to: str = TARGET, rank: int = outbox.PERSON, force: bool = False) -> int:
    """Ask for datasets, and commit."""
    with lease.transaction() as connection:
        return outbox.ask(datasets, [to], rank, force, connection)


def asked(to: str | None = None) -> dict[str, outbox.Entry]:
    """Return what is in the outbox, by dataset."""
    return {entry.local_id: entry for entry in outbox.entries(to)}


def ranks(to: str | None = None) -> dict[str, int]:
    """Return how urgent what is in the outbox is, by dataset."""
    return {entry.local_id: entry.rank for entry in outbox.entries(to)}


def clear() -> None:
    """Take everything out of the outbox."""
    lease.execute(sa.delete(outbox_table))


def change(local_id: str, **columns: Any) -> None:
    """Change rows of the outbox."""
    lease.execute(sa.update(outbox_table).where(outbox_table.c.local_id == local_id).values(columns))


def add_copy(local_id: str, to: str = TARGET, presence: str | None = "active", **columns: Any) -> None:
    """Add what we know of a copy."""
    row = {"local_id": local_id, "profile_id": to, "name": local_id, "target_id": f"remote-{local_id}", **columns}
    lease.execute(sa.insert(copy_table).values(presence=presence, **row))


@contextlib.contextmanager
def worker() -> Iterator[str]:
    """A lease; yields its id."""
    with lease.held(lease_table, f"push {TARGET}", longest=60) as lease_id:
        yield lease_id


def claim(lease_id: str, limit: int = 10, to: str = TARGET, **options: Any) -> list[str]:
    """Claim, and return the ids of the datasets in the order in which they are to be pushed."""
    return [row.local_id for row in outbox.claim(to, lease_id, limit, **options)]
