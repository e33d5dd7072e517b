"""Which of our groups and organizations a remote dataset belongs to."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import ckan_mapping

from .ckan_client import RemoteResourceError, RemoteResourceNotFound

if TYPE_CHECKING:
    from .ckanharvester import CKANHarvester

log = logging.getLogger(__name__)

_group = model.Group.__table__
_Key = tuple[str, str]

#: What the remote portals of the last few jobs do not have, so that no batch of the job asks for it again.
_absent: dict[str, set[_Key]] = {}
_JOBS_KEPT = 10


class LocalGroups:
    """Finds the groups and organizations of a remote portal on this one, and creates them if the source says so.

    Made for a batch: what is here is asked for once, with one query for all datasets that are named, and the remote
    portal is asked once for what is not.

    :param base_url: of the remote portal, without a slash at its end
    :param source_id: whose dataset says to which organization everything else belongs
    """

    def __init__(self, harvester: CKANHarvester, base_url: str, source_id: str, job_id: str) -> None:
        self.harvester = harvester
        self.base_url = base_url
        self.source_id = source_id
        self._asked: set[str] = set()
        self._local: dict[tuple[bool, str, str], dict[str, str]] = {}
        #: what could not be created in this batch, and why if that is an error of the dataset
        self._failed: dict[_Key, str | None] = {}
        self._absent = _absent_of(job_id)

    def look_up(self, references: Iterable[str]) -> None:
        """Ask with one query which groups and organizations have these ids or names, but for those asked before."""
        new = {each for each in references if ckan_mapping.is_key(each)} - self._asked
        if not new:
            return
        query = sa.select(_group.c.id, _group.c.name, _group.c.is_organization).where(
            _group.c.state == "active", _group.c.id.in_(new) | _group.c.name.in_(new)
        )
        for row in model.Session.execute(query):
            local = {"id": row.id, "name": row.name}
            self._local[(row.is_organization, "id", row.id)] = local
            self._local[(row.is_organization, "name", row.name)] = local
        self._asked |= new

    @functools.cached_property
    def source_organization(self) -> str | None:
        """The id of the organization of the source."""
        package = model.Package.__table__
        return model.Session.execute(sa.select(package.c.owner_org).where(package.c.id == self.source_id)).scalar()

    def of_dataset(self, remote: list[dict[str, Any]], mode: str | None) -> list[dict[str, str]]:
        """Return the groups of a dataset.

        :param remote: the groups it is in there
        :param mode: ``only_local`` for those that are here too, ``create`` for all; otherwise none
        """
        if mode not in ("only_local", "create"):
            return []
        found = []
        for group in remote:
            local = self._find(group, is_organization=False)
            if local is None and mode == "create":
                fetch = functools.partial(self.harvester._get_group, self.base_url, group)
                local = self._create("group_create", fetch, group)
            if local is not None and local not in found:
                found.append(local)
        return found

    def organization(self, package: dict[str, Any], mode: str | None) -> str | None:
        """Return the id of the organization that a dataset is to belong to: that of the source unless ``mode`` is
        ``only_local`` (the dataset's own if it is here too) or ``create``."""
        remote = package.get("organization") or {}
        if isinstance(package.get("owner_org"), str):
            remote = {"id": package["owner_org"]} | remote
        if mode in ("only_local", "create") and remote.get("id"):
            local = self._find(remote, is_organization=True)
            if local is None and mode == "create":
                name = remote.get("name") or remote["id"]
                fetch = functools.partial(self.harvester._get_organization, self.base_url, name)
                local = self._create("organization_create", fetch, remote)
            if local is not None:
                return local["id"]
        return self.source_organization

    def _find(self, group: dict[str, Any], is_organization: bool) -> dict[str, str] | None:
        """Return the local group with the id, else the one with the name."""
        named = [(field, group[field]) for field in ("id", "name") if group.get(field)]
        self.look_up(value for _, value in named)
        return next(
            (local for field, value in named if (local := self._local.get((is_organization, field, value)))), None
        )

    def _create(
        self, action: str, fetch: Callable[[], dict[str, Any]], remote: dict[str, Any]
    ) -> dict[str, str] | None:
        """Create a group or organization as the remote portal describes it; None if it does not describe it.

        :raises RemoteResourceError: CKAN does not take it
        """
        key = (action, str(remote.get("id") or remote.get("name")))
        if key in self._absent or key in self._failed:
            if message := self._failed.get(key):
                raise RemoteResourceError(message)
            return None
        try:
            description = ckan_mapping.clean_group(fetch())
        except RemoteResourceError as error:
            log.error("%s is left out: %s", remote.get("name") or remote.get("id"), error)
            self._failed[key] = None
            if isinstance(error, RemoteResourceNotFound):
                self._absent.add(key)
            return None
        context = {"user": self.harvester._get_user_name(), "ignore_auth": True}
        try:
            created = tk.get_action(action)(context, description)
        except (tk.ValidationError, sa.exc.IntegrityError) as error:
            model.Session.rollback()
            self._asked -= {description.get("id"), description.get("name")}
            local = self._find(description, is_organization=action == "organization_create")
            if local is not None:
                return local  # another worker was faster
            if isinstance(error, tk.ValidationError):
                name = description.get("name") or description.get("id")
                self._failed[key] = f"{action} of {name} failed: {error.error_dict}"
                raise RemoteResourceError(self._failed[key]) from error
            raise
        log.info("%s %s was created", action, created["name"])
        # of whatever id and name it is here: the remote portal may have described another one than was named
        self._asked -= {created["id"], created["name"], remote.get("id"), remote.get("name")}
        return {"id": created["id"], "name": created["name"]}


def _absent_of(job_id: str) -> set[_Key]:
    while len(_absent) >= _JOBS_KEPT and job_id not in _absent:
        del _absent[next(iter(_absent))]
    return _absent.setdefault(job_id, set())
