"""The pipeline: what the archiver tells other plugins when a resource, or all of a dataset, has been archived."""

from __future__ import annotations

import logging
from typing import Any

from ckan.plugins import PluginImplementations
from ckan.plugins.interfaces import Interface

log = logging.getLogger(__name__)


class IPipe(Interface):
    """To be told of each step of the pipeline; implement it with ``p.implements(IPipe, inherit=True)``.

    The archiver sends, after what it is about has been committed:

    ``archived``
        with ``resource_id`` and ``cache_filepath`` (of the copy on this machine, or None): a check was recorded,
        whatever came of it
    ``package-archived``
        with ``package_id``: all resources of a dataset have been checked, one of them at least with success

    Ignore operations and parameters that you do not know: there may be more of both.
    """

    def receive_data(self, operation: str, queue: str, **params: Any) -> None:
        """Do what is to be done next, best in a job of your own: the archiver waits for this to return.

        :param operation: what has happened
        :param queue: the lane that it was done in, ``priority`` or ``bulk``; use the same one
        """

    @classmethod
    def send_data(cls, operation: str, queue: str, **params: Any) -> None:
        """Tell all plugins of the pipeline, in their order.

        :raises Exception: whatever one of them raises; those after it are not told
        """
        for observer in PluginImplementations(cls):
            try:
                observer.receive_data(operation, queue=queue, **params)
            except Exception:
                log.error("The plugin %s failed to deal with %r of %s", observer, operation, params)
                raise
