"""Kept for other extensions, and called by our own subscriber by these names, because tests patch them.

Nothing else inside imports this module.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Iterator
from typing import Any

from ckanext.relay import lease
from ckanext.relay.celery_app import BULK, PRIORITY

from . import tasks
from .model import requests
from .model.resources import Wanted

log = logging.getLogger(__name__)

_committing = contextvars.ContextVar("ckanext.archiver committing", default=False)


@contextlib.contextmanager
def part_of_commit() -> Iterator[None]:
    """Let what is asked for in the block be part of the session's transaction, which is just being committed.

    Outside of such a block the functions below work at once, whatever the session does later.
    """
    token = _committing.set(True)
    try:
        yield
    finally:
        _committing.reset(token)


def create_archiver_resource_task(resource: Any, queue: str) -> None:
    """Have the link of a resource checked.

    :param resource: ``model.Resource``
    :param queue: ``priority`` or ``bulk``
    """
    _ask(Wanted(resources=[resource.id]), queue)
    log.debug("Archival of resource %s asked for, queue %s", resource.id, queue)


def create_archiver_package_task(package: Any, queue: str) -> None:
    """Have the links of a dataset checked.

    :param package: ``model.Package``
    :param queue: ``priority`` or ``bulk``
    """
    _ask(Wanted(packages=[package.id]), queue)
    log.debug("Archival of dataset %s asked for, queue %s", package.name, queue)


def _ask(wanted: Wanted, queue: str) -> None:
    lane = PRIORITY if queue == PRIORITY else BULK
    if _committing.get():
        requests.request(lane, wanted)
        tasks.archive_after_commit(lane)
        return
    with lease.transaction() as connection:
        requests.request(lane, wanted, connection)
    tasks.archive_now(lane)


def get_extra_from_pkg_dict(pkg_dict: dict[str, Any], key: str, default: Any = None) -> Any:
    """Return the value of an extra of a dataset, or ``default`` if it has none with this key."""
    return next((extra["value"] for extra in pkg_dict.get("extras", []) if extra["key"] == key), default)
