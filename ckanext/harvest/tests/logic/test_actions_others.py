"""The actions on harvesters, on the log, on search documents, and on who is told."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest.logic.action import reindex
from ckanext.harvest.model import HarvestLog, HarvestSource
from ckanext.harvest.tests.harvesting import act, make_source, names, start
from ckanext.harvest.tests.logic.people import People
from ckanext.harvest.tests.scripted_harvester import BareHarvester, ScriptedHarvester
from ckanext.relay import search


class Chaining(p.SingletonPlugin):
    """An extension that has its own idea of who is told."""

    p.implements(p.IActions)
    extra: list[dict[str, str]] = []

    def get_actions(self) -> dict[str, Any]:
        return {"harvest_get_notifications_recipients": self.recipients}

    @staticmethod
    @tk.chained_action
    def recipients(original: Any, context: Any, data_dict: Any) -> list[dict[str, str]]:
        return original(context, data_dict) + Chaining.extra


PLUGINS = {"scripted_harvester": ScriptedHarvester, "bare_harvester": BareHarvester, "chaining": Chaining}
pytestmark = pytest.mark.usefixtures("portal")


# -- harvesters


def test_which_harvesters_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its name, title and description, and whether its configuration is shown in the form."""
    shown = {info["name"]: info for info in act("harvesters_info_show")}
    assert set(shown) == {"ckan", "scripted", "bare"}
    assert shown["bare"] == {
        "name": "bare", "title": "Bare", "description": "Has no base class", "show_config": False,
    }  # fmt: skip
    assert (shown["ckan"]["form_config_interface"], shown["ckan"]["show_config"]) == ("Text", True)
    monkeypatch.setattr(BareHarvester, "info", lambda self: {"title": "Has no name"})
    assert {info["name"] for info in act("harvesters_info_show")} == {"ckan", "scripted"}


# -- who is told


def user(name: str, **fields: Any) -> dict[str, Any]:
    return factories.User(name=name, email=f"{name}@city.example", **fields)


def told(source: dict[str, Any]) -> list[str]:
    return [each["name"] for each in act("harvest_get_notifications_recipients", source_id=source["id"])]


def test_who_is_told() -> None:
    """Sysadmins, then the admins of the organization, nobody twice; no editors, and nobody of another organization."""
    user("zoe", sysadmin=True)
    user("adam", sysadmin=True)
    roles = [("mary", "admin"), ("adam", "admin"), ("ed", "editor"), ("mem", "member")]
    for name, _ in roles:
        if name != "adam":
            user(name)
    organization = factories.Organization(users=[{"name": name, "capacity": role} for name, role in roles])
    factories.Organization(users=[{"name": user("far")["name"], "capacity": "admin"}])
    source = make_source("ckan", owner_org=organization["id"])
    recipients = act("harvest_get_notifications_recipients", source_id=source["name"])
    assert recipients == [{"name": name, "email": f"{name}@city.example"} for name in ("adam", "zoe", "mary")]


def test_who_is_not_told() -> None:
    """Who was deleted, who has no address, and who left the organization."""
    organization = factories.Organization(users=[{"name": user("mary")["name"], "capacity": "admin"}])
    source = make_source("ckan", owner_org=organization["id"])
    for name in ("gone", "mute", "zoe"):
        user(name, sysadmin=True)
    model.User.get("gone").state = "deleted"
    model.User.get("mute").email = None
    model.Session.commit()
    assert told(source) == ["zoe", "mary"]
    act("member_delete", id=organization["id"], object="mary", object_type="user")
    assert told(source) == ["zoe"]


def test_a_source_without_an_organization() -> None:
    """Only sysadmins are told."""
    source = act("harvest_source_create", name="alone", url="http://city.example", source_type="ckan")
    user("zoe", sysadmin=True)
    assert told(source) == ["zoe"]
    with pytest.raises(tk.ObjectNotFound):
        act("harvest_get_notifications_recipients", source_id="no-such-source")


def test_an_extension_adds_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    """By chaining the action, as extensions do."""
    desk = {"name": "desk", "email": "desk@city.example"}
    monkeypatch.setattr(Chaining, "extra", [desk])
    source = make_source("ckan")
    assert act("harvest_get_notifications_recipients", source_id=source["id"]) == [desk]


# -- the log


def note(content: str, level: str = "INFO") -> None:
    created = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=HarvestLog.filter().count())
    HarvestLog(content=content, level=level, created=created).save()


def logged(**given: Any) -> list[str]:
    return [entry["content"] for entry in act("harvest_log_list", **given)]


def test_reading_the_log() -> None:
    """Newest first, a page at a time, of all levels or of one."""
    HarvestLog.filter().delete()
    for number in range(105):
        note(f"m{number}", "ERROR" if number % 50 == 0 else "INFO")
    assert logged() == [f"m{number}" for number in range(104, 4, -1)]
    assert logged(limit=2) == logged(per_page="2") == ["m104", "m103"]
    assert logged(limit=2, offset="3") == ["m101", "m100"]
    assert logged(level="error") == ["m100", "m50", "m0"]
    assert act("harvest_log_list", limit=1) == [
        {"content": "m104", "level": "INFO", "created": "2026-01-01 00:01:44"},
    ]
    assert logged(limit=0) == []


@pytest.mark.parametrize("given", [{"limit": "many"}, {"limit": -1}, {"offset": "x"}, {"level": "LOUD"}])
def test_what_the_log_is_not_asked(given: dict[str, Any]) -> None:
    """Who asks for something that there is not hears what is wrong."""
    with pytest.raises(tk.ValidationError) as caught:
        act("harvest_log_list", **given)
    assert list(caught.value.error_dict) == list(given)


# -- reindexing


def title_in_the_index(source_id: str) -> str:
    shown = act("package_search", fq="+dataset_type:harvest", q=f'id:"{source_id}"')["results"]
    return str(shown[0]["title"])


def rename(source_id: str, title: str) -> None:
    """Change the title behind the back of the index."""
    model.Session.query(model.Package).filter_by(id=source_id).update({"title": title})
    model.Session.commit()


def test_reindexing_a_source() -> None:
    """Searches find what the database says, by id or name."""
    source = make_source("ckan", title="Old")
    rename(source["id"], "New")
    assert title_in_the_index(source["id"]) == "Old"
    assert act("harvest_source_reindex", id=source["name"]) is True
    assert title_in_the_index(source["id"]) == "New"


def test_reindexing_without_a_commit() -> None:
    """``defer_commit`` leaves it to who calls."""
    source = make_source("ckan", title="Old")
    rename(source["id"], "New")
    context = {"ignore_auth": True, "user": "", "defer_commit": True}
    assert tk.get_action("harvest_source_reindex")(context, {"id": source["id"]}) is True
    assert title_in_the_index(source["id"]) == "Old"
    search.index([])
    assert title_in_the_index(source["id"]) == "New"


def test_reindexing_all_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches, and only active ones."""
    monkeypatch.setattr(reindex, "_BATCH", 2)
    ids = [make_source("ckan", title="Old")["id"] for _ in range(3)]
    for source_id in ids:
        rename(source_id, "New")
    assert act("harvest_sources_reindex") is True
    assert [title_in_the_index(source_id) for source_id in ids] == ["New"] * 3


def test_a_document_that_solr_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked is told why."""
    source = make_source("ckan")
    monkeypatch.setattr(reindex.search, "index", lambda ids: {ids[0]: "immense term"})
    for action in ("harvest_source_reindex", "harvest_sources_reindex"):
        with pytest.raises(tk.ValidationError, match="immense term"):
            act(action, id=source["id"])


# -- jobs for all


def test_jobs_for_all_sources() -> None:
    """For active sources without an open job, however many a list shows, and handed over unless told otherwise."""
    idle, busy, gone = (make_source("scripted") for _ in range(3))
    start(busy["id"])
    act("harvest_source_delete", id=gone["id"])
    [job] = act("harvest_job_create_all")
    assert (job["source_id"], job["status"]) == (idle["id"], "Running")
    assert set(job["stats"]) == {"added", "updated", "not modified", "errored", "deleted"}
    assert act("harvest_job_create_all") == []
    waiting = make_source("scripted")
    [job] = act("harvest_job_create_all", run="false")
    assert (job["source_id"], job["status"]) == (waiting["id"], "New")
    with pytest.raises(tk.ValidationError):
        act("harvest_job_create_all", run="perhaps")


def test_jobs_for_all_are_not_capped(ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of lists is none of how many sources are harvested."""
    monkeypatch.setitem(ckan_config, "ckan.harvest.harvest_source_limit", 1)
    organization = factories.Organization()["id"]
    make_source("scripted", owner_org=organization)
    make_source("scripted", owner_org=organization)
    make_source("scripted")
    assert len(act("harvest_source_list")) == 1
    assert len(act("harvest_job_create_all", organization_id=organization)) == 2
    assert len(act("harvest_job_create_all")) == 1


# -- jobs that run for too long


def running_for(days: float, **fields: Any) -> Any:
    source = make_source("scripted", **fields)
    from ckanext.harvest.model import HarvestJob

    job = HarvestJob.get(start(source["id"]))
    job.created -= datetime.timedelta(days=days)
    model.Session.commit()
    return job


def test_ending_jobs_that_run_for_too_long() -> None:
    """Longer than the period of their source, or than so many days if it has none."""
    limits = {"DAILY": 1, "WEEKLY": 7, "BIWEEKLY": 14, "MONTHLY": 30, "MANUAL": 3, "ALWAYS": 3}
    old = [running_for(days + 0.1, frequency=frequency) for frequency, days in limits.items()]
    young = [running_for(days - 0.1, frequency=frequency) for frequency, days in limits.items()]
    assert act("harvest_abort_failed_jobs", life_span="3") == "Done. Aborted jobs: 6"
    model.Session.expire_all()
    assert {job.status for job in old} == {"Finished"} and {job.status for job in young} == {"Running"}
    assert act("harvest_abort_failed_jobs", life_span=3) == "Done. Aborted jobs: 0"


@pytest.mark.parametrize("life_span", [None, "", "a week", -1])
def test_a_week_is_the_default(life_span: Any) -> None:
    """Also if what is given is no number of days."""
    assert act("harvest_abort_failed_jobs", life_span=life_span) == "There is no jobs to abort"
    running_for(7.1), running_for(6.9)
    assert act("harvest_abort_failed_jobs", life_span=life_span) == "Done. Aborted jobs: 1"


def test_some_sources_only() -> None:
    """What is included, or all but what is excluded; who includes excludes the rest."""
    first, second, third = (running_for(8) for _ in range(3))

    def ended(**given: str) -> str:
        return act("harvest_abort_failed_jobs", **given)

    assert ended(include="no-such-source") == "There is no jobs to abort"
    assert ended(include=f"{first.source_id},", exclude=first.source_id) == "Done. Aborted jobs: 1"
    assert ended(exclude=f" {second.source_id} ,{first.source_id}") == "Done. Aborted jobs: 1"
    model.Session.expire_all()
    assert [job.status for job in (first, second, third)] == ["Finished", "Running", "Finished"]


def test_a_frequency_that_there_is_not() -> None:
    """It is said, and no job is ended."""
    job = running_for(8)
    other = running_for(8)
    HarvestSource.get(other.source_id).frequency = "SOMETIMES"
    model.Session.commit()
    with pytest.raises(tk.ValidationError, match="Frequency SOMETIMES not recognised"):
        act("harvest_abort_failed_jobs")
    model.Session.expire_all()
    assert job.status == "Running"


# -- lists


def test_a_page_of_jobs() -> None:
    """``limit`` and ``offset`` cut the list."""
    ids = [start(make_source("scripted")["id"]) for _ in range(3)][::-1]

    def listed(**given: Any) -> list[str]:
        return [job["id"] for job in act("harvest_job_list", **given)]

    assert (listed(limit=2), listed(limit="1", offset=1), listed(offset=2)) == (ids[:2], ids[1:2], ids[2:])
    with pytest.raises(tk.ValidationError):
        listed(limit="all")


def test_everybody_sees_the_same_sources() -> None:
    """All rows for all, with the secrets masked for those who may not edit; one query for each kind of thing."""
    people = People(config='{"api_key": "hidden"}')
    make_source("ckan", owner_org=people.elsewhere["id"], config='{"api_key": "other"}')
    plain = make_source("ckan")
    for kind in people.names:
        listed = people.call(kind, "harvest_source_list")
        assert [each["id"] for each in listed][0] == plain["id"] and len(listed) == 3, kind
        shown = {key for key in ("hidden", "other") if key in str(listed)}
        expected = {"sysadmin": {"hidden", "other"}, "editor": {"hidden"}, "admin": {"hidden"},
                    "editor elsewhere": {"other"}}.get(kind, set())  # fmt: skip
        assert shown == expected, kind
    assert names([]) == []


def test_lists_ask_the_database_a_few_times_only(count_queries: Any) -> None:
    """However many sources or jobs there are."""
    for _ in range(2):
        start(make_source("scripted")["id"])
    few = {name: count_queries(name) for name in ("harvest_source_list", "harvest_job_list")}
    for _ in range(6):
        start(make_source("scripted")["id"])
    assert {name: count_queries(name) for name in few} == few


@pytest.fixture
def count_queries() -> Any:
    from sqlalchemy import event

    def count(action: str) -> int:
        statements: list[str] = []

        def listen(*arguments: Any) -> None:
            statements.append(arguments[2])

        model.Session.remove()
        event.listen(model.meta.engine, "before_cursor_execute", listen)
        try:
            act(action, return_last_job_status=True)
        finally:
            event.remove(model.meta.engine, "before_cursor_execute", listen)
        return len(statements)

    return count
