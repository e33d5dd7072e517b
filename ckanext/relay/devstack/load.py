"""Load datasets, one JSON object a line, into a portal through its action API; loading them again changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests
from ckanapi import RemoteCKAN
from ckanapi.errors import CKANAPIError, NotAuthorized, NotFound, SearchError, ServerIncompatibleError, ValidationError

Dict = dict[str, Any]

REFUSALS = (
    *(ValidationError, NotAuthorized, NotFound, SearchError, CKANAPIError, ServerIncompatibleError),
    requests.RequestException,
)

THREADS = 4  # The portal is one process: more would only queue up there.
# What a portal decides itself. A file that was exported from another portal has them, and they mean nothing here.
KEPT_BY_PORTAL = {
    "id",
    "owner_org",
    "organization",
    "groups",
    "creator_user_id",
    "metadata_created",
    "metadata_modified",
    "num_resources",
    "num_tags",
    "isopen",
    "license_title",
    "license_url",
    "relationships_as_object",
    "relationships_as_subject",
    "revision_id",
    "state",
    "type",
}
KEPT_BY_PORTAL_IN_RESOURCE = {
    "id",
    "package_id",
    "created",
    "last_modified",
    "metadata_modified",
    "position",
    "revision_id",
    "state",
    "cache_last_updated",
    "cache_url",
    "url_type",
}


@dataclass
class Loaded:
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[str] = field(default_factory=list)


class BadLine(Exception):
    """A line that is no dataset; the message says what is wrong with it."""


def load(
    lines: list[bytes], portal: Callable[[], RemoteCKAN], advance: Callable[[int], None] = lambda step: None
) -> Loaded:
    """Create or update the dataset of each line, and the organisations and groups that they name.

    A line that cannot be loaded is reported with its number and the rest goes on. ``portal`` makes a client; each
    thread has its own.
    """
    loaded = Loaded()
    good = list(read(lines, loaded.errors))
    loaded.errors += make_owners([dataset for _, dataset in good], portal())
    thread = threading.local()

    def one(numbered: tuple[int, Dict]) -> tuple[int, str, str]:
        number, dataset = numbered
        if not hasattr(thread, "portal"):
            thread.portal = portal()
        try:
            return number, put(thread.portal, dataset), ""
        except REFUSALS as error:
            return number, "", f"{dataset['name']}: {explain(error)}"

    advance(len(lines) - len(good))
    with ThreadPoolExecutor(THREADS) as pool:
        for number, change, problem in pool.map(one, good):
            advance(1)
            if problem:
                loaded.errors.append(f"line {number}: {problem}")
            else:
                setattr(loaded, change, getattr(loaded, change) + 1)
    return loaded


def read(lines: list[bytes], errors: list[str]) -> Iterator[tuple[int, Dict]]:
    """The datasets with their line numbers; what is wrong with the other lines is added to the errors."""
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            dataset = parse(line)
            if (name := dataset["name"]) in seen:
                raise BadLine(f"the name {name!r} was already used in line {seen[name]}")
        except BadLine as error:
            errors.append(f"line {number}: {error}")
            continue
        seen[name] = number
        yield number, dataset


def parse(line: bytes) -> Dict:
    try:
        dataset = json.loads(line)
    except ValueError as error:  # Bytes that are no text are one, too.
        raise BadLine(f"not JSON: {error}") from error
    if not isinstance(dataset, dict):
        raise BadLine("not a JSON object")
    if not isinstance(dataset.get("name"), str) or not dataset["name"]:
        raise BadLine("a dataset needs a name")
    owner = dataset.get("organization")
    if owner and not (isinstance(owner, dict) and owner.get("name")):
        raise BadLine("organization must be an object with a name")
    for key, needed in {"groups": "name", "tags": "name", "extras": "key", "resources": ""}.items():
        parts = dataset.get(key) or []
        if not isinstance(parts, list) or not all(
            isinstance(part, dict) and part.get(needed, not needed) for part in parts
        ):
            raise BadLine(f"{key} must be a list of objects" + f" with a {needed}" * bool(needed))
    return dataset


def make_owners(datasets: list[Dict], portal: RemoteCKAN) -> list[str]:
    """Create the organisations and groups that the portal lacks; those that are there stay as they are. What failed."""
    errors = []
    for kind, wanted in (
        ("organization", [dataset["organization"] for dataset in datasets if dataset.get("organization")]),
        ("group", [group for dataset in datasets for group in dataset.get("groups") or []]),
    ):
        for name, owner in {owner["name"]: owner for owner in wanted}.items():
            try:
                portal.call_action(f"{kind}_show", {"id": name})
            except NotFound:
                try:
                    portal.call_action(
                        f"{kind}_create", {key: owner[key] for key in ("name", "title") if owner.get(key)}
                    )
                except REFUSALS as error:
                    errors.append(f"{kind} {name}: {explain(error)}")
    return errors


def explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{field}: {problem}" for field, problem in error.error_dict.items() if field != "__type")


def put(portal: RemoteCKAN, dataset: Dict) -> str:
    """Create the dataset, or give the one of this name the same content: ``created``, ``updated`` or ``unchanged``."""
    wanted = for_portal(dataset)
    try:
        found = portal.call_action("package_show", {"id": wanted["name"]})
    except NotFound:
        portal.call_action("package_create", wanted)
        return "created"
    if same(wanted, found):
        return "unchanged"
    keep_resource_ids(wanted["resources"], found["resources"])
    portal.call_action("package_update", wanted)
    return "updated"


def same(wanted: Dict, found: Dict) -> bool:
    """Whether the portal shows what the line says. CKAN's own comparison sees changes where there are none."""
    found = {**found, "owner_org": (found["organization"] or {}).get("name")}
    return all(comparable(key, value) == comparable(key, found.get(key), like=value) for key, value in wanted.items())


def comparable(key: str, value: Any, like: Any = None) -> Any:
    """A field as it stands in a file and as a portal shows it, made alike: the portal adds ids, order and defaults."""
    if not value:
        return None
    if key in ("tags", "groups"):
        return sorted(item["name"] for item in value)
    if key == "extras":
        return sorted((extra["key"], str(extra.get("value"))) for extra in value)
    if key == "resources":
        fields = [sorted(resource) for resource in like or value]
        return [
            [(name, comparable(name, resource.get(name))) for name in names]
            for names, resource in zip(fields, value, strict=False)
        ] + [len(value)]
    return str(value).lower() if key == "format" else str(value)


def for_portal(dataset: Dict) -> Dict:
    wanted = {key: value for key, value in dataset.items() if key not in KEPT_BY_PORTAL}
    if dataset.get("organization"):
        wanted["owner_org"] = dataset["organization"]["name"]
    wanted["groups"] = [{"name": group["name"]} for group in dataset.get("groups") or []]
    wanted["resources"] = [
        {key: value for key, value in resource.items() if key not in KEPT_BY_PORTAL_IN_RESOURCE}
        for resource in dataset.get("resources") or []
    ]
    return wanted


def keep_resource_ids(wanted: list[Dict], found: list[Dict]) -> None:
    """Give each resource the id of a present one with the same URL: otherwise it would be a new resource."""
    unused: dict[str, list[str]] = {}
    for resource in found:
        unused.setdefault(resource["url"], []).append(resource["id"])
    for resource in wanted:
        if ids := unused.get(resource.get("url", "")):
            resource["id"] = ids.pop(0)
