"""Deleting what a remote portal has deleted, for sources that ask for it with ``delete_missing``."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import ckan_mapping, deletion, search_terms, source_config
from ckanext.harvest.domain.paging import Paging
from ckanext.harvest.model import HarvestJob, HarvestObject, claims, pages

from .ckan_client import SearchError

if TYPE_CHECKING:
    from .ckanharvester import CKANHarvester

log = logging.getLogger(__name__)

_object = HarvestObject.__table__

#: How many ids are asked for at a time where nothing but ids is wanted: the most that CKAN answers with by default.
_ROWS = 1000
#: How many ids are named in one search, so that its address does not get too long.
_NAMED = 50
#: How often all ids are asked for if the portal changes meanwhile.
_TRIES = 3
# As remote portals do that harvest themselves; others have no dataset of this type.
_NO_SOURCES = "-dataset_type:harvest"


class Mirror:
    """What a job does after it has gathered what is new and changed.

    :param filters: terms of the search that finds all datasets of the source
    """

    def __init__(self, harvester: CKANHarvester, job: HarvestJob, base_url: str, filters: list[str]) -> None:
        self._harvester = harvester
        self._job = job
        self._base_url = base_url
        self._filters = filters

    def gather(self, read: Paging | None) -> Iterator[list[str]]:
        """Save objects for datasets that are gone, and for those that came back without a change; yield their ids.

        Pages without ids are yielded, too, so that the runner can stop this between any two requests.

        :param read: a search that has found all datasets in this job already
        """
        listed = read.ids if read is not None and read.complete else None
        try:
            if listed is None:
                listed = yield from self._all_ids()
                yield from self._gather_back(listed)
            known = pages.imported(self._job.source_id)
            limit = source_config.number(self._harvester.config, "delete_limit")
            decision = deletion.decide(known.keys(), listed, limit)
            if decision.refusal:
                self._harvester._save_gather_error(decision.refusal, self._job)
                return
            gone = sorted(decision.gone - pages.gathered(self._job.id))
            for named in _slices(gone, _NAMED):
                found = self._found(named)
                yield pages.save_deletions(self._job, {guid: known[guid] for guid in named if guid not in found})
        except SearchError as error:
            message = f"Nothing more was deleted, since the remote portal does not say which datasets it has: {error}"
            self._harvester._save_gather_error(message, self._job)

    def _all_ids(self) -> Generator[list[str], None, set[str]]:
        """Return the ids of all datasets of the source.

        :raises SearchError: they could not be read, or the portal kept changing
        """
        for _ in range(_TRIES):
            paging = Paging()
            for _page in self._harvester._search_ids(self._base_url, [*self._filters, _NO_SOURCES], paging, _ROWS):
                yield []
            if paging.complete:
                return paging.ids
        raise SearchError(f"{len(paging.ids)} of {paging.count} came, or the number changed while they were read")

    def _gather_back(self, listed: set[str]) -> Iterator[list[str]]:
        """Gather datasets that are there and not here, although nothing says that they changed: they came back, or the
        remote index was late."""
        missing = listed - pages.imported(self._job.source_id).keys() - pages.gathered(self._job.id)
        for named in _slices(sorted(filter(ckan_mapping.is_key, missing)), _NAMED):
            terms = [*self._filters, search_terms.any_of("id", named)]
            yield from self._harvester._save_pages(self._job, self._base_url, terms, Paging())

    def _found(self, ids: list[str]) -> set[str]:
        """Return those datasets that the remote portal has after all: one may slip through a listing that changes."""
        paging = Paging()
        terms = [*self._filters, search_terms.any_of("id", ids)]
        for _page in self._harvester._search_ids(self._base_url, terms, paging, len(ids)):
            pass
        return paging.ids


def _slices(items: list[str], size: int) -> Iterator[list[str]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def is_deletion(obj: HarvestObject) -> bool:
    """Tell whether an object says that its dataset is gone."""
    return bool(obj.package_id) and any(
        (extra.key, extra.value) == (pages.STATUS, pages.DELETE) for extra in obj.extras
    )


def delete(user: str, obj: HarvestObject) -> bool | str:
    """Delete the dataset of an object, unless another source has it now, or this one brought it again.

    :returns: True, or ``'unchanged'``
    """
    if claims.is_superseded(obj):
        log.info("Dataset %s was gone, but another source has it, or it is back", obj.package_id)
        return "unchanged"
    older = sa.update(_object).where(_object.c.package_id == obj.package_id, _object.c.current)
    model.Session.execute(older.values(current=False))
    package = model.Package.get(obj.package_id)
    if package is not None and package.state != "deleted":
        log.info("Dataset %s is gone, it is deleted", obj.package_id)
        context = {"user": user, "ignore_auth": True}
        tk.get_action("package_delete")(context, {"id": package.id})
    return True
