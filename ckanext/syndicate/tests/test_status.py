"""How pushing goes, as it is told to people."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ckan import model
from ckan.plugins import toolkit as tk

from ckanext.syndicate import explanations, status
from ckanext.syndicate.domain.states import Cause
from ckanext.syndicate.tests.standing import (
    NOW,
    ODP,
    PROFILE,
    TOKEN,
    add_copy,
    add_failure,
    add_row,
    add_target,
    make_dataset,
)

pytestmark = ODP


def only_target() -> status.TargetStatus:
    (found,) = status.targets(troubles=10)
    return found


def test_a_target_of_which_nothing_is_known() -> None:
    """A profile that was never used is shown, with nothing in it."""
    found = only_target()
    assert (found.profile_id, found.ckan_url, found.configured) == ("odp", "https://odp.example", True)
    assert (found.site_url, found.answered, found.down_since) == (None, None, None)
    assert set(found.numbers) == set(status.STATES) and not any(found.numbers.values())


def test_how_many_are_in_which_state() -> None:
    """A dataset counts once, by what waits for it, else by what is at the target."""
    synced, private, deleted, waiting, failed, held, begun = (make_dataset() for _ in range(7))
    add_copy(synced)
    add_copy(private, presence="private")
    add_copy(deleted, presence="deleted")
    add_copy(waiting)
    add_row(waiting)
    add_failure(failed)
    add_copy(held)
    add_row(held, state="held", cause="held", error="too many")
    add_copy(begun, presence=None, intent=NOW)
    assert set(only_target().numbers.values()) == {1}
    by_state = {entry.state: entry.dataset_id for entry in status.entries("odp")}
    assert by_state == {
        "synced": synced["id"], "private": private["id"], "deleted": deleted["id"], "waiting": waiting["id"],
        "failed": failed["id"], "held": held["id"], "unknown": begun["id"],
    }  # fmt: skip


def test_failures_are_explained() -> None:
    """Why a dataset failed, since when, and what to do."""
    failed = make_dataset(title="Trees")
    add_failure(failed)
    found = only_target()
    (entry,) = found.troubles
    assert (entry.title, entry.error, entry.since, entry.attempts) == ("Trees", "title: Missing value", NOW, 1)
    assert entry.explanation == "The target does not take the dataset as it is." and "retry" in entry.advice
    assert found.oldest == {"failed": NOW}


def test_each_cause_has_a_meaning_and_an_advice() -> None:
    """There is no failure of which nothing is said; what is unknown says nothing."""
    assert all(explanations.explain(cause) and explanations.advise(cause) for cause in (*Cause, "held"))
    assert explanations.explain("bad luck") == explanations.advise(None) == ""


def test_a_target_that_is_away() -> None:
    """Since when, until when it is left alone, and why; once it answers, none of it."""
    later = datetime.datetime.utcnow() + datetime.timedelta(minutes=1)
    add_target(down_since=NOW, not_before=later, cause="unreachable", error="refused", failures=3)
    found = only_target()
    assert (found.down_since, found.resting_until, found.error) == (NOW, later, "refused")
    assert found.explanation == "The target cannot be reached." and found.advice
    from ckanext.syndicate.model import targets

    targets.answered("odp")
    model.Session.remove()
    found = only_target()
    assert (found.down_since, found.resting_until, found.cause, found.explanation) == (None, None, None, "")


@pytest.mark.ckan_config(f"{PROFILE}odp.ckan_url", "https://somebody:pa55word@odp.example")
def test_no_secret_is_in_it() -> None:
    """Neither the token, nor what is in an address or in an error."""
    dataset = make_dataset()
    add_copy(dataset)
    add_failure(make_dataset(), error="https://x:pa55word@h.example said token=s3cret9")
    add_target(down_since=NOW, cause="unreachable", error="https://x:pa55word@h.example")
    shown = repr(status.targets(troubles=10)) + repr(list(status.entries())) + repr(status.dataset(dataset["id"]))
    assert "pa55word" not in shown and TOKEN not in shown and "s3cret9" not in shown


def test_a_target_that_is_not_configured_any_more() -> None:
    """It is shown as long as something of it is known, after the others."""
    add_copy(make_dataset(), "gone", target_id="1")
    first, second = status.targets()
    assert (first.profile_id, second.profile_id, second.configured) == ("odp", "gone", False)
    assert [each.profile_id for each in status.targets("gone")] == ["gone"]


def test_a_dataset_at_each_target(ckan_config: Any) -> None:
    """Whether it is selected, where its copy is, and what waits; by name and by id."""
    ckan_config[f"{PROFILE}other.flag"] = "elsewhere"
    dataset = make_dataset()
    add_copy(dataset, target_name="trees")
    for reference in (dataset["id"], dataset["name"]):
        found = {each.profile_id: each for each in status.dataset(reference)}
        assert found["odp"].skipped is None and found["odp"].entry is not None
        assert found["odp"].entry.target_url == "https://odp.example/dataset/trees"
        assert (found["other"].skipped, found["other"].entry) == ("syndication flag disabled on package", None)
    assert [each.profile_id for each in status.dataset(dataset["id"], "other")] == ["other"]


def test_a_dataset_that_was_purged() -> None:
    """It is found as long as its copy is known, by name and by id."""
    dataset = {"id": "0a6b8a4e-7b3c-4a0e-9f55-3d5d3a5d6f00", "name": "gone-for-good"}
    add_copy(dataset)
    for reference in dataset.values():
        (found,) = status.dataset(reference)
        assert found.skipped == "the dataset was purged" and found.entry and found.entry.name == "gone-for-good"
    with pytest.raises(tk.ObjectNotFound, match="no-such-thing"):
        status.dataset("no-such-thing")


@pytest.mark.ckan_config(f"{PROFILE}odp.predicate", "no.such.module:function")
def test_a_plugin_that_fails() -> None:
    """Who asks for the status of a dataset learns that a predicate fails; nothing else does."""
    (found,) = status.dataset(make_dataset()["id"])
    assert found.skipped is not None and found.skipped.startswith("nobody knows: ConfigurationError")


def test_pages_of_datasets() -> None:
    """The latest first, so many at a time, and only those in some states."""
    datasets = [make_dataset() for _ in range(3)]
    for number, dataset in enumerate(datasets):
        add_copy(dataset, pushed=NOW + datetime.timedelta(hours=number))
    add_failure(make_dataset())
    ids = [entry.dataset_id for entry in status.entries("odp", ["synced"])]
    assert ids == [dataset["id"] for dataset in reversed(datasets)]
    assert [entry.dataset_id for entry in status.entries("odp", ["synced"], limit=1, offset=1)] == ids[1:2]
    assert [entry.dataset_id for entry in status.entries(dataset_ids=[ids[0]])] == ids[:1]


@pytest.mark.parametrize(
    ("ckan_url", "presence", "expected"),
    [
        ("https://odp.example/", "active", "https://odp.example/dataset/trees"),
        ("https://odp.example", "deleted", None),
        ("javascript:alert(1)//", "active", None),
        ("", "active", None),
    ],
)
def test_the_address_of_a_copy(ckan_url: str, presence: str, expected: str | None) -> None:
    """A page that people can follow, or none."""
    assert status.address_of_copy(ckan_url, "trees", presence) == expected
