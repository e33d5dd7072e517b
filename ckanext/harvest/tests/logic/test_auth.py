"""Who may do what: rights on a source are rights on its dataset."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import authz, model

from ckanext.harvest.logic.action import get_actions
from ckanext.harvest.logic.auth import get_auth_functions, user_is_sysadmin
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.harvest.tests.harvesting import act, start
from ckanext.harvest.tests.logic.people import KINDS, People

pytestmark = pytest.mark.usefixtures("portal")

ALL, LOGGED_IN, MEMBERS, EDITORS, SYSADMINS = (KINDS[first:] for first in (0, 1, 2, 3, 5))


def requests_of(people: People, source: dict[str, Any]) -> list[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Return each action with what it may be asked and who may ask it, of a source that is public."""
    job_id = start(source["id"])
    package = act("package_create", name=f"harvested-{source['name']}", owner_org=people.organization["id"])
    obj = HarvestObject(guid="one", job=HarvestJob.get(job_id), package_id=package["id"], current=True)
    obj.save()
    source_id = {"source_id": source["id"]}
    by_id, job, of_object = {"id": source["id"]}, {"id": job_id}, {"id": obj.id}
    fields = {"name": "new", "url": "http://new.example", "source_type": "ckan"}
    return [
        ("harvest_source_show", by_id, ALL),
        ("harvest_source_show", {"id": source["name"]}, ALL),
        ("harvest_source_show_status", by_id, ALL),
        ("harvest_source_list", {}, ALL),
        ("harvest_source_create", fields | {"owner_org": people.organization["id"]}, EDITORS),
        ("harvest_source_update", by_id | fields, EDITORS),
        ("harvest_source_patch", by_id | {"title": "Other"}, EDITORS),
        ("harvest_source_delete", by_id, EDITORS),
        ("harvest_job_create", source_id, EDITORS),
        ("harvest_job_list", source_id, EDITORS),
        ("harvest_job_list", {}, SYSADMINS),
        ("harvest_job_show", job, EDITORS),
        ("harvest_job_report", job, EDITORS),
        ("harvest_send_job_to_gather_queue", job, EDITORS),
        ("harvest_job_retry", job, EDITORS),
        ("harvest_job_abort", job, SYSADMINS),
        ("harvest_job_abort", source_id, SYSADMINS),
        ("harvest_jobs_run", {}, SYSADMINS),
        ("harvest_jobs_run", source_id, SYSADMINS),
        ("harvest_object_show", of_object, ALL),
        ("harvest_object_list", {}, LOGGED_IN),
        ("harvest_object_create", {"job_id": job_id, "guid": "two"}, SYSADMINS),
        ("harvest_objects_import", {}, SYSADMINS),
        ("harvest_objects_import", source_id, SYSADMINS),
        ("harvest_job_create_all", {}, SYSADMINS),
        ("harvest_abort_failed_jobs", {}, SYSADMINS),
        ("harvest_source_reindex", by_id, EDITORS),
        ("harvest_sources_reindex", {}, SYSADMINS),
        ("harvest_source_index_clear", by_id, EDITORS),
        ("harvest_source_job_history_clear", by_id, EDITORS),
        ("harvest_sources_job_history_clear", {}, SYSADMINS),
        ("harvest_source_clear", {"id": source["name"]}, EDITORS),
        ("harvest_get_notifications_recipients", source_id, SYSADMINS),
        ("harvest_log_list", {}, SYSADMINS),
        ("harvesters_info_show", {}, ALL),
        ("harvest_dashboard_show", {}, (KINDS[1], *EDITORS)),
        ("harvest_job_error_causes", job, EDITORS),
        ("harvest_job_error_list", job, EDITORS),
        ("harvest_source_test", by_id | fields, EDITORS),
        ("harvest_source_test", fields | {"owner_org": people.organization["id"]}, EDITORS),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_do_what(kind: str) -> None:
    """Each action is open to whom the contract names, and to nobody else."""
    people = People()
    wrong = [
        (action, data, "is refused" if kind in allowed else "is allowed")
        for action, data, allowed in requests_of(people, people.source)
        if people.may(kind, action, **data) is not (kind in allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_actions_refuse_by_themselves(kind: str) -> None:
    """Who may not is refused by the action itself, before it does anything."""
    people = People()
    for action, data, allowed in requests_of(people, people.source):
        if kind not in allowed:
            with pytest.raises(tk.NotAuthorized):
                people.call(kind, action, **data)
    model.Session.remove()
    [job] = HarvestJob.filter(source_id=people.source["id"])
    assert job.status == "Running"
    assert act("harvest_source_show", id=people.source["id"])["state"] == "active"


def test_a_private_source_is_for_its_organization() -> None:
    """A source that only its organization may see is refused to others, and so are the records of its datasets."""
    people = People(private=True)
    asked = requests_of(people, people.source)
    package = HarvestObject.filter(guid="one").one().package_id
    act("package_patch", id=package, private=True)
    shows = {"harvest_source_show", "harvest_source_show_status", "harvest_object_show"}
    for kind in KINDS:
        for action, data, _ in asked:
            if action in shows:
                assert people.may(kind, action, **data) is (kind in MEMBERS), (kind, action)


def test_every_action_has_its_auth_function() -> None:
    """No action without an auth function of its name, and none that is left over."""
    # one for all sources at once, as portals that override it know it
    functions = {name for name in get_auth_functions() if name.startswith("harvest")}
    assert functions - set(get_actions()) == {"harvest_sources_clear"}
    assert set(get_actions()) <= functions
    asked = {action for action, _, _ in requests_of(People(), act("harvest_source_list") and People().source)}
    assert asked == set(get_actions()), "the table above knows every action"


def test_what_is_not_there_is_not_found() -> None:
    """An id that leads nowhere is no question of rights."""
    people = People()
    for action in ("harvest_source_show", "harvest_source_show_status", "harvest_job_show", "harvest_job_report",
                   "harvest_object_show", "harvest_send_job_to_gather_queue", "harvest_source_clear",
                   "harvest_source_index_clear", "harvest_source_job_history_clear",
                   "harvest_source_reindex"):  # fmt: skip
        with pytest.raises(tk.ObjectNotFound):
            people.call("sysadmin", action, id="no-such-thing")
    for action in ("harvest_job_abort", "harvest_job_create"):
        with pytest.raises(tk.ObjectNotFound):
            people.call("sysadmin", action, id="no-such-thing", source_id="no-such-thing")


@pytest.mark.parametrize(
    ("action", "missing"),
    [
        ("harvest_source_show", "name_or_id"),  # CKAN's own word
        ("harvest_source_show_status", "id"),
        ("harvest_source_update", "id"),
        ("harvest_source_patch", "id"),
        ("harvest_source_delete", "id"),
        ("harvest_job_create", "source_id"),
        ("harvest_job_show", "id"),
        ("harvest_job_report", "id"),
        ("harvest_job_abort", "id"),
        ("harvest_send_job_to_gather_queue", "id"),
        ("harvest_object_show", "id"),
        ("harvest_object_create", "job_id"),
        ("harvest_source_clear", "id"),
        ("harvest_source_index_clear", "id"),
        ("harvest_source_job_history_clear", "id"),
        ("harvest_source_reindex", "id"),
        ("harvest_get_notifications_recipients", "source_id"),
    ],
)
def test_what_must_be_given(action: str, missing: str) -> None:
    """An action that is not told what it is about says what is missing."""
    with pytest.raises(tk.ValidationError) as caught:
        act(action)
    assert list(caught.value.error_dict) == [missing]


def test_user_is_sysadmin() -> None:
    """The helper that third-party auth functions use."""
    people = People()
    assert [user_is_sysadmin({"user": people.names[kind]}) for kind in KINDS] == [False] * 5 + [True]


@pytest.mark.parametrize("name", ["harvest_source_clear", "harvest_sources_clear"])
def test_who_may_clear_may_clear_a_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that overrides who may clear a source, or all of them, overrides it for every kind of clearing."""
    parts = {
        "harvest_source_clear": ("harvest_source_index_clear", "harvest_source_job_history_clear"),
        "harvest_sources_clear": ("harvest_sources_job_history_clear",),
    }[name]
    people = People()
    data = {"id": people.source["id"]}
    assert not any(people.may("member", part, **data) for part in parts)
    monkeypatch.setitem(authz._AuthFunctions._functions, name, lambda context, data_dict: {"success": True})
    assert all(people.may("member", part, **data) for part in parts)


def test_auth_functions_by_verb() -> None:
    """Third parties import them from modules named after what they allow."""
    from ckanext.harvest.logic.auth import create, delete, get, patch, update

    found = {
        name: function
        for module in (get, create, update, patch, delete)
        for name, function in vars(module).items()
        if name.startswith("harvest")
    }
    ours = {name: function for name, function in get_auth_functions().items() if name.startswith("harvest")}
    assert {name: found.get(name) for name in ours} == ours
    assert update.harvest_sources_reindex is ours["harvest_sources_reindex"]
