"""Organizations and groups at a target: found, made, and kept up to date, while their members and extras stay.

``organization_patch`` is sent only what differs: an update would take all members away on CKAN up to 2.11. The picture
goes in a call of its own, because a request with a file carries nothing but text beside it.
"""

from __future__ import annotations

import io
import logging
import mimetypes
import os
from typing import Any

import ckan.plugins.toolkit as tk
from ckan.lib import uploader
from ckanapi.common import is_file_like

from ckanext.relay.errors import RelayError, RemoteError, RemoteStatus, redact
from ckanext.relay.http import Limits, guarded_session, relay_errors

from . import config, hooks
from .domain.diff import is_same
from .domain.payload import plain
from .model import organizations
from .model.organizations import Organization
from .remote import Refused, Target
from .types import Profile

log = logging.getLogger(__name__)

#: What belongs to each portal alone.
NOT_SENT = frozenset(
    ("created", "datasets", "display_name", "extras", "groups", "id", "image_display_url", "image_url")
    + ("is_organization", "member_count", "num_followers", "package_count", "packages", "revision_id", "state")
    + ("tags", "users")
)
#: for a picture; CKAN takes no more than 2 MB unless it is told to
_LIMITS = Limits(connect=5, read=10, total=30, body_bytes=8 * 1024 * 1024)


class Replicator:
    """Finds the organizations of this portal at a target, and makes those that are not there; for one batch.

    All that is raised is a ``RelayError``, apart from what hooks and receivers of signals raise.

    :param profile: of the target
    """

    def __init__(self, target: Target, profile: Profile) -> None:
        self._target = target
        self._profile = profile
        self._done: dict[str, str | RelayError] = {}

    def known(self, organization_id: str) -> str | None:
        """Return the recorded id of an organization at the target; nobody is asked."""
        done = self._done.get(organization_id)
        if isinstance(done, str):
            return done
        record = organizations.get(self._profile.id, organization_id)
        return record.remote_id if record else None

    def look_up(self, organization_id: str) -> str:
        """Return the id of an organization at the target, or the name that it would get; nothing is written."""
        local = _local(organization_id, "organization")
        remote = self._find(local, "organization", organizations.get(self._profile.id, organization_id))
        return str(remote["id"]) if remote else str(local["name"])

    def remote_id(self, organization_id: str) -> str:
        """Return the id of an organization at the target, which is then there, as the profile wants it."""
        done = self._done.get(organization_id)
        if done is None:
            try:
                done = self.sync(organization_id, update=self._profile.update_organization)
            except RemoteError as error:
                if error.permanent:
                    self._done[organization_id] = error  # it would be the same for each of its datasets
                raise
            self._done[organization_id] = done
        if isinstance(done, RelayError):
            raise done
        return done

    def sync(self, group_id: str, kind: str = "organization", update: bool = False) -> str:
        """Return the id of an organization or a group at the target, which is then there.

        :param kind: ``organization`` or ``group``
        :param update: whether one that is there is made like ours
        """
        local = _local(group_id, kind)
        known = organizations.get(self._profile.id, group_id)
        remote = self._find(local, kind, known)
        if remote is not None and not update:
            self._record(group_id, remote)
            return str(remote["id"])
        payload = prepared(group_id, local, self._profile)
        picture = payload.pop("image_upload", None)
        payload = plain(payload)
        hooks.before_group(group_id, self._profile, payload)
        if remote is None:
            remote = self._create(payload, kind)
        elif changes := _changes(remote, payload):
            remote = self._target.patch_organization(remote["id"], changes, kind)
        self._record(group_id, remote)
        remote = self._with_picture(local, remote, kind, known, picture)
        hooks.after_group(group_id, self._profile, remote)
        return str(remote["id"])

    def _find(self, local: dict[str, Any], kind: str, known: Organization | None) -> dict[str, Any] | None:
        remote = self._target.show_organization(known.remote_id, kind) if known else None
        return remote or self._target.show_organization(local["name"], kind)

    def _create(self, payload: dict[str, Any], kind: str) -> dict[str, Any]:
        try:
            return self._target.create_organization(payload, kind)
        except Refused:
            # somebody else may have made it just now
            remote = self._target.show_organization(str(payload.get("name")), kind)
            if remote is None:
                raise
            return remote

    def _record(self, group_id: str, remote: dict[str, Any], picture: str | None = None) -> None:
        organizations.record(self._profile.id, group_id, str(remote["id"]), picture)

    def _with_picture(
        self, local: dict[str, Any], remote: dict[str, Any], kind: str, known: Organization | None, chosen: Any
    ) -> dict[str, Any]:
        """Bring the picture to the target, if it is a new one, and return the group as it is then.

        A picture stops nothing: what goes wrong with it is logged, and tried again with the next update.

        :param chosen: a file that a hook put there instead
        """
        url = local.get("image_display_url") or ""
        before = (known.picture if known else None) or ""
        if not self._profile.upload_organization_image or (url == before and chosen is None):
            return remote
        try:
            fields = {"image_upload": chosen if is_file_like(chosen) else _picture(local)} if url or chosen else {}
            remote = self._target.patch_organization(remote["id"], fields or {"image_url": ""}, kind)
            self._record(local["id"], remote, url)
        except (RelayError, OSError) as error:
            log.warning("The picture of the %s %s was not copied: %s", kind, local["name"], error)
        return remote


def prepared(local_id: str, group: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return what is sent of an organization or group, as the plugins want it; the picture is brought apart.

    :param group: as ``organization_show`` or ``group_show`` shows it here
    :raises Exception: whatever a plugin raises
    """
    payload = {key: value for key, value in group.items() if key not in NOT_SENT}
    if not profile.upload_organization_image:
        payload["image_url"] = group.get("image_display_url") or ""
    return hooks.prepare_group(local_id, payload, profile)


def _local(group_id: str, kind: str) -> dict[str, Any]:
    without = ("include_users", "include_groups", "include_dataset_count", "include_followers")
    data = {"id": group_id, **dict.fromkeys(without, False)}
    return dict(tk.get_action(f"{kind}_show")({"ignore_auth": True}, data))


def _changes(remote: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that an update has to change; the type never changes, and a deleted one is wanted again."""
    changes = {
        key: value
        for key, value in payload.items()
        if key != "type" and key in remote and not is_same(remote[key], value)
    }
    return {**changes, "state": "active"} if remote.get("state") == "deleted" else changes


def _picture(local: dict[str, Any]) -> tuple[str, io.BytesIO, str]:
    """Return file name, content and type of the picture of an organization or group.

    :raises RelayError: it cannot be fetched, or is none
    :raises OSError: it cannot be read
    """
    url = str(local["image_display_url"])
    path = _own_file(str(local.get("image_url") or ""))
    if path is not None:
        with open(path, "rb") as file:
            content, kind = file.read(_LIMITS.body_bytes), mimetypes.guess_type(path)[0] or ""
    else:
        with relay_errors(url), guarded_session(config.address_policy(), _LIMITS) as session:
            answer = session.get(url)
            content, kind = answer.content, answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if answer.status_code >= 400:
            raise RemoteStatus(url, answer.status_code)
    if not kind.startswith("image/"):
        raise RemoteError(url, f"It is no picture, but {redact(kind) or 'of no type'}")
    extension = mimetypes.guess_extension(kind) or ""
    return f"{local['name']}{extension}", io.BytesIO(content), kind


def _own_file(image_url: str) -> str | None:
    """Return where an uploaded picture is on this machine; None if it is elsewhere, or a link."""
    folder = getattr(uploader.get_uploader("group"), "storage_path", None)
    if not folder or not image_url or "/" in image_url:
        return None
    path = os.path.join(folder, image_url)
    return path if os.path.isfile(path) else None
