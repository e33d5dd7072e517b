"""A harvester that knows nothing but the contract goes through all that stages may answer and do."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ckan.plugins as p
import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.harvest import runner
from ckanext.harvest.model import (
    HarvestGatherError,
    HarvestJob,
    HarvestObject,
    HarvestObjectError,
    HarvestObjectExtra,
    work,
)
from ckanext.harvest.tests import scripted_harvester
from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    counts,
    current,
    ended,
    errors,
    found,
    gather_errors,
    harvest,
    make_source,
    objects,
    start,
    stats,
    work_off,
)
from ckanext.harvest.tests.scripted_harvester import (
    BareHarvester,
    Script,
    ScriptedHarvester,
    fetch,
    package_id,
    save_by_hand,
    save_objects,
)
from ckanext.relay import clock

PLUGINS = {"scripted_harvester": ScriptedHarvester, "bare_harvester": BareHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


def raises(error: BaseException) -> Callable[[Any], Any]:
    """Return a stage that raises."""

    def stage(_: Any) -> Any:
        raise error

    return stage


def then(*stages: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a stage that does several things; the last one answers."""

    def stage(argument: Any) -> Any:
        answers = [each(argument) for each in stages]
        return answers[-1]

    return stage


def test_the_harvester_uses_only_what_the_contract_promises() -> None:
    """The harvester of these tests imports nothing of ours but public names."""
    public = {
        "ckanext.harvest.interfaces": {"IHarvester"},
        "ckanext.harvest.harvesters.base": {"HarvesterBase"},
        "ckanext.harvest.model": {"HarvestJob", "HarvestObject"},
    }
    tree = ast.parse(Path(str(scripted_harvester.__file__)).read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {node.module: node for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name and name.startswith("ckanext")} == set(public)
    for name, allowed in public.items():
        assert {alias.name for alias in modules[name].names} <= allowed
    assert not any(alias.name.startswith("ckanext") for n in imported if isinstance(n, ast.Import) for alias in n.names)


# -- what the stages answer

UNCHANGED = ("COMPLETE", "not modified", {"not modified": 1})
FAILED = ("ERROR", "errored", {"errored": 1})


@pytest.mark.parametrize(
    ("answer", "expected", "imported"),
    [
        (True, ("COMPLETE", "added", {"added": 1}), True),
        ("unchanged", UNCHANGED, False),
        (False, FAILED, False),
        (None, FAILED, False),
        (1, FAILED, False),
        ("True", FAILED, False),
        ([], FAILED, False),
    ],
)
def test_answers_of_the_fetch_stage(
    script: Script, source_id: str, answer: Any, expected: tuple[str, str, dict[str, int]], imported: bool
) -> None:
    """Exactly True goes on to the import, 'unchanged' ends well, and the rest is an error."""
    script.fetch = lambda obj: answer
    job = harvest(source_id)
    [obj] = objects(job)
    assert (obj.state, obj.report_status, counts(job)) == expected
    assert ("import one" in script.calls) is imported
    assert obj.fetch_started is not None
    assert (obj.import_started is not None) is imported
    assert (len(current(package_id("one"))) == 1) is imported


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("unchanged", UNCHANGED),
        (False, FAILED),
        (None, FAILED),
        (0, FAILED),
        ("", FAILED),
    ],
)
def test_answers_of_the_import_stage(
    script: Script, source_id: str, answer: Any, expected: tuple[str, str, dict[str, int]]
) -> None:
    """'unchanged' ends well without a dataset, and falsy is an error."""
    script.imports = lambda obj: answer
    job = harvest(source_id)
    [obj] = objects(job)
    assert (obj.state, obj.report_status, counts(job)) == expected
    assert obj.fetch_finished and obj.import_started and obj.import_finished
    assert (obj.current, obj.package_id) == (False, None)


@pytest.mark.parametrize("answer", [True, 1, "yes", [0]])
def test_truthy_answers_of_the_import_stage(script: Script, source_id: str, answer: Any) -> None:
    """Whatever is truthy says that the dataset was saved."""
    script.imports = then(save_by_hand, lambda obj: answer)
    job = harvest(source_id)
    [obj] = objects(job)
    assert (obj.state, obj.report_status, counts(job)) == ("COMPLETE", "added", {"added": 1})
    assert found() == ["by-hand-one"]


@pytest.mark.parametrize(("stage", "name"), [("fetch", "Fetch"), ("imports", "Import")])
def test_an_exception_in_a_stage_fails_the_object_alone(script: Script, source_id: str, stage: str, name: str) -> None:
    """The object gets the exception as its error, the other objects of the batch arrive."""
    script.guids = ("one", "two", "three")
    good: Any = fetch if stage == "fetch" else save_by_hand
    setattr(script, stage, lambda obj: raises(KeyError("no \x00 title"))(obj) if obj.guid == "two" else good(obj))
    job = harvest(source_id)
    assert counts(job) == {"added": 2, "errored": 1}
    failed = by_guid(job)["two"]
    [(where, message)] = errors(failed)
    assert (failed.state, where) == ("ERROR", name)
    assert message.startswith("KeyError: 'no ") and message.endswith("title'")
    summary = act("harvest_job_show", id=job.id)["object_error_summary"]
    assert summary == [{"message": message, "error_count": 1}]


def test_an_error_with_half_a_character(script: Script, source_id: str) -> None:
    """PostgreSQL takes none; it is replaced, and the other objects of the batch arrive."""
    script.guids = ("one", "two", "three")
    fails = raises(ValueError("half \ud800 of it"))
    script.imports = lambda obj: fails(obj) if obj.guid == "two" else save_by_hand(obj)
    job = harvest(source_id)
    assert counts(job) == {"added": 2, "errored": 1}
    assert errors(by_guid(job)["two"]) == [("Import", "ValueError: half ? of it")]


def test_what_an_exception_left_half_done_is_undone(script: Script, source_id: str) -> None:
    """Nothing of a stage that raised is saved but what it committed itself."""

    def stage(obj: HarvestObject) -> bool:
        obj.current = True
        model.Session.add(HarvestObjectExtra(object=obj, key="half", value="done"))
        model.Session.flush()
        raise RuntimeError("stopped")

    script.imports = stage
    [obj] = objects(harvest(source_id))
    assert (obj.current, obj.extras) == (False, [])


def test_an_error_that_the_harvester_saved_is_the_only_one(script: Script, source_id: str) -> None:
    """A stage that failed and said why is not given another reason."""

    def stage(obj: HarvestObject) -> bool:
        HarvestObjectError.create("Not today", obj, "Validation", line=7)
        return False

    script.imports = stage
    job = harvest(source_id)
    assert errors(objects(job)[0]) == [("Validation", "Not today")]
    assert counts(job) == {"errored": 1}


def test_an_object_that_is_complete_may_carry_errors(script: Script, source_id: str) -> None:
    """A dataset that was saved with an error counts as both added and errored."""
    script.imports = then(save_by_hand, lambda obj: HarvestObjectError.create("A resource", obj), lambda obj: True)
    job = harvest(source_id)
    assert objects(job)[0].state == "COMPLETE"
    assert counts(job) == {"added": 1, "errored": 1}


# -- the gather stage


def test_nothing_to_gather_is_no_error(script: Script, source_id: str) -> None:
    """An empty list ends the job well."""
    script.gather = lambda job: []
    job = harvest(source_id)
    assert (counts(job), gather_errors(job)) == ({}, [])


@pytest.mark.parametrize("answer", [None, False])
def test_a_failed_gather_stage_that_says_why(script: Script, source_id: str, answer: Any) -> None:
    """What is no list says that gathering failed; the harvester's own reason is enough."""
    script.gather = then(lambda job: HarvestGatherError.create("The list is gone", job), lambda job: answer)
    job = harvest(source_id)
    assert gather_errors(job) == ["The list is gone"]
    assert counts(job) == {"errored": 1}


@pytest.mark.parametrize("answer", [None, False])
def test_a_failed_gather_stage_that_says_nothing(script: Script, source_id: str, answer: Any) -> None:
    """A job whose gathering failed without a reason has an error all the same."""
    script.gather = lambda job: answer
    job = harvest(source_id)
    assert len(gather_errors(job)) == 1
    assert counts(job) == {"errored": 1}


def test_an_exception_in_the_gather_stage(script: Script, source_id: str) -> None:
    """The objects of the job are deleted, and the exception becomes an error of the job."""
    script.gather = then(save_objects, raises(ValueError("line 3 of the list")))
    job = harvest(source_id)
    assert objects(job) == []
    assert gather_errors(job) == ["ValueError: line 3 of the list"]
    assert counts(job) == {"errored": 1}
    script.gather = None
    assert counts(harvest(source_id)) == {"added": 1}


def test_an_exception_in_the_gather_stage_of_a_broken_transaction(script: Script, source_id: str) -> None:
    """A statement that PostgreSQL refuses ends the job with an error, without the statement."""
    script.gather = then(save_objects, lambda job: model.Session.execute(sa.text("SELECT no_such_column")))
    job = harvest(source_id)
    assert objects(job) == []
    [message] = gather_errors(job)
    assert "no_such_column" in message
    assert "SELECT" not in message.partition("LINE")[0]


def test_the_gather_stage_may_remove_the_session(script: Script, source_id: str) -> None:
    """A harvester that removes the session after gathering loses nothing."""
    script.gather = then(save_objects, lambda job: (model.Session.remove(), [])[1])
    assert counts(harvest(source_id)) == {"added": 1}


@pytest.mark.parametrize("removes", [False, True])
def test_a_job_that_is_aborted_while_it_is_gathered_stays_so(script: Script, source_id: str, removes: bool) -> None:
    """What the gather stage still does after the abort brings neither the job nor its objects back to life."""

    def abort_elsewhere(job: HarvestJob) -> None:
        job_id = job.id
        if removes:
            model.Session.remove()
        with model.meta.engine.begin() as connection:
            connection.execute(sa.text("UPDATE harvest_job SET status = 'Finished' WHERE id = :id"), {"id": job_id})

    script.gather = then(save_objects, abort_elsewhere, lambda job: ["whatever"])
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    assert HarvestJob.get(job_id).status == "Finished"
    assert not [call for call in script.calls if call.startswith("import")]


def test_objects_that_are_complete_when_gathered_are_left_alone(script: Script, source_id: str) -> None:
    """A harvester may end objects in its gather stage."""

    def gather(job: HarvestJob) -> list[str]:
        done = HarvestObject(guid="done", job=job, state="COMPLETE", report_status="not modified")
        done.save()
        return [done.id, *save_objects(job)]

    script.gather = gather
    job = harvest(source_id)
    assert counts(job) == {"added": 1, "not modified": 1}
    assert script.calls == ["gather", "fetch one", "import one"]


def test_all_objects_are_complete_when_gathered(script: Script, source_id: str) -> None:
    """A job may have nothing left to do after its gather stage."""

    def gather(job: HarvestJob) -> list[str]:
        done = HarvestObject(guid="done", job=job, state="COMPLETE", report_status="not modified")
        done.save()
        return [done.id]

    script.gather = gather
    assert counts(harvest(source_id)) == {"not modified": 1}


def test_objects_wait_until_all_is_gathered(script: Script, source_id: str) -> None:
    """No object of a harvester that does not stream is worked on while its gather stage runs."""
    worked = []

    def look(job: HarvestJob) -> None:
        with model.meta.engine.connect() as connection:
            wanted = sa.text("SELECT count(*) FROM harvest_object WHERE state = 'WAITING' AND harvest_job_id = :id")
            assert connection.scalar(wanted, {"id": job.id}) == 1
        worked.extend(work.claim_objects(source_id, "somebody", 10))

    script.gather = then(save_objects, look, lambda job: [])
    assert counts(harvest(source_id)) == {"added": 1}
    assert worked == []


def test_extras_of_objects_reach_the_later_stages(script: Script, source_id: str) -> None:
    """What the gather stage keeps with an object before it is saved is there when it is imported."""
    seen = {}

    def gather(job: HarvestJob) -> list[str]:
        obj = HarvestObject(guid="one", job=job, extras=[HarvestObjectExtra(key="status", value="new")])
        obj.extras.append(HarvestObjectExtra(key="format", value="xml"))
        obj.save()
        HarvestObjectExtra(object=obj, key="late", value="yes").save()
        return [obj.id]

    script.gather = gather
    script.imports = then(lambda obj: seen.update({each.key: each.value for each in obj.extras}), save_by_hand)
    job = harvest(source_id)
    assert seen == {"status": "new", "format": "xml", "late": "yes"}
    assert act("harvest_object_show", id=objects(job)[0].id)["extras"] == seen


# -- what harvesters do to the session and to their objects


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda obj: model.Session.commit(), id="commit"),
        pytest.param(lambda obj: model.Session.rollback(), id="rollback"),
        pytest.param(lambda obj: model.Session.remove(), id="remove"),
        pytest.param(lambda obj: model.Session.close(), id="close"),
        pytest.param(lambda obj: model.Session.expire_all(), id="expire"),
        pytest.param(lambda obj: model.Session.expunge_all(), id="expunge"),
    ],
)
@pytest.mark.parametrize("stage", ["fetch", "import, before", "import, after"])
def test_the_session_is_the_harvesters(
    script: Script, source_id: str, stage: str, disturb: Callable[[HarvestObject], Any]
) -> None:
    """Whatever a stage does to the session, each record arrives and its object says so."""
    script.guids = ("one", "two")
    if stage == "fetch":
        script.fetch, script.imports = then(fetch, disturb, lambda obj: True), save_by_hand
    elif stage == "import, before":
        script.imports = then(disturb, save_by_hand)
    else:
        script.imports = then(save_by_hand, disturb, lambda obj: True)
    job = harvest(source_id)
    assert counts(job) == {"added": 2}
    assert found() == ["by-hand-one", "by-hand-two"]
    for guid, obj in by_guid(job).items():
        assert (obj.current, obj.package_id) == (True, package_id(guid))
        assert obj.content == f"Content of {guid} in job {job.id}"


def test_the_object_may_be_of_no_more_use(script: Script, source_id: str) -> None:
    """A stage that rolled back and then removed the session left an instance that cannot even say its id."""
    script.imports = then(
        save_by_hand, lambda obj: model.Session.rollback(), lambda obj: model.Session.remove(), lambda obj: True
    )
    [obj] = objects(harvest(source_id))
    assert (obj.report_status, obj.package_id) == ("added", package_id("one"))


def test_the_object_may_be_read_anew(script: Script, source_id: str) -> None:
    """What a harvester wrote through another instance of its object is not overwritten by the first one."""

    def anew(obj: HarvestObject) -> bool:
        object_id = obj.id
        model.Session.remove()
        return save_by_hand(HarvestObject.get(object_id))

    script.imports = anew
    [obj] = objects(harvest(source_id))
    assert (obj.report_status, obj.current, obj.package_id) == ("added", True, package_id("one"))


def test_what_was_not_saved_is_saved_with_the_state(script: Script, source_id: str) -> None:
    """A harvester may leave its object unsaved, also after it removed the session."""

    def unsaved(obj: HarvestObject) -> bool:
        save_by_hand(obj)
        model.Session.remove()
        obj.content = "set at last"
        return True

    script.imports = unsaved
    [obj] = objects(harvest(source_id))
    assert (obj.state, obj.content) == ("COMPLETE", "set at last")


def fail_in_sql(obj: HarvestObject) -> None:
    model.Session.execute(sa.text("SELECT no_such_column"))


def fail_in_flush(obj: HarvestObject) -> None:
    obj.package_id = "no-such-package"
    obj.save()


def leave_what_cannot_be_saved(obj: HarvestObject) -> None:
    obj.content = "no text of PostgreSQL holds a \x00"


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("breaks", [fail_in_sql, fail_in_flush, leave_what_cannot_be_saved])
def test_a_broken_transaction_is_its_own_objects_trouble(
    script: Script, source_id: str, breaks: Callable[[HarvestObject], None], answer: bool
) -> None:
    """A stage that swallows an error of the database fails its object, with a text; the others arrive."""
    script.guids = ("one", "two", "three")

    def swallow(obj: HarvestObject) -> bool:
        if obj.guid != "two":
            return save_by_hand(obj)
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            breaks(obj)
        return answer

    script.imports = swallow
    job = harvest(source_id)
    assert counts(job) == {"added": 2, "errored": 1}
    failed = by_guid(job)["two"]
    assert (failed.state, failed.package_id, failed.retry_times) == ("ERROR", None, 1)
    assert len(errors(failed)) == 1


def test_current_is_on_the_newest_object_alone(script: Script, source_id: str) -> None:
    """A record that changed is updated: its new object is the current one, the old one is not."""
    script.imports = save_by_hand
    first = objects(harvest(source_id))[0].id
    job = harvest(source_id)
    [second] = objects(job)
    assert counts(job) == {"updated": 1}
    assert [obj.id for obj in current(package_id("one"))] == [second.id] != [first]
    assert act("harvest_object_show", dataset_id="by-hand-one")["id"] == second.id


def test_the_base_class_saves_and_updates(source_id: str) -> None:
    """``_create_or_update_package`` creates a dataset, and updates it when the record comes again."""
    assert counts(harvest(source_id)) == {"added": 1}
    job = harvest(source_id)
    assert counts(job) == {"updated": 1}
    assert [obj.harvest_job_id for obj in current(package_id("one"))] == [job.id]
    assert act("package_show", id=package_id("one"))["notes"].endswith(job.id)


def test_the_search_document_names_the_new_object(script: Script, source_id: str) -> None:
    """A search for a source finds its datasets, and each names its current object."""
    script.imports = save_by_hand
    for _ in range(2):
        job = harvest(source_id)
        shown = act("package_search", fq=f'harvest_source_id:"{source_id}"')["results"]
        extras = {extra["key"]: extra["value"] for extra in shown[0]["extras"]}
        assert [dataset["name"] for dataset in shown] == ["by-hand-one"]
        assert extras["harvest_object_id"] == objects(job)[0].id
        assert extras["harvest_source_id"] == source_id


def test_deleting_a_dataset(script: Script, source_id: str) -> None:
    """The delete convention: no object stays current, the dataset is deleted, the report says so."""
    script.imports = save_by_hand
    harvest(source_id)

    def gather(job: HarvestJob) -> list[str]:
        session = model.Session
        session.query(HarvestObject).filter_by(guid="one").update({"current": False}, False)
        extra = HarvestObjectExtra(key="status", value="delete")
        obj = HarvestObject(guid="one", job=job, package_id=package_id("one"), extras=[extra])
        obj.save()
        return [obj.id]

    def delete(obj: HarvestObject) -> bool:
        assert [extra.value for extra in obj.extras] == ["delete"]
        act("package_delete", id=obj.package_id)
        return True

    script.gather, script.fetch, script.imports = gather, lambda obj: True, delete
    job = harvest(source_id)
    assert counts(job) == {"deleted": 1}
    assert current(package_id("one")) == []
    assert model.Package.get(package_id("one")).state == "deleted"
    assert found() == []


def test_the_same_guid_twice(script: Script, source_id: str) -> None:
    """Of two objects of one record both are worked on, and one is current."""
    script.guids, script.imports = ("one", "one"), save_by_hand
    job = harvest(source_id)
    assert counts(job) == {"added": 1, "updated": 1}
    assert [obj.id for obj in current(package_id("one"))] == [objects(job)[1].id]


def test_moving_an_object_to_the_older_job(script: Script, source_id: str) -> None:
    """A harvester may keep an unchanged object with the older job, and delete the previous one."""
    script.imports = save_by_hand
    older = harvest(source_id)
    older_stats = stats(older)

    def keep_history(obj: HarvestObject) -> bool:
        [previous] = current(package_id("one"))
        obj.package_id, obj.current = previous.package_id, True
        obj.harvest_job_id = previous.job.id
        obj.add()
        previous.delete()
        model.Session.commit()
        return True

    script.imports = keep_history
    job = harvest(source_id)
    assert (objects(job), counts(job)) == ([], {})
    [moved] = objects(ended(older.id))
    assert (moved.state, moved.current, moved.package_id) == ("COMPLETE", True, package_id("one"))
    assert stats(older) == older_stats


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("answer", [True, False])
def test_deleting_its_own_object(script: Script, source_id: str, commits: bool, answer: bool) -> None:
    """A harvester may delete the object that it is given; the job goes on without it."""
    script.guids = ("one", "two")

    def delete(obj: HarvestObject) -> bool:
        if obj.guid == "two":
            return save_by_hand(obj)
        obj.delete()
        if commits:
            model.Session.commit()
        return answer

    script.imports = delete
    job = harvest(source_id)
    assert [obj.guid for obj in objects(job)] == ["two"]
    assert counts(job) == {"added": 1}


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize(
    ("state", "answer", "expected"),
    [
        ("COMPLETE", True, ("COMPLETE", "added")),
        ("ERROR", False, ("ERROR", "errored")),
        ("ERROR", True, ("COMPLETE", "added")),
        ("COMPLETE", "unchanged", ("COMPLETE", "not modified")),
    ],
)
def test_setting_the_state_itself(
    script: Script, source_id: str, state: str, answer: Any, expected: tuple[str, str], saves: bool
) -> None:
    """A harvester that sets the state of its object is not in the way: what its stage answers counts."""

    def stage(obj: HarvestObject) -> Any:
        if answer is True:
            save_by_hand(obj)
        obj.state = state
        if saves:
            obj.save()
        return answer

    script.imports = stage
    [obj] = objects(harvest(source_id))
    assert (obj.state, obj.report_status) == expected


@pytest.mark.parametrize("saves", ["not at all", "deferred"])
def test_a_dataset_that_does_not_exist(script: Script, source_id: str, saves: str) -> None:
    """An object that names no dataset ends as errored, with a text, and takes no other with it."""
    script.guids = ("one", "two")

    def stage(obj: HarvestObject) -> bool:
        if obj.guid == "two":
            return save_by_hand(obj)
        obj.package_id, obj.current = "no-such-package", True
        if saves == "deferred":
            obj.add()
            model.Session.execute(sa.text("SET CONSTRAINTS harvest_object_package_id_fkey DEFERRED"))
            model.Session.flush()
        return True

    script.imports = stage
    job = harvest(source_id)
    assert counts(job) == {"added": 1, "errored": 1}
    failed = by_guid(job)["one"]
    assert (failed.package_id, failed.current) == (None, False)
    [(where, message)] = errors(failed)
    assert where == "Import" and "no-such-package" in message


def test_a_dataset_that_is_deleted_for_good(script: Script, source_id: str) -> None:
    """An object whose dataset is purged while it is imported goes with it, and the job ends."""

    def purge(obj: HarvestObject) -> bool:
        save_by_hand(obj)
        model.Package.get(package_id("one")).purge()
        model.Session.commit()
        return True

    script.guids = ("one", "two")
    script.imports = lambda obj: purge(obj) if obj.guid == "one" else save_by_hand(obj)
    job = harvest(source_id)
    assert [obj.guid for obj in objects(job)] == ["two"]


def test_an_invalid_dataset_among_good_ones(script: Script, source_id: str) -> None:
    """CKAN's reasons are saved with the object, the others arrive."""
    script.guids = ("one", "two", "three")

    def invalid(obj: HarvestObject) -> Any:
        harvester = p.get_plugin("scripted_harvester")
        package = {
            "id": package_id(obj.guid),
            "title": obj.guid,
            "tags": [{"name": "!" if obj.guid == "two" else "ok"}],
        }
        return harvester._create_or_update_package(package, obj, package_dict_form="package_show")

    script.imports = invalid
    job = harvest(source_id)
    assert counts(job) == {"added": 2, "errored": 1}
    [(where, message)] = errors(by_guid(job)["two"])
    assert where == "Import"
    assert message.startswith("Invalid package with GUID two: {'tags'")
    assert found() == ["one", "three"]


def test_a_harvester_without_a_base_class() -> None:
    """The three stages and ``info`` are enough."""
    source = make_source("bare", config="anything")
    job = harvest(source["id"])
    assert counts(job) == {"added": 2}
    assert act("harvest_job_report", id=job.id) == {"gather_errors": [], "object_errors": {}}
    assert counts(harvest(source["id"])) == {"updated": 2}


def test_the_instance_that_a_test_holds_shows_what_became_of_it(script: Script, source_id: str) -> None:
    """States are set on the instance in the shared session, which third-party tests hold and read."""
    held: list[HarvestObject] = []
    script.imports = then(held.append, save_by_hand)
    job_id = start(source_id)
    list(runner.gather(job_id))
    runner.process_batch(source_id)
    assert (held[0].state, held[0].report_status) == ("COMPLETE", "added")


def test_states_during_the_stages(script: Script, source_id: str) -> None:
    """The stages see the states and times that the contract names, also from another connection after a commit."""
    seen = {}

    def note(stage: str) -> Callable[[HarvestObject], None]:
        def look(obj: HarvestObject) -> None:
            times = (obj.fetch_started, obj.fetch_finished, obj.import_started)
            seen[stage] = (obj.state, *map(bool, times), obj.job.status, obj.source.id)

        return look

    script.gather = then(lambda job: seen.update(gather=(job.status, bool(job.gather_started))), save_objects)
    script.fetch = then(note("fetch"), fetch)
    script.imports = then(note("import"), save_by_hand)
    harvest(source_id)
    assert seen == {
        "gather": ("Running", True),
        "fetch": ("FETCH", True, False, False, "Running", source_id),
        "import": ("IMPORT", True, True, True, "Running", source_id),
    }


def test_a_job_without_a_harvester(source_id: str) -> None:
    """The job of a type that no plugin provides any more ends with an error that names the type."""
    row = HarvestJob.get(start(source_id))
    row.source.type = "vanished"
    model.Session.commit()
    work_off(runner.Next("gather", row.id))
    model.Session.remove()
    job = HarvestJob.get(row.id)
    assert job.status == "Finished"
    assert gather_errors(job) == ["No harvester could be found for source type vanished"]
    assert counts(job) == {"errored": 1}


def test_an_object_whose_harvester_went_away(script: Script, source_id: str) -> None:
    """Objects that were gathered before their plugin was disabled become errors that say so."""
    job_id = start(source_id)
    list(runner.gather(job_id))
    HarvestJob.get(job_id).source.type = "vanished"
    model.Session.commit()
    work_off(runner.Next("process", source_id))
    job = ended(job_id)
    assert errors(objects(job)[0]) == [("Fetch", "No harvester could be found for source type vanished")]
    assert clock.now() >= job.finished
