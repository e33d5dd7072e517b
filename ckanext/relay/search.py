"""The search index, a batch at a time: many documents in one request, and one commit."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import ckan.lib.search.index as search_index
import ckan.plugins.toolkit as tk
import pysolr
from ckan.lib import search
from ckan.lib.search.common import make_connection
from ckan.logic import index_update_package

from .errors import RelayError

log = logging.getLogger(__name__)


class SearchUnavailable(RelayError):
    """Solr cannot be reached, or is not ready yet."""

    permanent = False


@contextlib.contextmanager
def deferred_commits() -> Iterator[None]:
    """Let CKAN send documents to Solr without a commit each while the block runs; call :func:`index` after it."""
    before = tk.config.get("ckan.search.solr_commit")
    tk.config["ckan.search.solr_commit"] = False
    try:
        yield
    finally:
        tk.config["ckan.search.solr_commit"] = before


def require() -> None:
    """Return if Solr answers.

    :raises SearchUnavailable: it does not
    """
    # not search.is_available(), which logs a traceback each time
    try:
        make_connection().search("*:*", rows=0)
    except (pysolr.SolrError, OSError) as error:
        raise SearchUnavailable(f"Solr does not answer: {error}") from error


def index(package_ids: Iterable[str]) -> dict[str, str]:
    """Send the documents of datasets to Solr, and commit them with whatever was sent before; searches find them then.

    A dataset that is gone is passed over.

    :returns: why Solr refuses a document, by package id
    :raises SearchUnavailable: Solr went away; any of the documents may be missing
    """
    documents, refused = _documents(package_ids)
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


def _documents(package_ids: Iterable[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Make the documents of datasets as CKAN and its plugins make them; also return why one cannot be made."""
    collector = _Collector()
    refused = {}
    with collector.in_place_of_connections():
        for package_id in package_ids:
            try:
                index_update_package({"ignore_auth": True}, package_id, defer_commit=True)
            except tk.ObjectNotFound:
                log.info("Dataset %s is gone, it is not indexed", package_id)
            except search.SearchIndexError as error:
                require()
                refused[package_id] = str(error)
    return collector.documents, refused


class _Collector:
    """Stands in for CKAN's connection to Solr and keeps the documents that it is given; the rest goes to Solr."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(make_connection(), name)

    def add(self, docs: list[dict[str, Any]], commit: bool = False) -> None:
        self.documents.extend(docs)

    @contextlib.contextmanager
    def in_place_of_connections(self) -> Iterator[None]:
        # CKAN has no way to ask for a document without sending it
        before = search_index.make_connection
        search_index.make_connection = lambda *_, **__: self
        try:
            yield
        finally:
            search_index.make_connection = before
