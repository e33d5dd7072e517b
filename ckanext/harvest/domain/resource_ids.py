"""Which resource of a record is which resource of the dataset here.

Views, links and tables of the DataStore hang on the id of a resource. It must not change because the remote portal
makes new ids, or because a harvester knows none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Resource = dict[str, Any]
_Key = Callable[[int, Mapping[str, Any]], Hashable | None]
#: What a portal says of a resource that is its own, and says nothing about the resource itself.
_OF_PORTAL = {"metadata_modified", "package_id", "position"}
#: What a resource has here though its record does not say it.
_BY_ITSELF = {"created", "state"}


def keep(resources: Sequence[Resource], existing: Sequence[Mapping[str, Any]], are_remote: bool) -> None:
    """Give the resources of a record the ids under which the dataset has them already, in place.

    They are recognised by id, then by URL, and if the ids are remote ones then by name and format, and last by their
    place, if there are as many as before and the format is the same. Each id is given once.

    :param are_remote: the ids of the record were made elsewhere; otherwise its harvester knows what it gives, and only
        resources without an id get one
    """
    matched: dict[int, str] = {}
    left = {each["id"]: (place, each) for place, each in enumerate(existing)}
    for same in _recognised_by(are_remote, len(resources) == len(existing)):
        found: dict[Hashable, list[str]] = {}
        for existing_id, (place, each) in left.items():
            found.setdefault(same(place, each), []).append(existing_id)
        for place, resource in enumerate(resources):
            wants_one = are_remote or same is _id or not resource.get("id")
            key = same(place, resource)
            if wants_one and place not in matched and key is not None and found.get(key):
                matched[place] = found[key].pop(0)
                del left[matched[place]]
    _assign(resources, matched, are_remote)


def as_before(resources: Sequence[Resource], existing: Iterable[Resource]) -> list[Resource]:
    """Return the resources of a record, those that have not changed just as the dataset has them: CKAN then leaves them
    alone, so that their time of change stays what it was.

    :param existing: the resources of the dataset, under the ids that :func:`keep` has given to those of the record
    """
    here = {each["id"]: each for each in existing}
    found = (here.get(_text(each, "id") or "") for each in resources)
    return [
        dict(old) if old is not None and _is_same(each, old) else each
        for each, old in zip(resources, found, strict=True)
    ]


def _is_same(resource: Resource, existing: Resource) -> bool:
    if "mimetype" not in resource:
        return False  # CKAN guesses it when it writes the resource
    fields = (resource.keys() | existing.keys() - _BY_ITSELF) - _OF_PORTAL
    empty = (None, "")
    return all(
        resource.get(field) == existing.get(field) or (resource.get(field) in empty and existing.get(field) in empty)
        for field in fields
    )


def _assign(resources: Sequence[Resource], matched: Mapping[int, str], are_remote: bool) -> None:
    taken = set(matched.values())
    for place, resource in enumerate(resources):
        if place in matched:
            resource["id"] = matched[place]
        elif are_remote and (own := _text(resource, "id")):
            if own in taken:
                del resource["id"]  # a double, or one that is another resource here
            taken.add(own)


def _recognised_by(are_remote: bool, as_many: bool) -> Iterable[_Key]:
    if not are_remote:
        return (_id, _url)
    return (_id, _url, _name, _place) if as_many else (_id, _url, _name)


def _id(place: int, resource: Mapping[str, Any]) -> Hashable | None:
    return _text(resource, "id")


def _url(place: int, resource: Mapping[str, Any]) -> Hashable | None:
    url = _text(resource, "url")
    # as CKAN shows one that names no scheme
    return url if url is None or urlsplit(url).scheme else f"http://{url.lstrip('/')}"


def _name(place: int, resource: Mapping[str, Any]) -> Hashable | None:
    name = _text(resource, "name")
    return (name.lower(), _format(resource)) if name else None


def _place(place: int, resource: Mapping[str, Any]) -> Hashable | None:
    return place, _format(resource)


def _format(resource: Mapping[str, Any]) -> str:
    return (_text(resource, "format") or "").lower()


def _text(resource: Mapping[str, Any], field: str) -> str | None:
    value = resource.get(field)
    return (value.strip() or None) if isinstance(value, str) else None


def usable(resource_id: object) -> bool:
    """Tell whether CKAN takes this as the id of a resource."""
    try:
        return isinstance(resource_id, str) and bool(uuid.UUID(resource_id))
    except ValueError:
        return False
