"""The harvester of the guide "Writing a harvester": datasets that somebody lists in a JSON file."""

from __future__ import annotations

import json

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest.harvesters import HarvesterBase
from ckanext.harvest.model import HarvestObject, HarvestObjectExtra


class ExampleHarvester(HarvesterBase):
    """Harvests ``{"datasets": [{"id": …, "title": …, "notes": …, "link": …}]}``."""

    def info(self):
        return {
            "name": "example",
            "title": "Example",
            "description": "Datasets listed in a JSON file",
            "form_config_interface": "Text",  # the form shows the configuration
        }

    def validate_config(self, config):
        if config and not isinstance(json.loads(config).get("token", ""), str):
            raise ValueError("token must be a string")  # shown at the field of the form
        return config

    def gather_stage(self, harvest_job):
        source = harvest_job.source
        config = self._resolve_config(source.config)  # "env:NAME" and "file:NAME" become what they stand for
        headers = {"Authorization": config["token"]} if config.get("token") else {}
        try:
            with self._guarded_session(headers) as session:
                answer = session.get(source.url)
                answer.raise_for_status()
                records = {record["id"]: record for record in answer.json()["datasets"]}
        except (OSError, ValueError, LookupError) as error:  # the errors of requests are OSErrors
            self._save_gather_error(f"{source.url} cannot be read: {error}", harvest_job)
            return None

        current = model.Session.query(HarvestObject).filter_by(harvest_source_id=source.id, current=True)
        known = {obj.guid: obj for obj in current}
        found = [
            HarvestObject(guid=guid, job=harvest_job, content=json.dumps(record)) for guid, record in records.items()
        ]
        gone = [
            HarvestObject(
                guid=guid,
                job=harvest_job,
                package_id=known[guid].package_id,
                extras=[HarvestObjectExtra(key="status", value="delete")],
            )
            for guid in known.keys() - records.keys()
        ]
        model.Session.add_all([*found, *gone])
        model.Session.commit()
        return [obj.id for obj in [*found, *gone]]

    def fetch_stage(self, harvest_object):
        return True  # the list had all that there is

    def import_stage(self, harvest_object):
        if any(extra.key == "status" and extra.value == "delete" for extra in harvest_object.extras):
            return self._delete(harvest_object)
        record = json.loads(harvest_object.content)
        if not record.get("title"):
            self._save_object_error("The record has no title", harvest_object, "Import")
            return False
        package = {
            "id": harvest_object.guid,
            "title": record["title"],
            "notes": record.get("notes", ""),
            "owner_org": model.Package.get(harvest_object.source.id).owner_org,
            "resources": [{"url": record["link"], "name": "Data"}] if record.get("link") else [],
        }
        return self._create_or_update_package(package, harvest_object, package_dict_form="package_show")

    def _delete(self, harvest_object):
        of_dataset = model.Session.query(HarvestObject).filter_by(package_id=harvest_object.package_id)
        of_dataset.update({"current": False}, False)
        context = {"user": self._get_user_name(), "ignore_auth": True}
        tk.get_action("package_delete")(context, {"id": harvest_object.package_id})
        return True
