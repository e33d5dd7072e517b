"""Saying to who called an action that the search index is away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ckan.lib.search import SearchError

from ckanext.relay.search import SearchUnavailable


@contextlib.contextmanager
def search_errors() -> Iterator[None]:
    """Raise CKAN's own error if Solr is away, which the API knows how to answer with.

    :raises SearchError: Solr is away
    """
    try:
        yield
    except SearchUnavailable as error:
        raise SearchError(str(error)) from None
