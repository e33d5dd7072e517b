"""What a harvested dataset says of where it comes from."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from ckan import model

from .model import HarvestObject, HarvestSource


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
    return {
        "harvest_object_id": row.id,
        "harvest_source_id": row.harvest_source_id,
        "harvest_source_title": row.title or "",
    }


def index(document: dict[str, Any]) -> dict[str, Any]:
    """Put the provenance of a harvested dataset into its search document and into the dictionaries cached there."""
    found = provenance(document["id"])
    if found is None:
        return document
    document.update(found)
    for blob in ("data_dict", "validated_data_dict"):
        shown = json.loads(document[blob])
        for key, value in found.items():
            if key in shown:  # a schema has a field of this name
                shown[key] = value
            else:
                extras = [extra for extra in shown.get("extras", ()) if extra["key"] != key]
                shown["extras"] = [*extras, {"key": key, "value": value}]
        document[blob] = json.dumps(shown)
    return document
