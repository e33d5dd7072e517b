"""What a source gives to be synchronized into a portal, checked."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from ckanext.relay.errors import RelayError

from .synchronization import Record


class BadSource(RelayError):
    """The data to be synchronized are not what they must be; nothing was written.

    :ivar kind: ``dataset``, ``group``, ``organization``; empty if it is about all data
    :ivar key: the source id of what is wrong; empty if it is about all of a kind
    """

    def __init__(self, message: str, kind: str = "", key: str = "") -> None:
        where = f"{kind} {key!r}: " if key else f"{kind}: " if kind else ""
        super().__init__(where + message)
        self.kind, self.key = kind, key

    def __str__(self) -> str:
        return self.message


class MissingKey(BadSource, KeyError):
    """Something that is needed, or that is referred to, is not there."""


class InvalidData(BadSource, ValueError):
    """Something is not what it must be."""


_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "extras": ((Mapping,), "a mapping"),
    "groups": ((list, tuple, set, frozenset), "a list of names"),
    "tags": ((list, tuple, set, frozenset), "a list of names"),
    "resources": ((list, tuple), "a list of mappings"),
}
#: what the kinds are called in messages
_SHORT = {"group": "group", "organization": "org"}


class Source:
    """Checked data of a source. Datasets are read one by one when they are needed, and never changed.

    :param data: ``{"dataset": {id: record}, "group": {name: record}, "organization": {name: record}}``
    :raises MissingKey: something is not there, or is unknown
    :raises InvalidData: something is not what it must be
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._datasets = _of_kind(data, "dataset")
        self.groups = _named("group", _of_kind(data, "group"))
        self.organizations = _named("organization", _of_kind(data, "organization"))
        self._keys: dict[str, Hashable] = {}
        deleted = set()
        for key, record in self._datasets.items():
            source_id = str(key)
            if source_id in self._keys:
                raise InvalidData("is given twice", "dataset", source_id)
            self._check(source_id, record)
            self._keys[source_id] = key
            if record.get("state") == "deleted":
                deleted.add(source_id)
        #: the source ids of all datasets that are not deleted, in their order
        self.ids: Collection[str] = dict.fromkeys(each for each in self._keys if each not in deleted).keys()

    def dataset(self, source_id: str) -> Mapping[str, Any]:
        """Return a dataset as the source gives it."""
        record: Mapping[str, Any] = self._datasets[self._keys[source_id]]
        return record

    def _check(self, source_id: str, record: Any) -> None:
        _check_types("dataset", source_id, record)
        for field in ("groups", "owner_org"):
            if field not in record:
                raise MissingKey(f"{field!r} is missing", "dataset", source_id)
        for name in record["groups"] or ():
            if str(name) not in self.groups:
                raise MissingKey(f"the group {name!r} is not among the groups", "dataset", source_id)
        owner = record["owner_org"]
        if owner is not None and str(owner) not in self.organizations:
            raise MissingKey(f"the organization {owner!r} is not among the organizations", "dataset", source_id)


def _of_kind(data: Mapping[str, Any], kind: str) -> Mapping[Any, Any]:
    if not isinstance(data, Mapping):
        raise InvalidData("The data are no mapping with the keys dataset, group and organization")
    if kind not in data:
        raise MissingKey(f"The data have no key {kind!r}; it may be empty, but must be there", kind)
    if not isinstance(data[kind], Mapping):
        raise InvalidData("is no mapping of ids to objects", kind)
    records: Mapping[Any, Any] = data[kind]
    return records


def _named(kind: str, records: Mapping[Any, Any]) -> dict[str, Record]:
    """Return groups or organizations by name, each with its name."""
    named: dict[str, Record] = {}
    for key, record in records.items():
        name = str(key)
        _check_types(kind, name, record)
        if record.get("name", name) != name:
            raise InvalidData(f"Mismatching {_SHORT[kind]} name! It is {record['name']!r}", kind, name)
        named[name] = {**record, "name": name}
    return named


def _check_types(kind: str, key: str, record: Any) -> None:
    if not isinstance(record, Mapping):
        raise InvalidData("is no mapping", kind, key)
    for field, (types, expected) in _TYPES.items():
        value = record.get(field)
        if value is not None and not isinstance(value, types):
            raise InvalidData(f"{field!r} is not {expected}", kind, key)
    for name in (*(record.get("groups") or ()), *(record.get("tags") or ())):
        if not isinstance(name, (str, int)):
            raise InvalidData(f"{name!r} among the groups or tags is no name", kind, key)
    if not all(isinstance(resource, Mapping) for resource in record.get("resources") or ()):
        raise InvalidData("'resources' is not a list of mappings", kind, key)
