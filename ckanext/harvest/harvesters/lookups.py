"""What the records of a batch ask of this portal, asked once for all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest.domain import ckan_mapping, ownership
from ckanext.harvest.model import HarvestObject, claims
from ckanext.relay import search

from .base import HarvesterBase
from .local_groups import LocalGroups

if TYPE_CHECKING:
    from .ckanharvester import CKANHarvester


class Lookups:
    """Groups, and whose the datasets and resources are that have the ids of records.

    What is asked for one record is asked for all that were claimed with it, with one query each.
    """

    def __init__(self, harvester: CKANHarvester, obj: HarvestObject, packages: list[dict[str, Any]]) -> None:
        self._harvester = harvester
        self._source_id = obj.harvest_source_id
        self.groups = LocalGroups(harvester, obj.source.url.rstrip("/"), obj.harvest_source_id, obj.harvest_job_id)
        if harvester.config.get("remote_groups") or harvester.config.get("remote_orgs"):
            self.groups.look_up({reference for package in packages for reference in ckan_mapping.references(package)})
        self._asked = {package["id"] for package in packages}
        self._owned = claims.of_datasets(self._asked)
        self._asked_resources = {each for package in packages for each in ckan_mapping.ids_of_resources(package)}
        self._resource_owners = claims.of_resources(self._asked_resources)

    @classmethod
    def of(cls, harvester: CKANHarvester, obj: HarvestObject, package: dict[str, Any]) -> Lookups:
        """Return what the object shares with its batch; outside the runner it shares nothing.

        :param package: the record of the object
        """
        batch = getattr(obj, "batch", None)
        if batch is None:
            return cls(harvester, obj, [package])
        if "lookups" not in batch.memo:
            lookups = batch.memo["lookups"] = cls(harvester, obj, [package, *_records(batch.objects)])
            if lookups._owned:
                search.read_ahead(lookups._owned)
        return batch.memo["lookups"]

    def row(self, package_id: str) -> model.Package | None:
        """Return the dataset that is here, as it is now. CKAN, which reads it more than once, finds it in the session
        as long as somebody keeps it."""
        if package_id not in self._owned:
            return None
        return model.Session.get(model.Package, package_id, populate_existing=True)

    def refusal(self, package: dict[str, Any]) -> str | None:
        """Return why the dataset that has the id of a record may not be changed, or None. See ``domain.ownership``."""
        package_id = package["id"]
        if package_id not in self._asked:
            self._asked.add(package_id)
            self._owned |= claims.of_datasets([package_id])
        owned = self._owned.get(package_id)
        if owned is None:
            return None
        if owned.type == "harvest":
            return "it is a harvest source of this portal"
        may_adopt = bool(self._harvester.config.get("adopt_existing"))
        return ownership.refusal(
            owned.claims,
            self._source_id,
            is_orphan=not owned.claims and owned.creator is not None and owned.creator == self._harvest_user(),
            may_adopt=may_adopt and owned.owner_org == self.groups.source_organization,
        )

    def _harvest_user(self) -> str | None:
        """Return the id of the user who does nothing but harvest, if the portal has one."""
        # not the one that the source may name: who edits the source could name anybody; nor the site user, in whose
        # name other programs make datasets
        name = HarvesterBase._get_user_name(self._harvester)
        if name == tk.get_action("get_site_user")({"ignore_auth": True, "defer_commit": True}, {})["name"]:
            return None
        user = model.User.get(name)
        return user.id if user is not None else None

    def drop_foreign_resource_ids(self, package: dict[str, Any]) -> None:
        """Take the ids from resources that belong to another dataset here, or that CKAN would refuse."""
        new = ckan_mapping.ids_of_resources(package) - self._asked_resources
        if new:
            self._asked_resources |= new
            self._resource_owners |= claims.of_resources(new)
        ckan_mapping.drop_resource_ids(package, self._resource_owners)
        # the next record of the batch may name the same ids
        self._resource_owners |= dict.fromkeys(ckan_mapping.ids_of_resources(package), package["id"])


def _records(objects: list[HarvestObject]) -> list[dict[str, Any]]:
    """Return the records of objects, as far as they are datasets that CKAN could show."""
    records = []
    for obj in objects:
        try:
            record = json.loads(obj.content or "null")
        except ValueError:
            continue
        if isinstance(record, dict) and ckan_mapping.is_key(record.get("id")) and not ckan_mapping.malformed(record):
            records.append(record)
    return records
