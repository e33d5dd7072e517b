"""Harvesters as third parties write them: nothing is used here but what the contract promises.

What a stage does is up to the test, which puts functions into the script.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
from ckan import model
from sqlalchemy import text

from ckanext.harvest.harvesters.base import HarvesterBase
from ckanext.harvest.interfaces import IHarvester
from ckanext.harvest.model import HarvestJob, HarvestObject

#: What a test gives for a stage: a function of the job or object, or the answer itself.
Stage = Callable[[Any], Any] | Any


def answer(stage: Stage, argument: Any) -> Any:
    """Let a stage answer."""
    return stage(argument) if callable(stage) else stage


@dataclass
class Script:
    """What the harvester does.

    :param guids: of the records that the default gather stage finds
    """

    guids: tuple[str, ...] = ("one",)
    gather: Stage = None
    fetch: Stage = None
    imports: Stage = None
    calls: list[str] = field(default_factory=list)


class ScriptedHarvester(HarvesterBase):
    """A harvester on top of HarvesterBase, as most are."""

    script: Script = Script()

    def info(self) -> dict[str, Any]:
        return {"name": "scripted", "title": "Scripted", "description": "Does what a test says"}

    def gather_stage(self, harvest_job: HarvestJob) -> Any:
        self.script.calls.append("gather")
        stage = save_objects if self.script.gather is None else self.script.gather
        return answer(stage, harvest_job)

    def fetch_stage(self, harvest_object: HarvestObject) -> Any:
        self.script.calls.append(f"fetch {harvest_object.guid}")
        stage = fetch if self.script.fetch is None else self.script.fetch
        return answer(stage, harvest_object)

    def import_stage(self, harvest_object: HarvestObject) -> Any:
        self.script.calls.append(f"import {harvest_object.guid}")
        stage = self.save if self.script.imports is None else self.script.imports
        return answer(stage, harvest_object)

    def save(self, obj: HarvestObject) -> Any:
        """Save the dataset of a record with the help of the base class."""
        package = {"id": package_id(obj.guid), "title": f"Record {obj.guid}", "notes": obj.content}
        return self._create_or_update_package(package, obj, package_dict_form="package_show")


class BareHarvester(p.SingletonPlugin):
    """A harvester that implements the interface alone, and nothing of it that may be left out."""

    p.implements(IHarvester)

    guids = ("bare-1", "bare-2")

    def info(self) -> dict[str, Any]:
        return {"name": "bare", "title": "Bare", "description": "Has no base class"}

    def gather_stage(self, harvest_job: HarvestJob) -> list[str]:
        return [_saved(HarvestObject(guid=guid, job=harvest_job)) for guid in self.guids]

    def fetch_stage(self, harvest_object: HarvestObject) -> bool:
        return fetch(harvest_object)

    def import_stage(self, harvest_object: HarvestObject) -> bool:
        return save_by_hand(harvest_object)


def package_id(guid: str) -> str:
    """Return the id of the dataset of a record."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, guid))


def save_objects(job: HarvestJob) -> list[str]:
    """Gather what the script says, an object a record."""
    return [_saved(HarvestObject(guid=guid, job=job)) for guid in ScriptedHarvester.script.guids]


def _saved(obj: HarvestObject) -> str:
    obj.save()
    return obj.id


def fetch(obj: HarvestObject) -> bool:
    """Fetch a record."""
    obj.content = f"Content of {obj.guid} in job {obj.harvest_job_id}"
    obj.save()
    return True


def save_by_hand(obj: HarvestObject) -> bool:
    """Save the dataset of a record as harvesters do that choose its id: the object first, the dataset after it."""
    dataset_id = package_id(obj.guid)
    exists = model.Package.get(dataset_id) is not None
    model.Session.query(HarvestObject).filter(HarvestObject.package_id == dataset_id).update({"current": False}, False)
    obj.package_id = dataset_id
    obj.current = True
    obj.add()
    model.Session.execute(text("SET CONSTRAINTS harvest_object_package_id_fkey DEFERRED"))
    model.Session.flush()
    user = tk.get_action("get_site_user")({"ignore_auth": True, "defer_commit": True}, {})["name"]
    context = {"user": user, "ignore_auth": True}
    package = {"id": dataset_id, "name": f"by-hand-{obj.guid}", "title": obj.guid, "notes": obj.content}
    if exists:
        tk.get_action("package_update")(context, package)
    else:
        context["schema"] = _schema_with_id()
        tk.get_action("package_create")(context, package)
    model.Session.commit()
    return True


def _schema_with_id() -> dict[str, Any]:
    from ckan.logic.schema import default_create_package_schema

    return default_create_package_schema() | {"id": [tk.get_validator("unicode_safe")]}
