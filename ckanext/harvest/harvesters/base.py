"""The base class of harvesters: names, users, errors, and saving a dataset for a record."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.lib.munge import munge_tag, munge_title_to_name
from ckan.plugins.core import SingletonPlugin, implements

from ckanext.harvest import config as harvest_config
from ckanext.harvest.domain import naming, object_state
from ckanext.harvest.interfaces import IHarvester
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, record
from ckanext.relay import config as relay_config
from ckanext.relay import redaction, secrets
from ckanext.relay.http import GuardedSession
from ckanext.relay.session import own_session

from . import upsert

log = logging.getLogger(__name__)

#: CKAN's configuration, which tests of third-party harvesters patch here.
config = tk.config

__all__ = ["HarvesterBase", "munge_tag"]


class HarvesterBase(SingletonPlugin):
    """What harvesters share. Subclasses implement the stages of :class:`~ckanext.harvest.interfaces.IHarvester`."""

    implements(IHarvester)

    #: The configuration of the source at work, for subclasses that keep it here.
    config: Any = None
    #: Whether the runner may commit and index the datasets of this harvester together with others, see ``Batch``.
    batched_writes: ClassVar[bool] = False
    #: Whether the ids of resources in its records were made elsewhere, so that those that a dataset has here go before.
    resource_ids_are_remote: ClassVar[bool] = False

    _user_name: str | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # CKAN looks for the one instance in the base classes too: a subclass of an enabled harvester would get that
        if "_instance" not in vars(cls):
            cls._instance = object.__new__(cls)
        return vars(cls)["_instance"]

    @classmethod
    def _gen_new_name(cls, title: str, existing_name: str | None = None, append_type: str | None = None) -> str | None:
        """Return a name for a dataset, made from its title, that no other dataset has.

        :param existing_name: the name that the dataset has now
        :param append_type: ``number-sequence`` or ``random-hex``; by default what the portal is set to
        """
        name = munge_title_to_name(title)
        while "--" in name:
            name = name.replace("--", "-")
        append_type = append_type or harvest_config.default_dataset_name_append()
        return cls._ensure_name_is_unique(name, existing_name, append_type)

    @staticmethod
    def _ensure_name_is_unique(
        ideal_name: str, existing_name: str | None = None, append_type: str = naming.NUMBER_SEQUENCE
    ) -> str | None:
        """Return a name that no other dataset has, as near as can be to the ideal one; None if there is none left.

        :raises NotImplementedError: there is no such ``append_type``
        """
        ideal_name = ideal_name[: naming.MAX_LENGTH]
        if existing_name == ideal_name:
            return ideal_name
        begin = naming.stem(ideal_name, append_type)
        name = model.Package.__table__.c.name
        if model.Session.execute(sa.select(name).where(name == ideal_name)).first() is None:
            return ideal_name  # by the index; what follows reads all names
        query = sa.select(name).where(name.ilike(f"{_escape_like(begin)}%", escape="\\"))
        taken = {row.name for row in model.Session.execute(query)}
        return naming.unique(ideal_name, existing_name, taken, append_type, uuid.uuid4().hex)

    _save_gather_error = HarvestGatherError.create
    _save_object_error = HarvestObjectError.create

    def _get_user_name(self) -> str:
        """Return the name of the user who harvests: the one of the configuration, else the sysadmin called
        ``harvest``, else the site user."""
        if self._user_name:
            return self._user_name
        name = harvest_config.user_name()
        if not name:
            harvest_user = model.User.get("harvest")
            name = "harvest" if harvest_user is not None and harvest_user.sysadmin else None
        if not name:
            name = tk.get_action("get_site_user")({"ignore_auth": True, "defer_commit": True}, {})["name"]
        self._user_name = name
        return name

    def _resolve_config(self, config: str | Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the configuration of a source for use, with its ``env:`` and ``file:`` references resolved.

        The secrets in it are kept out of the log and of saved errors from now on. Use it and forget it: keep it neither
        in the database nor on ``self``.

        :param config: ``harvest_job.source.config``, or what it holds
        :raises ConfigurationError: a reference leads nowhere, or where it must not
        :raises ValueError: the text is no JSON object
        """
        parsed = json.loads(config) if isinstance(config, str) and config.strip() else config or {}
        if not isinstance(parsed, Mapping):
            raise ValueError("The configuration is no JSON object")
        resolved = secrets.resolve_all(parsed, relay_config.secrets_dir())
        redaction.remember_all(resolved)
        return resolved

    def _guarded_session(self, headers: Mapping[str, str] | None = None) -> GuardedSession:
        """Return a ``requests.Session`` that connects only where the portal's address policy allows, ends each request
        at a deadline, limits the size of answers, and tries again what may pass. Use it in a ``with`` block.

        :param headers: sent with each request, such as an ``Authorization`` from ``_resolve_config``; a redirect to
            another server does not get the secret ones
        """
        redaction.remember_all(headers or {})
        return own_session(headers)

    def _create_harvest_objects(self, remote_ids: list[str], harvest_job: HarvestJob) -> list[str]:
        """Save an object for each remote id and return the objects' ids."""
        if not remote_ids:
            self._save_gather_error("No remote datasets could be identified", harvest_job)
            return []
        objects = [HarvestObject(guid=remote_id, job=harvest_job) for remote_id in remote_ids]
        model.Session.add_all(objects)
        model.Session.commit()
        return [obj.id for obj in objects]

    def _create_or_update_package(
        self, package_dict: dict[str, Any], harvest_object: HarvestObject, package_dict_form: str = "rest"
    ) -> bool | str | None:
        """Save the dataset of a record: create it, or update the one that has its id if the record is newer.

        :param package_dict_form: ``rest`` (tags are strings, extras a dictionary) or ``package_show``
        :returns: True, ``'unchanged'``, or None when it is invalid and an error was saved
        """
        return upsert.create_or_update(self, package_dict, harvest_object, package_dict_form)

    def _find_existing_package(self, package_dict: dict[str, Any]) -> dict[str, Any]:
        """Return the dataset that a record belongs to: the one with the record's id, unless a subclass knows better.

        :raises ObjectNotFound: there is none yet
        """
        context = {"ignore_auth": True, "user": self._get_user_name()}
        return tk.get_action("package_show")(context, {"id": package_dict["id"]})

    def _clean_tags(self, tags: list[Any]) -> list[Any]:
        """Return tags as CKAN takes them everywhere: lower case, ASCII, dashes for blanks; empty ones are left out.

        :param tags: strings, which also lose their doubles, or tag dictionaries
        """
        if tags and isinstance(tags[0], dict):
            cleaned = [tag | {"name": munge_tag(tag["name"])} for tag in tags if tag.get("name", "").strip()]
            return [tag for tag in cleaned if tag["name"].strip("-_")]
        return list(dict.fromkeys(munged for tag in tags if tag.strip() and (munged := munge_tag(tag)).strip("-_")))

    @classmethod
    def last_error_free_job(cls, harvest_job: HarvestJob) -> HarvestJob | None:
        """Return the newest other job of the source that gathered all and ended without any error, or None.

        Records that were not modified, and those whose datasets were deleted as they should, are no errors.
        """
        failed = sa.exists().where(
            HarvestObject.harvest_job_id == HarvestJob.id,
            sa.not_(HarvestObject.current),
            HarvestObject.report_status.notin_((object_state.NOT_MODIFIED, object_state.DELETED)),
        )
        query = model.Session.query(HarvestJob).filter(
            HarvestJob.source_id == harvest_job.source.id,
            HarvestJob.gather_started.isnot(None),
            HarvestJob.id != harvest_job.id,
            record.gathered_whole(),
            sa.not_(failed),
        )
        return query.order_by(HarvestJob.gather_started.desc()).first()


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
