"""Saving a page of gathered records at once, and of datasets that are gone."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import ckan_mapping, object_state
from ckanext.relay.clock import now

from .tables import HarvestJob, HarvestObject, HarvestObjectExtra

_object = HarvestObject.__table__
_extra = HarvestObjectExtra.__table__

#: The extra by which harvesters mark an object whose dataset is to be deleted.
STATUS, DELETE = "status", "delete"


def save(job: HarvestJob, records: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> list[str]:
    """Save an object for each record, open to the workers at once, and commit.

    A record that is imported already as it is now is saved as not modified, without its content. One that this job has
    saved before (it was on an earlier page, or the worker that gathered it died) is left as it is.

    :param records: by guid
    :param config: of the source, since what it changes in a record counts as a change
    :returns: the ids of the objects
    """
    if not records:
        return []
    before = _objects_of_job(job, records)
    imported = _imported_hashes(job, records, config)
    first = now()
    rows = []
    for position, (guid, record) in enumerate(records.items()):
        if guid in before:
            continue
        content_hash = ckan_mapping.content_hash(record, config)
        unchanged = imported.get(guid) == content_hash
        rows.append(
            {
                "id": str(uuid.uuid4()),
                "guid": guid,
                # a microsecond apart, so that they are worked on in this order
                "gathered": first + datetime.timedelta(microseconds=position),
                "harvest_job_id": job.id,
                "harvest_source_id": job.source_id,
                "content": None if unchanged else json.dumps(record),
                "content_hash": content_hash,
                "state": object_state.COMPLETE if unchanged else object_state.WAITING,
                "report_status": object_state.NOT_MODIFIED if unchanged else None,
                "import_finished": first if unchanged else None,
                "published": True,
            }
        )
    if rows:
        model.Session.execute(sa.insert(_object), rows)
    model.Session.commit()
    return [before[guid] for guid in records if guid in before] + [str(row["id"]) for row in rows]


def imported(source_id: str) -> dict[str, str]:
    """Return the datasets that are now as a source brought them: package ids by guid."""
    query = sa.select(_object.c.guid, _object.c.package_id).where(
        _object.c.harvest_source_id == source_id, _object.c.current, _object.c.package_id.isnot(None)
    )
    return {row.guid: row.package_id for row in model.Session.execute(query)}


def gathered(job_id: str) -> set[str]:
    """Return the guids for which a job has an object already."""
    query = sa.select(_object.c.guid).where(_object.c.harvest_job_id == job_id)
    return {row.guid for row in model.Session.execute(query)}


def save_deletions(job: HarvestJob, gone: Mapping[str, str]) -> list[str]:
    """Save an object for each dataset that is to be deleted, open to the workers at once, and commit.

    It has the id of the dataset and the extra ``status``: ``delete``, as harvesters mark them. That the older objects
    are no longer current is for the import to say, together with the deletion.

    :param gone: package ids by guid
    :returns: the ids of the objects
    """
    first = now()
    rows = [
        {
            "id": str(uuid.uuid4()),
            "guid": guid,
            "gathered": first + datetime.timedelta(microseconds=position),
            "harvest_job_id": job.id,
            "harvest_source_id": job.source_id,
            "package_id": package_id,
            "state": object_state.WAITING,
            "published": True,
        }
        for position, (guid, package_id) in enumerate(gone.items())
    ]
    if rows:
        model.Session.execute(sa.insert(_object), rows)
        extras = [
            {"id": str(uuid.uuid4()), "harvest_object_id": row["id"], "key": STATUS, "value": DELETE} for row in rows
        ]
        model.Session.execute(sa.insert(_extra), extras)
    model.Session.commit()
    return [str(row["id"]) for row in rows]


def _objects_of_job(job: HarvestJob, records: Mapping[str, Any]) -> dict[str, str]:
    query = sa.select(_object.c.guid, _object.c.id).where(
        _object.c.harvest_job_id == job.id, _object.c.guid.in_(list(records))
    )
    return {row.guid: row.id for row in model.Session.execute(query)}


def _imported_hashes(job: HarvestJob, records: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash with which each record is imported now. Objects from before there were hashes are hashed here,
    as if the configuration had been the same then."""
    query = sa.select(
        _object.c.guid,
        _object.c.content_hash,
        sa.case((_object.c.content_hash.is_(None), _object.c.content)).label("content"),
    ).where(_object.c.harvest_source_id == job.source_id, _object.c.current, _object.c.guid.in_(list(records)))
    hashes = {}
    for row in model.Session.execute(query):
        if row.content_hash:
            hashes[row.guid] = row.content_hash
        elif row.content:
            hashes[row.guid] = _hash_of_text(row.content, config)
    return hashes


def _hash_of_text(content: str, config: Mapping[str, Any]) -> str:
    try:
        return ckan_mapping.content_hash(json.loads(content), config)
    except ValueError:
        return ""  # no JSON: like nothing that is gathered
