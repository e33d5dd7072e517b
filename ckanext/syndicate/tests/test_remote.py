"""The target, on a real CKAN: what is written is there, nothing is lost by writing again, and everything is found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ckanext.relay.errors import AnswerInvalid, RemoteStatus
from ckanext.relay.tests.servers import Server, answer
from ckanext.syndicate import remote
from ckanext.syndicate.domain.diff import differences
from ckanext.syndicate.domain.marker import Marker
from ckanext.syndicate.domain.payload import onto, prepared, resource_ids, seal
from ckanext.syndicate.remote import Forbidden, Refused, Target
from ckanext.syndicate.tests.portals import Target as Site
from ckanext.syndicate.types import Profile

pytestmark = pytest.mark.usefixtures("syndicate_plugins")

HERE = "http://here.example"


def profile(site: Site, token: str | None = None) -> Profile:
    return Profile("p", ckan_url=site.url, api_key=token or site.token, timeout=30)


@pytest.fixture
def portal(target: Site) -> Iterator[Target]:
    """The second CKAN, empty, through the API, as a sysadmin."""
    with Target(profile(target)) as portal:
        yield portal


@pytest.fixture
def editor(target: Site) -> Iterator[Target]:
    """The same as an editor of the organization ``city``, who may put datasets into the group ``transport`` only."""
    name = f"editor-{uuid.uuid4().hex[:8]}"
    user = target.call("user_create", name=name, email=f"{name}@example.com", password=uuid.uuid4().hex)
    token = target.call("api_token_create", user=name, name="push")["token"]
    target.call("organization_create", name="city", users=[{"name": name, "capacity": "editor"}])
    target.call("group_create", name="transport", users=[{"name": user["name"], "capacity": "member"}])
    target.call("group_create", name="water")
    with Target(profile(target, token)) as portal:
        yield portal


def payload(name: str = "roads", **fields: Any) -> dict[str, Any]:
    """Return a dataset as it is sent, with all that a dataset may have."""
    package = {
        "name": name,
        "title": "Roads",
        "notes": "All of *them*.",
        "author": "A. Author",
        "author_email": "a@example.com",
        "maintainer": None,
        "license_id": "cc-by",
        "url": "http://city.example/roads",
        "version": "1.0",
        "state": "active",
        "private": False,
        "type": "dataset",
        "extras": [{"key": "spatial", "value": '{"type": "Point"}'}, {"key": "empty", "value": ""}],
        "tags": [{"name": "roads"}, {"name": "Straßen und Wege"}],
        "groups": [],
        "resources": [
            {
                "id": "r1",
                "name": "Table",
                "description": "One line a road",
                "url": "http://here.example/roads.csv",
                "format": "CSV",
                "mimetype": "text/csv",
                "size": 42,
                "hash": "abc",
                "created": "2020-01-01T10:00:00.123456",
                "last_modified": "2020-01-02T10:00:00",
                "coordinate_system": "EPSG:4326",
                "languages": ["de", "cs"],
            },
            {"id": "r2", "name": "", "url": "http://here.example/roads", "format": "", "mimetype": None},
        ],
    } | fields
    return sealed(package)


def sealed(package: dict[str, Any], catalog: remote.Catalog | None = None, **how: Any) -> dict[str, Any]:
    path = how.pop("path", (HERE,))
    return seal(
        prepared(package, name=package["name"], owner_org=package.get("owner_org"), remote_id=None),
        marker=Marker(f"{HERE}/dataset/{package['name']}", path),
        resource_ids=resource_ids(package["resources"], package["name"], {}),
        groups=catalog.groups if catalog else (),
        vocabularies=catalog.vocabularies if catalog else {},
        local_vocabularies={"v1": "themes"},
    ).payload


# -- who it is


def test_who_the_target_is(portal: Target, target: Site) -> None:
    """It says its site URL, and whose the token is."""
    assert portal.site() == target.site_url
    me = portal.user()
    assert me is not None and me["sysadmin"]
    assert portal.user(me["name"]) == me
    assert portal.user("nobody-of-that-name") is None
    assert portal.requests == 4


def test_a_wrong_token(target: Site) -> None:
    """A token that is none makes us nobody there; the error says what to look at."""
    with Target(profile(target, "not-a-token")) as portal:
        assert portal.user() is None
        with pytest.raises(Forbidden) as raised:
            portal.create(payload())
        assert "token" in str(raised.value.hint)


# -- datasets


def test_what_is_sent_is_there(portal: Target, target: Site) -> None:
    """A dataset arrives with all it has: fields, extras, tags, resources with their ids, metadata and own fields."""
    target.call("vocabulary_create", name="themes", tags=[{"name": "sea"}])
    target.call("group_create", name="transport")
    tags = [{"name": "roads"}, {"name": "sea", "vocabulary_id": "v1"}, {"name": "sky", "vocabulary_id": "v1"}]
    package = {**payload(), "tags": tags, "groups": [{"name": "transport"}, {"name": "unknown"}]}
    sent = sealed(package, portal.catalog())
    answered = portal.create(sent)
    shown = portal.show("roads")
    assert shown is not None
    assert differences(shown, sent) == ()
    assert differences(answered, sent) == ()
    assert [resource["id"] for resource in shown["resources"]] == [resource["id"] for resource in sent["resources"]]
    assert shown["resources"][0]["created"].startswith("2020-01-01T10:00:00.123456")
    assert [tag["name"] for tag in shown["tags"]] == ["roads", "sea"]
    assert [group["name"] for group in shown["groups"]] == ["transport"]


def test_sending_it_again_changes_nothing(portal: Target) -> None:
    """One show tells that the copy is as it should be; an update that is sent all the same leaves it as it is."""
    sent = payload()
    created = portal.create(sent)
    shown = portal.show(created["id"])
    assert shown is not None
    update = onto(sent, shown, ())
    assert differences(shown, update) == ()
    updated = portal.update(update)
    assert updated is not None
    volatile = {"metadata_modified": None, "resources": None}
    assert {**updated, **volatile} == {**shown, **volatile}
    assert [r["id"] for r in updated["resources"]] == [r["id"] for r in shown["resources"]]


def test_an_update_is_seen_and_made(portal: Target) -> None:
    """Each change is found by comparing, and is at the target after the update; resources keep their ids."""
    shown = portal.create(payload())
    changed = payload(
        title="Streets", author=None, tags=[{"name": "streets"}], extras=[{"key": "spatial", "value": "x"}]
    )
    changed["resources"][0].update(format="TSV", size=43)
    changed["resources"].append({"id": str(uuid.uuid4()), "url": "http://here.example/new"})
    update = onto(changed, shown, ())
    first, _, third = (resource["id"] for resource in changed["resources"])
    assert {each.field for each in differences(shown, update)} == {
        "title",
        "author",
        "extras.spatial",
        "tags",
        f"resources.{first}.format",
        f"resources.{first}.size",
        f"resources.{third}",
    }
    updated = portal.update(update)
    assert updated is not None and differences(updated, update) == ()
    del update["resources"][0]
    updated = portal.update(update)
    assert updated is not None and [r["id"] for r in updated["resources"]] == [r["id"] for r in update["resources"]]


def test_the_datastore_of_the_target_stays_known(portal: Target) -> None:
    """What the target noted of a resource survives an update that does not know of it."""
    shown = portal.create(payload())
    portal.call("resource_patch", {"id": shown["resources"][0]["id"], "datastore_active": True})
    portal.call("resource_patch", {"id": shown["resources"][1]["id"], "hash": "of the target"})
    there = portal.show(shown["id"])
    assert there is not None and there["resources"][0]["datastore_active"]
    updated = portal.update(onto(payload(title="Streets"), there, ()))
    assert updated is not None and updated["title"] == "Streets"
    assert updated["resources"][0]["datastore_active"] is True
    assert updated["resources"][1]["hash"] == "of the target"


REVISIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "title": {"title": "Streets"},
    "several": {"title": "Streets", "author": None, "license_id": "notspecified", "version": ""},
    "tags": {"tags": [{"name": "streets"}]},
    "no tags": {"tags": []},
    "extras": {"extras": [{"key": "spatial", "value": "x"}]},
    "a field of a resource": {"resources.0": {"format": "TSV", "size": 43, "description": ""}},
    "a shorter list": {"resources.0": {"languages": ["cs"]}},
    "no list": {"resources.0": {"languages": []}},
    "nothing of a file": {"resources.0": {"hash": "", "mimetype": None, "size": None}},
    "both resources": {"resources.0": {"name": "One"}, "resources.1": {"name": "Two", "colour": "red"}},
}


@pytest.mark.parametrize("name", REVISIONS)
def test_a_revision_is_an_update(portal: Target, name: str) -> None:
    """What is changed without a look at it becomes what ``package_update`` would have made of it."""
    by_revision, by_update = (_updated(portal, way, REVISIONS[name]) for way in ("revise", "update"))
    assert by_revision == by_update


def _updated(portal: Target, way: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return what a new copy is after a change, without what is of this copy alone."""
    made = portal.create(payload("roads"))
    shown = portal.patch(made["id"], title="Roads")
    assert shown is not None
    fields = {field: value for field, value in changes.items() if "." not in field}
    changed = payload("roads", **fields)
    for resource in (0, 1):
        changed["resources"][resource].update(changes.get(f"resources.{resource}", {}))
    if way == "update":
        answer = portal.update(onto(changed, shown, ()))
    else:
        known = {key: shown[key] for key in ("id", "name", "metadata_modified")}
        answer = portal.revise(onto(changed, known, ()), shown["metadata_modified"])
    after = portal.show(made["id"])
    assert answer is not None and after is not None and differences(answer, after) == ()
    portal.call("dataset_purge", {"id": made["id"]})
    own = {"id", "metadata_created", "metadata_modified", "package_id", "created", "resources"}
    assert [resource["package_id"] for resource in after["resources"]] == [made["id"]] * 2
    resources = [{key: value for key, value in each.items() if key not in own} for each in after["resources"]]
    return {key: value for key, value in after.items() if key not in own} | {"resources": resources}


def test_a_revision_of_what_is_not_as_it_was(portal: Target) -> None:
    """Nothing is changed, nothing is said, and it is not tried a second time with this target."""
    shown = portal.create(payload())
    assert portal.patch(shown["id"], notes="By others")
    requests = portal.requests
    for _ in range(2):
        assert portal.revise({**payload(title="Streets"), "id": shown["id"]}, shown["metadata_modified"]) is None
    assert portal.requests == requests + 1
    after = portal.show(shown["id"])
    assert after is not None and (after["title"], after["notes"]) == ("Roads", "By others")


def test_a_revision_of_what_has_other_resources(portal: Target) -> None:
    """Another order, another link, or one more or fewer: it is not changed, or known not to be as it should be."""
    first = portal.create(payload())
    sent = {**payload(title="Streets"), "id": first["id"]}
    moved = [{**sent["resources"][0], "url": "http://here.example/moved"}, sent["resources"][1]]
    new = {"id": str(uuid.uuid4()), "url": "http://here.example/new"}
    for resources in ([*reversed(sent["resources"])], moved, [*sent["resources"], new]):
        assert portal.revise({**sent, "resources": resources}, first["metadata_modified"]) is None
    assert portal.show(first["id"]) == first
    assert portal.revise({**sent, "resources": sent["resources"][:1]}, first["metadata_modified"]) is None


def test_a_revision_leaves_groups(portal: Target, target: Site) -> None:
    """Groups into which others put the copy stay; that somebody took it out of ours is seen."""
    for name in ("ours", "theirs"):
        target.call("group_create", name=name)
    shown = portal.create({**payload(), "groups": [{"name": "ours"}]})
    target.call("member_create", id="theirs", object=shown["id"], object_type="package", capacity="public")
    sent = {**payload(title="Streets"), "id": shown["id"], "groups": [{"name": "ours"}]}
    revised = portal.revise(sent, shown["metadata_modified"])
    assert revised is not None and {group["name"] for group in revised["groups"]} == {"ours", "theirs"}
    target.call("member_delete", id="ours", object=shown["id"], object_type="package")
    assert portal.revise({**sent, "title": "Roads"}, revised["metadata_modified"]) is None


def test_a_portal_that_cannot_revise(server: Server) -> None:
    """A CKAN before 2.9 has no such action, and is not asked again."""
    server.on("/api/action/package_revise", answer(400, b'"Bad request - Action name not known: package_revise"'))
    with Target(Profile("p", ckan_url=server.url, api_key="token")) as portal:
        for _ in range(2):
            assert portal.revise({**payload(), "id": "x"}, "then") is None
        assert portal.requests == 1


def test_what_is_not_there(portal: Target) -> None:
    """A dataset that is not there is None, wherever it is asked for, and no error."""
    missing = str(uuid.uuid4())
    assert portal.show(missing) is None
    assert portal.update({**payload(), "id": missing}) is None
    assert portal.revise({**payload(), "id": missing}, "then") is None
    assert portal.patch(missing, private=True) is None
    assert portal.delete(missing) is False
    assert portal.find("http://here.example/dataset/none") == []
    assert list(portal.copies(HERE)) == []


def test_an_unknown_group_is_no_missing_dataset(editor: Target) -> None:
    """A group that was deleted just now refuses the dataset; nobody takes the dataset for gone."""
    sent = payload(owner_org="city")
    with pytest.raises(Refused) as raised:
        editor.create({**sent, "groups": [{"name": "gone"}]})
    assert "groups" in raised.value.errors
    created = editor.create(sent)
    with pytest.raises(Refused) as raised:
        editor.update({**sent, "id": created["id"], "groups": [{"name": "gone"}]})
    assert "groups" in raised.value.errors


def test_a_name_that_is_taken(portal: Target) -> None:
    """The target refuses a second dataset of a name, and says that it is about the name."""
    portal.create(payload())
    with pytest.raises(Refused) as raised:
        portal.create({**payload(), "resources": []})
    assert "name" in raised.value.errors


def test_ids_of_resources_that_are_taken(portal: Target) -> None:
    """A resource id belongs to one dataset."""
    portal.create(payload())
    with pytest.raises(Refused) as raised:
        portal.create({**payload("other"), "resources": payload()["resources"]})
    assert "resources" in raised.value.errors


def test_private_and_deleted(portal: Target, target: Site) -> None:
    """A copy can be made private if it has an organization, deleted, and brought back."""
    with pytest.raises(Refused) as raised:
        portal.create(payload(private=True))
    assert "private" in raised.value.errors
    target.call("organization_create", name="city")
    created = portal.create(payload(owner_org="city"))
    private = portal.patch(created["id"], private=True)
    assert private is not None and private["private"] and private["tags"] == created["tags"]
    assert differences(private, payload(owner_org="city", private=True)) == ()
    assert portal.delete(created["id"]) is True
    deleted = portal.show(created["id"])
    assert deleted is not None and deleted["state"] == "deleted"
    assert portal.delete(created["id"]) is True
    revived = portal.update(onto(payload(owner_org="city"), deleted, ()))
    assert revived is not None and (revived["state"], revived["private"]) == ("active", False)
    assert [r["id"] for r in revived["resources"]] == [r["id"] for r in created["resources"]]


def test_an_owner_that_the_target_chose_stays(portal: Target, target: Site) -> None:
    """A copy that is sent without an organization keeps the one that it was given at the target."""
    created = portal.create(payload())
    city = target.call("organization_create", name="city")
    portal.patch(created["id"], owner_org="city")
    shown = portal.show(created["id"])
    assert shown is not None and differences(shown, payload()) == ()
    updated = portal.update(onto(payload(title="Streets"), shown, ()))
    assert updated is not None and (updated["title"], updated["owner_org"]) == ("Streets", city["id"])


# -- with the rights of an editor


def test_groups_of_an_editor(editor: Target, target: Site) -> None:
    """Only groups that the user may use are sent; those that others put the copy into stay."""
    package = {**payload(), "owner_org": "city", "groups": [{"name": "transport"}, {"name": "water"}]}
    catalog = editor.catalog()
    assert catalog.groups == {"transport"}
    sent = sealed(package, catalog)
    created = editor.create(sent)
    assert [group["name"] for group in created["groups"]] == ["transport"]
    target.call("member_create", id="water", object=created["id"], object_type="package", capacity="public")
    shown = editor.show(created["id"])
    assert shown is not None
    updated = editor.update(onto({**sent, "title": "Streets", "groups": []}, shown, ["transport"]))
    assert updated is not None and [group["name"] for group in updated["groups"]] == ["water"]


def test_an_editor_may_do_it_all(editor: Target) -> None:
    """Creating, finding, making private, deleting and bringing back need no sysadmin."""
    sent = payload(owner_org="city")
    created = editor.create(sent)
    assert editor.patch(created["id"], private=True)
    assert [each["id"] for each in editor.find(f"{HERE}/dataset/roads")] == [created["id"]]
    assert [each["id"] for each in editor.copies(HERE)] == [created["id"]]
    assert editor.delete(created["id"])
    deleted = editor.show(created["id"])
    assert deleted is not None
    revived = editor.update(onto(sent, deleted, ()))
    assert revived is not None and revived["state"] == "active"


# -- searches


def test_copies_are_found(portal: Target, target: Site) -> None:
    """Copies are found by their origin, and by who pushed them, private ones and drafts too, and nothing else."""
    target.call("organization_create", name="city")
    one = portal.create(payload("one"))
    hidden = portal.create(payload("hidden", owner_org="city", private=True))
    draft = portal.create({**payload("draft"), "state": "draft"})
    further = portal.create(sealed({**payload("further"), "extras": []}, path=(HERE, "http://before.example")))
    portal.create(sealed({**payload("others"), "extras": []}, path=("http://before.example", HERE)))
    portal.create(sealed({**payload("similar"), "extras": []}, path=(f"{HERE}.org",)))
    portal.create(sealed({**payload("below"), "extras": []}, path=(f"{HERE}/ckan",)))
    target.call("package_create", name="unmarked")
    for copy in (one, hidden, draft, further):
        assert [each["id"] for each in portal.find(f"{HERE}/dataset/{copy['name']}")] == [copy["id"]]
    ids = [each["id"] for each in portal.copies(f"{HERE}/")]
    assert ids == sorted(copy["id"] for copy in (one, hidden, draft, further))
    assert [each["name"] for each in portal.copies(f"{HERE}/ckan")] == ["below"]
    found = portal.find(f"{HERE}/dataset/one")[0]
    assert differences(found, payload("one")) == ()


def test_copies_come_in_pages(portal: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """All copies are read, each once, with as many searches as there are pages; an answer too large is asked for in
    smaller ones."""
    created = [portal.create({**payload(f"dataset-{number}"), "notes": "x" * 3000})["id"] for number in range(7)]
    monkeypatch.setattr(remote, "ROWS", 3)
    before = portal.requests
    assert [each["id"] for each in portal.copies(HERE)] == sorted(created)
    assert portal.requests - before == 3
    monkeypatch.setattr(remote, "ROWS", 1000)
    caller = portal._own.caller
    adapter = caller.client.session.get_adapter(portal.profile.ckan_url)
    monkeypatch.setattr(adapter, "_body_bytes", 20_000)
    assert [each["id"] for each in portal.copies(HERE)] == sorted(created)


def test_quotes_in_an_address_do_no_harm(portal: Target) -> None:
    """A search for a strange address finds nothing, and is no error."""
    assert portal.find('a" OR *:*') == []
    assert list(portal.copies('http://x/" OR *:* \\ (')) == []


# -- threads


def test_threads_share_a_target(portal: Target) -> None:
    """Several threads write at a time, each over a connection of its own; all requests are counted."""
    with ThreadPoolExecutor(4) as threads:
        created = list(threads.map(lambda number: portal.create(payload(f"dataset-{number}")), range(12)))
        catalogs = list(threads.map(lambda _number: portal.catalog(), range(8)))
    assert len({each["id"] for each in created}) == 12
    assert all(catalog is catalogs[0] for catalog in catalogs)
    assert portal.requests == 12 + 2
    assert len(portal._callers) <= 4
    portal.close()
    assert portal._callers == []


# -- portals that are none


@pytest.mark.parametrize(
    ("method", "action", "result"),
    [
        ("site", "status_show", b'{"ckan_version": "2.11"}'),
        ("site", "status_show", b'{"site_url": ""}'),
        ("catalog", "group_list_authz", b'{"a": 1}'),
        ("catalog", "group_list_authz", b'["transport"]'),
        ("find", "package_search", b'{"count": 1, "results": ["a"]}'),
        ("find", "package_search", b'{"count": 1}'),
        ("show", "package_show", b'"a text"'),
        ("show", "package_show", b"null"),
        ("create", "package_create", b'{"name": "roads"}'),
        ("revise", "package_revise", b'{"package": null}'),
        ("revise", "package_revise", b'{"id": "x"}'),
        ("copies", "package_search", b'{"count": 5, "results": [{"id": "1"}]}'),
    ],
)
def test_answers_of_another_shape(server: Server, method: str, action: str, result: bytes) -> None:
    """JSON that is not what the action answers with is an invalid answer, not a mistake of ours; nothing is endless."""
    server.on(f"/api/action/{action}", answer(body=b'{"success": true, "result": ' + result + b"}"))
    with Target(Profile("p", ckan_url=server.url, api_key="token")) as portal, pytest.raises(AnswerInvalid):
        called = getattr(portal, method)
        arguments = {"site": (), "catalog": (), "create": ({},), "revise": ({"id": "x"}, "then")}
        list(called(*arguments.get(method, ("x",))))


def test_an_outage_is_no_missing_dataset(server: Server) -> None:
    """A target that cannot answer is not taken for one that has no such dataset."""
    server.on("/api/action/package_show", answer(404, b"<h1>No CKAN here</h1>"))
    server.on("/api/action/package_delete", answer(503, b"", **{"Retry-After": "30"}))
    with Target(Profile("p", ckan_url=server.url, api_key="token")) as portal:
        with pytest.raises(RemoteStatus) as raised:
            portal.show("x")
        assert raised.value.status == 404
        with pytest.raises(RemoteStatus) as raised:
            portal.delete("x")
        assert raised.value.retry_after == 30
