"""Copies, rows of the outbox and targets for the tests of what is shown of them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from ckan.tests.helpers import changed_config

from ckanext.relay import lease
from ckanext.syndicate.model.tables import copy_table, outbox_table, target_table

NOW = datetime.datetime(2026, 3, 1, 12)
PROFILE = "ckanext.syndicate.profile."
TOKEN = "t0ken-of-the-target-1234"
#: Marks of tests on an empty portal with one profile, at whose target nobody answers.
ODP = [
    pytest.mark.ckan_config(f"{PROFILE}odp.ckan_url", "https://odp.example"),
    pytest.mark.ckan_config(f"{PROFILE}odp.api_key", TOKEN),
    pytest.mark.usefixtures("syndicate_portal", "ckan_config"),
]


def make_dataset(flag: str = "syndicate", **fields: Any) -> dict[str, Any]:
    """A dataset whose flag is set; nothing waits for it."""
    with changed_config("ckanext.syndicate.sync_on_changes", False):
        made: dict[str, Any] = factories.Dataset(**{"extras": [{"key": flag, "value": "true"}], **fields})
    return made


def add_copy(dataset: dict[str, Any], profile_id: str = "odp", **columns: Any) -> str:
    """Record that a dataset is at a target; return the id of the copy."""
    target_id = str(columns.pop("target_id", f"copy-of-{dataset['name']}"))
    values = {"name": dataset["name"], "target_id": target_id, "presence": "active", "pushed": NOW, **columns}
    lease.execute(sa.insert(copy_table).values(local_id=dataset["id"], profile_id=profile_id, **values))
    return target_id


def add_row(dataset: dict[str, Any], profile_id: str = "odp", **columns: Any) -> None:
    """Put a dataset into the outbox."""
    values: dict[str, Any] = {
        "version": 1, "rank": 1, "asked": NOW, "due": NOW, "attempts": 0, "state": "waiting", "force": False, **columns,
    }  # fmt: skip
    lease.execute(sa.insert(outbox_table).values(local_id=dataset["id"], profile_id=profile_id, **values))


def add_failure(dataset: dict[str, Any], profile_id: str = "odp", **columns: Any) -> None:
    """Put a dataset into the outbox that could not be pushed."""
    said = {"state": "failed", "cause": "refused", "error": "title: Missing value", "attempts": 1, "failing_since": NOW}
    add_row(dataset, profile_id, **{**said, **columns})


def add_target(profile_id: str = "odp", **columns: Any) -> None:
    """Record what is known of a target."""
    lease.execute(sa.insert(target_table).values(profile_id=profile_id, **{"failures": 0, **columns}))


def rows(profile_id: str = "odp") -> dict[str, Any]:
    """Return the rows of the outbox by the ids of datasets."""
    model.Session.remove()
    found = lease.rows(sa.select(outbox_table).where(outbox_table.c.profile_id == profile_id))
    return {row.local_id: row for row in found}
