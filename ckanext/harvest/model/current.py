"""Finding the objects that may be imported again."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from ckan import model

from ckanext.harvest.domain import object_state

from .tables import HarvestObject

_object = HarvestObject.__table__
_package = model.Package.__table__


def objects(
    guid: str | None = None, source_id: str | None = None, harvest_object_id: str | None = None,
    package_id: str | None = None, with_dataset: bool = True, segments: str | None = None,
) -> list[str]:  # fmt: skip
    """Return the ids of the current objects, only those of what is named; or the one object, be it current or not.

    What a worker is at, or will come to, is left out.

    :param with_dataset: leave out those whose dataset is not active
    :param segments: hex digits, one of which the MD5 sum of an object's id must begin with
    """
    query = sa.select(_object.c.id).where(_object.c.state.notin_(sorted(object_state.lifecycle.open)))
    query = query.where(_object.c.id == harvest_object_id if harvest_object_id else _object.c.current)
    for column, wanted in (("guid", guid), ("harvest_source_id", source_id), ("package_id", package_id)):
        if wanted:
            query = query.where(_object.c[column] == wanted)
    if with_dataset:
        query = query.join(_package, _package.c.id == _object.c.package_id).where(_package.c.state == "active")
    ids = [row.id for row in model.Session.execute(query.order_by(_object.c.gathered, _object.c.id))]
    return [each for each in ids if not segments or hashlib.md5(each.encode()).hexdigest()[0] in segments]


def keep(object_id: str) -> None:
    """Make an object that was imported again the current one of its dataset, unless that has another.

    Harvesters take the mark off all objects of a dataset before they put it on the one at work; if that has it already,
    SQLAlchemy sees no change to write. Does not commit.
    """
    other = _object.alias("other")
    has_other = sa.exists().where(other.c.package_id == _object.c.package_id, other.c.current)
    wanted = sa.and_(_object.c.id == object_id, _object.c.package_id.isnot(None), sa.not_(has_other))
    model.Session.execute(sa.update(_object).where(wanted).values(current=True))
