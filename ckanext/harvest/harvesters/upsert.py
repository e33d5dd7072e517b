"""Saving the dataset of a record."""

from __future__ import annotations

import datetime
import logging
import uuid
from typing import TYPE_CHECKING, Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.logic.schema import default_create_package_schema
from dateutil.parser import isoparse

from ckanext.harvest import config
from ckanext.harvest.domain import ckan_mapping, resource_ids
from ckanext.harvest.model import HarvestObject, work
from ckanext.relay import search

if TYPE_CHECKING:
    from .base import HarvesterBase

log = logging.getLogger(__name__)

_object = HarvestObject.__table__


def create_or_update(
    harvester: HarvesterBase, package: dict[str, Any], obj: HarvestObject, form: str
) -> bool | str | None:
    """Create the dataset of a record, or update it if the record changed.

    :param form: ``rest`` or ``package_show``, see ``HarvesterBase._create_or_update_package``
    :returns: True, ``'unchanged'``, or None when CKAN finds it invalid and an error was saved
    """
    if form == "rest":
        _from_rest(package)
    package.setdefault("id", str(uuid.uuid4()))
    if isinstance(harvester.config, dict) and harvester.config.get("clean_tags"):
        package["tags"] = harvester._clean_tags(package.get("tags") or [])
    _recognise_tags(package, obj)
    user = harvester._get_user_name()
    context = {
        "user": user,
        "api_version": 3,
        "ignore_auth": True,
        "schema": _schema(),
        "return_id_only": True,
    }
    if harvester.batched_writes and (batch := getattr(obj, "batch", None)) is not None:
        context["auth_user_obj"] = _user(user, batch.memo)
    try:
        try:
            existing = harvester._find_existing_package(package)
        except tk.ObjectNotFound:
            return _create(harvester, context, package, obj)
        return _update(harvester, context, package, existing, obj)
    except tk.ValidationError as error:
        message = f"Invalid package with GUID {obj.guid}: {error.error_dict!r}"
        model.Session.rollback()
        harvester._save_object_error(message, obj, "Import")
        return None


def _user(name: str, memo: dict[str, Any]) -> model.User | None:
    """Return who the datasets of a batch are saved as; CKAN would ask for it at each check of access."""
    known: model.User | None = memo.get(f"user {name}")
    if known is None or known not in model.Session:
        known = memo[f"user {name}"] = model.User.get(name)
    return known


def _create(harvester: HarvesterBase, context: Any, package: dict[str, Any], obj: HarvestObject) -> bool:
    package["name"] = harvester._gen_new_name(package.get("name") or package.get("title") or package["id"])
    _leave_out_none(package, {})
    # the dataset does not exist yet
    model.Session.execute(sa.text("SET CONSTRAINTS harvest_object_package_id_fkey DEFERRED"))
    _make_current(obj, package["id"])
    log.info("Package with GUID %s does not exist, it is created", obj.guid)
    _save("package_create", harvester, context, package, obj)
    return True


def _update(
    harvester: HarvesterBase, context: Any, package: dict[str, Any], existing: dict[str, Any], obj: HarvestObject
) -> bool | str:
    package["id"] = existing["id"]
    package["name"] = existing["name"]
    if obj.current and obj.package_id == existing["id"] and not getattr(obj, "force_import", False):
        # imported already by a worker that died before it could say so, and before the dataset was indexed
        if (batch := getattr(obj, "batch", None)) is not None:
            batch.saved[obj.id] = existing["id"]
        return True
    if not _is_newer(package, existing, obj):
        log.info("Package with GUID %s is up to date", obj.guid)
        return "unchanged"
    resources, known = package.get("resources") or [], existing.get("resources") or []
    resource_ids.keep(resources, known, harvester.resource_ids_are_remote)
    if resources:
        package["resources"] = resource_ids.as_before(resources, known)
    _leave_out_none(package, existing)
    if existing.get("state") == "deleted":
        package["state"] = package.get("state") or "active"  # it is back
    for field in config.not_overwrite_fields():
        if field in existing:
            package[field] = existing[field]
    log.info("Package with GUID %s is updated", obj.guid)
    older = sa.update(_object).where(_object.c.package_id == existing["id"], _object.c.current, _object.c.id != obj.id)
    model.Session.execute(older.values(current=False))
    _make_current(obj, existing["id"])
    if harvester.batched_writes:
        context["original_package"] = existing  # CKAN need not ask for it again
    _save("package_update", harvester, context, package, obj)
    return True


def _save(action: str, harvester: HarvesterBase, context: Any, package: dict[str, Any], obj: HarvestObject) -> None:
    batch = getattr(obj, "batch", None)
    if batch is None or not harvester.batched_writes:
        if batch is not None and not work.is_mine(obj.id, batch.lease_id):
            return  # it was aborted meanwhile: the runner throws away what was done for it
        tk.get_action(action)(context, package)
        model.Session.commit()
        return
    # the runner commits the dataset with the final state of the object, and indexes it with its batch
    with search.saved(package["id"], batch.documents):
        tk.get_action(action)(context | {"defer_commit": True}, package)
    batch.saved[obj.id] = package["id"]


def _make_current(obj: HarvestObject, package_id: str) -> None:
    """Make an object the current one of its dataset. Does not commit."""
    obj.package_id = package_id
    obj.current = True
    obj.add()
    model.Session.flush()


def _leave_out_none(package: dict[str, Any], existing: dict[str, Any]) -> None:
    """Say nothing of relationships where there are none, neither in the record nor here: CKAN need not look."""
    for field in ("relationships_as_subject", "relationships_as_object"):
        if package.get(field) == [] and not existing.get(field):
            del package[field]


def _is_newer(package: dict[str, Any], existing: dict[str, Any], obj: HarvestObject) -> bool:
    if obj.content_hash or getattr(obj, "force_import", False):
        return True  # its content was compared when it was gathered
    given, local = package.get("metadata_modified"), existing.get("metadata_modified")
    if not given or not local:
        return True
    try:
        return _utc(given) > _utc(local)
    except ValueError:
        log.warning("Package with GUID %s has no valid metadata_modified: %r", obj.guid, given)
        return True


def _utc(text: str) -> datetime.datetime:
    parsed = isoparse(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)


def _recognise_tags(package: dict[str, Any], obj: HarvestObject) -> None:
    """Give tags the ids that they have here: CKAN looks for each that has none. Those of a record are of its portal."""
    tags = [tag for tag in package.get("tags") or () if isinstance(tag, dict)]
    for tag in tags:
        tag.pop("id", None)
    if (batch := getattr(obj, "batch", None)) is None:
        return
    # with the tags themselves: the session forgets what nobody keeps
    known: dict[str, tuple[str, model.Tag]] = batch.memo.setdefault("tags", {})
    free = {tag["name"]: tag for tag in tags if not tag.get("vocabulary_id") and ckan_mapping.is_key(tag.get("name"))}
    if new := free.keys() - known:
        wanted = model.Session.query(model.Tag).filter(model.Tag.name.in_(new), model.Tag.vocabulary_id.is_(None))
        known |= {tag.name: (tag.id, tag) for tag in wanted}
    for name in free.keys() & known:
        free[name]["id"] = known[name][0]


def _schema() -> dict[str, Any]:
    """CKAN's own schema, but the remote portal says the id, and fields that it alone knows are no error."""
    ignore, ignore_missing = tk.get_validator("ignore"), tk.get_validator("ignore_missing")
    schema = default_create_package_schema()
    return schema | {
        "id": [ignore_missing, tk.get_validator("unicode_safe")],
        "tags": schema["tags"] | {"id": [ignore_missing]},
        "__junk": [ignore],
    }


def _from_rest(package: dict[str, Any]) -> None:
    """Turn tags that are strings, extras that are a dictionary and groups that are names into lists of dictionaries."""
    if isinstance(package.get("extras"), dict):
        package["extras"] = [{"key": key, "value": value} for key, value in package["extras"].items()]
    for field in ("tags", "groups"):
        items = package.get(field) or []
        if items and isinstance(items[0], str):
            package[field] = [{"name": item} for item in items]
