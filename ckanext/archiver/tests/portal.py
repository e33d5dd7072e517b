"""Datasets, archivals and copies for the tests."""

from __future__ import annotations

import contextvars
import datetime
import functools
import hashlib
import os
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.tests import factories

from ckanext.archiver.cache_urls import cache_url
from ckanext.archiver.model import Archival
from ckanext.archiver.storage import store

CONTENT = b"a,b\n1,2\n"
CHECKED = datetime.datetime(2026, 3, 1, 12)


class Client:
    """CKAN's test client, whose requests know nothing of the context around the test: Flask would share the user."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._app, name)
        return functools.partial(contextvars.Context().run, found) if callable(found) and name != "flask_app" else found

    def head(self, path: str) -> Any:
        """Ask for the head of a page."""
        return contextvars.Context().run(lambda: self._app.test_client().open(path, method="HEAD"))


def make_dataset(**fields: Any) -> dict[str, Any]:
    """A dataset with one resource, made by the site's own user unless ``owner_org`` and ``user`` say otherwise."""
    resources = [{"url": "http://data.example/a/data.csv", "format": "CSV", "name": "Data"}]
    return factories.Dataset(**{"resources": resources, **fields})


def make_user() -> dict[str, Any]:
    """A user, and the header by which requests are theirs."""
    user = factories.UserWithToken()
    return {**user, "headers": {"Authorization": str(user["token"])}}


def make_sysadmin() -> dict[str, Any]:
    """The same for a sysadmin."""
    user = factories.SysadminWithToken()
    return {**user, "headers": {"Authorization": str(user["token"])}}


def private_dataset(member: dict[str, Any]) -> dict[str, Any]:
    """A private dataset of an organization that a user is a member of."""
    organization = factories.Organization(users=[{"name": member["name"], "capacity": "member"}])
    return make_dataset(owner_org=organization["id"], private=True)


def store_copy(resource: dict[str, Any], content: bytes = CONTENT, name: str = "data.csv") -> str:
    """Put a copy into the archive, as a worker does; return its path."""
    sha256 = hashlib.sha256(content).hexdigest()
    with store().temporary("test") as folder:
        path = os.path.join(folder, "download")
        with open(path, "wb") as file:
            file.write(content)
        return store().keep(resource["id"], name, path, sha256)


def add_archival(resource: dict[str, Any], **columns: Any) -> Archival:
    """Record that a resource was checked: with success, unless the columns say otherwise."""
    ok = {
        "status_id": 0, "is_broken": False, "verdict": "ok", "reason": "", "failure_count": 0, "size": 8,
        "mimetype": "text/csv", "hash": "0" * 40, "last_success": CHECKED, "created": CHECKED, "updated": CHECKED,
        "checked_url": resource["url"],
    }  # fmt: skip
    archival = Archival(package_id=resource["package_id"], resource_id=resource["id"], **{**ok, **columns})
    model.Session.add(archival)
    model.Session.commit()
    return archival


def archival_of(resource: dict[str, Any]) -> Archival:
    """What is recorded of a resource, as the database has it now."""
    model.Session.expire_all()
    archival = Archival.get_for_resource(resource_id=resource["id"])
    assert archival is not None
    return archival


def add_copy(resource: dict[str, Any], content: bytes = CONTENT, name: str = "data.csv", **columns: Any) -> str:
    """Store a copy and record it; return its path."""
    path = store_copy(resource, content, name)
    url = cache_url(resource["package_id"], resource["id"], path)
    add_archival(resource, cache_filepath=path, cache_url=url, **columns)
    return path


def act(action: str, user: str | None = "", **data: Any) -> Any:
    """Call an action as a user: none, unless one is named; with None, as the site itself, with all rights."""
    if user is None:
        site = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
        return tk.get_action(action)({"user": site, "ignore_auth": True}, data)
    return tk.get_action(action)({"user": user, "ignore_auth": False}, data)
