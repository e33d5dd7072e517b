"""What a dataset of a portal becomes by a source that is synchronized into it.

A *record* is a dataset, group or organization as a source gives it: extras as a mapping, groups and tags as lists of
names, ``owner_org`` as the name of an organization. What the API of a portal takes and answers is converted here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .diff import differences
from .payload import COMPUTED, COMPUTED_OF_RESOURCE

Record = dict[str, Any]

#: the extra that says where a dataset comes from: ``<source name>:<source id>``
HARVEST_SOURCE_ID_FIELD = "_harvest_source"
#: how long the names of new datasets are at most
LONGEST_NAME = 80
#: how often another name is tried if one is taken
TRIES_OF_NAMES = 5

#: Fields of each record; what a source leaves out is empty at the portal.
_EMPTY: Mapping[str, Any] = {
    **dict.fromkeys(
        ["title", "author", "author_email", "license_id", "maintainer", "maintainer_email", "notes", "url"], ""
    ),
    **dict.fromkeys(("groups", "resources", "tags"), ()),
    "extras": {},
}
#: Fields of datasets that only mean something where they come from.
_FOREIGN = frozenset(
    [
        "id",
        "ckan_url",
        "display_name",
        "download_url",
        "notes_rendered",
        "ratings_average",
        "ratings_count",
        "relationships",
    ]
)
_OF_DATASET = COMPUTED | _FOREIGN
_OF_RESOURCE = COMPUTED_OF_RESOURCE | {"id"}
#: The same of groups and organizations. Members and datasets of a group are none of our business.
_OF_GROUP = frozenset(
    [
        "id",
        "created",
        "display_name",
        "image_display_url",
        "is_organization",
        "num_followers",
        "package_count",
        "packages",
        "revision_id",
        "type",
        "users",
    ]
)
#: What is known of a file, and not of the next one.
_OF_FILE = frozenset(
    [
        "cache_last_updated",
        "cache_url",
        "format",
        "hash",
        "last_modified",
        "mimetype",
        "mimetype_inner",
        "size",
        "url_type",
    ]
)


# -- where a dataset comes from


def join_source_id(source_name: str, source_id: str) -> str:
    """Return the marker of a dataset.

    :raises ValueError: a source cannot have this name
    """
    if not source_name or ":" in source_name:
        raise ValueError(f"{source_name!r} cannot be the name of a source: it must not be empty or have a colon")
    return f"{source_name}:{source_id}"


def parse_source_id(marker: str) -> tuple[str, str]:
    """Return source name and source id of a marker; the id may have colons.

    :raises ValueError: it is no marker
    """
    source_name, colon, source_id = str(marker).partition(":")
    if not colon or not source_name:
        raise ValueError(f"{marker!r} is not <source name>:<source id>")
    return source_name, source_id


def source_id_of(dataset: Mapping[str, Any], source_name: str) -> str | None:
    """Return the source id of a dataset of a portal, or None if it is not from this source."""
    for extra in dataset.get("extras") or ():
        if extra.get("key") == HARVEST_SOURCE_ID_FIELD:
            name, colon, source_id = str(extra.get("value")).partition(":")
            return source_id if colon and name == source_name else None
    return None


def source_query(source_name: str) -> str:
    """Return the ``fq`` that finds all datasets of a source, and maybe some of others.

    CKAN indexes each extra under its own name as a string as well. A question mark is any one character: so none needs
    to be escaped. What comes back is to be looked at again with ``source_id_of``.
    """
    return f"{HARVEST_SOURCE_ID_FIELD}:{re.sub(r'[^a-zA-Z0-9]', '?', source_name)}?*"


# -- names


def wanted_name(record: Mapping[str, Any]) -> str:
    """Return the name that a new dataset is to have."""
    return str(record.get("name") or "")[:LONGEST_NAME]


def names_for(wanted: str, marker: str) -> Iterator[str]:
    """Yield the names to try for a dataset: the wanted one, then with six digits that are always the same ones for the
    same dataset, so that a dataset is found again whose creation was not answered."""
    yield wanted
    for number in range(TRIES_OF_NAMES):
        digest = hashlib.sha256(f"{number} {marker}".encode()).digest()
        yield f"{wanted}-{int.from_bytes(digest[:8], 'big') % 10**6:06}"


def _has_name(name: str, wanted: str) -> bool:
    """Tell whether a dataset is called as wanted, or as near to it as could be when it was created."""
    return name == wanted or re.fullmatch(re.escape(wanted) + r"-\d{6}", name) is not None


# -- records


def from_portal(dataset: Mapping[str, Any]) -> Record:
    """Return the record of a dataset as a portal shows it."""
    return {
        **dataset,
        "extras": {extra["key"]: extra.get("value") for extra in dataset.get("extras") or ()},
        "groups": [group["name"] for group in dataset.get("groups") or ()],
        "tags": [tag["name"] for tag in dataset.get("tags") or () if not tag.get("vocabulary_id")],
        "owner_org": (dataset.get("organization") or {}).get("name") or dataset.get("owner_org"),
    }


def prepared(record: Mapping[str, Any], marker: str) -> Record:
    """Return a dataset of a source as it is to be at the portal if nothing is there yet."""
    return {
        **_EMPTY,
        **{field: value for field, value in record.items() if field not in _OF_DATASET},
        "owner_org": None if record.get("owner_org") is None else str(record["owner_org"]),
        "extras": {**(record.get("extras") or {}), HARVEST_SOURCE_ID_FIELD: marker},
    }


def merged(old: Record, new: Mapping[str, Any], conf: Mapping[str, Any]) -> Record:
    """Return the record that the dataset of a portal is to have.

    :param old: what it has
    :param new: what the source has
    :param conf: ``dataset_preserve_names``, ``dataset_preserve_organization``, ``dataset_group_merge_strategy``
    """
    result = {**_EMPTY, "state": "active", **new, "id": old.get("id")}
    wanted = wanted_name(new)
    if conf["dataset_preserve_names"] or not wanted or _has_name(old.get("name") or "", wanted):
        result["name"] = old.get("name")
    else:
        result["name"] = wanted
    if conf["dataset_preserve_organization"] and old.get("owner_org"):
        result["owner_org"] = old["owner_org"]
    before, after = old.get("groups") or (), new.get("groups") or ()
    groups = {"add": (*before, *after), "replace": after, "preserve": before}
    result["groups"] = list(dict.fromkeys(groups[conf["dataset_group_merge_strategy"]]))
    result["resources"] = merged_resources(old.get("resources") or (), new.get("resources") or ())
    return result


def merged_resources(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return the resources of a source, each with the id and what else is known of the one at the portal that it is:
    the one with the same id, else with the same URL and name, else the same URL, else the same name."""
    left = list(old)
    taken: dict[int, Mapping[str, Any]] = {}
    for fields in (("id",), ("url", "name"), ("url",), ("name",)):
        for number, resource in enumerate(new):
            key = [resource.get(field) for field in fields]
            if number in taken or not all(key):
                continue
            same = next((each for each in left if [each.get(field) for field in fields] == key), None)
            if same is not None:
                taken[number] = same
                left.remove(same)
    return [_onto(taken.get(number, {}), resource) for number, resource in enumerate(new)]


def _onto(old: Mapping[str, Any], new: Mapping[str, Any]) -> Record:
    kept = {field: value for field, value in old.items() if field not in COMPUTED_OF_RESOURCE}
    if old.get("url") != new.get("url"):
        kept = {field: value for field, value in kept.items() if field not in _OF_FILE}
    given = {field: value for field, value in new.items() if field not in _OF_RESOURCE}
    return {**kept, "name": "", "description": "", **given}


def payload(record: Mapping[str, Any], vocabulary_tags: Sequence[Mapping[str, Any]] = ()) -> Record:
    """Return what the API takes for a record of a dataset.

    :param vocabulary_tags: those that the dataset has at the portal, and keeps
    """
    result = {field: value for field, value in record.items() if field not in _OF_DATASET}
    tags = [{"name": name} for name in dict.fromkeys(map(str, record.get("tags") or ()))]
    kept = [{"name": tag["name"], "vocabulary_id": tag["vocabulary_id"]} for tag in vocabulary_tags]
    return {
        **result,
        "extras": _extras(record),
        "groups": [{"name": str(name)} for name in record.get("groups") or ()],
        "tags": [*tags, *kept],
        "resources": [dict(resource) for resource in record.get("resources") or ()],
    }


def _extras(record: Mapping[str, Any]) -> list[Record]:
    extras = record.get("extras") or {}
    return [{"key": str(key), "value": _text(value)} for key, value in extras.items() if value is not None]


def _text(value: Any) -> str:
    """Return the text that an extra has for a value."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def changes(remote: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """Return the fields, as the API takes them, in which a dataset of a portal is not as its record.

    :param remote: as the portal shows it
    """
    tags = [tag for tag in remote.get("tags") or () if tag.get("vocabulary_id")]
    return _differing(remote, payload(record, tags))


def _differing(remote: Mapping[str, Any], wanted: Record) -> Record:
    fields = {difference.field.partition(".")[0] for difference in differences(remote, wanted)}
    return {field: value for field, value in wanted.items() if field in fields}


def is_as_before(remote: Mapping[str, Any], answer: Mapping[str, Any], fields: Collection[str]) -> bool:
    """Return whether an update has changed nothing: a portal may write a value in its own way, or not keep it.

    :param remote: what there was
    :param answer: what there is
    :param fields: which were sent
    """
    now = {field: answer.get(field) for field in fields}
    if "resources" in now:
        now["resources"] = [_without(resource, COMPUTED_OF_RESOURCE) for resource in now["resources"] or ()]
    return not differences(remote, now)


def unkept(answer: Mapping[str, Any], sent: Mapping[str, Any]) -> set[str]:
    """Return the fields that were sent with a value and that the portal does not have."""
    return {field for field, value in sent.items() if field not in answer and value not in (None, "", [], {})}


def _without(record: Mapping[str, Any], fields: Collection[str]) -> Record:
    return {field: value for field, value in record.items() if field not in fields}


def group_payload(record: Mapping[str, Any]) -> Record:
    """Return what the API takes for a group or an organization; what the source leaves out stays as it is."""
    result = _without(record, _OF_GROUP) | {"state": "active"}
    if "extras" in record:
        result["extras"] = _extras(record)
    for field in ("groups", "tags"):
        if field in record:
            result[field] = [{"name": str(name)} for name in record[field] or ()]
    return result


def group_changes(remote: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """Return the fields in which a group or an organization is not as its record."""
    return _differing(remote, group_payload(record))


# -- deletion


def most_deletions(max_delete: int | str | None, there: int, given: int) -> int:
    """Return how many datasets one run may delete.

    :param max_delete: a number; a share of those that are there (``"20%"``); ``"all"``; None for a tenth, with at least
        ten let through unless they are more than half, and none if the source is empty
    :param there: how many datasets of the source the portal has
    :param given: how many the source has
    :raises ValueError: it is none of these
    """
    if max_delete is None:
        return max(-(-there // 10), min(-(-there // 2), 10)) if given else 0
    if max_delete == "all":
        return there
    share = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", max_delete) if isinstance(max_delete, str) else None
    if share and float(share[1]) <= 100:
        return int(there * float(share[1]) / 100)
    if isinstance(max_delete, int) and not isinstance(max_delete, bool) and max_delete >= 0:
        return max_delete
    raise ValueError(f"max_delete is {max_delete!r}; it is a number, a share such as '20%', 'all', or None")
