"""Where a harvested dataset comes from, for its page."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from . import source_status
from .domain import object_state
from .model import HarvestObject, HarvestSource

_object = HarvestObject.__table__
_source = HarvestSource.__table__


@dataclass(frozen=True)
class Provenance:
    """Where a dataset comes from. All times are naive UTC.

    :param object_id: the record that the dataset is as
    :param source_title: of the source, which the visitor may not be allowed to see
    :param first: when the source brought the dataset first, as far as its jobs are kept
    :param last: when the record was seen at the source for the last time
    :param changed: when the source changed the dataset for the last time
    :param status: when the source is looked at next; its counts are not there
    """

    object_id: str
    source_id: str
    source_title: str
    first: datetime.datetime | None
    last: datetime.datetime | None
    changed: datetime.datetime | None
    status: source_status.SourceStatus


def of_dataset(package_id: str) -> Provenance | None:
    """Return where a dataset comes from, None if it was not harvested."""
    query = (
        sa.select(
            _object.c.id, _object.c.guid, _object.c.import_finished, _source.c.id.label("source"), _source.c.title
        )
        .join(_source, _source.c.id == _object.c.harvest_source_id)
        .where(_object.c.package_id == package_id, _object.c.current)
        .order_by(_object.c.import_finished.desc().nulls_first())
        .limit(1)
    )
    current = model.Session.execute(query).first()
    if current is None:
        return None
    of_source = sa.and_(_object.c.harvest_source_id == current.source, _object.c.state == object_state.COMPLETE)
    first = sa.select(sa.func.min(_object.c.import_finished)).where(_object.c.package_id == package_id, of_source)
    # what was as it had been before has the GUID, and no dataset
    seen = _object.c.guid == current.guid if current.guid else _object.c.package_id == package_id
    last = sa.select(sa.func.max(_object.c.import_finished)).where(seen, of_source)
    first_time, last_time = model.Session.execute(sa.select(first.scalar_subquery(), last.scalar_subquery())).one()
    status = source_status.of_sources([current.source], with_counts=False)[current.source]
    title, changed = current.title or "", current.import_finished
    return Provenance(current.id, current.source, title, first_time, last_time, changed, status)


def visible_source(source_id: str) -> dict[str, Any] | None:
    """Return ``id``, ``name`` and ``title`` of a source, None if there is none or the visitor may not see it."""
    package = model.Package.get(source_id)
    if package is None:
        return None
    try:
        tk.check_access("harvest_source_show", {"user": getattr(tk.g, "user", "")}, {"id": package.id})
    except tk.NotAuthorized:
        return None
    return {"id": package.id, "name": package.name, "title": package.title or package.name}
