"""The search facet for broken links: what it is called, and what a dataset has in it."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from . import config
from .domain.badge import worst
from .domain.changes import NOT_ARCHIVED_TYPES
from .model import Archival

#: The field in Solr; its values are those of the confirmed verdict.
FIELD = "archiver_links"

_VALUES = {"broken": "broken", "not-sure": "unsure", "not-broken": "ok"}


def add_to(facets: dict[str, str], dataset_type: str | None) -> None:
    """Add the facet to those of a search, unless it is one for datasets whose links are not checked."""
    if config.show_broken_status() and dataset_type not in NOT_ARCHIVED_TYPES:
        facets[FIELD] = tk._("Links")


def label(search_results: dict[str, Any]) -> None:
    """Put the values of the facet in words, in the language of the reader."""
    labels = {
        "broken": tk._("With broken links"),
        "unsure": tk._("Not sure about some links"),
        "ok": tk._("Without broken links"),
    }
    for item in search_results.get("search_facets", {}).get(FIELD, {}).get("items", ()):
        item["display_name"] = labels.get(item["name"], item["name"])


def index(document: dict[str, Any]) -> None:
    """Set the field of a search document: by the worst of the dataset's links, as the database has it now.

    What the document holds of it comes from elsewhere: an extra of the same name, or nothing where another extension
    has a schema of its own.
    """
    document.pop(FIELD, None)
    columns = Archival.__table__.c
    query = sa.select(columns.is_broken, columns.verdict).join_from(
        Archival.__table__, model.Resource.__table__, model.Resource.id == columns.resource_id
    )
    is_here = sa.and_(model.Resource.package_id == document["id"], model.Resource.state == model.State.ACTIVE)
    if state := worst(row._mapping for row in model.Session.execute(query.where(is_here))):
        document[FIELD] = _VALUES[state]
