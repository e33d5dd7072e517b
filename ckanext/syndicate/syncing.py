"""``SynchronizationClient``: brings collections of datasets into a CKAN portal, and keeps them as their source is.

A library for a person with a token: it runs anywhere, against any portal, without CKAN. See
``docs/synchronization-client.rst``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ckanext.relay import redaction
from ckanext.relay.errors import ConfigurationError, RelayError, redact

from .calls import Forbidden, Missing, Redirected, Refused, SearchFailed
from .domain import synchronization
from .domain.sync_result import Changes, Failure, SyncResult
from .domain.sync_source import BadSource, InvalidData, MissingKey, Source
from .domain.synchronization import HARVEST_SOURCE_ID_FIELD, Record
from .remote import HasTarget
from .remote_portal import Connection, MakeSession, Portal
from .syncing_run import Run

__all__ = [
    "HARVEST_SOURCE_ID_FIELD",
    "BadSource",
    "Changes",
    "Failure",
    "Forbidden",
    "InvalidData",
    "Missing",
    "MissingKey",
    "Redirected",
    "Refused",
    "SearchFailed",
    "SyncResult",
    "SyncStopped",
    "SynchronizationClient",
]

log = logging.getLogger(__name__)

#: The options of a run and their defaults.
DEFAULTS: Mapping[str, Any] = {
    "organization_merge_strategy": "create",
    "group_merge_strategy": "create",
    "dataset_preserve_names": True,
    "dataset_preserve_organization": True,
    "dataset_group_merge_strategy": "add",
    "dry_run": False,
    "max_delete": None,
    "on_error": "stop",
    "progress": None,
    "threads": 1,
}
_VALUES: Mapping[str, tuple[str, ...]] = {
    "organization_merge_strategy": ("create", "update"),
    "group_merge_strategy": ("create", "update"),
    "dataset_group_merge_strategy": ("add", "replace", "preserve"),
    "on_error": ("continue", "stop"),
}
_MOST_THREADS = 32


class SyncStopped(RelayError):
    """A run was stopped by the first thing that went wrong, which is the ``__cause__``.

    :ivar result: what was done before, a :class:`SyncResult`
    """

    def __init__(self, message: str, result: SyncResult) -> None:
        super().__init__(message)
        self.result = result


class SynchronizationClient:
    """Brings collections of datasets into a portal.

    Each option of a run may also be given to :meth:`sync`, for that run.

    :param base_url: of the root of the portal; or an object that has it as ``ckan_url``, and whose ``get_target()``
        returns a client of ckanapi: then that says how the portal is reached
    :param api_key: an API token of a user who may change what is to be changed
    :param organization_merge_strategy: ``create``: organizations that are missing are created, others left alone, but
        for deleted ones, which are made active again; ``update``: those that are there get the values of the source
    :param group_merge_strategy: the same for groups
    :param dataset_preserve_names: whether datasets that are there keep their names
    :param dataset_preserve_organization: whether they keep their organization, if they have one
    :param dataset_group_merge_strategy: ``add`` the groups of the source, ``replace`` all by them, or ``preserve``
        those that the dataset is in
    :param dry_run: write nothing, and return what would be done
    :param max_delete: how many datasets one run may delete: a number, a share of the source's datasets at the portal
        (``"20%"``), or ``"all"``. None: a tenth of them; ten are always let through unless they are more than half;
        none if the source has no datasets. If there are more to delete, none is.
    :param on_error: ``stop`` at the first object that cannot be written, with :class:`SyncStopped`; ``continue`` with
        the others. A portal that does not answer any more ends the run in either case.
    :param progress: called with the number of changes that are done and that of all, each time one is done
    :param threads: how many requests are under way at a time
    :param timeout: how many seconds to wait for a connection, or for anything to arrive
    :param retries: how often a request is sent again that failed for a reason that may pass
    :param requests_per_second: of all threads together; None for as many as the portal takes
    :param session: a function that returns a new ``requests.Session``; each thread gets one. For proxies, certificates
        or limits other than those of the environment
    :param user_agent: how the client presents itself
    :raises TypeError: there is no such option
    :raises ValueError: an option has no such value
    :raises ConfigurationError: the address or a setting of the connection is of no use
    """

    def __init__(
        self,
        base_url: str | HasTarget,
        api_key: str | None = None,
        *,
        timeout: float = 60,
        retries: int = 3,
        requests_per_second: float | None = None,
        session: MakeSession | None = None,
        user_agent: str = "ckanext-syndicate",
        **kw: Any,
    ) -> None:
        if session is not None and not callable(session):
            raise ConfigurationError(
                "session is no function that returns a new session", hint="Write lambda: requests.Session(), say."
            )
        if isinstance(base_url, str):
            redaction.remember([api_key] if api_key else [])
            redaction.remember_all(base_url)
            connection: HasTarget = Connection(base_url, api_key, timeout, session, user_agent)
        else:
            connection = base_url
        self._client = Portal(connection, retries, requests_per_second)
        self._conf: dict[str, Any] = checked({**DEFAULTS, **kw})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact(self._client.profile.ckan_url)!r})"

    def sync(self, source_name: str, data: Mapping[str, Any], **options: Any) -> SyncResult:
        """Bring the datasets of a source, their groups and organizations into the portal.

        Datasets are known by the extra ``_harvest_source``, groups and organizations by their names. Datasets with this
        source name that the source does not have any more are deleted.

        :param source_name: names the source in this and later runs; without a colon
        :param data: ``{"dataset": {id: {...}}, "group": {name: {...}}, "organization": {name: {...}}}``; it is not
            changed
        :param options: of the constructor, for this run only
        :returns: what was done; true if everything is as the source has it
        :raises BadSource: the data are not what they must be (also a KeyError or a ValueError); nothing was written
        :raises SyncStopped: something could not be written, and ``on_error`` is ``stop``
        :raises RelayError: the portal cannot be read; see ``ckanext.relay.errors``
        """
        conf = checked({**self._conf, **options})
        self._join_source_id(source_name, "")
        run = Run(self._client, source_name, Source(data), conf)
        with self._client:
            run.groups("group")
            run.groups("organization")
            run.datasets()
        result = run.result()
        log.info("Synchronized %s: %s", source_name, result.counts)
        if run.cause is not None and conf["on_error"] == "stop":
            raise SyncStopped(f"Stopped: {run.stopped}", result) from run.cause
        return result

    # -- parts that are documented, and used by programs written for the older client

    def _find_datasets_by_source(self, source_name: str) -> dict[str, Record]:
        """Return the datasets of a source that the portal has, by source id."""
        with self._client:
            found = self._client.matching(synchronization.source_query(source_name))
            return {
                source_id: synchronization.from_portal(dataset)
                for dataset in found
                if (source_id := synchronization.source_id_of(dataset, source_name)) is not None
            }

    @staticmethod
    def _compare_collections(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> dict[str, set[Any]]:
        """Return the keys of two mappings: ``common`` to both, of these the ``differing`` ones, only ``left``, only
        ``right``."""
        common = left.keys() & right.keys()
        return {
            "common": common,
            "differing": {key for key in common if left[key] != right[key]},
            "left": left.keys() - common,
            "right": right.keys() - common,
        }

    def _merge_datasets(self, old: Record, new: Mapping[str, Any]) -> Record:
        """Return the record that a dataset of the portal is to have.

        :param old: what it has
        :param new: what the source has
        """
        return synchronization.merged(old, new, checked(self._conf))

    def _upsert_groups(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Create or update groups, and return their ids at the portal by name."""
        return self._upsert("group", groups)

    def _upsert_organizations(self, organizations: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Create or update organizations, and return their ids at the portal by name."""
        return self._upsert("organization", organizations)

    def _upsert(self, kind: str, records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        data = {"dataset": {}, "group": {}, "organization": {}, kind: records}
        run = Run(self._client, "", Source(data), checked(self._conf))
        with self._client:
            run.groups(kind, look=True)
        if run.cause is not None:
            raise run.cause
        return run.ids[kind]

    @staticmethod
    def _parse_source_id(source_id: str) -> tuple[str, str]:
        """Return source name and id of a marker; the id may have colons."""
        return synchronization.parse_source_id(source_id)

    @staticmethod
    def _join_source_id(source_name: str, source_id: str) -> str:
        """Return the marker of a dataset: ``<source name>:<source id>``."""
        return synchronization.join_source_id(source_name, source_id)


def checked(conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run.

    :raises TypeError: there is no such option
    :raises ValueError: an option has no such value
    """
    unknown = sorted(conf.keys() - DEFAULTS.keys())
    if unknown:
        raise TypeError(f"There is no option {', '.join(unknown)}; there are {', '.join(DEFAULTS)}")
    for option, values in _VALUES.items():
        if conf[option] not in values:
            raise ValueError(f"{option} is {conf[option]!r}; it is one of {', '.join(values)}")
    threads = conf["threads"]
    if not isinstance(threads, int) or not 1 <= threads <= _MOST_THREADS:
        raise ValueError(f"threads is {threads!r}; it is a number from 1 to {_MOST_THREADS}")
    if conf["progress"] is not None and not callable(conf["progress"]):
        raise ValueError("progress is no function")
    synchronization.most_deletions(conf["max_delete"], there=0, given=0)
    return dict(conf)
