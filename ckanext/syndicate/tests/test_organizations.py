"""Organizations and groups at a real CKAN: found or made once, kept up to date without taking anything from them."""

from __future__ import annotations

import base64
import io
import uuid
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay.errors import RemoteUnavailable
from ckanext.relay.tests.servers import Server, answer
from ckanext.syndicate import organizations as replication
from ckanext.syndicate import signals
from ckanext.syndicate.interfaces import ISyndicate
from ckanext.syndicate.model import organizations
from ckanext.syndicate.organizations import Replicator
from ckanext.syndicate.remote import Forbidden, Refused, Target
from ckanext.syndicate.tests.portals import Target as Site
from ckanext.syndicate.types import Profile

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class OrganizationHook(p.SingletonPlugin):
    """Writes "(copy)" behind titles, and may put a picture of its own beside."""

    p.implements(ISyndicate, inherit=True)
    picture: Any = None

    def prepare_group_for_syndication(self, group_id: str, group: dict[str, Any], profile: Profile) -> dict[str, Any]:
        group["title"] = f"{group['title']} (copy)"
        if OrganizationHook.picture is not None:
            group["image_upload"] = OrganizationHook.picture
        return group


OWN_PLUGINS = {"organization_hook": OrganizationHook}

pytestmark = pytest.mark.usefixtures("syndicate_portal")


def profile(site: Site, **options: Any) -> Profile:
    return Profile("p", **{"ckan_url": site.url, "api_key": site.token, "timeout": 30, **options})


@pytest.fixture
def replicate(target: Site) -> Iterator[Any]:
    """Return a function that makes a replicator for a new batch, with options of the profile."""
    targets = []

    def make(**options: Any) -> Replicator:
        settings = profile(target, **options)
        targets.append(Target(settings))
        return Replicator(targets[-1], settings)

    yield make
    for each in targets:
        each.close()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrganizationHook, "picture", None)
    monkeypatch.setattr(replication.log, "disabled", False)  # migrations, for one, silence loggers


def city(**fields: Any) -> dict[str, Any]:
    return factories.Organization(**{"name": "city", "title": "City", "description": "Of all people.", **fields})


def requests_of(replicator: Replicator) -> int:
    return replicator._target.requests


def test_one_that_is_missing_is_made(replicate: Any, target: Site) -> None:
    """An organization is made once at the target, with its texts, through the hooks, and without its people here."""
    person = factories.User()
    local = city(users=[{"name": person["name"], "capacity": "admin"}], extras=[{"key": "internal", "value": "1"}])
    remote_id = replicate().remote_id(local["id"])
    there = target.call("organization_show", id="city", include_users=True, include_extras=True)
    assert there["id"] == remote_id != local["id"]
    assert (there["title"], there["description"]) == ("City (copy)", "Of all people.")
    assert person["name"] not in [user["name"] for user in there["users"]]
    assert there["extras"] == []
    again = replicate()
    assert again.known(local["id"]) == remote_id
    assert requests_of(again) == 0
    assert again.remote_id(local["id"]) == again.remote_id(local["id"]) == remote_id
    assert requests_of(again) == 1  # once a batch


def test_one_that_is_there_is_left_alone(replicate: Any, target: Site) -> None:
    """An organization of the same name is taken as it is, unless the profile wants it updated."""
    local = city()
    there = target.call("organization_create", name="city", title="The city", description="")
    assert replicate().remote_id(local["id"]) == there["id"]
    assert target.call("organization_show", id="city")["title"] == "The city"
    assert organizations.get("p", local["id"]) == organizations.Organization(there["id"])


def test_updates_take_nothing_away(replicate: Any, target: Site) -> None:
    """An update brings what differs; members, extras and parents at the target stay."""
    local = city()
    person = target.call(
        "user_create", name=f"u-{uuid.uuid4().hex[:8]}", email=f"{uuid.uuid4().hex}@example.com", password="12345678"
    )
    target.call("organization_create", name="country")
    there = target.call(
        "organization_create",
        name="city",
        title="The city",
        users=[{"name": person["name"], "capacity": "editor"}],
        groups=[{"name": "country"}],
        extras=[{"key": "theirs", "value": "1"}],
    )
    assert replicate(update_organization=True).remote_id(local["id"]) == there["id"]
    now = target.call("organization_show", id="city", include_users=True, include_extras=True)
    assert (now["title"], now["description"]) == ("City (copy)", "Of all people.")
    assert {user["name"]: user["capacity"] for user in now["users"]}[person["name"]] == "editor"
    assert [extra["key"] for extra in now["extras"]] == ["theirs"]
    assert [group["name"] for group in now["groups"]] == ["country"]
    again = replicate(update_organization=True)
    again.remote_id(local["id"])
    assert requests_of(again) == 1  # nothing differs


def test_a_new_name_is_followed(replicate: Any, target: Site) -> None:
    """An organization that is renamed here is the same at the target, and renamed there if it is kept up to date."""
    local = city()
    remote_id = replicate().remote_id(local["id"])
    model.Group.get(local["id"]).name = "town"
    model.Session.commit()
    assert replicate().remote_id(local["id"]) == remote_id
    assert target.call("organization_show", id=remote_id)["name"] == "city"
    assert replicate(update_organization=True).remote_id(local["id"]) == remote_id
    assert target.call("organization_show", id=remote_id)["name"] == "town"


def test_one_that_is_lost_is_made_again(replicate: Any, target: Site) -> None:
    """If the recorded organization is not at the target any more, it is found by name or made."""
    local = city()
    organizations.record("p", local["id"], str(uuid.uuid4()))
    remote_id = replicate().remote_id(local["id"])
    assert target.call("organization_show", id="city")["id"] == remote_id
    record = organizations.get("p", local["id"])
    assert record is not None and record.remote_id == remote_id


def test_looking_up_writes_nothing(replicate: Any, target: Site) -> None:
    """Who only wants to know gets the id, or the name that it would have, and nothing is made on either side."""
    local = city()
    assert replicate().look_up(local["id"]) == "city"
    assert target.call("organization_list") == []
    assert organizations.get("p", local["id"]) is None
    assert replicate().known(local["id"]) is None
    there = target.call("organization_create", name="city")
    assert replicate().look_up(local["id"]) == there["id"]


def test_groups_too(replicate: Any, target: Site) -> None:
    """Groups are brought to the target in the same way, when somebody asks for it."""
    local = factories.Group(name="transport", title="Transport")
    remote_id = replicate().sync(local["id"], "group")
    there = target.call("group_show", id="transport")
    assert (there["id"], there["title"], there["is_organization"]) == (remote_id, "Transport (copy)", False)
    model.Group.get(local["id"]).title = "Traffic"
    model.Session.commit()
    assert replicate().sync("transport", "group") == remote_id
    assert target.call("group_show", id="transport")["title"] == "Transport (copy)"
    assert replicate().sync("transport", "group", update=True) == remote_id
    assert target.call("group_show", id="transport")["title"] == "Traffic (copy)"


def test_signals(replicate: Any) -> None:
    """Receivers hear what is about to be written, and what the target answered."""
    local = city()
    heard: list[Any] = []

    def before(sender: str, **what: Any) -> None:
        heard.append(("before", sender, what["profile"].id, what["details"]["title"]))

    def after(sender: str, **what: Any) -> None:
        heard.append(("after", sender, what["profile"].id, what["remote"]["id"]))

    with (
        signals.before_group_syndication.connected_to(before),
        signals.after_group_syndication.connected_to(after),
    ):
        remote_id = replicate().remote_id(local["id"])
        replicate().remote_id(local["id"])
    assert heard == [("before", local["id"], "p", "City (copy)"), ("after", local["id"], "p", remote_id)]


# -- refusals


def test_a_refusal_is_remembered(replicate: Any, target: Site) -> None:
    """What our user may not do is tried once a batch, not once a dataset, and says what to look at."""
    local = city()
    replicator = replicate(api_key="not-a-token")
    for _ in range(3):
        with pytest.raises(Forbidden):
            replicator.remote_id(local["id"])
    assert requests_of(replicator) == 2
    assert organizations.get("p", local["id"]) is None


def test_a_group_has_the_name(replicate: Any, target: Site) -> None:
    """A group of the target with the name of an organization is not taken for it."""
    target.call("group_create", name="city")
    with pytest.raises(Refused) as raised:
        replicate().remote_id(city()["id"])
    assert "name" in raised.value.errors


def test_an_outage_is_no_missing_organization(replicate: Any, server: Server) -> None:
    """An organization is made only if the target says that there is none; an outage is not remembered."""
    local = city()
    server.close()
    replicator = replicate(ckan_url=server.url)
    for count in (1, 2):
        with pytest.raises(RemoteUnavailable):
            replicator.remote_id(local["id"])
        assert requests_of(replicator) == count


# -- pictures


def shown_picture(target: Site) -> str:
    return target.call("organization_show", id="city")["image_url"]


def test_a_picture_is_copied_once(replicate: Any, target: Site, server: Server) -> None:
    """The picture is uploaded with the organization, and again only if it is another one."""
    url = server.on("/city.png", answer(body=PICTURE, content_type="image/png"))
    local = city(image_url=url)
    replicate().remote_id(local["id"])
    first = shown_picture(target)
    assert first.endswith(".png") and "/" not in first
    replicate(update_organization=True).remote_id(local["id"])
    assert (shown_picture(target), server.paths()) == (first, ["/city.png"])
    model.Group.get(local["id"]).image_url = server.on("/new.gif", answer(body=PICTURE, content_type="image/png"))
    model.Session.commit()
    replicate(update_organization=True).remote_id(local["id"])
    assert shown_picture(target) != first
    model.Group.get(local["id"]).image_url = ""
    model.Session.commit()
    replicate(update_organization=True).remote_id(local["id"])
    assert shown_picture(target) == ""
    assert server.paths() == ["/city.png", "/new.gif"]


@pytest.mark.parametrize(
    "handler",
    [
        answer(500),
        answer(body=b"<p>Please log in", content_type="text/html"),
        answer(body=b"not one", content_type="image/png"),
        answer(body=b""),
    ],
)
def test_a_picture_stops_nothing(
    replicate: Any, target: Site, server: Server, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture that cannot be had, or that the target does not take, is logged; the organization is there."""
    local = city(image_url=server.on("/city.png", handler))
    replicate().remote_id(local["id"])
    assert "The picture of the organization city was not copied" in caplog.text
    assert not shown_picture(target)
    server.on("/city.png", answer(body=PICTURE, content_type="image/png"))
    replicate(update_organization=True).remote_id(local["id"])
    assert shown_picture(target)


def test_a_picture_from_where_nobody_may_go(replicate: Any, target: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The address of a picture is bound by the same rules as any other: people who may edit it reach nothing inside."""
    local = city(image_url="http://169.254.169.254/latest/meta-data")
    replicate().remote_id(local["id"])
    assert "metadata service" in caplog.text
    assert not shown_picture(target)


def test_a_picture_that_was_uploaded_here(replicate: Any, target: Site, ckan_config: Any, tmp_path: Any) -> None:
    """An upload of this portal needs no request to itself."""
    ckan_config["ckan.storage_path"] = str(tmp_path)
    folder = tmp_path / "storage" / "uploads" / "group"
    folder.mkdir(parents=True)
    (folder / "2026-city.png").write_bytes(PICTURE)
    local = city()
    model.Group.get(local["id"]).image_url = "2026-city.png"
    model.Session.commit()
    replicate().remote_id(local["id"])
    assert shown_picture(target).endswith("city.png")


def test_no_upload_means_a_link(replicate: Any, target: Site, server: Server) -> None:
    """If pictures are not to be uploaded, the target links to ours."""
    url = server.on("/city.png", answer(body=PICTURE, content_type="image/png"))
    replicate(upload_organization_image=False).remote_id(city(image_url=url)["id"])
    assert shown_picture(target) == url
    assert server.paths() == []


def test_a_picture_of_a_hook(replicate: Any, target: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook may put a file of its own into the payload."""
    monkeypatch.setattr(OrganizationHook, "picture", ("hook.png", io.BytesIO(PICTURE), "image/png"))
    replicate().remote_id(city()["id"])
    assert shown_picture(target).endswith("hook.png")
