"""The log of the contract: one row a dataset and target, which other extensions read, and may write."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.relay import lease
from ckanext.syndicate.model import SyndicationLog, affected, copies
from ckanext.syndicate.types import Profile

pytestmark = pytest.mark.usefixtures("syndicate_portal")


@pytest.fixture
def dataset() -> dict[str, Any]:
    made: dict[str, Any] = factories.Dataset()
    return made


def row(local_id: str, profile_id: str = "one") -> tuple[Any, ...] | None:
    """Return what the database has, whatever the session does."""
    query = sa.select(SyndicationLog.__table__).where(SyndicationLog.local_id == local_id)
    found = lease.rows(query.where(SyndicationLog.profile_id == profile_id))
    return tuple(found[0])[:5] if found else None


def test_states() -> None:
    """They are the texts that ckanext-syndicate 3 wrote."""
    assert vars(SyndicationLog.State).items() >= {"STOPPED": "stopped", "FAILED": "failed", "SYNCED": "synced"}.items()


def test_write_and_get(dataset: dict[str, Any]) -> None:
    """The latest state stands, with the time; without an id of the copy the known one stays."""
    assert SyndicationLog.get(dataset["id"], "one") is None
    written = SyndicationLog.write(dataset["id"], "one", "remote")
    assert row(dataset["id"]) == (dataset["id"], "one", "remote", "synced", None)
    assert abs(written.timestamp - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=1)
    first = written.timestamp
    again = SyndicationLog.write(dataset["id"], "one", state=SyndicationLog.State.FAILED, error="away")
    assert row(dataset["id"]) == (dataset["id"], "one", "remote", "failed", "away")
    assert (again.target_id, again.state, again.error) == ("remote", "failed", "away")
    assert again.timestamp > first
    assert SyndicationLog.get(dataset["id"], "one") is again
    SyndicationLog.write(dataset["id"], "one", "other")
    assert row(dataset["id"]) == (dataset["id"], "one", "other", "synced", None)
    assert SyndicationLog.get(dataset["id"], "two") is None


def test_an_id_that_nobody_knows(dataset: dict[str, Any]) -> None:
    """A dash stands for it."""
    assert SyndicationLog.write(dataset["id"], "one", state=SyndicationLog.State.STOPPED).target_id == "-"
    assert row(dataset["id"]) == (dataset["id"], "one", "-", "stopped", None)


def test_deferred(dataset: dict[str, Any]) -> None:
    """Whoever says so commits, or not."""
    assert SyndicationLog.write(dataset["id"], "one", "remote", defer_commit=True).target_id == "remote"
    assert row(dataset["id"]) is None
    model.Session.rollback()
    assert SyndicationLog.get(dataset["id"], "one") is None
    SyndicationLog.write(dataset["id"], "one", "remote", defer_commit=True)
    model.Session.commit()
    assert row(dataset["id"]) is not None


def test_the_dataset_of_a_row(dataset: dict[str, Any]) -> None:
    """It is at hand, can be joined, and takes its rows along when it is purged."""
    written = SyndicationLog.write(dataset["id"], "one", "remote")
    assert written.local_package.name == dataset["name"]
    query = model.Session.query(SyndicationLog).join(SyndicationLog.local_package)
    assert query.filter(model.Package.name == dataset["name"]).one() is written
    tk.get_action("dataset_purge")({"ignore_auth": True}, {"id": dataset["id"]})
    assert row(dataset["id"]) is None


def test_what_workers_record_is_in_it(dataset: dict[str, Any]) -> None:
    """A push, a failure that leaves the copy as it was, and nothing of a dataset that is gone."""
    copies.record(dataset["id"], "one", state="synced", target_id="remote", presence="active")
    assert row(dataset["id"]) == (dataset["id"], "one", "remote", "synced", None)
    copies.record(dataset["id"], "one", state="failed", error="away")
    assert row(dataset["id"]) == (dataset["id"], "one", "remote", "failed", "away")
    copies.record("gone", "one", state="synced", target_id="remote", presence="deleted")
    assert row("gone") is None
    assert copies.get("gone", "one") == copies.Copy("gone", "one", "gone", "remote", presence="deleted")


def test_recording_and_purging_do_not_wait_in_a_circle(dataset: dict[str, Any]) -> None:
    """Who purges a dataset keeps the id of its copy after that; who records a push has not got hold of that row yet."""
    key = dataset["id"]
    package: sa.Table = model.Package.__table__
    recording = threading.Thread(target=lambda: copies.record(key, "one", state="synced", target_id="remote"))
    with lease.transaction() as purging:
        purging.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
        purging.execute(sa.select(package.c.id).where(package.c.id == key).with_for_update())
        recording.start()
        recording.join(0.5)
        assert recording.is_alive()
        affected.remember(key, "old", Profile("one"), "older", purging)
    recording.join(30)
    copy = copies.get(key, "one")
    assert copy is not None and copy.target_id == "remote"
