"""Who may see and post which page: what the contracts say of each, and what CKAN says of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckanext.relay.tests.access.roles import ANYBODY, CREATORS, EDITORS, LOGGED_IN, MEMBERS, SYSADMINS

_Who = frozenset[str]


@dataclass(frozen=True)
class Page:
    """An address, and who may ask for it and post to it.

    :param path: ids in braces are those of the world
    :param get: who is answered; None: the address is not for GET
    :param post: the same for POST
    :param form: what is posted
    :param status: what those who may are answered
    :param posted: the same for POST
    :param refused: what the others are answered
    """

    path: str
    get: _Who | None = ANYBODY
    post: _Who | None = None
    form: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    posted: int = 302
    refused: int = 403

    def __str__(self) -> str:
        return self.path


_NEW_SOURCE = {"name": "new-source", "url": "http://new.example", "source_type": "ckan", "owner_org": "{organization}"}

#: Those of CKAN for datasets of the type ``harvest`` that the contract names; the plugin has the templates.
SOURCES = (
    Page("/harvest/"),
    Page("/harvest/{public_source_name}"),
    Page("/harvest/{private_source_name}", MEMBERS, refused=404),
    Page("/harvest/new", CREATORS, EDITORS, form=_NEW_SOURCE),
    Page("/harvest/edit/{public_source}", EDITORS, EDITORS, form={**_NEW_SOURCE, "save": ""}),
)

_JOBS, _JOB = "/harvest/{public_source_name}/job", "/harvest/{public_source_name}/job/{public_job}"
_TEST = {"url": "http://127.0.0.1:9", "source_type": "ckan"}
HARVESTER = (
    Page("/harvest/dashboard", CREATORS),
    Page("/harvest/about/{public_source}"),
    Page("/harvest/about/{private_source}", MEMBERS),
    Page("/harvest/admin/{public_source}", EDITORS),
    Page("/harvest/admin/{private_source}", EDITORS),
    # what the confirmation says of it changes nothing
    Page("/harvest/refresh/{public_source}", EDITORS, EDITORS),
    Page("/harvest/clear/{public_source}", EDITORS, EDITORS),
    Page("/harvest/clear/{public_source}/progress", EDITORS, status=286),
    Page("/harvest/delete/{public_source}", EDITORS, EDITORS),
    Page("/harvest/delete/{public_source}?clear=true", EDITORS, EDITORS),
    Page("/harvest/connection-test", None, EDITORS, form={**_TEST, "owner_org": "{organization}"}, posted=200),
    Page("/harvest/connection-test?id=", None, EDITORS, form={**_TEST, "id": "{public_source}"}, posted=200),
    Page(_JOBS, EDITORS),
    Page("/harvest/{private_source_name}/job", EDITORS),
    Page(f"{_JOBS}/last", EDITORS),
    Page(f"{_JOBS}/clear", EDITORS, EDITORS),
    Page(_JOB, EDITORS),
    Page(f"{_JOB}?stage=Import&cause=anything", EDITORS),
    Page(f"{_JOB}/progress", EDITORS, status=286),
    Page(f"{_JOB}/errors.csv", EDITORS),
    Page(f"{_JOB}/errors.json", EDITORS),
    Page(f"{_JOB}/retry", EDITORS, EDITORS),
    Page("/harvest/{busy_source_name}/job/{running_job}", EDITORS),
    Page("/harvest/{busy_source_name}/job/{running_job}/progress", EDITORS),
    Page("/harvest/{busy_source_name}/job/{running_job}/abort", SYSADMINS, SYSADMINS),
    Page("/harvest/object/{public_object}"),
    Page("/harvest/object/{private_object}", MEMBERS),
    Page("/dataset/harvest_object/{public_object}"),
    Page("/dataset/harvest_object/{private_object}", MEMBERS),
    Page("/harvest/object/{public_object}/view"),
    Page("/harvest/object/{private_object}/view", MEMBERS),
    Page("/harvest/object/{failed_private_object}", MEMBERS),
    Page("/harvest/object/{failed_private_object}/view", MEMBERS),
)

_OF_DATASET, _OF_RESOURCE = "/dataset/{%s_dataset}", "/dataset/{%s_dataset}/resource/{%s_resource}"
_PUBLIC, _PRIVATE = _OF_RESOURCE % ("public", "public"), _OF_RESOURCE % ("private", "private")
ARCHIVER = (
    Page(f"{_PUBLIC}/archive"),
    Page(f"{_PRIVATE}/archive", MEMBERS),
    Page(f"{_PUBLIC}/archive/data.csv"),
    Page(f"{_PRIVATE}/archive/data.csv", MEMBERS),
    # nothing is waited for, or a check
    Page("/dataset/{public_dataset}/archiver/panel", status=286),
    Page("/dataset/{private_dataset}/archiver/panel", MEMBERS),
    Page(f"{_PUBLIC}/archiver/panel", status=286),
    Page(f"{_PRIVATE}/archiver/panel", MEMBERS),
    # GET leads to the page of the dataset
    Page("/dataset/{public_dataset}/archiver/check", ANYBODY, EDITORS, status=302),
    Page("/dataset/{private_dataset}/archiver/check", MEMBERS, EDITORS, status=302),
    Page(f"{_PUBLIC}/archiver/check", ANYBODY, EDITORS, status=302),
    Page(f"{_PRIVATE}/archiver/check", MEMBERS, EDITORS, status=302),
)

REPORT = (
    Page("/report"),
    Page("/reports", status=302),
    Page("/report/tagless-datasets", ANYBODY, SYSADMINS, refused=401),
    Page("/report/tagless-datasets?format=csv"),
    Page("/report/tagless-datasets?format=json"),
    Page("/report/staff?verbose=1", LOGGED_IN, SYSADMINS, refused=401),
    Page("/report/staff?verbose=1&format=csv", LOGGED_IN, refused=401),
    Page("/report/broken-links/{organization_name}", ANYBODY, SYSADMINS, refused=401),
    Page("/report/broken-links"),
    Page("/report/harvest-status"),
    Page("/report/archive-usage"),
    Page("/report/syndication-status", LOGGED_IN, refused=401),
    Page("/report-progress/tagless-datasets", status=286),
    Page("/report-progress/staff?verbose=1", LOGGED_IN, status=286, refused=401),
)

_PROFILE = "/ckan-admin/syndicate/profile/{profile}"
SYNDICATE = (
    Page("/ckan-admin/syndicate", SYSADMINS, status=302),
    Page("/ckan-admin/syndicate/dashboard", SYSADMINS, SYSADMINS),
    Page(_PROFILE, SYSADMINS, SYSADMINS, form={"action": "retry"}),
    Page(f"{_PROFILE}?state=failed", SYSADMINS, SYSADMINS, form={"dataset": "{public_dataset}"}),
    Page(f"{_PROFILE}/approve", SYSADMINS, SYSADMINS),
    Page("/syndicate/dataset/{public_dataset}", EDITORS, EDITORS, status=302, form={"profile": "{profile}"}),
    Page("/syndicate/dataset/{private_dataset}", EDITORS, EDITORS, status=302, form={"action": "retry"}),
)

PAGES = (*SOURCES, *HARVESTER, *ARCHIVER, *REPORT, *SYNDICATE)

#: Those of CKAN to which the plugins add something.
OF_CKAN = (
    "/dataset/",
    "/dataset/{public_dataset_name}",
    "/dataset/{private_dataset_name}",
    "/dataset/{kept_dataset_name}",
    "/dataset/edit/{public_dataset_name}",
    "/dataset/{public_dataset_name}/resource/{public_resource}",
    "/dataset/{private_dataset_name}/resource/{private_resource}",
    "/organization/{organization_name}",
    "/ckan-admin/",
)
