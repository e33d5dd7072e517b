"""What is known of copies, targets and organizations, as workers keep it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from ckanext.relay import lease
from ckanext.syndicate.model import copies, organizations, targets
from ckanext.syndicate.model.copies import Copy
from ckanext.syndicate.model.organizations import Organization
from ckanext.syndicate.model.tables import copy_table, target_table
from ckanext.syndicate.tests.rows import TARGET, add_copy, add_dataset

pytestmark = pytest.mark.usefixtures("clean_syndicate")

HOUR = datetime.timedelta(hours=1)
MINUTE = datetime.timedelta(minutes=1)


def known(local_id: str) -> Copy:
    copy = copies.get(local_id, TARGET)
    assert copy is not None
    return copy


# -- copies


def test_a_copy_from_its_intent_to_its_end() -> None:
    """What is recorded stands, the rest stays; the id of the copy ends the intent."""
    add_dataset("a")
    assert copies.get("a", TARGET) is None
    copies.intend("a", TARGET, "a-name")
    begun = known("a")
    assert begun == Copy("a", TARGET, "a-name", intent=begun.intent)
    assert begun.intent is not None
    assert abs(begun.intent - datetime.datetime.utcnow()) < MINUTE
    copies.record(
        "a", TARGET, state="synced", target_id="t", target_name="x-a", payload_hash="h", target_modified="2026",
        resources={"b": "2", "a": "1"}, groups=("z", "y"), presence="active", pushed=lease.now,
    )  # fmt: skip
    pushed = known("a")
    assert pushed == Copy(
        "a", TARGET, "a-name", "t", "x-a", None, "h", "2026", {"a": "1", "b": "2"}, ("y", "z"), "active",
        pushed.pushed, None,
    )  # fmt: skip
    copies.record("a", TARGET, state="stopped", presence="deleted", payload_hash=None, retracted=lease.now)
    gone = known("a")
    assert (gone.target_id, gone.presence, gone.payload_hash, gone.pushed) == ("t", "deleted", None, pushed.pushed)
    copies.intend("a", TARGET, "renamed")
    assert (known("a").intent is not None, known("a").name, known("a").target_id) == (True, "renamed", "t")


def test_copies_of_nothing_are_forgotten() -> None:
    """What was purged here, and deleted there long enough ago, need not be known any more; all else stays."""
    before = datetime.datetime.utcnow() - datetime.timedelta(days=2)
    add_dataset("here")
    recorded: dict[str, dict[str, Any]] = {
        "here": {"presence": "deleted", "retracted": before},
        "kept": {"presence": "active", "pushed": before},
        "lately": {"presence": "deleted", "retracted": lease.now},
        "begun": {"presence": "deleted", "retracted": before, "intent": before},
        "gone": {"presence": "deleted", "retracted": before},
        "never": {"presence": "deleted", "pushed": before},
    }
    for name, columns in recorded.items():
        copies.record(name, TARGET, state="stopped", **columns)
    assert copies.forget_gone("other", 86400) == 0
    assert copies.forget_gone(TARGET, 86400) == 2
    assert [copy.local_id for copy in copies.page(TARGET)] == ["begun", "here", "kept", "lately"]


def test_a_failure_makes_no_copy() -> None:
    """Nobody is to look for one because a push was refused."""
    add_dataset("a")
    copies.record("a", TARGET, state="failed", error="refused")
    assert copies.get("a", TARGET) is None


def test_a_copy_of_which_there_was_no_intent() -> None:
    """One that was found at the target, by the name of the dataset as it is now."""
    add_dataset("a")
    copies.record("a", TARGET, state="synced", target_id="t", presence="active", intent=None)
    assert known("a") == Copy("a", TARGET, "a", "t", presence="active")
    copies.record("a", TARGET, state="synced", name="b")
    assert known("a").name == "b"


def test_the_copies_of_a_target_in_pages() -> None:
    """Each once, in the order of our ids."""
    for name in ("c", "a", "b"):
        add_copy(name)
    add_copy("a", "other")
    assert [copy.local_id for copy in copies.page(TARGET, limit=2)] == ["a", "b"]
    assert [copy.local_id for copy in copies.page(TARGET, "b")] == ["c"]
    assert copies.page(TARGET, "c") == []
    assert {(copy.local_id, copy.profile_id) for copy in copies.of_datasets(["a", "b", "x"])} == {
        ("a", TARGET), ("a", "other"), ("b", TARGET),
    }  # fmt: skip


def test_numbers() -> None:
    """How many there are, and how many were taken away lately and have not come back."""
    for number, presence in enumerate(["active", "active", "private", "deleted", None]):
        add_copy(f"d{number}", presence=presence)
    add_copy("d0", "other")
    assert copies.number(TARGET) == 3
    assert copies.retracted_since(TARGET, 3600) == 0
    lease.execute(sa.update(copy_table).values(retracted=datetime.datetime.utcnow() - HOUR / 2))
    assert copies.retracted_since(TARGET, 3600) == 2
    assert copies.retracted_since(TARGET, 60) == 0


# -- targets


def test_a_target_nobody_has_asked_yet() -> None:
    """All is empty, and nothing stands against asking it."""
    assert targets.get(TARGET) == targets.Target(TARGET)
    targets.answered(TARGET)
    assert targets.get(TARGET) == targets.Target(TARGET)


def test_who_a_target_says_it_is() -> None:
    """The latest answer stands, with its time."""
    targets.seen(TARGET, "http://a", "http://a.example")
    targets.seen(TARGET, "http://b", "http://b.example")
    found = targets.get(TARGET)
    assert (found.ckan_url, found.site_url, found.failures) == ("http://b", "http://b.example", 0)
    assert found.checked is not None
    assert abs(found.checked - datetime.datetime.utcnow()) < MINUTE


def test_a_target_that_is_down() -> None:
    """It is left alone for a while, it is known since when it is down, and one answer is enough to forget that."""
    targets.failed(TARGET, "timeout", "no answer", 3600)
    first = targets.get(TARGET)
    assert first.not_before is not None
    assert abs(first.not_before - datetime.datetime.utcnow() - HOUR) < MINUTE
    assert (first.failures, first.cause, first.error) == (1, "timeout", "no answer")
    targets.failed(TARGET, "http_503", "later", 60)
    second = targets.get(TARGET)
    assert (second.failures, second.cause, second.down_since) == (2, "http_503", first.down_since)
    targets.seen(TARGET, "http://a", "http://a.example")
    assert targets.get(TARGET).failures == 2
    targets.answered(TARGET)
    well = targets.get(TARGET)
    assert (well.failures, well.not_before, well.cause, well.error, well.down_since) == (0, None, None, None, None)
    assert well.site_url == "http://a.example"


def test_what_a_person_approves() -> None:
    """It holds for some hours."""
    targets.approve(TARGET, 2)
    approved = targets.get(TARGET).approved
    assert approved is not None
    assert abs(approved - datetime.datetime.utcnow() - 2 * HOUR) < MINUTE
    lease.execute(sa.update(target_table).values(approved=None))
    assert targets.get(TARGET).approved is None


# -- organizations


def test_organizations() -> None:
    """Each has an id at each target, and the picture that was uploaded last."""
    assert organizations.get(TARGET, "ours") is None
    organizations.record(TARGET, "ours", "theirs")
    organizations.record("other", "ours", "another", "http://a/1.png")
    assert organizations.get(TARGET, "ours") == Organization("theirs", None)
    organizations.record(TARGET, "ours", "theirs", "http://a/1.png")
    organizations.record(TARGET, "ours", "again")
    assert organizations.get(TARGET, "ours") == Organization("again", "http://a/1.png")
    assert organizations.get("other", "ours") == Organization("another", "http://a/1.png")
