"""The harvester of other CKAN portals."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ckan.plugins.toolkit as tk
import requests as real_requests
from ckan import model

from ckanext.harvest.domain import ckan_mapping, source_config
from ckanext.harvest.model import HarvestJob, HarvestObject, pages
from ckanext.relay import config as relay_config
from ckanext.relay import secrets
from ckanext.relay.errors import RelayError, RemoteStatus, redact
from ckanext.relay.http import relay_errors
from ckanext.relay.session import session

from . import ckan_client
from .base import HarvesterBase
from .ckan_client import ContentFetchError, ContentNotFoundError, RemoteResourceError, SearchError
from .local_groups import LocalGroups

log = logging.getLogger(__name__)

__all__ = ["CKANHarvester", "ContentFetchError", "ContentNotFoundError", "RemoteResourceError", "SearchError"]

#: What this module uses of ``requests``; tests of third-party harvesters patch ``get`` here. It goes through the
#: guarded session, whose errors are those of ``requests``.
requests = SimpleNamespace(
    get=lambda url, **options: session().get(url, **options),
    exceptions=real_requests.exceptions,
    HTTPError=real_requests.HTTPError,
    RequestException=real_requests.RequestException,
)

#: How much earlier than the last run a remote portal may say that something changed: its index lags behind.
_OVERLAP = datetime.timedelta(hours=1)


class CKANHarvester(HarvesterBase):
    """Harvests the datasets of a remote CKAN."""

    config: Any = None

    api_version = 2
    action_api_version = 3
    batched_writes = True

    def info(self) -> dict[str, Any]:
        return {
            "name": "ckan",
            "title": "CKAN",
            "description": "Harvests remote CKAN instances",
            "form_config_interface": "Text",
        }

    # -- the remote portal

    def _get_action_api_offset(self) -> str:
        return f"/api/{self.action_api_version}/action"

    def _get_search_api_offset(self) -> str:
        return f"{self._get_action_api_offset()}/package_search"

    def _get_content(self, url: str) -> str:
        """Return the text at a URL of the remote portal.

        :raises ContentFetchError: it did not answer, or with an error
        """
        try:
            with relay_errors(url):
                response = requests.get(url, headers=self._headers())
                response.raise_for_status()
        except RemoteStatus as error:
            kind = ContentNotFoundError if error.status == 404 else ContentFetchError
            raise kind(f"HTTP error: {error.status} {error.url}") from None
        except RelayError as error:
            raise ContentFetchError(f"Request error: {error}" + (f" ({error.hint})" if error.hint else "")) from None
        except Exception as error:  # noqa: BLE001  the contract (section 13): callers wait for one kind of error
            raise ContentFetchError(f"HTTP general exception: {error}") from error
        return response.text

    def _headers(self) -> dict[str, str]:
        headers = {}
        settings = self.config or {}
        if settings.get("api_key"):
            headers["Authorization"] = secrets.resolve(str(settings.get("api_key")), relay_config.secrets_dir())
        if settings.get("user_agent"):
            headers["User-Agent"] = str(settings.get("user_agent"))
        return headers

    def _get_group(self, base_url: str, group: dict[str, Any]) -> dict[str, Any]:
        """Return a remote group, by its name or its id.

        :raises RemoteResourceError: it could not be read
        """
        url = base_url + self._get_action_api_offset() + "/group_show"
        try:
            return ckan_client.show(self._get_content, url, group.get("name") or group["id"])
        except RemoteResourceError:
            if not (group.get("name") and group.get("id")):
                raise
            return ckan_client.show(self._get_content, url, group["id"])

    def _get_organization(self, base_url: str, org_name: str) -> dict[str, Any]:
        """Return a remote organization; a portal that is older than organizations has it as a group.

        :raises RemoteResourceError: it could not be read
        """
        url = base_url + self._get_action_api_offset()
        try:
            return ckan_client.show(self._get_content, f"{url}/organization_show", org_name)
        except RemoteResourceError:
            return ckan_client.show(self._get_content, f"{url}/group_show", org_name)

    def _search_for_datasets(self, base_url: str, fq_terms: list[str] | None = None) -> list[dict[str, Any]]:
        """Return all datasets of the remote portal that a search finds, each once.

        :raises SearchError: they could not be read
        """
        found: dict[Any, dict[str, Any]] = {}
        for page in self._read_pages(base_url, fq_terms):
            for dataset in page:
                found.setdefault(dataset.get("id"), dataset)
        return list(found.values())

    def _search_pages(self, base_url: str, fq_terms: list[str] | None) -> Iterator[list[dict[str, Any]]]:
        if type(self)._search_for_datasets is not CKANHarvester._search_for_datasets:
            yield self._search_for_datasets(base_url, fq_terms)  # a subclass knows better where datasets are
            return
        yield from self._read_pages(base_url, fq_terms)

    def _read_pages(self, base_url: str, fq_terms: list[str] | None) -> Iterator[list[dict[str, Any]]]:
        return ckan_client.search_pages(self._get_content, base_url + self._get_search_api_offset(), fq_terms)

    # -- the configuration

    def _set_config(self, config_str: str | None) -> None:
        self.config = json.loads(config_str) if config_str else {}
        self.api_version = int(self.config.get("api_version") or type(self).api_version)

    def validate_config(self, config: str | None) -> str | None:
        """Check a configuration; its default groups and its user must exist on this portal.

        :returns: the configuration to store, in which the groups are looked up
        :raises ValueError: what is wrong
        """
        if not config:
            return config
        settings = source_config.parse(config)
        if "default_groups" in settings:
            groups = []
            for reference in settings["default_groups"]:
                group = model.Group.get(reference)
                if group is None or group.is_organization or group.state != "active":
                    raise ValueError("Default group not found")
                groups.append({"id": group.id, "name": group.name})
            settings["default_group_dicts"] = groups
            config = json.dumps(settings)
        if settings.get("user") and model.User.get(settings["user"]) is None:
            raise ValueError("User not found")
        return config

    def modify_package_dict(self, package_dict: dict[str, Any], harvest_object: HarvestObject) -> dict[str, Any]:
        """Return the dataset as it is to be saved: the hook for subclasses, and the last step before saving."""
        return package_dict

    def get_original_url(self, harvest_object_id: str) -> str | None:
        obj = HarvestObject.get(harvest_object_id)
        return f"{redact(obj.source.url).rstrip('/')}/dataset/{obj.guid}" if obj else None

    # -- the stages

    def gather_stage(self, harvest_job: HarvestJob) -> list[str] | None:
        ids = [object_id for page in self.gather_pages(harvest_job) for object_id in page]
        if not ids and any("Unable to search" in error.message for error in harvest_job.get_gather_errors()):
            return None
        return ids

    def gather_pages(self, harvest_job: HarvestJob) -> Iterator[list[str]]:
        """Save an object for each remote dataset that is new or changed, page by page, and yield the objects' ids.

        What is like the last time is saved as done, without its content.
        """
        self._set_config(harvest_job.source.config)
        base_url = harvest_job.source.url.rstrip("/")
        filters = source_config.search_filters(self.config)
        since = self._last_run(harvest_job)
        if since:
            try:
                changed = f"metadata_modified:[{(since - _OVERLAP).isoformat()}Z TO *]"
                yield from self._save_pages(harvest_job, base_url, [*filters, changed])
                return
            except SearchError as error:
                log.info("Searching %s for what changed failed, all is gathered: %s", redact(base_url), error)
        found = False
        try:
            for page in self._save_pages(harvest_job, base_url, filters or None):
                found = True
                yield page
        except SearchError as error:
            message = f"Unable to search remote CKAN for datasets:{error} url:{redact(base_url)}"
            self._save_gather_error(message, harvest_job)
            return
        if not found:
            self._save_gather_error(f"No datasets found at CKAN: {redact(base_url)}", harvest_job)

    def _last_run(self, job: HarvestJob) -> datetime.datetime | None:
        """Return since when only changes need be asked for: the last run without errors, unless all is wanted or the
        source was edited after it."""
        last = None if self.config.get("force_all") else self.last_error_free_job(job)
        if last is None:
            return None
        package = model.Package.get(job.source.id)
        edited = package is not None and package.metadata_modified > last.gather_started
        return None if edited else last.gather_started

    def _save_pages(self, job: HarvestJob, base_url: str, fq_terms: list[str] | None) -> Iterator[list[str]]:
        for datasets in self._search_pages(base_url, fq_terms):
            datasets = [dataset for dataset in datasets if dataset.get("type") != "harvest"]
            nameless = [dataset for dataset in datasets if not (dataset.get("id") and isinstance(dataset["id"], str))]
            if nameless:
                names = ", ".join(str(dataset.get("name")) for dataset in nameless[:5])
                self._save_gather_error(f"{len(nameless)} remote datasets have no id: {names}", job)
            records = {dataset["id"]: dataset for dataset in datasets if dataset not in nameless}
            yield pages.save(job, records, self.config)

    def fetch_stage(self, harvest_object: HarvestObject) -> bool:
        """Nothing to do: the search answered with whole datasets."""
        return True

    def import_stage(self, harvest_object: HarvestObject) -> bool | str | None:
        if harvest_object.content is None:
            self._save_object_error(f"Empty content for object {harvest_object.id}", harvest_object, "Import")
            return False
        self._set_config(harvest_object.source.config)
        package = json.loads(harvest_object.content)
        if package.get("type") == "harvest":
            log.info("Remote dataset %s is a harvest source, it is ignored", harvest_object.guid)
            return True
        if wrong := ckan_mapping.malformed(package):
            message = f"Invalid package with GUID {harvest_object.guid}: {wrong}"
            self._save_object_error(message, harvest_object, "Import")
            return False
        self._map(package, harvest_object)
        package = self.modify_package_dict(package, harvest_object)
        return self._create_or_update_package(package, harvest_object, package_dict_form="package_show")

    def _find_existing_package(self, package_dict: dict[str, Any]) -> dict[str, Any]:
        existing = super()._find_existing_package(package_dict)
        if existing["id"] != package_dict["id"]:  # found by its name, and a remote portal chooses ids as it likes
            raise tk.ValidationError({"id": [f"{package_dict['id']} is the name of another dataset"]})
        return existing

    def _map(self, package: dict[str, Any], obj: HarvestObject) -> None:
        """Turn a remote dataset into one of ours, in place."""
        base_url = obj.source.url.rstrip("/")
        groups = LocalGroups(self, base_url, obj.source.id)
        package["groups"] = groups.of_dataset(package.get("groups") or [], self.config.get("remote_groups"))
        package["owner_org"] = groups.organization(package, self.config.get("remote_orgs"))
        for absent in ("organization", "tracking_summary"):
            package.pop(absent, None)
        for field in ("tags", "resources", "extras"):
            package[field] = package.get(field) or []
        ckan_mapping.add_tags(package, self.config.get("default_tags") or [])
        ckan_mapping.add_groups(package, self.config.get("default_group_dicts") or [])
        replacements = {
            "dataset_id": package["id"],
            "harvest_source_id": obj.source.id,
            "harvest_source_url": obj.source.url.strip("/"),
            "harvest_source_title": obj.source.title or "",
            "harvest_job_id": obj.harvest_job_id,
            "harvest_object_id": obj.id,
        }
        default_extras = self.config.get("default_extras") or {}
        ckan_mapping.add_extras(package, default_extras, bool(self.config.get("override_extras")), replacements)
        ckan_mapping.clean_resources(package)
