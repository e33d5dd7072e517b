"""The search index, a batch at a time: many documents and one commit."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

import ckan.plugins.toolkit as tk
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
    """Let CKAN send documents to Solr without a commit each while the block runs; call :func:`commit` after it."""
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
    if not search.is_available():
        raise SearchUnavailable("Solr does not answer")


def index(package_ids: Iterable[str]) -> dict[str, str]:
    """Send the documents of datasets to Solr, without a commit. A dataset that is gone is passed over.

    :returns: why Solr refuses a document, by package id
    :raises SearchUnavailable: Solr went away; any of the documents may be missing
    """
    refused = {}
    for package_id in package_ids:
        try:
            index_update_package({"ignore_auth": True}, package_id, defer_commit=True)
        except tk.ObjectNotFound:
            log.info("Dataset %s is gone, it is not indexed", package_id)
        except search.SearchIndexError as error:
            require()
            refused[package_id] = str(error)
    return refused


def commit() -> None:
    """Make what was sent so far found by searches.

    :raises SearchUnavailable: Solr went away; what it has received it keeps
    """
    try:
        make_connection().commit(waitSearcher=True)
    except Exception as error:  # pysolr raises whatever its transport does
        raise SearchUnavailable(f"Solr did not commit: {error}") from error
