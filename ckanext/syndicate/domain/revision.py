"""An update of a copy in one call, ``package_revise`` of CKAN, without a look at the copy before it.

The call changes the copy only if it is as our last write left it: then nothing in it needs to be looked at but what
``metadata_modified`` does not tell, the groups. These the call leaves as they are, and the answer shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .payload import COMPUTED_OF_RESOURCE, NOTED, PLACE_OF_FILE, Dataset

#: What a resource may have at the target although we do not send it.
_OF_TARGET = COMPUTED_OF_RESOURCE | PLACE_OF_FILE | {*NOTED, "created"}


def request(payload: Mapping[str, Any], modified: str) -> Dataset:
    """Return what ``package_revise`` is asked for, so that a copy becomes what ``package_update`` would make of it.

    What the target noted of a file stays, if we know less of it and the resource links to the same one.

    :param payload: as for ``package_update``; its groups are those that we sent the last time
    :param modified: ``metadata_modified`` of the copy when we wrote it the last time
    """
    resources = [_said(resource) for resource in payload.get("resources") or ()]
    links = [{"id": resource.get("id"), "url": resource.get("url")} for resource in resources]
    # what is in lists and objects would be mixed with what was in them before
    nested = [
        f"-resources__{number}__{key}"
        for number, resource in enumerate(resources)
        for key, value in resource.items()
        if isinstance(value, (dict, list))
    ]
    update = {key: value for key, value in payload.items() if key != "groups"}
    return {
        "match": {"id": payload["id"], "metadata_modified": modified, "resources": links},
        "filter": [*nested, "+groups", "+resources", "-*"],
        "update": {**update, "resources": resources},
    }


def _said(resource: Mapping[str, Any]) -> Dataset:
    return {key: value for key, value in resource.items() if key not in NOTED or value not in (None, "")}


def holds(answer: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Return whether a copy is what ``package_update`` would have made of it.

    It is not if there are resources that are no more, or fields of them, or if somebody took it out of a group.

    :param answer: the copy, as the target shows it after the call
    :param payload: as for :func:`request`
    """
    sent, there = payload.get("resources") or (), answer.get("resources") or ()
    if [resource.get("id") for resource in there] != [resource.get("id") for resource in sent]:
        return False
    for resource, shown in zip(sent, there, strict=True):
        if any(value not in (None, "") for key, value in shown.items() if key not in {*resource, *_OF_TARGET}):
            return False
    groups = [{group.get("name") for group in side.get("groups") or ()} for side in (payload, answer)]
    return groups[0] <= groups[1]
