"""What a harvested dataset says of where it comes from.

It is no part of the dataset: it stands in the search index and in what CKAN shows, never in the dataset's own table.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from ckan import model

from .model import HarvestObject, HarvestSource

PROVENANCE = ("harvest_object_id", "harvest_source_id", "harvest_source_title")


def provenance(package_id: str) -> dict[str, str] | None:
    """Return ``harvest_object_id``, ``harvest_source_id`` and ``harvest_source_title``, or None if not harvested.

    They are those of the current object; of several, of the one imported last.
    """
    query = (
        sa.select(HarvestObject.id, HarvestObject.harvest_source_id, HarvestSource.title)
        .join(HarvestSource, HarvestSource.id == HarvestObject.harvest_source_id)
        .where(HarvestObject.package_id == package_id, HarvestObject.current)
        .order_by(HarvestObject.import_finished.desc().nulls_first())
        .limit(1)
    )
    row = model.Session.execute(query).first()
    if row is None:
        return None
    return dict(zip(PROVENANCE, (row.id, row.harvest_source_id, row.title or ""), strict=True))


def index(document: dict[str, Any]) -> dict[str, Any]:
    """Put the provenance of a harvested dataset into its search document and into the dictionaries cached there."""
    found = provenance(document["id"])
    if found is None:
        return document
    document.update(found)
    for blob in ("data_dict", "validated_data_dict"):
        shown = json.loads(document[blob])
        _put(found, shown)
        document[blob] = json.dumps(shown)
    return document


def show(context: Any, shown: dict[str, Any]) -> None:
    """Complete a harvested dataset that CKAN shows from its tables though it may show it from the search index: because
    Solr does not answer, or because it spells the time of change in another way, as 12:00:01 for 12:00:01.000321.

    Who wants to see the tables, is about to write what is shown, or keeps it as the activity stream does (who says that
    it is not for view), gets what is in them.
    """
    if not context.get("use_cache", True) or context.get("for_update") or context.get("for_view") is False:
        return
    there = {extra["key"] for extra in shown.get("extras") or ()} | shown.keys()
    if not there.issuperset(PROVENANCE) and (found := provenance(shown["id"])):
        _put(found, shown)


def _put(found: dict[str, str], shown: dict[str, Any]) -> None:
    for key, value in found.items():
        if key in shown:  # a schema has a field of this name
            shown[key] = value
        else:
            extras = [extra for extra in shown.get("extras") or () if extra["key"] != key]
            shown["extras"] = [*extras, {"key": key, "value": value}]


def keep_as_it_was(package: model.Package) -> None:
    """Take the provenance out of a harvested dataset into which somebody has just written all that CKAN showed him.
    Does not commit."""
    written = [key for key in PROVENANCE if key in package.extras]
    if written and provenance(package.id):
        for key in written:
            del package.extras[key]
