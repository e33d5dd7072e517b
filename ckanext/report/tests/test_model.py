"""The table of stored data, as other programs use it, and reading large ones once."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from typing import Any

import pytest
from ckan import model

from ckanext.relay.clock import now
from ckanext.report import stored
from ckanext.report.model import DataCache

pytestmark = pytest.mark.usefixtures("portal")


def rows() -> int:
    return int(model.Session.query(DataCache).count())


def test_what_is_stored_is_found() -> None:
    """By object and key, None being an object, too; a second value takes the place of the first."""
    for object_id in ("parks", None):
        assert DataCache.get(object_id, "a") == (None, None)
        created = DataCache.set(object_id, "a", "one")
        assert abs(now() - created) < datetime.timedelta(minutes=1)
        assert DataCache.get(object_id, "a") == ("one", created)
        DataCache.set(object_id, "a", "two")
        assert DataCache.get(object_id, "a")[0] == "two"
    assert rows() == 2


def test_json_keeps_its_order() -> None:
    """Columns of a report are shown in the order in which they were generated."""
    DataCache.set(None, "a", OrderedDict([("b", 1), ("a", {"d": "\x00", "c": "ü\ud800"})]), convert_json=True)
    value, _ = DataCache.get(None, "a", convert_json=True)
    assert isinstance(value, OrderedDict) and isinstance(value["a"], OrderedDict)
    assert list(value) == ["b", "a"] and list(value["a"]) == ["d", "c"]
    assert value["a"]["d"] == "\x00"
    assert isinstance(DataCache.get(None, "a")[0], str)


def test_what_is_too_old() -> None:
    """Older than asked for, or than two days, is as if it were not there."""
    DataCache.set(None, "a", "one")
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(hours=47)})
    assert DataCache.get_if_fresh(None, "a")[0] == "one"
    assert DataCache.get(None, "a", max_age=datetime.timedelta(hours=1)) == (None, None)
    model.Session.query(DataCache).update({"created": now() - datetime.timedelta(hours=49)})
    assert DataCache.get_if_fresh(None, "a") == (None, None)
    assert DataCache.get(None, "a")[0] == "one"


def test_doubled_rows_of_an_older_database() -> None:
    """The newest counts, and writing makes them say the same."""
    for hours, value in ((2, "old"), (1, "new"), (3, "older")):
        model.Session.add(DataCache(key="a", value=value, created=now() - datetime.timedelta(hours=hours)))
    model.Session.add(DataCache(key="a", value="undated", created=None))
    model.Session.flush()
    model.Session.query(DataCache).filter_by(value="undated").update({"created": None})
    assert DataCache.get(None, "a")[0] == "new"
    DataCache.set(None, "a", "newest")
    assert {row.value for row in model.Session.query(DataCache.value)} == {"newest"}


def test_a_value_without_a_form_in_json() -> None:
    """It is an error, and nothing is stored."""
    with pytest.raises(TypeError):
        DataCache.set(None, "a", {"b": object()}, convert_json=True)
    assert rows() == 0


def test_large_data_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same version is the same object; another version is read; what is most in use is kept, the rest is let go."""
    monkeypatch.setattr(stored, "KEPT_CHARACTERS", 60)

    def save(key: str, value: Any) -> None:
        DataCache.set(None, key, value, convert_json=True)

    save("a", {"value": "x" * 30})
    first, created = stored.read(None, "a")
    assert stored.read(None, "a")[0] is first
    save("a", {"value": "y" * 30})
    second, later = stored.read(None, "a")
    assert second == {"value": "y" * 30} and created < later
    save("b", {"value": "z" * 30})
    stored.read(None, "b")
    assert len(stored._kept) == 1
    assert stored.read(None, "a")[0] == second
    assert stored.read(None, "not there") == (None, None)
