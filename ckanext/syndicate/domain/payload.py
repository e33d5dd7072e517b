"""What is sent to a target of a dataset."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from .marker import Marker

Dataset = dict[str, Any]
_Sign = Callable[[Mapping[str, Any]], Any]

#: names the ids that resources get at targets; never to be changed
_NAMESPACE = uuid.UUID("5c1a7be2-0d3f-5b5e-9d4c-2f6f0a4f8b1e")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Fields of a dataset that each portal computes by itself, or that mean something at one portal only.
COMPUTED = _words(
    "archiver creator_user_id isopen license_title license_url metadata_created metadata_modified num_resources"
    " num_tags organization plugin_data qa relationships_as_object relationships_as_subject revision_id"
    " revision_timestamp tracking_summary"
)
#: The same of a resource.
COMPUTED_OF_RESOURCE = _words(
    "archiver can_be_previewed datastore_active datastore_contains_all_records_of_source_file has_views"
    " is_local_resource metadata_modified on_same_domain package_id position qa resource_group_id revision_id"
    " revision_timestamp state tracking_summary"
)
#: Where a resource keeps its file here; at the target it is a link to it.
PLACE_OF_FILE = _words("cache_filepath cache_last_updated cache_url url_type webstore_last_updated webstore_url")
#: What a target finds out of the file of a resource, and notes there.
NOTED = ("datastore_active", "format", "hash", "last_modified", "mimetype", "mimetype_inner", "size")
#: Names of fields of each dataset, which CKAN does not take as keys of extras.
FIELDS = _words(
    "author author_email extras groups id license_id maintainer maintainer_email metadata_modified name notes owner_org"
    " plugin_data private relationships_as_object relationships_as_subject resources return_to save state tag_string"
    " tags title type url version"
)


@dataclass(frozen=True)
class Vocabulary:
    """A tag vocabulary of the target.

    :ivar id: its id there
    :ivar tags: the names of its tags
    """

    id: str
    tags: frozenset[str]


@dataclass(frozen=True)
class Sealed:
    """A dataset as it is sent.

    :ivar payload: plain JSON for ``package_create`` or ``package_update``; groups and vocabularies as the target has
        them
    :ivar hash: of what we wish to be there, whatever the target has of it: equal hashes need no request. ``id`` is not
        in it, name, organization and ids of resources at the target are
    :ivar groups: names of the groups that are sent
    :ivar dropped: what the target does not have or take, one sentence each, for people
    :ivar asks: whether the payload hangs on what the target has: groups, vocabularies
    """

    payload: Dataset
    hash: str
    groups: tuple[str, ...]
    dropped: tuple[str, ...]
    asks: bool


def prepared(
    dataset: Mapping[str, Any],
    *,
    name: str | None,
    owner_org: str | None,
    remote_id: str | None,
    without_extras: Collection[str] = (),
) -> Dataset:
    """Return a dataset as hooks get it: as ``package_show`` has it, apart from id, name, organization and some extras;
    resources with all that is known of them, as links to where they are here, and with their ids here.

    :param dataset: as ``package_show`` shows it here, with the extras as they are stored; it is not changed
    :param name: at the target; None if the target keeps the one it has
    :param owner_org: id or name of the organization at the target
    :param remote_id: the id at the target; None if it is not there yet
    :param without_extras: keys of extras that are left out
    """
    made = {key: value for key, value in dataset.items() if key not in ("id", "name", "organization")}
    made["owner_org"] = owner_org
    if name is not None:
        made["name"] = name
    if remote_id is not None:
        made["id"] = remote_id
    if "extras" in made:
        made["extras"] = [dict(extra) for extra in made["extras"] or () if extra.get("key") not in without_extras]
    if "resources" in made:
        made["resources"] = [_without(resource, PLACE_OF_FILE) for resource in made["resources"] or ()]
    return made


def seal(
    prepared: Mapping[str, Any],
    *,
    marker: Marker,
    resource_ids: Mapping[str, str],
    groups: Collection[str] | None,
    vocabularies: Mapping[str, Vocabulary] | None,
    local_vocabularies: Mapping[str, str],
) -> Sealed:
    """Return what to send of what the hooks made: with marker and resource ids, without what the target computes.

    The hash does not hang on ``groups`` and ``vocabularies``. So who only wants to know whether anything changed leaves
    them None; if ``asks`` is then true, the payload must not be sent, but sealed again with what the target has.

    :param prepared: it is not changed
    :param resource_ids: ids at the target by id here; other ids, which a hook chose, stay
    :param groups: names of the groups that our user may use at the target
    :param vocabularies: tag vocabularies of the target, by name
    :param local_vocabularies: names of the vocabularies here, by id
    """
    wish: Dataset = plain(_without(prepared, COMPUTED))
    extras, dropped = _extras(wish.get("extras"))
    wish["extras"] = [{"key": key, "value": value} for key, value in {**extras, **marker.extras()}.items()]
    wish["resources"] = [_sealed_resource(resource, resource_ids) for resource in wish.get("resources") or ()]
    wish["groups"] = _groups(wish.get("groups"))
    wish["tags"] = _tags(wish.get("tags"), local_vocabularies)

    payload = dict(wish)
    payload["groups"], missing_groups = _usable_groups(wish["groups"], groups)
    payload["tags"], missing_tags = _usable_tags(wish["tags"], vocabularies)
    names = tuple(group["name"] for group in payload["groups"] if "name" in group)
    asks = bool(wish["groups"]) or any("vocabulary" in tag for tag in wish["tags"])
    return Sealed(payload, content_hash(wish), names, (*dropped, *missing_groups, *missing_tags), asks)


def onto(payload: Mapping[str, Any], remote: Mapping[str, Any], sent_groups: Collection[str]) -> Dataset:
    """Return a payload as an update of the copy at the target, which keeps what is the target's own: the groups that
    others put it into, and what the target noted of files that we know less of.

    :param payload: a sealed one
    :param remote: the copy, as ``package_show`` of the target shows it
    :param sent_groups: names of the groups that we sent the last time
    """
    ours = {group.get("name") for group in payload.get("groups") or ()}.union(sent_groups)
    others = [{"name": group["name"]} for group in remote.get("groups") or () if group.get("name") not in ours]
    known = {resource.get("id"): resource for resource in remote.get("resources") or ()}
    resources = [_noted(resource, known.get(resource.get("id"), {})) for resource in payload.get("resources") or ()]
    return {**payload, "id": remote["id"], "groups": [*(payload.get("groups") or ()), *others], "resources": resources}


def resource_ids(
    resources: Iterable[Mapping[str, Any]],
    profile_id: str,
    known: Mapping[str, str],
    remote_resources: Sequence[Mapping[str, Any]] = (),
) -> dict[str, str]:
    """Return the id at the target of each resource that has one here.

    A resource keeps the id that it has: the recorded one, else that of the remote resource which must be it: by its
    id, by URL and name, by URL alone. One that is new gets an id that will be the same whenever it is asked for.

    :param resources: as they are here
    :param known: what was recorded: ids at the target by id here
    :param remote_resources: those of the copy, if it was shown
    """
    here = [resource for resource in resources if resource.get("id")]
    derived = {r["id"]: str(uuid.uuid5(_NAMESPACE, f"{profile_id}/{r['id']}")) for r in here}
    found = {r["id"]: known[r["id"]] for r in here if r["id"] in known}
    free = [r for r in remote_resources if r.get("id") and r["id"] not in found.values()]
    # what a resource here and its remote one have in common
    signs: tuple[tuple[_Sign, _Sign], ...] = (
        (lambda r: derived[r["id"]], lambda r: r["id"]),
        (lambda r: r["id"], lambda r: r["id"]),  # hooks may have sent our ids
        (_url_and_name, _url_and_name),
        (_url, _url),
    )
    for sign, remote_sign in signs:
        for resource in here:
            twins = [r for r in free if remote_sign(r) == sign(resource)] if resource["id"] not in found else ()
            if twins:
                found[resource["id"]] = twins[0]["id"]
                free.remove(twins[0])
    return {r["id"]: found.get(r["id"], derived[r["id"]]) for r in here}


def _url(resource: Mapping[str, Any]) -> Any:
    return resource.get("url") or ""


def _url_and_name(resource: Mapping[str, Any]) -> Any:
    return resource.get("url") or "", resource.get("name") or ""


def content_hash(payload: Mapping[str, Any]) -> str:
    """Return a hash of a payload that does not hang on the order of tags, groups and extras, nor on the ``id``."""
    content = {key: value for key, value in payload.items() if key != "id"}
    for key in ("tags", "groups", "extras"):
        if content.get(key):
            content[key] = sorted(content[key], key=_canonical)
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def plain(value: Any) -> Any:
    """Return a deep copy that is JSON and nothing else, whatever a hook put into it: dates as text, sets in order."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(inner) for inner in value), key=_canonical)
    if isinstance(value, date):  # datetime is one
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _without(fields: Mapping[str, Any], keys: Collection[str]) -> Dataset:
    return {key: value for key, value in fields.items() if key not in keys}


def _extras(extras: Any) -> tuple[dict[str, str], list[str]]:
    """Return the extras that CKAN takes, the last of each key, and what must be said of the others."""
    kept: dict[str, str] = {}
    dropped = []
    for extra in extras or ():
        key, value = str(extra.get("key") or "").strip(), extra.get("value")
        if key in FIELDS:
            dropped.append(f"Extra {key}: there is a field of that name")
        elif key and value is not None:
            kept[key] = value if isinstance(value, str) else _text(value)
    return kept, dropped


def _text(value: Any) -> str:
    """Return the text that CKAN makes of a value of an extra."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, (dict, list)) else str(value)


def _sealed_resource(resource: Mapping[str, Any], ids: Mapping[str, str]) -> Dataset:
    sealed = _without(resource, COMPUTED_OF_RESOURCE)
    if "id" in sealed:
        sealed["id"] = ids.get(sealed["id"], sealed["id"])
    return sealed


def _groups(groups: Any) -> list[Dataset]:
    """Return references to groups, each once: by name, or by the id alone if a hook knows no more."""
    references = [group if isinstance(group, dict) else {"name": group} for group in groups or ()]
    named = [{"name": each["name"]} if each.get("name") else {"id": each.get("id")} for each in references]
    return [group for number, group in enumerate(named) if any(group.values()) and group not in named[:number]]


def _usable_groups(groups: Iterable[Dataset], usable: Collection[str] | None) -> tuple[list[Dataset], list[str]]:
    if usable is None:
        return list(groups), []
    kept = [group for group in groups if "name" not in group or group["name"] in usable]
    missing = [group["name"] for group in groups if group not in kept]
    return kept, [f"Group {name}: the target has none that we may put datasets into" for name in missing]


def _tags(tags: Any, local_vocabularies: Mapping[str, str]) -> list[Dataset]:
    """Return tags by name, each once; those of a vocabulary with its name, or with the id that a hook set."""
    made: list[Dataset] = []
    for tag in tags or ():
        named: Dataset = {"name": tag.get("name")} if isinstance(tag, dict) else {"name": tag}
        vocabulary_id = str(tag.get("vocabulary_id") or "") if isinstance(tag, dict) else ""
        if vocabulary_id in local_vocabularies:
            named["vocabulary"] = local_vocabularies[vocabulary_id]
        elif vocabulary_id:
            named["vocabulary_id"] = vocabulary_id
        if named["name"] and named not in made:
            made.append(named)
    return made


def _usable_tags(
    tags: Iterable[Dataset], vocabularies: Mapping[str, Vocabulary] | None
) -> tuple[list[Dataset], list[str]]:
    kept: list[Dataset] = []
    missing = []
    for tag in tags:
        vocabulary = (vocabularies or {}).get(tag.get("vocabulary", ""))
        if "vocabulary" not in tag:
            kept.append(tag)
        elif vocabulary is not None and tag["name"] in vocabulary.tags:
            kept.append({"name": tag["name"], "vocabulary_id": vocabulary.id})
        elif vocabularies is not None:
            missing.append(f"Tag {tag['name']}: the target has none in a vocabulary {tag['vocabulary']}")
    return kept, missing


def _noted(resource: Mapping[str, Any], there: Mapping[str, Any]) -> Dataset:
    """Return a resource with what the target noted of its file, as far as it is the same file and we say nothing."""
    if not there or resource.get("url") != there.get("url"):
        return dict(resource)
    noted = {key: there[key] for key in NOTED if there.get(key) and resource.get(key) in (None, "")}
    return {**resource, **noted}
