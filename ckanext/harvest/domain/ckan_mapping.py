"""How a dataset of a remote CKAN becomes one of ours: small steps, each of which changes the dictionary it is given."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import resource_ids, source_config

#: What no text of PostgreSQL holds.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
#: What a remote portal counts about a record, which says nothing about the record itself.
_VOLATILE = ("tracking_summary",)
#: What of a source's configuration changes what is imported. The rest says what is gathered, and how.
_IMPORT_KEYS = (
    "clean_tags",
    "default_extras",
    "default_groups",
    "default_tags",
    "override_extras",
    "remote_groups",
    "remote_orgs",
)


def content_hash(record: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return a hash that is equal for two records which would be imported alike.

    :param record: a dataset as the remote portal shows it
    :param config: the configuration of the source
    """
    content = {key: value for key, value in record.items() if key not in _VOLATILE}
    settings = {key: config[key] for key in _IMPORT_KEYS if config.get(key)}
    text = json.dumps([content, settings], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_key(value: object) -> bool:
    """Tell whether PostgreSQL can be asked for this, or store it: a text without NUL and without halves of characters,
    both of which JSON may hold."""
    return isinstance(value, str) and bool(value) and not _NO_TEXT.search(value)


def malformed(record: Mapping[str, Any]) -> str | None:
    """Say what of a record has not the shape in which CKAN shows it, or None. CKAN says whether the rest is valid."""
    for field in ("name", "title"):
        if not isinstance(record.get(field), (str, type(None))):
            return f"{field} is no text"
    for field in ("tags", "groups", "extras", "resources"):
        items = record.get(field)
        if items is not None and not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            return f"{field} is no list of objects"
    if any("key" not in extra for extra in record.get("extras") or ()):
        return "an extra has no key"
    if not isinstance(record.get("organization"), (dict, type(None))):
        return "organization is no object"
    return None


def add_tags(package: dict[str, Any], default_tags: Iterable[Mapping[str, Any]]) -> None:
    """Append the tags that the dataset does not have."""
    tags = package.setdefault("tags", [])
    tags.extend(dict(tag) for tag in default_tags if tag not in tags)


def add_groups(package: dict[str, Any], groups: Iterable[Mapping[str, Any]]) -> None:
    """Append the groups that the dataset is not in."""
    present = package.setdefault("groups", [])
    ids = {group.get("id") for group in present}
    present.extend({"id": group["id"], "name": group["name"]} for group in groups if group["id"] not in ids)


def add_extras(
    package: dict[str, Any], default_extras: Mapping[str, Any], override: bool, replacements: Mapping[str, str]
) -> None:
    """Add extras, text with ``{replacement}`` fields filled in.

    :param override: replace an extra that the dataset has already
    :raises ValueError: a text cannot be filled in, and no form has checked it
    """
    extras = package.setdefault("extras", [])
    for key, value in default_extras.items():
        present = any(extra["key"] == key for extra in extras)
        if present and not override:
            continue
        if present:
            extras[:] = [extra for extra in extras if extra["key"] != key]
        if isinstance(value, str):
            value = source_config.fill_in(key, value, replacements)
        extras.append({"key": key, "value": value})


def references(package: Mapping[str, Any]) -> set[str]:
    """Return the ids and names of the groups of a remote dataset, and of its organization."""
    described = [*(package.get("groups") or ()), package.get("organization") or {}, {"id": package.get("owner_org")}]
    found = (each.get(field) for each in described for field in ("id", "name"))
    return {value for value in found if is_key(value)}


def ids_of_resources(package: Mapping[str, Any]) -> set[str]:
    """Return the ids that the resources of a dataset have, those that CKAN takes."""
    ids = (resource.get("id") for resource in package.get("resources") or ())
    return {each for each in ids if resource_ids.usable(each)}


def drop_resource_ids(package: Mapping[str, Any], owners: Mapping[str, str]) -> None:
    """Take the ids from those resources that CKAN would refuse or take from another dataset.

    :param owners: which dataset has a resource of an id; one that is not in it is free
    """
    for resource in package.get("resources") or ():
        resource_id = resource.get("id")
        taken = isinstance(resource_id, str) and owners.get(resource_id, package["id"]) != package["id"]
        if taken or not resource_ids.usable(resource_id):
            resource.pop("id", None)


def clean_resources(package: dict[str, Any]) -> None:
    """Drop what ties a resource to the remote portal: an upload there is a plain link here."""
    for resource in package.get("resources") or ():
        resource.pop("url_type", None)
        resource.pop("revision_id", None)


def clean_group(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a remote group or organization makes one of ours."""
    left_out = {
        "packages", "package_count", "created", "users", "groups", "tags", "extras", "display_name",
        "image_display_url", "num_followers",
    }  # fmt: skip
    return {key: value for key, value in group.items() if key not in left_out}
