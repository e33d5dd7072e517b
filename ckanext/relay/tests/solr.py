"""Solr at another address than the portal's, to see what is done while it is away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import ckan.plugins.toolkit as tk
from ckan.lib.search import common

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9/solr/none"


@contextlib.contextmanager
def solr_at(url: str = NOWHERE) -> Iterator[None]:
    """Let CKAN look for Solr at this URL while the block runs."""
    before = tk.config["solr_url"]
    _look_at(url)
    try:
        yield
    finally:
        _look_at(before)


def _look_at(url: str) -> None:
    tk.config["solr_url"] = url
    if hasattr(common, "SolrSettings"):  # CKAN 2.11 reads the setting once
        common.SolrSettings.init(url)
