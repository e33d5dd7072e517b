"""What the activity stream says of a source."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckan import model
from ckanext.activity.model import Activity

from ckanext.harvest.tests.harvesting import act, make_source, sql
from ckanext.relay.errors import MASK

pytestmark = pytest.mark.usefixtures("portal")

TOKEN = "hunter2-and-more"
CONFIG = {"api_key": TOKEN, "force_all": True}


@pytest.fixture
def activity_id(portal: None) -> str:
    """An activity about a source as ckanext-harvest has saved it, with the token in its configuration and its URL."""
    source = make_source("ckan")
    package = source | {"config": json.dumps(CONFIG), "url": f"http://harvest:{TOKEN}@source.example"}
    package["extras"] = [{"key": "config", "value": json.dumps(CONFIG)}]
    data = json.dumps({"package": package, "actor": "somebody"})
    sql("UPDATE activity SET data = :data WHERE object_id = :id", data=data, id=source["id"])
    [row] = sql("SELECT id FROM activity WHERE object_id = :id", id=source["id"])
    return str(row.id)


def test_what_ckanext_harvest_has_saved(activity_id: str) -> None:
    """Nobody is shown a secret in it, however he asks; the rest is there, and the row is left alone."""
    [before] = sql("SELECT data FROM activity WHERE id = :id", id=activity_id)
    assert TOKEN in before.data
    source_id = Activity.get(activity_id).object_id
    answers: list[Any] = [
        act("activity_show", id=activity_id, include_data=True),
        act("activity_data_show", id=activity_id),
        act("activity_data_show", id=activity_id, object_type="package"),
        act("package_activity_list", id=source_id),
        act("recently_changed_packages_activity_list"),
    ]
    assert TOKEN not in json.dumps(answers)
    shown = answers[1]["package"]
    assert json.loads(shown["config"]) == CONFIG | {"api_key": MASK}
    assert shown["name"] == act("package_show", id=source_id)["name"]
    model.Session.commit()
    assert sql("SELECT data FROM activity WHERE id = :id", id=activity_id) == [before]


def test_read_in_parts(activity_id: str) -> None:
    """Columns that are read later, or once more, are masked as well."""
    activity = model.Session.query(Activity).get(activity_id)
    model.Session.expire(activity, ["data"])
    assert TOKEN not in json.dumps(activity.data)
    model.Session.refresh(activity)
    assert TOKEN not in json.dumps(activity.data) and MASK in json.dumps(activity.data)
    assert activity not in model.Session.dirty


def test_other_activities(activity_id: str) -> None:
    """What is about something else is shown as it is."""
    act("package_create", name="by-hand", notes=f"password={TOKEN}", extras=[{"key": "config", "value": TOKEN}])
    [row] = sql("SELECT id FROM activity WHERE data LIKE '%by-hand%'")
    assert act("activity_data_show", id=row.id)["package"]["extras"] == [{"key": "config", "value": TOKEN}]
