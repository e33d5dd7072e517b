"""The actions that remove what sources have brought."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pysolr
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib.search import SearchError
from ckan.tests import factories

from ckanext.harvest import clearing, runner
from ckanext.harvest.logic import HarvestJobExists
from ckanext.harvest.model import (
    HarvestGatherError,
    HarvestJob,
    HarvestObject,
    HarvestObjectError,
    HarvestObjectExtra,
    HarvestSource,
    clear,
    jobs,
    lease_table,
)
from ckanext.harvest.tests.harvesting import act, current, found, harvest, make_source, objects, start, work_off
from ckanext.harvest.tests.scripted_harvester import (
    Script,
    ScriptedHarvester,
    package_id,
    save_by_hand,
    save_objects,
)
from ckanext.relay import lease, search, search_entries

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is waited for."""
    monkeypatch.setattr(clearing, "_PATIENCE", 0)


def left(source_id: str) -> dict[str, int]:
    """Return how many jobs and objects of a source there are, and how many rows that belong to some of any source."""
    model.Session.remove()
    of_any = (HarvestObjectExtra, HarvestObjectError, HarvestGatherError)
    counted = {cls.__name__: cls.filter().count() for cls in of_any}
    counted["HarvestObject"] = HarvestObject.filter(harvest_source_id=source_id).count()
    counted["HarvestJob"] = HarvestJob.filter(source_id=source_id).count()
    return {name: count for name, count in counted.items() if count}


def move(guid: str, source_id: str) -> None:
    """Let a source harvest a record that another one has brought, so that it has the current object now."""
    ScriptedHarvester.script.guids = (guid,)
    harvest(source_id)


# -- clearing


def test_clearing_a_source(script: Script, source_id: str) -> None:
    """Datasets, objects with extras and errors, jobs and index entries go for good; the source stays, and works."""
    script.guids = ("one", "two", "three")
    for job in (harvest(source_id), harvest(source_id)):
        HarvestObjectExtra(object=objects(job)[0], key="format", value="xml").save()
        HarvestObjectError.create("A resource is gone", objects(job)[0])
        HarvestGatherError.create("Page 2 is gone", job)
    assert found() == ["by-hand-one", "by-hand-three", "by-hand-two"]
    name = act("harvest_source_show", id=source_id)["name"]
    assert act("harvest_source_clear", id=name) == {"id": source_id}
    assert left(source_id) == {}
    assert found() == []
    assert model.Package.get(package_id("one")) is None
    shown = act("harvest_source_show", id=source_id)
    assert (shown["active"], shown["status"]) == (True, {"job_count": 0, "last_job": None, "total_datasets": 0})
    harvest(source_id)
    assert found() == ["by-hand-one", "by-hand-three", "by-hand-two"]


def test_clearing_a_source_that_is_empty(source_id: str) -> None:
    """Nothing happens, also when it is done twice."""
    for _ in range(2):
        assert act("harvest_source_clear", id=source_id) == {"id": source_id}


def test_clearing_goes_by_batches(script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one batch can hold is removed as well."""
    monkeypatch.setattr(clear, "BATCH", 2)
    monkeypatch.setattr(clearing, "_BATCH", 2)
    script.guids = tuple("abcde")
    harvest(source_id)
    harvest(source_id)
    act("harvest_source_clear", id=source_id)
    assert (left(source_id), found()) == ({}, [])


def test_what_is_not_of_the_source_stays(script: Script, source_id: str) -> None:
    """Neither what somebody made by hand, nor what another source has brought, is touched, nor its history."""
    script.guids = ("mine", "moved")
    harvest(source_id)
    other = str(make_source("scripted")["id"])
    move("moved", other)
    script.guids = ("theirs",)
    harvest(other)
    factories.Dataset(name="by-people")
    kept = [obj.id for job in HarvestJob.filter(source_id=other) for obj in objects(job)]
    act("harvest_source_clear", id=source_id)
    assert left(source_id) == {}
    assert found() == ["by-hand-moved", "by-hand-theirs", "by-people"]
    assert {obj.id for obj in HarvestObject.filter(harvest_source_id=other)} == set(kept)
    assert [obj.harvest_source_id for obj in current(package_id("moved"))] == [other]
    assert found(f'harvest_source_id:"{source_id}"') == []


def test_what_came_from_another_source_goes_with_the_one_that_has_it_now(source_id: str) -> None:
    """The source that has the current object clears the dataset; the one that had it does not."""
    harvest(source_id)
    other = str(make_source("scripted")["id"])
    move("one", other)
    act("harvest_source_clear", id=other)
    assert found() == []


def test_a_dataset_that_two_sources_claim_stays(source_id: str) -> None:
    """Two current objects are a fault, and no reason to lose the dataset: it goes to the other source."""
    [mine] = objects(harvest(source_id))
    other = str(make_source("scripted")["id"])
    move("one", other)
    model.Session.query(HarvestObject).filter_by(id=mine.id).update({"current": True})
    model.Session.commit()
    act("harvest_source_clear", id=source_id)
    assert found() == ["by-hand-one"]
    assert found(f'harvest_source_id:"{other}"') == ["by-hand-one"]


def test_a_dataset_that_an_object_only_failed_on_stays(script: Script, source_id: str) -> None:
    """An object that names a dataset and was never imported makes it no dataset of the source."""
    by_people = factories.Dataset(name="by-people")

    def fail(obj: HarvestObject) -> bool:
        obj.package_id = by_people["id"]
        obj.save()
        return False

    script.imports = fail
    harvest(source_id)
    act("harvest_source_clear", id=source_id)
    assert (left(source_id), found()) == ({}, ["by-people"])


def test_a_source_that_names_itself_is_not_removed(source_id: str) -> None:
    """Whatever an object says, a source is no dataset that could be cleared."""
    job = harvest(source_id)
    HarvestObject(job=job, package_id=source_id, current=True, state="COMPLETE", report_status="added").save()
    act("harvest_source_clear", id=source_id)
    assert HarvestSource.get(source_id) is not None and model.Package.get(source_id) is not None


def test_what_was_deleted_by_the_harvester_goes_too(script: Script, source_id: str) -> None:
    """A dataset that is gone at the source, and deleted here, has no current object; it is removed for good as well."""
    harvest(source_id)

    def delete(obj: HarvestObject) -> bool:
        dataset = package_id(obj.guid)
        model.Session.query(HarvestObject).filter_by(package_id=dataset).update({"current": False})
        obj.package_id = dataset
        obj.save()
        act("package_delete", id=dataset)
        return True

    script.imports = delete
    harvest(source_id)
    assert model.Package.get(package_id("one")).state == "deleted"
    act("harvest_source_clear", id=source_id)
    assert model.Package.get(package_id("one")) is None


def test_what_the_index_alone_remembers_goes_too(
    script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document whose dataset is gone from the database is removed; that of a dataset which is not of the source any
    more is brought up to date."""
    for module, size in ((search_entries, "_PAGE"), (search_entries, "_CHUNK"), (clear, "BATCH"), (clearing, "_BATCH")):
        monkeypatch.setattr(module, size, 2)
    script.guids = tuple("abcde")
    harvest(source_id)
    act("harvest_source_job_history_clear", id=source_id)
    gone = [package_id(guid) for guid in "abc"]
    model.Session.execute(sa.delete(model.Package).where(model.Package.id.in_(gone)))
    model.Session.commit()
    assert len(found(f'harvest_source_id:"{source_id}"')) == 5
    act("harvest_source_clear", id=source_id)
    assert found() == ["by-hand-d", "by-hand-e"]
    assert found(f'harvest_source_id:"{source_id}"') == []


@pytest.mark.parametrize("told", [False, True])
def test_going_on_after_an_interruption(
    script: Script, source_id: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed stays removed, and who calls again goes on with the rest."""
    monkeypatch.setattr(clearing, "_BATCH", 1)
    monkeypatch.setattr(clearing, "_somebody_is_told", lambda: told)
    script.guids = tuple("abcd")
    harvest(source_id)
    with monkeypatch.context() as patch:
        interrupt(patch, told)
        with pytest.raises(KeyboardInterrupt):
            clearing.clear_source(source_id, "")
    model.Session.remove()
    assert sum(model.Package.get(package_id(guid)) is None for guid in script.guids) == 2
    assert HarvestObject.filter(harvest_source_id=source_id, current=True).count() == 2
    act("harvest_source_clear", id=source_id)
    assert (left(source_id), found()) == ({}, [])


def interrupt(patch: pytest.MonkeyPatch, told: bool) -> None:
    """Let the process die when the third dataset is to be removed."""
    module, name = (clearing, "_remove_one_by_one") if told else (clear, "remove_datasets")
    real, calls = getattr(module, name), []

    def dies(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    patch.setattr(module, name, dies)


def test_all_that_ckan_keeps_of_a_dataset_goes(script: Script, source_id: str) -> None:
    """Resources with views, tags, extras, groups and followers; nothing is left that refers to it."""
    harvest(source_id)
    group = factories.Group()
    user = factories.User()["name"]
    act(
        "package_patch", id=package_id("one"), groups=[{"id": group["id"]}], tags=[{"name": "water"}],
        extras=[{"key": "a", "value": "b"}], resources=[{"url": "http://city.example/1", "name": "One"}],
    )  # fmt: skip
    tk.get_action("follow_dataset")({"user": user}, {"id": package_id("one")})
    resource = act("package_show", id=package_id("one"))["resources"][0]["id"]
    model.Session.add(model.ResourceView(resource_id=resource, title="View", view_type="text", order=0))
    model.Session.commit()
    act("harvest_source_clear", id=source_id)
    assert found() == []
    assert model.Session.query(model.Resource).count() == 0
    assert model.Session.query(model.ResourceView).count() == 0
    assert model.Session.query(model.PackageTag).count() == 0
    assert model.Session.query(model.Member).filter_by(table_id=package_id("one")).count() == 0
    assert model.Session.query(model.UserFollowingDataset).count() == 0


def test_plugins_are_told_of_each_dataset(script: Script, source_id: str) -> None:
    """Who listens to the action that removes a dataset hears of each; who chains it may do something else."""
    heard: list[str] = []

    def listen(sender: str, **given: Any) -> None:
        heard.append(given["data_dict"]["id"])

    script.guids = ("one", "two")
    harvest(source_id)
    assert clearing._somebody_is_told() is False
    tk.signals.action_succeeded.connect(listen, sender="dataset_purge")
    try:
        act("harvest_source_clear", id=source_id)
    finally:
        tk.signals.action_succeeded.disconnect(listen, sender="dataset_purge")
    assert sorted(heard) == sorted(package_id(guid) for guid in script.guids)
    assert found() == []


def test_a_dataset_that_cannot_be_removed(script: Script, source_id: str) -> None:
    """It is named, its history stays with it, and all others go."""
    script.guids = ("one", "two")
    harvest(source_id)
    model.Session.execute(sa.text("CREATE TABLE holds (package_id text REFERENCES package (id))"))
    model.Session.execute(sa.text("INSERT INTO holds VALUES (:id)"), {"id": package_id("one")})
    model.Session.commit()
    try:
        with pytest.raises(tk.ValidationError) as caught:
            act("harvest_source_clear", id=source_id)
        model.Session.remove()
        assert f"1 datasets could not be removed, such as {package_id('one')}" in caught.value.error_dict["id"][0]
        assert [package.name for package in model.Session.query(model.Package).filter_by(type="dataset")] == [
            "by-hand-one"
        ]
        assert len(current(package_id("one"))) == 1
    finally:
        model.Session.rollback()
        model.Session.execute(sa.text("DROP TABLE holds"))
        model.Session.commit()
    act("harvest_source_clear", id=source_id)
    assert (left(source_id), found()) == ({}, [])


def test_a_job_that_runs_is_ended_first(script: Script, source_id: str) -> None:
    """What a worker saves after that does not come back: its object is gone."""

    def clears(obj: HarvestObject) -> bool:
        guid = obj.guid
        act("harvest_source_clear", id=source_id)
        assert guid == "one"
        return save_by_hand(obj)

    script.guids = ("one", "two")
    script.imports = clears
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    assert (left(source_id), found()) == ({}, [])
    script.imports = save_by_hand
    harvest(source_id)
    assert found() == ["by-hand-one", "by-hand-two"]


def test_a_job_that_is_being_gathered_is_ended_first(script: Script, source_id: str) -> None:
    """The gather stage goes on without a job, and ends without a trace."""

    def clears(job: HarvestJob) -> list[str]:
        save_objects(job)
        act("harvest_source_clear", id=source_id)
        return save_objects(HarvestJob.get(job.id) or job)

    script.gather = clears
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    assert (left(source_id), found()) == ({}, [])


def test_nobody_starts_a_job_meanwhile(source_id: str) -> None:
    """Who asks for a job, or for a second clearing, is told to wait; the sweep passes the source over."""
    act("harvest_source_patch", id=source_id, frequency="ALWAYS")
    with lease.held(lease_table, jobs.clear_task(source_id), longest=60):
        with pytest.raises(HarvestJobExists, match="is being cleared"):
            act("harvest_job_create", source_id=source_id)
        for action in ("harvest_source_clear", "harvest_source_job_history_clear"):
            with pytest.raises(tk.ValidationError, match="is being cleared already"):
                act(action, id=source_id)
        assert act("harvest_sources_job_history_clear") == []
        list(runner.sweep())
        assert left(source_id) == {}
    assert act("harvest_job_create", source_id=source_id)["status"] == "Running"


def test_nothing_is_touched_while_solr_is_away(source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source is not half cleared because the index cannot be."""
    harvest(source_id)
    monkeypatch.setattr(search, "make_connection", lambda: pysolr.Solr("http://127.0.0.1:9/solr", timeout=1))
    with pytest.raises(SearchError, match="Solr does not answer"):
        act("harvest_source_clear", id=source_id)
    assert left(source_id) == {"HarvestJob": 1, "HarvestObject": 1}


def test_deleting_and_clearing(source_id: str) -> None:
    """``clear_source`` in the context clears what is deleted; the row of the source stays, inactive."""
    harvest(source_id)
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    tk.get_action("harvest_source_delete")({"user": user, "clear_source": True}, {"id": source_id})
    assert (left(source_id), found()) == ({}, [])
    assert HarvestSource.get(source_id).active is False


# -- the index


def test_clearing_the_index(script: Script, source_id: str) -> None:
    """Searches do not find the datasets of the source any more; nothing else changes."""
    harvest(source_id)
    script.guids = ("other",)
    harvest(str(make_source("scripted")["id"]))
    assert act("harvest_source_index_clear", id=source_id) == {"id": source_id}
    assert found() == ["by-hand-other"]
    assert act("package_show", id=package_id("one"))["state"] == "active"
    assert left(source_id) == {"HarvestJob": 1, "HarvestObject": 1}


# -- the history


def test_clearing_the_history(source_id: str) -> None:
    """Jobs and objects go, the datasets stay; the next harvest takes them up again."""
    harvest(source_id)
    harvest(source_id)
    running = start(source_id)
    assert act("harvest_source_job_history_clear", id=source_id) == {"id": source_id}
    assert left(source_id) == {}
    assert HarvestJob.get(running) is None
    assert found() == ["by-hand-one"]
    harvest(source_id)
    assert found() == ["by-hand-one"]
    assert len(current(package_id("one"))) == 1


def test_keeping_what_is_current(script: Script, source_id: str) -> None:
    """A job with a current object stays whole, and so does one that has not ended; the others go."""
    first = harvest(source_id).id
    script.guids = ("one", "two")
    last = harvest(source_id).id
    script.imports = lambda obj: "unchanged" if obj.guid == "one" else save_by_hand(obj)
    mixed = harvest(source_id).id
    script.imports = "unchanged"
    unchanged = harvest(source_id).id
    running = start(source_id)
    assert act("harvest_source_job_history_clear", id=source_id, keep_current="true") == {"id": source_id}
    model.Session.remove()
    assert {job.id for job in HarvestJob.filter(source_id=source_id)} == {last, mixed, running}
    assert {first, unchanged} & {job.id for job in HarvestJob.filter()} == set()
    assert len(objects(HarvestJob.get(mixed))) == 2
    assert HarvestJob.get(running).status == "Running"


def test_clearing_all_histories(source_id: str) -> None:
    """Of all sources, more than a list shows, inactive ones too."""
    other = str(make_source("scripted")["id"])
    harvest(other)
    act("harvest_source_delete", id=other)
    harvest(source_id)
    assert act("harvest_sources_job_history_clear", keep_current=True) == [{"id": source_id}, {"id": other}]
    assert [job.source_id for job in HarvestJob.filter()] == [source_id]
    assert act("harvest_sources_job_history_clear") == [{"id": source_id}, {"id": other}]
    assert HarvestJob.filter().count() == 0
    assert found() == ["by-hand-one"]


@pytest.mark.parametrize("action", ["harvest_source_job_history_clear", "harvest_sources_job_history_clear"])
def test_a_flag_that_is_none(source_id: str, action: str) -> None:
    """It is refused before anything is removed."""
    harvest(source_id)
    with pytest.raises(tk.ValidationError, match="keep_current"):
        act(action, id=source_id, keep_current="perhaps")
    assert left(source_id) == {"HarvestJob": 1, "HarvestObject": 1}
