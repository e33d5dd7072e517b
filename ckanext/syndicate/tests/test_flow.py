"""Datasets follow from one real portal to another: saved through the API, pushed by a worker, looked at over there."""

from __future__ import annotations

from ckanext.harvest.tests.flow import wait_until
from ckanext.syndicate.tests.flow import (
    assert_equal,
    copies,
    create,
    extra,
    pushed,
    resource,
    resource_ids,
    state_at,
    the_copy,
)
from ckanext.syndicate.tests.portals import Pair, name_for, through
from ckanext.syndicate.tests.target_proxy import slow


def test_a_new_dataset(pair: Pair) -> None:
    """Who saves a dataset finds the same one at the target moments later, with the groups and tags that it knows."""
    group, only_here = name_for("group"), name_for("group")
    for site, name in ((pair.a, group), (pair.b, group), (pair.a, only_here)):
        site.call("group_create", name=name)
    made = create(pair.a, groups=[{"name": group}])
    copy = pushed(pair.a, pair.b, made["id"])
    assert extra(copy, "syndication_path") == pair.a.portal.url
    assert pair.to_b.counts()["package_create"] == 1
    assert pair.to_b.counts().total() <= 4
    other = create(pair.a, groups=[{"name": only_here}])
    through(pair.a)
    assert the_copy(pair.a, pair.b, other["id"])["groups"] == [], "the target has no such group"


def test_a_change(pair: Pair) -> None:
    """Each change follows, with one or two requests; the resources at the target keep their ids."""
    made = create(pair.a)
    before = pushed(pair.a, pair.b, made["id"])
    pair.to_b.well()
    pair.a.call("package_patch", id=made["id"], title="Another title")
    copy = pushed(pair.a, pair.b, made["id"])
    assert resource_ids(copy) == resource_ids(before)
    assert copy["metadata_created"] == before["metadata_created"]
    assert 1 <= pair.to_b.counts().total() <= 2, pair.to_b.counts()

    pair.a.call("resource_patch", id=made["resources"][0]["id"], description="Another one", url="https://new.example/")
    pair.a.call("resource_create", package_id=made["id"], **resource(3))
    copy = pushed(pair.a, pair.b, made["id"])
    assert resource_ids(copy)[:2] == resource_ids(before)

    kept = pair.a.call("package_show", id=made["id"])["resources"]
    pair.a.call("package_patch", id=made["id"], resources=[kept[2], kept[0]])
    after = pushed(pair.a, pair.b, made["id"])
    assert resource_ids(after) == [resource_ids(copy)[2], resource_ids(copy)[0]]


def test_views_of_the_target_survive(pair: Pair) -> None:
    """What people at the target add to a resource is still there after a change."""
    made = create(pair.a)
    copy = pushed(pair.a, pair.b, made["id"])
    view = pair.b.call(
        "resource_view_create", resource_id=resource_ids(copy)[0], title="Here", view_type="image_view", image_url=""
    )
    pair.a.call("resource_patch", id=made["resources"][0]["id"], name="Another name")
    pushed(pair.a, pair.b, made["id"])
    assert pair.b.call("resource_view_show", id=view["id"])["title"] == "Here"


def test_a_save_without_a_change(pair: Pair) -> None:
    """A save that changes nothing of what is sent costs no request."""
    made = create(pair.a)
    pushed(pair.a, pair.b, made["id"])
    pair.to_b.well()
    shown = pair.a.call("package_show", id=made["id"])
    pair.a.call("package_update", **shown)
    through(pair.a)
    assert pair.to_b.calls == []


def test_a_new_name(pair: Pair) -> None:
    """The copy keeps the name that people link to, unless the profile says that it follows; then with its prefix."""
    made, prefixed = create(pair.a), create(pair.a, "syndicate_prefixed")
    copy = pushed(pair.a, pair.b, made["id"])
    pushed(pair.a, pair.b, prefixed["id"], f"from-a-{prefixed['name']}")
    new, new_prefixed = name_for("renamed"), name_for("renamed")
    pair.a.call("package_patch", id=made["id"], name=new)
    pair.a.call("package_patch", id=prefixed["id"], name=new_prefixed)
    assert pushed(pair.a, pair.b, made["id"], made["name"])["id"] == copy["id"]
    pushed(pair.a, pair.b, prefixed["id"], f"from-a-{new_prefixed}")


def test_without_its_flag(pair: Pair) -> None:
    """A dataset that is not to be there any more stays, becomes private or is deleted, as the profile says."""
    owner = pair.b.call("organization_create", name=name_for("owner"))
    stays, hidden, gone = (create(pair.a, flag) for flag in ("syndicate", "syndicate_withdraws", "syndicate_strict"))
    ids = {made["id"]: pushed(pair.a, pair.b, made["id"])["id"] for made in (stays, hidden, gone)}
    # only what has an organization can be private
    pair.b.call("package_patch", id=ids[hidden["id"]], owner_org=owner["id"])
    for made in (stays, hidden, gone):
        pair.a.call("package_patch", id=made["id"], extras=[])
    through(pair.a)
    assert [state_at(pair.b, each) for each in ids.values()] == ["active", "private", "deleted"]
    pair.a.call("package_patch", id=gone["id"], extras=[{"key": "syndicate_strict", "value": "true"}])
    assert pushed(pair.a, pair.b, gone["id"])["id"] == ids[gone["id"]], "it is the same one again"


def test_a_private_dataset(pair: Pair) -> None:
    """What becomes private is no longer public at the target, and what is private never gets there."""
    owner = pair.a.call("organization_create", name=name_for("owner"))["id"]
    made = create(pair.a, "syndicate_organized", owner_org=owner)
    strict = create(pair.a, "syndicate_strict", owner_org=owner)
    secret = create(pair.a, "syndicate_organized", owner_org=owner, private=True)
    ids = [pushed(pair.a, pair.b, each["id"])["id"] for each in (made, strict)]
    pair.a.call("package_patch", id=made["id"], private=True)
    pair.a.call("package_patch", id=strict["id"], private=True)
    through(pair.a)
    assert [state_at(pair.b, each) for each in ids] == ["private", "deleted"]
    assert copies(pair.a, pair.b, secret["id"]) == []
    pair.a.call("package_patch", id=made["id"], private=False)
    assert pushed(pair.a, pair.b, made["id"])["id"] == ids[0]


def test_many_at_once(pair: Pair) -> None:
    """What an organization does with many of its datasets at once follows, too."""
    owner = pair.a.call("organization_create", name=name_for("owner"))["id"]
    made = [create(pair.a, "syndicate_organized", owner_org=owner) for _ in range(3)]
    ids = [pushed(pair.a, pair.b, each["id"])["id"] for each in made]
    for action, state in (("private", "private"), ("public", "active"), ("delete", "deleted")):
        pair.a.call(f"bulk_update_{action}", org_id=owner, datasets=[each["id"] for each in made])
        through(pair.a)
        assert [state_at(pair.b, each) for each in ids] == [state] * 3


def test_a_deleted_dataset(pair: Pair) -> None:
    """A dataset that is deleted is deleted at the target; if it comes back, it is the same one there."""
    made = create(pair.a)
    copy = pushed(pair.a, pair.b, made["id"])
    pair.a.call("package_delete", id=made["id"])
    through(pair.a)
    assert state_at(pair.b, copy["id"]) == "deleted"
    pair.a.call("package_patch", id=made["id"], state="active")
    again = pushed(pair.a, pair.b, made["id"])
    assert again["id"] == copy["id"]
    assert resource_ids(again) == resource_ids(copy)


def test_a_purged_dataset(pair: Pair) -> None:
    """A dataset that is purged at once, with all that the portal knew of it, leaves no copy behind."""
    made = create(pair.a)
    copy = pushed(pair.a, pair.b, made["id"])
    pair.a.call("dataset_purge", id=made["id"])
    through(pair.a)
    assert state_at(pair.b, copy["id"]) == "deleted"


def test_an_organization(pair: Pair) -> None:
    """The organization comes with its datasets and follows its changes; members and extras over there stay."""
    owner = pair.a.call("organization_create", name=name_for("office"), title="Office", description="What it does.")
    made = create(pair.a, "syndicate_organized", owner_org=owner["id"])
    copy = pushed(pair.a, pair.b, made["id"])
    there = pair.b.call("organization_show", id=copy["owner_org"], include_extras=True)
    assert [there[key] for key in ("name", "title", "description")] == [owner["name"], "Office", "What it does."]

    member = pair.b.call(
        "user_create", name=name_for("member"), email=f"{name_for('m')}@example.org", password="correct horse battery"
    )
    pair.b.call("organization_member_create", id=there["id"], username=member["name"], role="editor")
    pair.b.call("organization_patch", id=there["id"], extras=[{"key": "phone", "value": "12"}])
    pair.a.call("organization_patch", id=owner["id"], title="Another office")
    through(pair.a)
    wait_until(lambda: pair.b.call("organization_show", id=there["id"])["title"] == "Another office", 10)
    after = pair.b.call("organization_show", id=there["id"], include_users=True, include_extras=True)
    assert member["name"] in [user["name"] for user in after["users"]]
    assert [(each["key"], each["value"]) for each in after["extras"]] == [("phone", "12")]
    assert_equal(pair.a, pair.b, made["id"])


def test_a_draft(pair: Pair) -> None:
    """A dataset that somebody is still writing is not pushed, until it is finished."""
    made = create(pair.a, state="draft")
    through(pair.a)
    assert pair.to_b.calls == []
    assert copies(pair.a, pair.b, made["id"]) == []
    pair.a.call("package_patch", id=made["id"], state="active")
    pushed(pair.a, pair.b, made["id"])


def test_many_edits_of_one_dataset(pair: Pair) -> None:
    """Edits that come faster than they are pushed are pushed together; the last one is what the target has."""
    made = create(pair.a)
    pushed(pair.a, pair.b, made["id"])
    pair.to_b.well()
    pair.to_b.fail("package_revise", slow(1), times=2)
    for number in range(15):
        pair.a.call("package_patch", id=made["id"], title=f"Title {number}")
    copy = pushed(pair.a, pair.b, made["id"])
    assert copy["title"] == "Title 14"
    assert pair.to_b.asked("package_revise") < 10
