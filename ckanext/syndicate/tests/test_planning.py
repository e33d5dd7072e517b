"""What a push would do: the same as it then does, and nothing is written for it, neither here nor at the target."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.relay.errors import RelayError
from ckanext.syndicate import planning, profiles
from ckanext.syndicate.domain.marker import ORIGIN, PATH
from ckanext.syndicate.model import metadata, targets
from ckanext.syndicate.planning import Planned
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.pushing import act, change, copy_of, make_dataset, set_flag, work

pytestmark = pytest.mark.usefixtures("syndicate_portal", "profile")


@pytest.fixture
def profile(ckan_config: Any, target: Target) -> None:
    """A profile that pushes to the target."""
    ckan_config.update(target.config("plain", on_unflag="delete"))


def tables() -> dict[str, list[Any]]:
    """Return all that is in our tables, but for the leases, which come and go."""
    with model.meta.engine.connect() as connection:
        return {
            table.name: sorted(map(str, connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
            if table.name != "syndicate_lease"
        }


def planned(target: Target, *datasets: dict[str, Any], force: bool = False) -> dict[str, Planned]:
    """Return the plan for some datasets, or for all, by id; makes sure that nothing was written for it."""
    profile = profiles.by_id("plain")
    assert profile is not None
    model.Session.commit()
    before = tables()
    target.proxy.calls.clear()
    found = list(planning.plan(profile, [each["id"] for each in datasets] or None, force))
    assert [call.action for call in target.proxy.calls if call.writes] == [] and tables() == before
    return {each.dataset_id: each for each in found}


def the_plan(target: Target, dataset: dict[str, Any], **options: Any) -> Planned:
    return planned(target, dataset, **options)[dataset["id"]]


def test_from_the_first_push_to_the_last(target: Target) -> None:
    """Each step of a dataset's life is planned as it is done."""
    made = make_dataset(title="Water")
    plan = the_plan(target, made)
    assert (plan.action, plan.target_id, plan.name) == ("create", None, made["name"])
    work()
    plan = the_plan(target, made)
    assert (plan.action, plan.target_id, target.proxy.calls) == ("unchanged", copy_of(made).target_id, [])
    change(made, title="Ice")
    plan = the_plan(target, made)
    assert plan.action == "update"
    assert [(each.field, each.old, each.new) for each in plan.changes] == [("title", "Water", "Ice")]
    set_flag(made, None)
    plan = the_plan(target, made)
    assert (plan.action, plan.reason) == ("delete", "syndication flag disabled on package")
    work()
    plan = the_plan(target, made)
    assert (plan.action, plan.reason) == ("skipped", "syndication flag disabled on package")


def test_resources(target: Target) -> None:
    """Which fields of which resource would change is said with its id at the target."""
    made = make_dataset()
    work()
    (kept,) = copy_of(made).resources.values()
    first = made["resources"][0]
    change(made, resources=[{**first, "format": "XLSX"}, {"url": "http://data.example/more", "name": "More"}])
    fields = [each.field for each in the_plan(target, made).changes]
    assert f"resources.{kept}.format" in fields and len(fields) == 2


def test_a_whole_profile(target: Target) -> None:
    """All that is to be there, and all that is to go, is in the plan; also what is purged, not what never concerned."""
    stays, goes, purged = (make_dataset() for _ in range(3))
    never = make_dataset(flag=None)
    work()
    new = make_dataset()
    act("package_delete", id=goes["id"])
    act("dataset_purge", id=purged["id"])
    found = {dataset_id: plan.action for dataset_id, plan in planned(target).items()}
    assert found == {
        stays["id"]: "unchanged", goes["id"]: "delete", purged["id"]: "delete", new["id"]: "create",
    }  # fmt: skip
    assert never["id"] not in found


def test_what_stands_in_the_way(target: Target) -> None:
    """A name that is taken is a conflict, a dataset that came from there or a private one is skipped."""
    taken = make_dataset()
    target.call("package_create", name=taken["name"])
    plan = the_plan(target, taken)
    assert plan.action == "conflict" and "has the name" in plan.reason
    path = f"http://between.example {target.site_url}"
    came = make_dataset(extras=[{"key": ORIGIN, "value": "http://far.example/dataset/1"}, {"key": PATH, "value": path}])
    plan = the_plan(target, came)
    assert plan.action == "skipped" and "came here from" in plan.reason
    private = make_dataset(owner_org=factories.Organization()["id"], private=True)
    assert the_plan(target, private).action == "skipped"


def test_a_copy_that_another_portal_marked(target: Target) -> None:
    """It is a conflict, as it would be in a push."""
    made = make_dataset()
    work()
    extras = [
        {"key": ORIGIN, "value": "http://other.example/dataset/1"},
        {"key": PATH, "value": "http://other.example"},
    ]
    target.call("package_patch", id=copy_of(made).target_id, extras=extras)
    change(made, notes="Other words")
    plan = the_plan(target, made)
    assert plan.action == "conflict" and "http://other.example" in plan.reason


def test_what_would_be_made_private(target: Target, ckan_config: Any) -> None:
    """Private where an organization owns the copy, deleted where none does."""
    made = make_dataset(owner_org=factories.Organization()["id"])
    work()
    change(made, private=True)
    assert the_plan(target, made).action == "delete"
    target.call("organization_create", name="copies")
    ckan_config.update(target.config("plain", organization="copies"))
    other = make_dataset(owner_org=factories.Organization()["id"])
    work()
    change(other, private=True)
    assert the_plan(target, other).action == "private"


def test_too_many(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be held because it is one of too many is blocked."""
    monkeypatch.setattr("ckanext.syndicate.domain.guard.ALWAYS", 1)
    made = [make_dataset() for _ in range(3)]
    work()
    for each in made:
        act("package_delete", id=each["id"])
    assert sorted(plan.action for plan in planned(target, *made).values()) == ["blocked", "blocked", "delete"]


def test_organizations_are_not_made(target: Target, ckan_config: Any) -> None:
    """The organization that would be made is named, and not made."""
    ckan_config.update(target.config("plain", replicate_organization="true"))
    made = make_dataset(owner_org=factories.Organization()["id"])
    assert the_plan(target, made).action == "create"
    work()
    change(made, notes="Other words")
    assert [each.field for each in the_plan(target, made).changes] == ["notes"]


def test_what_is_lost_or_was_edited_there(target: Target) -> None:
    """What the record says is believed unless one looks closer; a copy that is gone is created again."""
    made = make_dataset()
    work()
    target.call("package_patch", id=copy_of(made).target_id, notes="Edited there")
    assert the_plan(target, made).action == "unchanged"
    assert [each.field for each in the_plan(target, made, force=True).changes] == ["notes"]
    target.call("dataset_purge", id=copy_of(made).target_id)
    plan = the_plan(target, made, force=True)
    assert (plan.action, plan.target_id) == ("create", None)


def test_a_target_that_cannot_be_asked(target: Target) -> None:
    """No plan is made of guesses: that the target is away, or another one, is an error."""
    made = make_dataset()
    target.proxy.is_down = True
    with pytest.raises(RelayError):
        planned(target, made)
    target.proxy.well()
    targets.seen("plain", target.url, "http://another.example")
    with pytest.raises(RelayError, match=r"another\.example"):
        planned(target, made)
