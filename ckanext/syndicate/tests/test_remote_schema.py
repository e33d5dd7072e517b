"""A target that has a schema of its own, with fields for what are extras here."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ckan.tests import factories
from ckanapi.common import ActionShortcut, reverse_apicontroller_action

from ckanext.syndicate.domain.diff import differences
from ckanext.syndicate.domain.marker import Marker, marker_of
from ckanext.syndicate.domain.payload import onto, seal
from ckanext.syndicate.remote import Refused, Target

#: CKAN's example of a schema, which has the field ``custom_text``
PLUGINS = "example_idatasetform_v4"

pytestmark = pytest.mark.usefixtures("syndicate_portal")


class Api:
    """A client of ckanapi for the application of the tests."""

    def __init__(self, app: Any, token: str) -> None:
        self.action = ActionShortcut(self)
        self._app, self._headers = app, {"Authorization": token}

    def call_action(self, action: str, data_dict: dict[str, Any]) -> Any:
        url = f"/api/action/{action}"
        answer = self._app.post(url, json=data_dict, headers=self._headers)
        return reverse_apicontroller_action(url, answer.status_code, answer.get_data(as_text=True))


@pytest.fixture
def portal(app: Any) -> Iterator[Target]:
    """This portal as if it were another one: through its API."""
    token = factories.SysadminWithToken()["token"]
    here = SimpleNamespace(ckan_url="http://here", get_target=lambda: Api(app, token))
    with Target(here) as portal:
        yield portal


def payload(name: str, **extras: str) -> dict[str, Any]:
    listed = [{"key": key, "value": value} for key, value in extras.items()]
    return seal(
        {"name": name, "title": name, "type": "dataset", "extras": listed},
        marker=Marker(f"http://there/dataset/{name}", ("http://there",)),
        resource_ids={},
        groups=(),
        vocabularies={},
        local_vocabularies={},
    ).payload


def test_an_extra_becomes_a_field(portal: Target) -> None:
    """What the target has a field for arrives in it; after the first refusal nothing is sent twice."""
    created = portal.create(payload("roads", custom_text="long", other="1"))
    assert created["custom_text"] == "long"
    assert portal.requests == 2
    assert marker_of(created) is not None
    assert {extra["key"] for extra in created["extras"]} >= {"other"}
    sent = onto(payload("roads", custom_text="longer", other="2"), created, ())
    assert [each.field for each in differences(created, sent)] == ["extras.custom_text", "extras.other"]
    updated = portal.update(sent)
    assert updated is not None and updated["custom_text"] == "longer"
    assert differences(updated, sent) == ()
    assert portal.create(payload("streets", custom_text="short"))["custom_text"] == "short"
    assert portal.requests == 4


def test_a_refusal_for_another_reason_stays_one(portal: Target) -> None:
    """Only what the target says of extras is sent in another way."""
    portal.create(payload("roads"))
    with pytest.raises(Refused) as raised:
        portal.create(payload("roads", custom_text="x"))
    assert "name" in raised.value.errors
    assert portal.requests == 3
