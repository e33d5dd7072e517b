"""What an update in one call asks for, and when its answer is not what was meant."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.syndicate.domain.revision import holds, request

RESOURCE = {"id": "r1", "url": "http://here/1.csv", "format": "CSV", "size": None, "languages": ["de"], "note": ""}
PAYLOAD: dict[str, Any] = {
    "id": "copy",
    "name": "roads",
    "title": "Roads",
    "groups": [{"name": "ours"}],
    "resources": [RESOURCE],
}


def test_what_is_asked_for() -> None:
    """It must be as it was; all of it is replaced but groups and resources, and of these lists that would be mixed."""
    asked = request(PAYLOAD, "then")
    links = [{"id": "r1", "url": "http://here/1.csv"}]
    assert asked["match"] == {"id": "copy", "metadata_modified": "then", "resources": links}
    assert asked["filter"] == ["-resources__0__languages", "+groups", "+resources", "-*"]
    assert asked["update"].keys() == PAYLOAD.keys() - {"groups"}


def test_what_the_target_noted_is_not_overwritten() -> None:
    """Of a file we say only what we know; of everything else also that there is nothing."""
    (resource,) = request(PAYLOAD, "then")["update"]["resources"]
    assert "size" not in resource and resource["note"] == "" and resource["format"] == "CSV"


def test_a_dataset_without_anything() -> None:
    """Neither groups nor resources need be there."""
    assert request({"id": "copy", "name": "roads"}, "then")["match"]["resources"] == []
    assert holds({"id": "copy"}, {"id": "copy", "name": "roads"})


@pytest.mark.parametrize(
    ("there", "held"),
    [
        ({}, True),
        ({"groups": [{"name": "ours"}, {"name": "theirs"}]}, True),
        ({"groups": []}, False),
        ({"resources": [{**RESOURCE, "size": 3, "position": 0, "created": "then", "cache_url": ""}]}, True),
        ({"resources": [{**RESOURCE, "colour": "red"}]}, False),
        ({"resources": [{**RESOURCE, "colour": None}]}, True),
        ({"resources": [RESOURCE, {"id": "r2"}]}, False),
        ({"resources": []}, False),
    ],
)
def test_what_the_answer_shows(there: dict[str, Any], held: bool) -> None:
    """What we do not send must not be there, but for what the target notes, and groups of others."""
    assert holds({**PAYLOAD, **there}, PAYLOAD) is held
