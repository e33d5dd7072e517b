"""The search index, a batch at a time: many documents in one request, and one commit."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ckan.lib.search.index as search_index
import ckan.plugins.toolkit as tk
import pysolr
import sqlalchemy as sa
from ckan import logic, model
from ckan.lib import search
from ckan.lib.navl.dictization_functions import MissingNullEncoder
from ckan.lib.search.common import make_connection
from ckan.logic import schema

from . import ckan_211, config
from .errors import RelayError
from .stand_ins import current, replaced

log = logging.getLogger(__name__)

#: search documents by package id
Documents = dict[str, dict[str, Any]]


class SearchUnavailable(RelayError):
    """Solr cannot be reached, or is not ready yet."""

    permanent = False


@contextlib.contextmanager
def deferred_commits() -> Iterator[None]:
    """Let CKAN send documents to Solr without a commit each while the block runs; call :func:`index` after it.

    What other threads save meanwhile is committed as ever.
    """
    # CKAN makes new validators at each call, so that it finds its own schema different from the one that it shows
    # datasets with, and validates each with both. A copy, since plugins change what they get.
    once = functools.cache(current(schema, "default_show_package_schema"))
    try:
        with (
            replaced(search_index, "make_connection", _Uncommitted),
            replaced(schema, "default_show_package_schema", lambda: copy.deepcopy(once())),
            replaced(search, "show", functools.partial(_show, current(search, "show"))),
            replaced(model.User, "get", _Found(model.User)),
            replaced(model.Group, "get", _Found(model.Group)),
            ckan_211.indexed_by_caller(),
        ):
            yield
    finally:
        _ahead.clear()


#: what :func:`read_ahead` got, by package id
_ahead: dict[str, dict[str, Any]] = {}


def read_ahead(package_ids: Iterable[str]) -> None:
    """Ask Solr at once for datasets that CKAN will ask for one by one in the block of :func:`deferred_commits`.

    CKAN itself sees from the time of change whether what it gets is as old as that.

    :raises SearchUnavailable: Solr does not answer
    """
    ids = list(package_ids)
    wanted = [f'+site_id:"{config.site_id()}" +entity_type:package', f"{{!terms f=id}}{','.join(ids)}"]
    fields = "id,data_dict,validated_data_dict,metadata_modified"
    try:
        found = make_connection(decode_dates=False).search("*:*", fq=wanted, fl=fields, rows=len(ids))
    except (pysolr.SolrError, OSError) as error:
        raise SearchUnavailable(f"Solr does not answer: {error}") from error
    _ahead.update((document["id"], document) for document in found.docs)


class _Found:
    """Stands in for ``get`` of a class of CKAN's model, which CKAN calls several times for each dataset that it saves:
    what the session still has is not asked for again."""

    def __init__(self, entity: Any) -> None:
        self._entity = entity
        self._ask = current(entity, "get")
        #: ids, and what was found, since the session holds it weakly
        self._known: dict[str | None, tuple[str, Any]] = {}

    def __call__(self, reference: str | None) -> Any:
        if reference in self._known:
            with model.Session.no_autoflush:
                found = model.Session.get(self._entity, self._known[reference][0])
            if found is not None and reference in (found.id, found.name):
                return found
        found = self._ask(reference)
        if found is not None:
            self._known[reference] = found.id, found
        return found


def _show(ask_solr: Callable[[str], dict[str, Any]], reference: str) -> dict[str, Any]:
    return _ahead.get(reference) or ask_solr(reference)


@contextlib.contextmanager
def saved(package_id: str, documents: Documents) -> Iterator[None]:
    """Make the document of a dataset that the block creates or updates in the session's transaction, for :func:`index`.

    It is made from what the session still holds, and once: whoever asks for the dataset after it was written, such as
    the activity plugin, is answered from it, as CKAN answers from Solr once the document is there. The caller commits.
    """
    _ahead.pop(package_id, None)
    if ckan_211.RUNS:
        with ckan_211.saved_by_caller(package_id):
            yield  # index() makes the document: nothing that is asked for in the block can be answered from it
        return
    dataset, savepoint = _InBlock(package_id, current(search, "show")), model.Session().get_nested_transaction()
    _in_block.add(package_id)
    try:
        with replaced(search, "show", dataset.answer), _told_of_writes(dataset.written):
            yield
            both = dataset.both()
    finally:
        _in_block.remove(package_id)
    if (left_open := model.Session().get_nested_transaction()) is not savepoint:
        left_open.commit()  # CKAN 2.12.0 leaves it if its caller commits
    with _Collector.in_place_of_connections() as collector:
        logic.index_update_package_dicts(both, defer_commit=True)
    documents.update((document["id"], document) for document in collector.documents)


class _InBlock:
    """A dataset that is being saved, as CKAN shows it now.

    :param ask_solr: answers for what this cannot: other datasets, and this one until it is written
    """

    def __init__(self, package_id: str, ask_solr: Callable[[str], dict[str, Any]]) -> None:
        self._package_id = package_id
        self._ask_solr = ask_solr
        self._is_written = False
        self._both: tuple[dict[str, Any], dict[str, Any]] | None = None

    def written(self) -> None:
        self._is_written, self._both = True, None

    def both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return it with CKAN's own schema applied, and with that of its type."""
        if self._both is None:
            self._both = logic.package_show_default_and_custom_schemas({"ignore_auth": True}, self._package_id)
        return self._both

    def answer(self, reference: str) -> dict[str, Any]:
        """Stand in for ``ckan.lib.search.show``."""
        if reference != self._package_id or not self._is_written:
            return self._ask_solr(reference)
        default, custom = self.both()
        return {
            "data_dict": json.dumps(default),
            "validated_data_dict": json.dumps(custom, cls=MissingNullEncoder),
            "metadata_modified": default["metadata_modified"],
        }


#: ids of datasets that :func:`saved` is saving
_in_block: set[str] = set()


def changed(context: Any, package_id: str) -> None:
    """Note that CKAN changed a dataset, which CKAN 2.12.0 forgets if its caller commits: there would be no activity.

    :param context: that of ``package_update``, as ``after_dataset_update`` is given it
    """
    if package_id in _in_block:
        context.setdefault("changed_entities", {}).setdefault("packages", set()).add(package_id)


@contextlib.contextmanager
def _told_of_writes(tell: Callable[[], None]) -> Iterator[None]:
    """Tell when anything is written in the session, other than an activity, which is about a dataset and not in it."""
    session = model.Session()

    def flushed(_session: Any, _context: Any) -> None:
        rows = (*session.new, *session.dirty, *session.deleted)
        if any(sa.inspect(row).mapper.local_table.name != "activity" for row in rows):
            tell()

    def executed(state: Any) -> None:
        if not state.is_select:
            tell()

    listeners = (("after_flush", flushed), ("do_orm_execute", executed))
    for event, listener in listeners:
        sa.event.listen(session, event, listener)
    try:
        yield
    finally:
        for event, listener in listeners:
            sa.event.remove(session, event, listener)


def require() -> None:
    """Return if Solr answers.

    :raises SearchUnavailable: it does not
    """
    # not search.is_available(), which logs a traceback each time
    try:
        make_connection().search("*:*", rows=0)
    except (pysolr.SolrError, OSError) as error:
        raise SearchUnavailable(f"Solr does not answer: {error}") from error


def index(package_ids: Iterable[str], made: Documents | None = None) -> dict[str, str]:
    """Send the documents of datasets to Solr, and commit them with whatever was sent before; searches find them then.

    A dataset that is gone is passed over.

    :param made: documents that :func:`saved` made; one whose dataset was changed since then is made anew
    :returns: why Solr refuses a document, by package id
    :raises SearchUnavailable: Solr went away; any of the documents may be missing
    """
    package_ids = list(package_ids)
    fresh = _fresh({package_id: made[package_id] for package_id in package_ids if package_id in made} if made else {})
    documents, refused = _documents(package_id for package_id in package_ids if package_id not in fresh)
    documents += fresh.values()
    try:
        _send(documents)
    except pysolr.SolrError as error:
        require()
        log.warning("Solr refuses a batch, its documents are sent one by one: %s", error)
        for document in documents:
            try:
                _send([document])
            except pysolr.SolrError as reason:
                require()
                refused[document["id"]] = str(reason)[:1000]
    except OSError as error:
        raise SearchUnavailable(f"Solr went away: {error}") from error
    return refused


def _send(documents: list[dict[str, Any]]) -> None:
    # also for no document at all: pysolr's own commit() makes Solr commit twice
    make_connection().add(documents, commit=True)


def _fresh(documents: Documents) -> Documents:
    """Return those documents that still say what the database says: people may have edited a dataset meanwhile."""
    if not documents:
        return {}
    package = model.Package.__table__
    columns = package.c.id, package.c.metadata_modified, package.c.state, package.c.private, package.c.owner_org
    rows = model.Session.execute(sa.select(*columns).where(package.c.id.in_(list(documents))))
    now = {row.id: (f"{row.metadata_modified.isoformat()}Z", row.state, row.private, row.owner_org) for row in rows}
    said = ("metadata_modified", "state", "private", "owner_org")
    return {
        package_id: document
        for package_id, document in documents.items()
        if now.get(package_id) == tuple(document.get(field) for field in said)
    }


def _documents(package_ids: Iterable[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Make the documents of datasets as CKAN and its plugins make them; also return why one cannot be made."""
    refused = {}
    with _Collector.in_place_of_connections() as collector:
        for package_id in package_ids:
            try:
                ckan_211.index_update_package({"ignore_auth": True}, package_id, defer_commit=True)
            except tk.ObjectNotFound:
                log.info("Dataset %s is gone, it is not indexed", package_id)
            except search.SearchIndexError as error:
                require()
                refused[package_id] = str(error)
            except sa.exc.SQLAlchemyError:
                raise
            except Exception as error:  # a plugin's hook: what it cannot take must not keep the others from the index
                log.exception("The search document of dataset %s cannot be made", package_id)
                refused[package_id] = f"{type(error).__name__}: {error}"
    return collector.documents, refused


class _Uncommitted:
    """Stands in for CKAN's connection to Solr: what CKAN sends is not committed unless CKAN asks for just that."""

    def __init__(self, decode_dates: bool = True) -> None:
        self._solr = make_connection(decode_dates)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._solr, name)

    def add(self, docs: list[dict[str, Any]], commit: bool = False) -> None:
        self._solr.add(docs, commit=False)

    def delete(self, q: str, commit: bool = False) -> None:
        self._solr.delete(q=q, commit=False)


class _Collector:
    """Stands in for CKAN's connection to Solr and keeps the documents that it is given; the rest goes to Solr."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(make_connection(), name)

    def add(self, docs: list[dict[str, Any]], commit: bool = False) -> None:
        self.documents.extend(docs)

    @classmethod
    @contextlib.contextmanager
    def in_place_of_connections(cls) -> Iterator[_Collector]:
        # CKAN has no way to ask for a document without sending it
        collector = cls()
        with replaced(search_index, "make_connection", lambda *_, **__: collector):
            yield collector
