"""The table ``data_cache``, which holds what reports came to."""

from __future__ import annotations

import datetime
import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.model import meta
from ckan.model.types import make_uuid

from ckanext.relay.clock import now
from ckanext.report.domain.schedule import FRESH
from ckanext.report.domain.table import to_json

# Instances hold plain values and classes expressions; SQLAlchemy 1.4, which CKAN 2.11 has, knows no annotation that
# says both.
column: Any = sa.Column


class DataCache(tk.BaseModel):
    """Something that took long to make, by an object that it is about (or None) and a key."""

    __tablename__ = "data_cache"

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    object_id = column(sa.UnicodeText, index=True)
    key = column(sa.UnicodeText, nullable=False)
    value = column(sa.UnicodeText)
    created = column(sa.DateTime, default=now)

    __table_args__ = (sa.Index("idx_data_cache_object_id_key", "object_id", "key"),)

    @classmethod
    def get(
        cls, object_id: str | None, key: str, convert_json: bool = False, max_age: datetime.timedelta | None = None
    ) -> tuple[Any, datetime.datetime | None]:
        """Return ``(value, created)``, or ``(None, None)`` if there is none.

        :param convert_json: read the value as JSON; objects become OrderedDicts
        :param max_age: take what is older for missing
        """
        row = _newest(cls.value, cls.created, object_id=object_id, key=key)
        if row is None or (max_age and (row.created is None or now() - row.created > max_age)):
            return None, None
        value = json.loads(row.value, object_pairs_hook=OrderedDict) if convert_json and row.value else row.value
        return value, row.created

    @classmethod
    def get_if_fresh(
        cls, object_id: str | None, key: str, convert_json: bool = False
    ) -> tuple[Any, datetime.datetime | None]:
        """Return what :meth:`get` does, or ``(None, None)`` if it is older than two days."""
        return cls.get(object_id, key, convert_json=convert_json, max_age=FRESH)

    @classmethod
    def set(cls, object_id: str | None, key: str, value: Any, convert_json: bool = False) -> datetime.datetime:
        """Keep a value in place of the one before, flush, and return when that was, UTC.

        :param convert_json: the value is no text; store it as JSON
        :raises TypeError: the value has no form in JSON
        """
        text = to_json(value) if convert_json else value
        created = now()
        same = model.Session.query(cls).filter_by(object_id=object_id, key=key)
        if not same.update({"value": text, "created": created}, synchronize_session=False):
            model.Session.add(cls(object_id=object_id, key=key, value=text, created=created))
        model.Session.flush()
        return created

    @classmethod
    def version(cls, object_id: str | None, key: str) -> tuple[str, datetime.datetime | None] | None:
        """Return the id of the row and when it was made, without reading the value; None if there is none."""
        row = _newest(cls.id, cls.created, object_id=object_id, key=key)
        return None if row is None else (row.id, row.created)

    @classmethod
    def drop(cls, object_id: str | None, key: str) -> None:
        """Delete a value, if there is one."""
        model.Session.query(cls).filter_by(object_id=object_id, key=key).delete(synchronize_session=False)

    @classmethod
    def created_by_key(cls, keys: Iterable[str]) -> dict[str, datetime.datetime]:
        """Return when the values of these keys were made; what is missing was never."""
        newest = sa.func.max(cls.created)
        query = model.Session.query(cls.key, newest).filter(cls.key.in_(list(keys))).group_by(cls.key)
        return {key: created for key, created in query if created}


def _newest(*columns: Any, **wanted: Any) -> Any:
    # there may be several: nothing kept two processes of ckanext-report from making the same row
    query = model.Session.query(*columns).filter_by(**wanted)
    return query.order_by(DataCache.created.desc().nullslast(), DataCache.id).first()


def init_tables() -> None:
    """Make the table if it is not there, whether migrations are run or not."""
    DataCache.__table__.create(meta.engine, checkfirst=True)
