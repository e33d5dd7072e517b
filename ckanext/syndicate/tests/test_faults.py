"""Whatever the target does: in the end each dataset is there once and equal, and until then ``status`` says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ckanext.harvest.tests.flow import Site, wait_until
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.flow import assert_equal, create, pushed, resource_ids
from ckanext.syndicate.tests.portals import Pair, hurry, name_for, through
from ckanext.syndicate.tests.target_proxy import Fault

#: What the target does, and the causes that may be told of it.
FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "hang": (faults.hang, {"timeout"}),
    "hang_after": (faults.hang_after, {"timeout"}),
    "too_many": (faults.too_many(2), {"busy"}),
    "bad_gateway": (faults.status(502), {"busy"}),
    "error": (faults.status(500), {"server_error"}),
    "error_after": (faults.status_after(500), {"server_error"}),
    "truncated": (faults.truncated, {"answer_invalid"}),
    "cut_off": (faults.cut_off, {"unreachable", "answer_invalid"}),
    "html": (faults.html, {"answer_invalid"}),
    "list": (faults.answers([1, 2]), {"answer_invalid"}),
    "reset": (faults.reset, {"unreachable"}),
    "reset_after": (faults.reset_after, {"unreachable"}),
    "redirect": (faults.redirect, {"answer_invalid", "settings", "server_error"}),
    "wrong_token": (faults.wrong_token, {"forbidden"}),
}
#: These come twice in a row.
TWICE = ("error_after", "too_many")


@pytest.fixture(autouse=True)
def rested(pair: Pair) -> Iterator[None]:
    """No test begins while the target is left alone because of the one before."""
    hurry(pair.a)
    yield
    pair.to_b.well()
    through(pair.a, hurried=True)


def explained(site: Site, dataset_id: str, profile: str = "plain") -> tuple[str, str] | None:
    """Return cause and error of why a dataset is not at its target yet, as they are kept: its own, or the target's."""
    own = site.rows("SELECT cause, error FROM syndication_outbox WHERE local_id = %s AND cause IS NOT NULL", dataset_id)
    target = site.rows(
        "SELECT cause, error FROM syndication_target WHERE profile_id = %s AND down_since IS NOT NULL", profile
    )
    return next(iter(own + target), None)


def until_explained(site: Site, dataset_id: str) -> tuple[str, str]:
    wait_until(lambda: explained(site, dataset_id), 20, every=0.05)
    found = explained(site, dataset_id)
    assert found
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_creating(pair: Pair, name: str) -> None:
    """A dataset of which it is not known whether it got there is there once in the end."""
    fault, causes = FAULTS[name]
    hits = pair.to_b.fail("package_create", fault, times=2 if name in TWICE else 1)
    made = create(pair.a)
    cause, error = until_explained(pair.a, made["id"])
    assert cause in causes, error
    assert error
    through(pair.a, hurried=True)
    copy = assert_equal(pair.a, pair.b, made["id"])
    assert hits() >= 1
    if name.endswith("_after") or name in ("truncated", "cut_off"):
        assert pair.to_b.asked("package_search") >= 1, "it is looked for before it is created again"
    assert made["name"] == copy["name"]


@pytest.mark.parametrize("action", ["package_revise", "package_update"])
@pytest.mark.parametrize("name", ["error_after", "reset_after", "truncated", "too_many"])
def test_updating(pair: Pair, name: str, action: str) -> None:
    """An update that failed is sent again; the resources keep their ids."""
    fault, causes = FAULTS[name]
    made = create(pair.a)
    before = pushed(pair.a, pair.b, made["id"])
    pair.to_b.fail(action, fault)
    if action == "package_update":
        pair.to_b.fail("package_revise", faults.status(400))  # as a CKAN answers that has no such action
    pair.a.call("package_patch", id=made["id"], title="Another title")
    cause, _ = until_explained(pair.a, made["id"])
    assert cause in causes
    through(pair.a, hurried=True)
    copy = assert_equal(pair.a, pair.b, made["id"])
    assert resource_ids(copy) == resource_ids(before)


@pytest.mark.parametrize("action", ["status_show", "package_show", "package_search", "group_list"])
def test_looking(pair: Pair, action: str) -> None:
    """An answer that is not there is never taken for "there is none": nothing is created because of it."""
    group = name_for("group")
    for site in (pair.a, pair.b):
        site.call("group_create", name=group)
    made = create(pair.a, groups=[{"name": group}])
    pushed(pair.a, pair.b, made["id"])
    pair.a.execute("UPDATE syndication_copy SET target_id = NULL, intent = now() WHERE local_id = %s", made["id"])
    pair.a.execute("UPDATE syndication_target SET checked = NULL")
    pair.to_b.well()
    for fault in (faults.status(500), faults.html, faults.too_many(1)):
        pair.to_b.fail(action, fault)
    pair.a.call("package_patch", id=made["id"], title="Another title")
    through(pair.a, hurried=True)
    assert_equal(pair.a, pair.b, made["id"])
    assert pair.to_b.asked("package_create") == 0


def test_a_slow_target(pair: Pair) -> None:
    """A target that takes its time is waited for."""
    pair.to_b.fail("*", faults.slow(1), times=5)
    made = create(pair.a)
    through(pair.a)
    assert_equal(pair.a, pair.b, made["id"])
    assert pair.to_b.asked("package_create") == 1


def test_retry_after(pair: Pair) -> None:
    """A target that says when to come again is left alone until then, and saved datasets wait."""
    pair.to_b.fail("package_create", faults.too_many(30))
    made = [create(pair.a)]
    until_explained(pair.a, made[0]["id"])
    left = "SELECT extract(epoch FROM not_before - timezone('utc', now())) FROM syndication_target"
    assert 20 < pair.a.rows(f"{left} WHERE profile_id = 'plain'")[0][0] <= 31
    calls = len(pair.to_b.calls)
    made.append(create(pair.a))
    # what another profile pushes is pushed meanwhile
    other = create(pair.a, "syndicate_strict")
    wait_until(lambda: pair.to_b.asked("package_create") == 2, 20)
    assert len(pair.to_b.calls) - calls <= 4
    through(pair.a, hurried=True)
    for each in (*made, other):
        assert_equal(pair.a, pair.b, each["id"])


def test_down_for_a_while(pair: Pair) -> None:
    """Nothing is lost while the target is down, saving is as quick as ever, and datasets arrive in their order."""
    with pair.to_b.down():
        made = [create(pair.a) for _ in range(6)]
        for each in made:
            pair.a.call("package_patch", id=each["id"], title="Edited while the target was down")
        until_explained(pair.a, made[0]["id"])
    pair.to_b.well()
    through(pair.a, hurried=True)
    for each in made:
        assert_equal(pair.a, pair.b, each["id"])
    names = [call.data["name"] for call in pair.to_b.writes()]
    assert sorted(names) == sorted(each["name"] for each in made), "each is created once"
    # several connections work at a time
    assert all(abs(names.index(each["name"]) - position) < 5 for position, each in enumerate(made))


def test_another_portal(pair: Pair) -> None:
    """If another portal answers at the address of the target, nothing is written there: it is asked for no more than
    to change a dataset that it would have to have from us."""
    first = create(pair.a)
    pushed(pair.a, pair.b, first["id"])
    pair.to_b.target = pair.a.portal.url
    pair.to_b.calls.clear()
    try:
        pair.a.execute("UPDATE syndication_target SET checked = NULL")
        pair.a.call("package_patch", id=first["id"], title="For the right portal")
        datasets = "SELECT id, metadata_modified FROM package ORDER BY id"
        before = pair.a.rows(datasets)
        cause, error = until_explained(pair.a, first["id"])
        assert cause == "wrong_portal"
        assert pair.a.portal.url in error
        assert [call.action for call in pair.to_b.writes()] == ["package_revise"]
        assert pair.a.rows(datasets) == before
    finally:
        pair.to_b.target = pair.b.portal.url
    through(pair.a, hurried=True)
    assert_equal(pair.a, pair.b, first["id"])


def test_refused(pair: Pair) -> None:
    """What the target does not take is said in its words, once; it is tried again when the dataset changes."""
    refusal = {"__type": "Validation Error", "license_id": ["Unknown licence"]}
    hits = pair.to_b.fail("package_create", faults.answers(refusal, 409), times=5)
    made = create(pair.a)
    other = create(pair.a)
    cause, error = until_explained(pair.a, made["id"])
    assert cause == "refused"
    assert "Unknown licence" in error
    wait_until(lambda: hits() == 2, 10)
    pair.to_b.well()
    told = status(pair.a)["plain"]
    assert told["numbers"]["failed"] == 2
    assert "Unknown licence" in json.dumps(told["troubles"])
    pair.a.call("package_patch", id=made["id"], license_id="cc-zero")
    pushed(pair.a, pair.b, made["id"])
    done = pair.a.ckan("syndicate", "retry")
    assert done.returncode == 0, done.stderr
    pushed(pair.a, pair.b, other["id"])


def test_a_foreign_name(pair: Pair) -> None:
    """A dataset of the target's own is not written, whatever it is called; when the name is free, ours is there."""
    name = name_for("taken")
    theirs = pair.b.call("package_create", name=name, title="Theirs")
    made = create(pair.a, name=name)
    cause, error = until_explained(pair.a, made["id"])
    assert cause == "name_taken"
    assert name in error
    assert pair.b.call("package_show", id=theirs["id"])["title"] == "Theirs"
    pair.b.call("package_patch", id=theirs["id"], name=name_for("moved"))
    pair.a.call("package_patch", id=made["id"], title="Once more")
    pushed(pair.a, pair.b, made["id"])


def test_status_explains(pair: Pair) -> None:
    """While a target is down ``status`` says so, what that means and what to do; the exit code tells cron."""
    down = "SELECT 1 FROM syndication_target WHERE profile_id = 'plain' AND down_since IS NOT NULL"
    with pair.to_b.down():
        for _ in range(3):
            create(pair.a)

        def is_known_to_be_down() -> bool:
            hurry(pair.a)
            return bool(pair.a.rows(down))

        wait_until(is_known_to_be_down, 20)
        told = status(pair.a)["plain"]
        assert told["cause"] == "unreachable"
        assert told["explanation"] and told["advice"]
        assert told["numbers"]["waiting"] >= 1
    through(pair.a, hurried=True)


def status(site: Site) -> dict[str, Any]:
    """Return what ``syndicate status`` says, by profile."""
    done = site.ckan("syndicate", "status", "--json")
    assert done.stdout, done.stderr
    return {each["profile_id"]: each for each in json.loads(done.stdout)}
