"""Which of our groups and organizations a remote dataset belongs to."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import ckan_mapping

from .ckan_client import RemoteResourceError

if TYPE_CHECKING:
    from .ckanharvester import CKANHarvester

log = logging.getLogger(__name__)


class LocalGroups:
    """Finds the groups and organizations of a remote portal on this one, and creates them if the source says so.

    :param base_url: of the remote portal, without a slash at its end
    :param source_id: whose dataset says to which organization everything else belongs
    """

    def __init__(self, harvester: CKANHarvester, base_url: str, source_id: str) -> None:
        self.harvester = harvester
        self.base_url = base_url
        self.source_id = source_id

    def of_dataset(self, remote: list[dict[str, Any]], mode: str | None) -> list[dict[str, str]]:
        """Return the groups of a dataset.

        :param remote: the groups it is in there
        :param mode: ``only_local`` for those that are here too, ``create`` for all; otherwise none
        """
        if mode not in ("only_local", "create"):
            return []
        found = []
        for group in remote:
            local = _find(group, is_organization=False)
            if local is None and mode == "create":
                fetch = functools.partial(self.harvester._get_group, self.base_url, group)
                local = self._create("group_create", fetch, group)
            if local is not None:
                found.append(local)
        return found

    def organization(self, package: dict[str, Any], mode: str | None) -> str | None:
        """Return the id of the organization that a dataset is to belong to: that of the source unless ``mode`` is
        ``only_local`` (the dataset's own if it is here too) or ``create``."""
        remote = package.get("organization") or {}
        if isinstance(package.get("owner_org"), str):
            remote = {"id": package["owner_org"]} | remote
        if mode in ("only_local", "create") and remote.get("id"):
            local = _find(remote, is_organization=True)
            if local is None and mode == "create":
                name = remote.get("name") or remote["id"]
                fetch = functools.partial(self.harvester._get_organization, self.base_url, name)
                local = self._create("organization_create", fetch, remote)
            if local is not None:
                return local["id"]
        package_table = model.Package.__table__
        query = sa.select(package_table.c.owner_org).where(package_table.c.id == self.source_id)
        return model.Session.execute(query).scalar()

    def _create(
        self, action: str, fetch: Callable[[], dict[str, Any]], remote: dict[str, Any]
    ) -> dict[str, str] | None:
        """Create a group or organization as the remote portal describes it; None if it does not describe it."""
        try:
            description = ckan_mapping.clean_group(fetch())
        except RemoteResourceError as error:
            log.error("%s is left out: %s", remote.get("name") or remote.get("id"), error)
            return None
        context = {"user": self.harvester._get_user_name(), "ignore_auth": True}
        try:
            created = tk.get_action(action)(context, description)
        except (tk.ValidationError, sa.exc.IntegrityError) as error:
            model.Session.rollback()
            local = _find(description, is_organization=action == "organization_create")
            if local is not None:
                return local  # another worker was faster
            if isinstance(error, tk.ValidationError):
                name = description.get("name") or description.get("id")
                raise RemoteResourceError(f"{action} of {name} failed: {error.error_dict}") from error
            raise
        log.info("%s %s was created", action, created["name"])
        return {"id": created["id"], "name": created["name"]}


def _find(group: dict[str, Any], is_organization: bool) -> dict[str, str] | None:
    """Return the local group with the id, else the one with the name."""
    columns = model.Group.__table__.c
    for field in ("id", "name"):
        if not group.get(field):
            continue
        query = sa.select(columns.id, columns.name).where(
            columns[field] == group[field], columns.state == "active", columns.is_organization == is_organization
        )
        if row := model.Session.execute(query).first():
            return {"id": row.id, "name": row.name}
    return None
