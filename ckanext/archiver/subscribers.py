"""What CKAN tells when something is saved: in the transaction that saves it, just before it is committed."""

from __future__ import annotations

from typing import Any

from ckan import model

from ckanext.relay.celery_app import BULK, PRIORITY, app

from . import lib
from .domain import changes
from .model import requests

_OPERATION = model.DomainObjectOperation


def notify(entity: Any, operation: str | None = None) -> None:
    """Have the links of a dataset checked if it is new, or changed in a way that matters.

    :param entity: anything that CKAN tells of; a dataset is told of also when one of its resources changed
    :param operation: ``new``, ``changed`` or ``deleted``; that a person deletes a dataset is a change of its state
    """
    if not isinstance(entity, model.Package) or entity.type in changes.NOT_ARCHIVED_TYPES:
        return
    known = requests.known(entity.id)
    if operation == _OPERATION.deleted:
        requests.forget(known)
        return
    found = changes.compare(known, requests.current(entity.id))
    requests.forget(found.gone)
    if found.asks or operation == _OPERATION.new:
        with lib.part_of_commit():
            lib.create_archiver_package_task(entity, BULK if app.current_task else PRIORITY)
