"""What would change at a target."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

#: never changed by an update, or compared in a way of their own
_APART = frozenset(("id", "type", "owner_org", "extras", "tags", "groups", "resources"))


@dataclass(frozen=True)
class Difference:
    """One field that is not at the target as it is sent.

    :ivar field: ``title``, ``extras.<key>``, ``resources.<id>.<field>``; ``resources.<id>`` if all of it is new or
        gone, ``resources`` if only their order is another one
    :ivar old: what is there, None if nothing
    :ivar new: what is sent, None if nothing
    """

    field: str
    old: Any
    new: Any


def differences(remote: Mapping[str, Any], payload: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return where the copy at a target is not what a payload says, in what counts.

    Only fields that are sent count. The order of tags, groups and extras does not, nor whether nothing is '', None or
    missing, nor what a target makes of formats, dates and numbers.

    :param remote: as ``package_show`` of the target shows it
    :param payload: a sealed one, as it would be sent: for an update as ``payload.onto`` makes it
    """
    return (
        *_fields(remote, payload),
        *_owner(remote, payload),
        *_extras(remote, payload),
        *_names("tags", remote, payload),
        *_names("groups", remote, payload),
        *_resources(remote, payload),
    )


def _fields(remote: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Difference]:
    there = _extras_of(remote)
    for field, new in payload.items():
        if field in _APART:
            continue
        # a field of a schema may be an extra where there is no schema
        old = remote[field] if field in remote else there.get(field)
        if field == "title" and _is_nothing(new) and old == remote.get("name"):
            continue  # what CKAN calls a dataset without a title
        if not is_same(old, new):
            yield Difference(field, old, new)


def _owner(remote: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Difference]:
    new = payload.get("owner_org")
    if _is_nothing(new):
        return  # an update without an owner leaves the one that is there
    old, name = remote.get("owner_org"), (remote.get("organization") or {}).get("name")
    if new not in (old, name):
        yield Difference("owner_org", name or old, new)


def _extras(remote: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Difference]:
    if "extras" not in payload:
        return
    there, sent = _extras_of(remote), _extras_of(payload)
    for key in dict.fromkeys((*sent, *there)):
        old, new = there.get(key), sent.get(key)
        if key not in there and key in remote:
            old = remote[key]  # the target has a schema with a field for it
        if not is_same(old, new):
            yield Difference(f"extras.{key}", old, new)


def _extras_of(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {extra["key"]: extra.get("value") for extra in dataset.get("extras") or () if extra.get("key")}


def _names(field: str, remote: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare tags or groups, which are a set."""
    if field not in payload:
        return
    there, sent = remote.get(field) or (), payload[field] or ()
    if {_key(each) for each in there} != {_key(each) for each in sent}:
        yield Difference(field, _listed(there), _listed(sent))


def _key(named: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a tag or a group is known by."""
    return str(named.get("name") or named.get("id") or ""), str(named.get("vocabulary_id") or "")


def _listed(named: Any) -> list[str]:
    return sorted(_key(each)[0] for each in named)


def _resources(remote: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Difference]:
    if "resources" not in payload:
        return
    there = {resource["id"]: resource for resource in remote.get("resources") or () if resource.get("id")}
    order = []
    for number, new in enumerate(payload["resources"] or ()):
        old = there.get(new.get("id"))
        label = new.get("id") or number + 1
        order.append(label)
        if old is None:
            yield Difference(f"resources.{label}", None, _label(new))
            continue
        for field, value in new.items():
            if field != "id" and not _is_same_in(field, old.get(field), value):
                yield Difference(f"resources.{label}.{field}", old.get(field), value)
    for gone in there.keys() - set(order):
        yield Difference(f"resources.{gone}", _label(there[gone]), None)
    if there.keys() == set(order) and list(there) != order:
        yield Difference("resources", list(there), order)


def _label(resource: Mapping[str, Any]) -> str:
    return str(resource.get("name") or resource.get("url") or "")


def _is_same_in(field: str, old: Any, new: Any) -> bool:
    """Compare a field of a resource: CKAN writes formats in its own way, and guesses them if there is none."""
    if field != "format":
        return is_same(old, new)
    return _is_nothing(new) or _format(old) == _format(new)


def _format(value: Any) -> str:
    return str(value or "").casefold().strip().rpartition("/")[2].lstrip(".")


def is_same(old: Any, new: Any) -> bool:
    """Tell whether two values of a field are the same to a portal."""
    if old == new or (_is_nothing(old) and _is_nothing(new)):
        return True
    if isinstance(old, bool) or isinstance(new, bool):
        return _switch(old) == _switch(new)
    if isinstance(old, (dict, list)) or isinstance(new, (dict, list)):
        return _structure(old) == _structure(new)
    time = _date(old)
    return str(old).strip() == str(new).strip() or (time is not None and time == _date(new))


def _is_nothing(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _switch(value: Any) -> str:
    return "false" if _is_nothing(value) else str(value).strip().lower()


def _structure(value: Any) -> Any:
    """Return a list or an object, also if it is written as a text, as extras are."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _date(value: Any) -> datetime | None:
    """Return the UTC time that a text is; CKAN gives seconds more or fewer digits."""
    if not isinstance(value, str) or len(value) < len("2026-01-01"):
        return None
    try:
        time = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return time.astimezone(timezone.utc).replace(tzinfo=None) if time.tzinfo else time
