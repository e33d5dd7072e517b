"""What is asked of a target, in which order, for one dataset: against a target that is a script."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ckanext.relay.errors import RemoteStatus, RemoteTimeout
from ckanext.syndicate import delivery as delivering
from ckanext.syndicate.delivery import Conflict, Content, Delivered, Delivery, Found, NameTaken, Vanished, WrongPortal
from ckanext.syndicate.domain.marker import Marker, marker_of
from ckanext.syndicate.domain.topic import Step
from ckanext.syndicate.remote import Catalog, Refused

Dataset = dict[str, Any]

HERE, ELSEWHERE = "http://here.example", "http://elsewhere.example"
OURS = Marker(f"{HERE}/dataset/local-1", (HERE,))
CREATE = Delivery(
    step=Step.CREATE,
    profile_id="p",
    marker=OURS,
    name="water",
    content=Content(
        prepared={"name": "water", "title": "Water", "resources": [{"id": "r1", "url": "http://here.example/r1.csv"}]},
        resources=({"id": "r1", "url": "http://here.example/r1.csv"},),
    ),
)
UPDATE = replace(CREATE, step=Step.UPDATE, target_id="remote-1")
KNOWN = replace(
    UPDATE,
    content=replace(CREATE.content, known_resources={"r1": "remote-r1"}),  # type: ignore[type-var]
    known={"id": "remote-1", "name": "renamed-there", "metadata_modified": "then"},
)
DELETE = Delivery(step=Step.DELETE, profile_id="p", marker=OURS, name="water", target_id="remote-1")
PRIVATE = replace(DELETE, step=Step.PRIVATE)


def extras(marker: Marker) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in marker.extras().items()]


def remote(number: int = 1, marker: Marker | None = OURS, **fields: Any) -> Dataset:
    """A dataset as it is at the target."""
    return {
        "id": f"remote-{number}",
        "name": "water",
        "state": "active",
        "private": False,
        "owner_org": "org",
        "metadata_created": f"2026-01-0{number}",
        "extras": extras(marker) if marker else [],
        "resources": [],
        "groups": [],
        **fields,
    }


#: As KNOWN says it was left.
KEPT = remote(
    name="renamed-there",
    metadata_modified="then",
    resources=[{"id": "remote-r1", "url": "http://here.example/r1.csv"}],
)


class Script:
    """A target with these datasets; ``calls`` is what it was asked."""

    def __init__(self, *datasets: Dataset, indexed: bool = True) -> None:
        self.datasets = {each["id"]: each for each in datasets}
        self.calls: list[str] = []
        self.indexed = indexed
        self.fails: dict[str, Exception] = {}
        self.before_update: Callable[[], Any] = lambda: None
        self.revises = True

    def _asked(self, what: str, argument: str = "") -> None:
        self.calls.append(f"{what} {argument}".strip())
        if what in self.fails:
            raise self.fails.pop(what)

    def site(self) -> str:
        self._asked("site")
        return "http://target.example"

    def show(self, id_or_name: str) -> Dataset | None:
        self._asked("show", id_or_name)
        found = (each for each in self.datasets.values() if id_or_name in (each["id"], each["name"]))
        return copy.deepcopy(next(found, None))

    def find(self, origin: str) -> list[Dataset]:
        self._asked("find")
        marked = [each for each in self.datasets.values() if (marker := marker_of(each)) and marker.origin == origin]
        return copy.deepcopy(marked) if self.indexed else []

    def create(self, payload: Any) -> Dataset:
        self._asked("create", payload["name"])
        if payload["name"] in [each["name"] for each in self.datasets.values()]:
            raise Refused("http://target.example", {"name": ["Tato URL se už používá."]})
        made = {**remote(7, marker=None), **copy.deepcopy(payload), "id": "remote-new"}
        self.datasets[made["id"]] = made
        return made

    def update(self, payload: Any) -> Dataset | None:
        self.before_update()
        self._asked("update", payload["id"])
        if payload["id"] not in self.datasets:
            return None
        if payload["name"] in [each["name"] for each in self.datasets.values() if each["id"] != payload["id"]]:
            raise Refused("http://target.example", {"name": ["Tato URL se už používá."]})
        self.datasets[payload["id"]].update(copy.deepcopy(payload))
        return self.datasets[payload["id"]]

    def revise(self, payload: Any, modified: str) -> Dataset | None:
        self._asked("revise", payload["id"])
        there = self.datasets.get(payload["id"])
        if not self.revises or there is None or there.get("metadata_modified") != modified:
            return None
        there.update(copy.deepcopy(payload))
        return there

    def patch(self, id: str, **fields: Any) -> Dataset | None:
        self._asked("patch", id)
        self.datasets[id].update(fields)
        return self.datasets[id]

    def delete(self, id: str) -> bool:
        self._asked("delete", id)
        return self.datasets.pop(id, None) is not None

    def catalog(self) -> Catalog:
        self._asked("catalog")
        return Catalog(frozenset({"nature"}), {})

    def user(self, name: str) -> dict[str, Any] | None:
        self._asked("user", name)
        return {"id": "robot-id"} if name == "robot" else None


def deliver(script: Script, delivery: Delivery) -> Delivered:
    """Deliver as a batch does: what is found is written if it is nobody else's."""
    try:
        return delivering.deliver(script, delivery)
    except Found as found:
        return delivering.deliver(script, replace(delivery, target_id=found.target_id, is_lost=False))


def delivered(script: Script, delivery: Delivery) -> tuple[Delivered, list[str]]:
    return deliver(script, delivery), script.calls


# -- create


def test_a_new_dataset_costs_one_request() -> None:
    """What was never there is created, with our marker and the ids that its resources will always have."""
    script = Script()
    done, calls = delivered(script, CREATE)
    assert (done.step, done.presence, calls) == (Step.CREATE, "active", ["create water"])
    made = script.datasets["remote-new"]
    assert marker_of(made) == OURS and "id" not in CREATE.content.prepared  # type: ignore[union-attr]
    assert [resource["id"] for resource in made["resources"]] == list(done.resources.values())
    assert done.hash and list(done.resources) == ["r1"]


@pytest.mark.parametrize("indexed", [True, False])
def test_what_an_earlier_try_made_is_found(indexed: bool) -> None:
    """Who does not know whether a try got through looks first, by name if the search does not know it yet."""
    done, calls = delivered(Script(remote(), indexed=indexed), replace(CREATE, is_lost=True))
    assert done.step is Step.UPDATE and "create water" not in calls
    assert calls[-1] == "update remote-1"


def test_what_no_earlier_try_made_is_created() -> None:
    """The search costs two requests, and leads to a dataset that is there once."""
    done, calls = delivered(Script(), replace(CREATE, is_lost=True))
    assert done.step is Step.CREATE and calls == ["find", "show water", "create water"]


def test_a_copy_that_is_not_there_may_be_elsewhere() -> None:
    """Before a dataset is looked for that should be there, the target says that it is still the one that it was."""
    done, calls = delivered(Script(), replace(UPDATE, site="http://target.example"))
    assert done.step is Step.CREATE and calls[:2] == ["show remote-1", "site"]
    script = Script()
    with pytest.raises(WrongPortal):
        deliver(script, replace(UPDATE, site="http://other.example"))
    assert script.calls == ["show remote-1", "site"]


def test_of_duplicates_the_first_counts() -> None:
    """If there should be several, the one that was made first is the copy."""
    script = Script(remote(2, name="water-2"), remote(1))
    assert delivered(script, replace(CREATE, is_lost=True))[0].dataset["id"] == "remote-1"  # type: ignore[index]


def test_what_the_search_shows_may_be_gone() -> None:
    """A search may find what is not there any more; it counts only if it can be shown."""

    class Stale(Script):
        def find(self, origin: str) -> list[Dataset]:
            self._asked("find")
            return [remote(9)]

    assert delivered(Stale(), replace(CREATE, is_lost=True))[0].step is Step.CREATE


def test_a_name_that_our_own_copy_has() -> None:
    """A refusal for the name, in whatever language, leads to the copy that has it."""
    done, calls = delivered(Script(remote()), CREATE)
    assert done.step is Step.UPDATE and calls == ["create water", "show water", "update remote-1"]


def test_a_name_that_another_dataset_has() -> None:
    """A dataset that nobody pushed is not written, unless the profile says whose it is."""
    foreign = remote(marker=None, creator_user_id="somebody")
    with pytest.raises(NameTaken):
        deliver(Script(foreign), CREATE)
    with pytest.raises(NameTaken):
        deliver(Script(foreign), replace(CREATE, author="robot"))
    foreign["creator_user_id"] = "robot-id"
    done, calls = delivered(Script(foreign), replace(CREATE, author="robot"))
    assert done.step is Step.UPDATE and calls[-2:] == ["user robot", "update remote-1"]


def test_a_copy_of_another_dataset_is_never_taken_over() -> None:
    """The same user made it, but it is the copy of another dataset of ours."""
    other = remote(marker=Marker(f"{HERE}/dataset/local-2", (HERE,)), creator_user_id="robot-id")
    with pytest.raises(NameTaken):
        deliver(Script(other), replace(CREATE, author="robot"))


def test_another_portal_was_faster() -> None:
    """What another portal brought there from the same origin is a conflict, found by search as by name."""
    theirs = remote(marker=Marker(OURS.origin, (ELSEWHERE, HERE)))
    with pytest.raises(Conflict, match="put there by http://elsewhere.example"):
        deliver(Script(theirs), CREATE)
    with pytest.raises(Conflict):
        deliver(Script({**theirs, "name": "other"}), replace(CREATE, is_lost=True))


def test_a_refusal_that_is_not_about_the_name() -> None:
    """What the target does not take is said as it says it; plugins may know that it means the name."""
    script = Script(remote(marker=None, creator_user_id="robot-id"))
    script.fails["create"] = Refused("http://target.example", {"__all__": ["Duplicate"]})
    with pytest.raises(Refused):
        deliver(script, replace(CREATE, author="robot"))
    script.fails["create"] = Refused("http://target.example", {"__all__": ["Duplicate"]})
    assert deliver(script, replace(CREATE, author="robot", reattaches=True)).step is Step.UPDATE


def test_resources_that_are_there_already() -> None:
    """A refusal for the id of a resource, which is ours alone, leads to the copy wherever it is."""
    script = Script(remote(name="renamed-there"))
    script.fails["create"] = Refused("http://target.example", {"resources": [{"id": ["exists"]}]})
    done, calls = delivered(script, CREATE)
    assert done.step is Step.UPDATE and calls[-1] == "update remote-1"


@pytest.mark.parametrize("error", [RemoteTimeout("u", "slow"), RemoteStatus("u", 500)])
def test_a_create_that_may_have_got_through(error: Exception) -> None:
    """What is not known is not decided here: the error goes to who records it, and nothing more is asked."""
    script = Script()
    script.fails["create"] = error
    with pytest.raises(type(error)):
        deliver(script, CREATE)
    assert script.calls == ["create water"]


# -- update


def test_an_update_costs_two_requests() -> None:
    """The copy is shown, and updated under its id; it keeps its name, its resources and the groups that are its own."""
    there = remote(name="renamed-there", groups=[{"name": "theirs"}, {"name": "dropped"}])
    there["resources"] = [{"id": "remote-r1", "url": "http://here.example/r1.csv"}]
    script = Script(there)
    content = replace(CREATE.content, sent_groups=("dropped",))  # type: ignore[type-var]
    done, calls = delivered(script, replace(UPDATE, content=content))
    assert (done.step, calls) == (Step.UPDATE, ["show remote-1", "update remote-1"])
    assert done.dataset is not None
    assert (done.dataset["name"], done.dataset["title"]) == ("renamed-there", "Water")
    assert done.resources == {"r1": "remote-r1"}
    assert [group["name"] for group in done.dataset["groups"]] == ["theirs"]


def test_an_update_of_a_copy_that_is_as_it_was() -> None:
    """It costs one request; the copy keeps the name that it had when it was written."""
    done, calls = delivered(Script(KEPT), KNOWN)
    assert (done.step, calls) == (Step.UPDATE, ["revise remote-1"])
    assert done.dataset is not None and (done.dataset["name"], done.dataset["title"]) == ("renamed-there", "Water")
    assert done.resources == {"r1": "remote-r1"} and done.hash == deliver(Script(KEPT), replace(KNOWN, known=None)).hash


@pytest.mark.parametrize(
    "content",
    [{"known_resources": {}}, {"known_resources": {"r1": "remote-r1", "r2": "x"}}, {"sent_groups": ("nature",)}],
)
def test_what_an_update_must_look_at(content: dict[str, Any]) -> None:
    """A copy is looked at if resources came or went, or if it is to be in other groups than before."""
    assert KNOWN.content is not None
    changed = replace(KNOWN, content=replace(KNOWN.content, **content))
    assert delivered(Script(KEPT), changed)[1] == ["show remote-1", "update remote-1"]


def test_an_update_of_a_copy_that_is_not_as_it_was() -> None:
    """It is looked at, and what speaks against an update does so then."""
    looked = ["revise remote-1", "show remote-1"]
    assert delivered(Script({**KEPT, "metadata_modified": "later"}), KNOWN)[1] == [*looked, "update remote-1"]
    theirs = {**KEPT, "metadata_modified": "later", "extras": extras(Marker(OURS.origin, (ELSEWHERE, HERE)))}
    script = Script(theirs)
    with pytest.raises(Conflict):
        deliver(script, KNOWN)
    assert script.calls == looked


def test_an_update_may_rename() -> None:
    """If the profile says so, the copy gets our name; not if another dataset has it."""
    content = replace(CREATE.content, keeps_name=False)  # type: ignore[type-var]
    script = Script(remote(name="old"))
    assert deliver(script, replace(UPDATE, content=content)).dataset["name"] == "water"  # type: ignore[index]
    with pytest.raises(NameTaken):
        deliver(Script(remote(name="old"), remote(2, marker=None)), replace(UPDATE, content=content))


def test_groups_are_asked_for_only_if_there_are_any() -> None:
    """What the target has is asked for by datasets that need it; what it does not have is said."""
    prepared = {**CREATE.content.prepared, "groups": [{"name": "nature"}, {"name": "unknown"}]}  # type: ignore[union-attr]
    script = Script()
    done, calls = delivered(script, replace(CREATE, content=replace(CREATE.content, prepared=prepared)))  # type: ignore[type-var]
    assert calls == ["catalog", "create water"]
    assert done.groups == ("nature",) and len(done.dropped) == 1 and "unknown" in done.dropped[0]


def test_a_copy_that_was_deleted_comes_back() -> None:
    """A copy in state deleted is there, and is updated."""
    content = replace(CREATE.content, prepared={**CREATE.content.prepared, "state": "active"})  # type: ignore[type-var,union-attr]
    done = deliver(Script(remote(state="deleted")), replace(UPDATE, content=content))
    assert (done.step, done.presence) == (Step.UPDATE, "active")


def test_a_copy_that_is_gone_is_created_again() -> None:
    """An id that leads nowhere is no reason to give up: the copy is searched for, and else made anew."""
    done, calls = delivered(Script(), UPDATE)
    assert done.step is Step.CREATE
    assert calls == ["show remote-1", "find", "show water", "create water"]
    done, calls = delivered(Script(remote(3)), UPDATE)
    assert done.step is Step.UPDATE and calls[-1] == "update remote-3"


def test_a_copy_that_vanishes_meanwhile() -> None:
    """Between two requests it may go away: that is tried again later, and never in a circle."""
    script = Script(remote())
    script.before_update = script.datasets.clear
    with pytest.raises(Vanished):
        deliver(script, UPDATE)


def test_whose_copy_it_is() -> None:
    """A copy without a marker is from before there were any; one that bears another is not ours."""
    assert deliver(Script(remote(marker=None)), UPDATE).step is Step.UPDATE
    for marker in (Marker(OURS.origin, (ELSEWHERE,)), Marker(f"{HERE}/dataset/local-2", (HERE,))):
        script = Script(remote(marker=marker))
        with pytest.raises(Conflict):
            deliver(script, UPDATE)
        assert script.calls == ["show remote-1"]


# -- retract


def test_what_is_deleted() -> None:
    """A copy is looked at before it is deleted, and what is gone is well."""
    done, calls = delivered(Script(remote()), DELETE)
    assert (done.step, done.presence, calls) == (Step.DELETE, "deleted", ["show remote-1", "delete remote-1"])
    assert done.dataset is not None and done.dataset["state"] == "deleted"
    done, calls = delivered(Script(remote(state="deleted")), DELETE)
    assert (done.step, done.presence, calls) == (Step.NOTHING, "deleted", ["show remote-1"])
    done, calls = delivered(Script(), replace(DELETE, target_id=None, is_lost=True))
    assert (done.step, done.presence) == (Step.NOTHING, "deleted") and calls == ["find", "show water"]


def test_what_is_made_private() -> None:
    """A copy is made private, once; one without an organization cannot be, and is deleted."""
    script = Script(remote())
    done, calls = delivered(script, PRIVATE)
    assert (done.step, done.presence, calls) == (Step.PRIVATE, "private", ["show remote-1", "patch remote-1"])
    done, calls = delivered(Script(remote(private=True)), PRIVATE)
    assert (done.step, done.presence, calls) == (Step.NOTHING, "private", ["show remote-1"])
    done, calls = delivered(Script(remote(owner_org=None)), PRIVATE)
    assert (done.step, done.presence, calls) == (Step.DELETE, "deleted", ["show remote-1", "delete remote-1"])


def test_what_is_not_ours_is_not_taken_away() -> None:
    """A copy of another portal stays; of a dataset that is purged here the origin is not known any more."""
    theirs, forwarded = Marker(OURS.origin, (ELSEWHERE,)), Marker("http://far.example/dataset/x", (HERE, ELSEWHERE))
    with pytest.raises(Conflict):
        deliver(Script(remote(marker=theirs)), DELETE)
    with pytest.raises(Conflict):
        deliver(Script(remote(marker=theirs)), replace(DELETE, is_gone=True))
    with pytest.raises(Conflict):
        deliver(Script(remote(marker=forwarded)), DELETE)
    assert deliver(Script(remote(marker=forwarded)), replace(DELETE, is_gone=True)).step is Step.DELETE
