"""The harvester of other CKAN portals."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import Any

import ckan.plugins.toolkit as tk
import requests as real_requests
from ckan import model

from ckanext.harvest.domain import ckan_mapping, source_config
from ckanext.harvest.domain.paging import Paging
from ckanext.harvest.interfaces import Preview
from ckanext.harvest.model import HarvestJob, HarvestObject, pages
from ckanext.relay import config as relay_config
from ckanext.relay import redaction, secrets
from ckanext.relay.errors import ConfigurationError, RelayError, RemoteStatus, redact
from ckanext.relay.http import GuardedSession, get_text, relay_errors
from ckanext.relay.session import session
from ckanext.relay.translation import N_

from . import ckan_client, mirror
from .base import HarvesterBase
from .ckan_client import ContentFetchError, ContentNotFoundError, RemoteResourceError, SearchError
from .lookups import Lookups

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


class CKANHarvester(HarvesterBase):
    """Harvests the datasets of a remote CKAN.

    A dataset keeps its remote id. A dataset of this portal that has the id already is changed only if it is the
    source's own: harvested by it, by a source that is inactive now, or by one whose history was cleared. One that
    nobody harvested is left alone, and one of another active source; ``adopt_existing`` takes over the former, if it
    belongs to the organization of the source. See :mod:`ckanext.harvest.domain.ownership`.
    """

    config: Any = None

    api_version = 2
    action_api_version = 3
    batched_writes = True
    resource_ids_are_remote = True

    def info(self) -> dict[str, Any]:
        return {
            "name": "ckan",
            "title": "CKAN",
            "description": N_("Harvests remote CKAN instances"),
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
            headers["Authorization"] = secrets.resolve(str(settings["api_key"]).strip(), relay_config.secrets_dir())
            redaction.remember([headers["Authorization"]])
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
        return [dataset for page in self._read_pages(base_url, fq_terms, Paging()) for dataset in page]

    def _search_pages(
        self, base_url: str, fq_terms: list[str] | None, paging: Paging
    ) -> Iterator[list[dict[str, Any]]]:
        if not self._has_own_search():
            yield from self._read_pages(base_url, fq_terms, paging)
            return
        found = self._search_for_datasets(base_url, fq_terms)
        yield paging.take(found, len({each["id"] for each in found if isinstance(each.get("id"), str)}))

    def _search_ids(self, base_url: str, fq_terms: list[str], paging: Paging, rows: int) -> Iterator[Any]:
        """Search for ids only, as far as the remote portal knows how to leave out the rest."""
        if self._has_own_search():
            return self._search_pages(base_url, fq_terms, paging)
        return self._read_pages(base_url, fq_terms, paging, rows=rows, fl="id")

    def _has_own_search(self) -> bool:
        """Tell whether a subclass knows better where datasets are."""
        return type(self)._search_for_datasets is not CKANHarvester._search_for_datasets

    def _read_pages(
        self, base_url: str, fq_terms: list[str] | None, paging: Paging, **options: Any
    ) -> Iterator[list[dict[str, Any]]]:
        url = base_url + self._get_search_api_offset()
        return ckan_client.search_pages(self._get_content, url, fq_terms, paging, **options)

    def preview(self, session: GuardedSession, url: str, config: str | None) -> Preview:
        """Return how many datasets of a portal the source would harvest, and the titles of some.

        :raises AnswerInvalid: it is no CKAN
        :raises RelayError: there is no answer
        """
        # plugins are singletons, and another thread may have another configuration
        settings = object.__new__(type(self))
        settings._set_config(config)
        address = url.rstrip("/") + settings._get_search_api_offset()
        count, datasets = ckan_client.first_datasets(
            lambda address: get_text(session, address, headers=settings._headers()),
            address,
            source_config.search_filters(settings.config),
        )
        return Preview(count, tuple(str(dataset.get("title") or dataset.get("name")) for dataset in datasets))

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
        if settings.get("user") and _active_user(settings["user"]) is None:
            raise ValueError("User not found")
        return config

    def _get_user_name(self) -> str:
        """Return the name of the user that the source names, else that of the portal's user who harvests.

        :raises ConfigurationError: there is no such user any more
        """
        reference = self.config.get("user") if isinstance(self.config, dict) else None
        if not reference:
            return super()._get_user_name()
        user = _active_user(reference)
        if user is None:
            raise ConfigurationError(
                f"The user '{reference}' does not exist or was deleted; name another one as \"user\" in the "
                "configuration of the source"
            )
        return str(user.name)

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
        try:
            self._get_user_name()
        except ConfigurationError as error:
            self._save_gather_error(str(error), harvest_job)
            return
        base_url = harvest_job.source.url.rstrip("/")
        filters = source_config.search_filters(self.config)
        read = None
        since = self._last_run(harvest_job)
        if since is not None:
            try:
                yield from self._save_pages(harvest_job, base_url, [*filters, _changed_since(since)], Paging())
            except SearchError as error:
                log.info("Searching %s for what changed failed, all is gathered: %s", redact(base_url), error)
                since = None
        if since is None:
            read = yield from self._gather_all(harvest_job, base_url, filters)
            if read is None:
                return
        if self.config.get("delete_missing"):
            yield from mirror.Mirror(self, harvest_job, base_url, filters).gather(read)

    def _gather_all(
        self, job: HarvestJob, base_url: str, filters: list[str]
    ) -> Generator[list[str], None, Paging | None]:
        """Gather all datasets of the source and return the search, None if it failed.

        Twice if something was removed meanwhile: what moved up may have slipped through between two pages.
        """
        read = Paging()
        try:
            yield from self._save_pages(job, base_url, filters or None, read)
            if read.shrank:
                log.info("%s has fewer datasets now than at the first page, they are read again", redact(base_url))
                read = Paging()
                yield from self._save_pages(job, base_url, filters or None, read)
        except SearchError as error:
            message = f"Unable to search remote CKAN for datasets:{error} url:{redact(base_url)}"
            self._save_gather_error(message, job)
            return None
        if not read.start:
            self._save_gather_error(f"No datasets found at CKAN: {redact(base_url)}", job)
        return read

    def _last_run(self, job: HarvestJob) -> datetime.datetime | None:
        """Return since when only changes need be asked for: the last run without errors, unless all is wanted or the
        source was edited after it."""
        last = None if self.config.get("force_all") else self.last_error_free_job(job)
        if last is None:
            return None
        package = model.Package.get(job.source.id)
        edited = package is not None and package.metadata_modified > last.gather_started
        if edited:
            return None
        # the index of the remote portal lags behind, and so may its clock
        return last.gather_started - datetime.timedelta(hours=source_config.number(self.config, "overlap_hours"))

    def _save_pages(
        self, job: HarvestJob, base_url: str, fq_terms: list[str] | None, paging: Paging
    ) -> Iterator[list[str]]:
        for datasets in self._search_pages(base_url, fq_terms, paging):
            datasets = [dataset for dataset in datasets if dataset.get("type") != "harvest"]
            nameless = [dataset for dataset in datasets if not ckan_mapping.is_key(dataset.get("id"))]
            if nameless:
                names = ", ".join(repr(dataset.get("name")) for dataset in nameless[:5])
                self._save_gather_error(f"{len(nameless)} remote datasets have no usable id: {names}", job)
            records = {dataset["id"]: dataset for dataset in datasets if ckan_mapping.is_key(dataset.get("id"))}
            yield pages.save(job, records, self.config)

    def fetch_stage(self, harvest_object: HarvestObject) -> bool:
        """Nothing to do: the search answered with whole datasets."""
        return True

    def import_stage(self, harvest_object: HarvestObject) -> bool | str | None:
        if harvest_object.content is None and mirror.is_deletion(harvest_object):
            self._set_config(harvest_object.source.config)
            return mirror.delete(self._get_user_name(), harvest_object)
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
        lookups = Lookups.of(self, harvest_object, package)
        self._map(package, harvest_object, lookups)
        package = self.modify_package_dict(package, harvest_object)
        if refusal := lookups.refusal(package):
            message = f"Dataset {package['id']} was left as it is: {refusal}"
            self._save_object_error(message, harvest_object, "Import")
            return False
        _kept = lookups.row(package["id"])
        return self._create_or_update_package(package, harvest_object, package_dict_form="package_show")

    def _find_existing_package(self, package_dict: dict[str, Any]) -> dict[str, Any]:
        existing = super()._find_existing_package(package_dict)
        if existing["id"] != package_dict["id"]:  # found by its name, and a remote portal chooses ids as it likes
            raise tk.ValidationError({"id": [f"{package_dict['id']} is the name of another dataset"]})
        return existing

    def _map(self, package: dict[str, Any], obj: HarvestObject, lookups: Lookups) -> None:
        """Turn a remote dataset into one of ours, in place."""
        remote_groups = package.get("groups") or []
        package["groups"] = lookups.groups.of_dataset(remote_groups, self.config.get("remote_groups"))
        package["owner_org"] = lookups.groups.organization(package, self.config.get("remote_orgs"))
        for absent in ("organization", "tracking_summary"):
            package.pop(absent, None)
        for field in ("tags", "resources", "extras"):
            package[field] = package.get(field) or []
        ckan_mapping.add_tags(package, self.config.get("default_tags") or [])
        ckan_mapping.add_groups(package, self.config.get("default_group_dicts") or [])
        replacements = {
            "dataset_id": package["id"],
            "harvest_source_id": obj.source.id,
            "harvest_source_url": redact(obj.source.url).strip("/"),  # everybody sees the extras
            "harvest_source_title": obj.source.title or "",
            "harvest_job_id": obj.harvest_job_id,
            "harvest_object_id": obj.id,
        }
        default_extras = self.config.get("default_extras") or {}
        ckan_mapping.add_extras(package, default_extras, bool(self.config.get("override_extras")), replacements)
        ckan_mapping.clean_resources(package)
        lookups.drop_foreign_resource_ids(package)


def _changed_since(since: datetime.datetime) -> str:
    return f"metadata_modified:[{since.isoformat()}Z TO *]"


def _active_user(reference: str) -> model.User | None:
    user = model.User.get(reference)
    return user if user is not None and user.state == "active" else None
