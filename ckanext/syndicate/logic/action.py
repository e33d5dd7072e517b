"""The actions of the plugin: those of ckanext-syndicate, and those that say what is, and would be, at the targets."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.relay.celery_app import PRIORITY
from ckanext.relay.errors import RelayError
from ckanext.syndicate import bulk, failures, planning, profiles, runner, status, tasks
from ckanext.syndicate.domain.names import LONGEST as REMOTE_NAME_MAX_LENGTH  # noqa: F401  (others import it here)
from ckanext.syndicate.model import SyndicationLog, outbox, targets
from ckanext.syndicate.organizations import NOT_SENT as GROUP_EXCLUDE_FIELDS  # noqa: F401  (the same)
from ckanext.syndicate.organizations import prepared as prepare_group_data  # noqa: F401  (the same)
from ckanext.syndicate.preparation import Preparation
from ckanext.syndicate.remote import Target
from ckanext.syndicate.types import Profile, Topic

from . import bulk as chained
from . import schema


def get_actions() -> dict[str, Any]:
    """Return the actions by name."""
    own = (
        syndicate_prepare,
        syndicate_sync,
        syndicate_sync_organization,
        syndicate_sync_group,
        syndicate_plan,
        syndicate_status,
        syndicate_retry,
        syndicate_push,
        syndicate_approve,
    )
    return {**chained.get_actions(), **{action.__name__: action for action in own}}


def syndicate_prepare(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what would be sent of a dataset. Nothing is written, here or at the target.

    :param id: id or name of the dataset
    :param topic: ``create`` or ``update``
    :param profile: id of the profile of the target
    :returns: ``package`` (as stored here), ``prepared`` (after all hooks), ``topic``: ``update`` if the target is known
        to have a copy, otherwise ``create``
    """
    tk.check_access("syndicate_prepare", context, data_dict)
    data = _validated(data_dict, schema.syndicate(), context)
    profile = _profile(data["profile"])
    preparation = Preparation(profile)
    subject = preparation.look(_dataset_id(data["id"]), insists=True)
    with Target(profile) as target, _target_asked():
        owner = planning.Planner(target, preparation).owner(subject)
    prepared = preparation.prepare(subject, owner).dataset
    topic = Topic.update if subject.target_id else Topic.create
    return {"package": subject.package, "prepared": prepared, "topic": topic.name}


def syndicate_sync(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Push a dataset to a target now, selected or not; a private one, a draft or a deleted one is retracted.

    :param id: id or name of the dataset
    :param topic: ``create`` or ``update``; what is done is decided by what is at the target
    :param profile: id of the profile of the target
    :param force: also if nothing has changed (default: true)
    :returns: ``local_id``; ``target_id``, '' if there is none; ``state``: ``synced``, ``stopped`` (it is not to be
        there), ``failed``, ``held`` (a person must approve) or ``waiting`` (another process is at it); ``error``: what
        went wrong, or why it is not to be there, or None
    """
    tk.check_access("syndicate_sync", context, data_dict)
    data = _validated(data_dict, schema.sync(), context)
    outcome = runner.push_now(_dataset_id(data["id"]), data["profile"], force=data["force"], insists=True)
    is_there = outcome.state == SyndicationLog.State.SYNCED
    return {
        "local_id": outcome.local_id,
        "target_id": outcome.target_id,
        "state": outcome.state,
        "error": None if is_there else outcome.error or outcome.reason,
    }


def syndicate_sync_organization(context: Any, data_dict: dict[str, Any]) -> str:
    """Bring an organization to a target, and return its id there.

    :param id: id or name of the organization
    :param profile: id of the profile of the target
    :param update_existing: whether one that is there is made like ours (default: false)
    """
    tk.check_access("syndicate_sync_organization", context, data_dict)
    return _sync_group(context, data_dict, is_organization=True)


def syndicate_sync_group(context: Any, data_dict: dict[str, Any]) -> str:
    """Bring a group to a target, and return its id there.

    :param id: id or name of the group
    :param profile: id of the profile of the target
    :param update_existing: whether one that is there is made like ours (default: false)
    """
    tk.check_access("syndicate_sync_group", context, data_dict)
    return _sync_group(context, data_dict, is_organization=False)


def _sync_group(context: Any, data_dict: dict[str, Any], is_organization: bool) -> str:
    data = _validated(data_dict, schema.sync_group(), context)
    group = model.Group.get(data["id"])
    if group is None or group.is_organization is not is_organization:
        raise tk.ObjectNotFound(tk._("Organization not found") if is_organization else tk._("Group not found"))
    kind = "organization" if is_organization else "group"
    with _target_asked():
        return runner.sync_group(group.id, data["profile"], kind, data["update_existing"])


@tk.side_effect_free
def syndicate_plan(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what a push would do. Nothing is written, here or at the targets; these are asked.

    :param id: id or name of a dataset, also of one that was purged; without one, all that concern the targets
    :param profile: id of a profile; without one, all
    :returns: ``plan``: a list of ``dataset_id``, ``name``, ``profile_id``, ``action`` (``create``, ``update``,
        ``private``, ``delete``, ``unchanged``, ``conflict``, ``blocked``, ``skipped``), ``reason``, ``target_id``,
        ``changes`` (a list of ``field``, ``old``, ``new``) and ``dropped`` (what the target does not have or take);
        ``errors``: by profile, why a target could not be asked
    """
    tk.check_access("syndicate_plan", context, data_dict)
    data = _validated(data_dict, schema.look(), context)
    ids = [status.find(data["id"])] if data.get("id") else None
    found: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    for profile in _profiles(data):
        try:
            found += [_plain(asdict(planned)) for planned in planning.plan(profile, ids)]
        except RelayError as error:
            errors[profile.id] = failures.said(error)
    return {"plan": found, "errors": errors}


@tk.side_effect_free
def syndicate_status(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how the targets are, or how a dataset is at them; times are UTC, in the format of ISO 8601.

    :param id: id or name of a dataset, also of one that was purged; without one, the targets
    :param profile: id of a profile; without one, all
    :returns: by target the fields of :class:`ckanext.syndicate.status.DatasetStatus`, or of
        :class:`ckanext.syndicate.status.TargetStatus`
    """
    tk.check_access("syndicate_status", context, data_dict)
    data = _validated(data_dict, schema.look(), context)
    profile_id = data.get("profile")
    found = status.dataset(data["id"], profile_id) if data.get("id") else status.targets(profile_id)
    return [_plain(asdict(each)) for each in found]


def syndicate_retry(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Let what failed, is held or waits for its next attempt be tried now.

    :param id: id or name of a dataset, also of one that was purged; without one, all
    :param profile: id of a profile; without one, all
    :returns: ``retried``: how many pushes that are
    """
    tk.check_access("syndicate_retry", context, data_dict)
    data = _validated(data_dict, schema.look(), context)
    number = outbox.retry(data.get("profile"), [status.find(data["id"])] if data.get("id") else None)
    wanted = [profile.id for profile in _profiles(data)]
    for profile_id in wanted if not data.get("id") else ():
        targets.answered(profile_id)  # a sysadmin says that it is worth a try
    tasks.push_now(wanted, PRIORITY)
    return {"retried": number}


def syndicate_push(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Let the workers push a dataset now, also if nothing has changed. Whether it is to be there is decided as always.

    :param id: id or name of the dataset
    :param profile: id of a profile; without one, all
    :returns: ``profiles``: ids of those that it concerns
    """
    tk.check_access("syndicate_push", context, data_dict)
    data = _validated(data_dict, schema.push(), context)
    found = bulk.ask_again(_dataset_id(data["id"]), _profiles(data))
    tasks.push_after_commit(found)
    if not context.get("defer_commit"):
        model.repo.commit()
    return {"profiles": found}


def syndicate_approve(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Let copies be taken away from a target that are held because they are many.

    :param profile: id of the profile of the target
    :param hours: for how long any number more may follow (default: 24)
    :returns: ``approved``: how many were held
    """
    tk.check_access("syndicate_approve", context, data_dict)
    data = _validated(data_dict, schema.approve(), context)
    number = bulk.approve(data["profile"], data["hours"])
    tasks.push_now([data["profile"]], PRIORITY)
    return {"approved": number}


def _validated(data_dict: dict[str, Any], fields: dict[str, Any], context: Any) -> dict[str, Any]:
    data, errors = tk.navl_validate(data_dict, fields, context)
    if errors:
        raise tk.ValidationError(errors)
    return dict(data)


def _dataset_id(reference: str) -> str:
    package = model.Package.get(reference)
    if package is None:
        raise tk.ObjectNotFound(tk._("Dataset not found"))
    return str(package.id)


def _profile(profile_id: str) -> Profile:
    return next(profile for profile in profiles.all_profiles() if profile.id == profile_id)


def _profiles(data: dict[str, Any]) -> list[Profile]:
    return [profile for profile in profiles.all_profiles() if data.get("profile") in (None, profile.id)]


@contextlib.contextmanager
def _target_asked() -> Iterator[None]:
    """Turn what goes wrong at the target into an error that the API explains."""
    try:
        yield
    except RelayError as error:
        raise tk.ValidationError({"target": [failures.said(error)]}) from error


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime.datetime) else value
