"""Whose the datasets and resources are that have the ids of remote records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import JSONB

from ckanext.harvest.domain.ownership import Claim

from .tables import HarvestObject, HarvestSource

_object = HarvestObject.__table__
_source = HarvestSource.__table__
_package = model.Package.__table__
_resource = model.Resource.__table__


@dataclass
class Owned:
    """A dataset that is here, and which sources have harvested it."""

    type: str
    owner_org: str | None
    creator: str | None
    claims: list[Claim] = field(default_factory=list)


def of_datasets(ids: Collection[str]) -> dict[str, Owned]:
    """Return those of the datasets that are here, deleted ones too, by id."""
    cleared_from = _package.c.plugin_data["harvest"]["source_id"].astext
    columns = _package.c.id, _package.c.type, _package.c.owner_org, _package.c.creator_user_id
    query = sa.select(*columns, cleared_from.label("cleared_from")).where(_package.c.id.in_(list(ids)))
    rows = list(model.Session.execute(query))
    found = {row.id: Owned(row.type, row.owner_org, row.creator_user_id) for row in rows}
    if not found:
        return found
    claims = (
        sa.select(
            _object.c.package_id, _source.c.id, _source.c.title, _source.c.active,
            sa.func.bool_or(sa.func.coalesce(_object.c.current, False)).label("current"),
        )
        .join(_source, _source.c.id == _object.c.harvest_source_id)
        .where(_object.c.package_id.in_(list(found)))
        .group_by(_object.c.package_id, _source.c.id)
    )  # fmt: skip
    for row in model.Session.execute(claims):
        found[row.package_id].claims.append(Claim(row.id, row.title or "", bool(row.active), row.current))
    for row in rows:
        if row.cleared_from and not found[row.id].claims:
            source = HarvestSource.get(row.cleared_from)
            title, active = (source.title or "", bool(source.active)) if source else ("", False)
            found[row.id].claims.append(Claim(row.cleared_from, title, active, current=True))
    return found


def keep_of_cleared(source_id: str) -> None:
    """Note in the datasets of a source that they are its own, before its objects, which say so, are deleted. Does not
    commit."""
    mine = sa.select(_object.c.package_id).where(_object.c.harvest_source_id == source_id, _object.c.current)
    empty = sa.cast({}, JSONB)
    old = sa.case((sa.func.jsonb_typeof(_package.c.plugin_data) == "object", _package.c.plugin_data), else_=empty)
    note = sa.cast({"harvest": {"source_id": source_id}}, JSONB)
    statement = sa.update(_package).where(_package.c.id.in_(mine)).values(plugin_data=old.op("||")(note))
    model.Session.execute(statement.execution_options(synchronize_session=False))


def of_resources(ids: Collection[str]) -> dict[str, str]:
    """Return which dataset has a resource of each id, deleted ones too; ids that are free are not in it."""
    query = sa.select(_resource.c.id, _resource.c.package_id).where(_resource.c.id.in_(list(ids)))
    return {row.id: row.package_id for row in model.Session.execute(query)}


def is_superseded(obj: HarvestObject) -> bool:
    """Tell whether the dataset of an object is now as another source brought it, or as this one did later."""
    later = sa.or_(_object.c.harvest_source_id != obj.harvest_source_id, _object.c.gathered > obj.gathered)
    query = sa.select(_object.c.id).where(_object.c.package_id == obj.package_id, _object.c.current, later)
    return model.Session.execute(query.limit(1)).first() is not None


def current_sources(package_ids: Collection[str]) -> list[tuple[str, str]]:
    """Return title and configuration of the active sources that the datasets are harvested from now."""
    query = (
        sa.select(_source.c.title, _source.c.config)
        .join(_object, _object.c.harvest_source_id == _source.c.id)
        .where(_object.c.package_id.in_(list(package_ids)), _object.c.current, _source.c.active)
        .distinct()
    )
    return [(row.title or "", row.config or "") for row in model.Session.execute(query)]
