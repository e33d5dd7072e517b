"""Importing again: the import stage alone, by force."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model

from ckanext.harvest import reimport
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource
from ckanext.harvest.tests.harvesting import act, errors, found, harvest, make_source, objects, start
from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id, save_by_hand

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


@pytest.fixture
def source_id(script: Script, portal: None) -> str:
    """A source that has brought ``one`` and ``two`` in its second job."""
    source_id = str(make_source("scripted")["id"])
    script.guids = ("one", "two")
    harvest(source_id)
    harvest(source_id)
    script.calls.clear()
    return source_id


def again(**given: Any) -> tuple[int, list[str]]:
    """Import again; return the count and the stages that the harvester was asked for."""
    ScriptedHarvester.script.calls.clear()
    context: dict[str, Any] = {"ignore_auth": True, "user": ""}
    context |= {key: given.pop(key) for key in ("segments", "join_datasets") if key in given}
    count = tk.get_action("harvest_objects_import")(context, given)
    model.Session.remove()
    return count, sorted(ScriptedHarvester.script.calls)


def test_what_is_imported(script: Script, source_id: str) -> None:
    """The current objects of all sources, of one, or of one record, dataset or object."""
    other = str(make_source("scripted")["id"])
    script.guids = ("three",)
    [obj] = objects(harvest(other))
    name = act("harvest_source_show", id=source_id)["name"]
    both = (2, ["import one", "import two"])
    assert again() == (3, ["import one", "import three", "import two"])
    assert again(source_id=source_id) == again(source_id=name) == both
    assert again(guid="two") == (1, ["import two"])
    assert again(package_id=package_id("one")) == again(package_id="by-hand-one") == (1, ["import one"])
    assert again(harvest_object_id=obj.id) == (1, ["import three"])
    assert again(guid="none") == again(harvest_object_id="none") == (0, [])


def test_an_object_that_is_not_current(source_id: str) -> None:
    """It is imported if it is named, and only then."""
    old = HarvestObject.filter(guid="one", current=False).one()
    assert again(harvest_object_id=old.id) == (1, ["import one"])


def test_nothing_else_changes(source_id: str) -> None:
    """States, counts and jobs stay as they are; the dataset is saved anew, and searches find what it says now."""
    [obj] = HarvestObject.filter(guid="one", current=True)
    before = act("harvest_object_show", id=obj.id)
    obj.content = before["content"] = "Better words"
    model.Session.commit()
    again(guid="one")
    assert act("harvest_object_show", id=obj.id) == before
    assert found('notes:"Better words"') == ["by-hand-one"]
    assert HarvestJob.filter().count() == 2


def test_the_harvester_is_told_to_force_it(script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object says so, and the harvester if it has such an attribute, which is set back afterwards."""
    seen: list[Any] = []
    harvester = next(h for _, h in reimport.registry.harvesters() if isinstance(h, ScriptedHarvester))

    def note(obj: HarvestObject) -> bool:
        seen.append((obj.force_import, getattr(harvester, "force_import", None)))
        return True

    script.imports = note
    again(guid="one")
    monkeypatch.setattr(ScriptedHarvester, "force_import", False, raising=False)
    again(guid="one")
    assert seen == [(True, None), (True, True)]
    assert harvester.force_import is False


def test_one_failure_does_not_stop_the_others(script: Script, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises, breaks the transaction or answers False becomes an error of its object, which keeps its state."""
    monkeypatch.setattr(reimport, "_BATCH", 2)
    script.guids = ("three", "four")
    harvest(source_id)

    def bad(obj: HarvestObject) -> bool:
        if obj.guid == "one":
            raise LookupError("line 3")
        if obj.guid == "two":
            model.Session.execute(model.Session.query(HarvestObject).filter_by(id=1).statement)
        return save_by_hand(obj) if obj.guid == "four" else False

    script.imports = bad
    count, calls = again(source_id=source_id)
    assert (count, len(calls)) == (1, 4)
    kept = {obj.guid: obj for obj in HarvestObject.filter(current=True)}
    assert errors(kept["one"]) == [("Import", "LookupError: line 3")]
    assert errors(kept["two"])[0][0] == "Import" and "ProgrammingError" in errors(kept["two"])[0][1]
    assert {obj.state for obj in kept.values()} == {"COMPLETE"}


def test_a_type_that_no_plugin_provides(source_id: str) -> None:
    """It is an error of each object."""
    HarvestSource.get(source_id).type = "vanished"
    model.Session.commit()
    assert again(guid="one") == (0, [])
    [obj] = HarvestObject.filter(guid="one", current=True)
    assert errors(obj) == [("Import", "No harvester could be found for source type vanished")]


def test_what_has_no_dataset(source_id: str) -> None:
    """A deleted dataset is left out, unless the context or a parameter says otherwise."""
    act("package_delete", id=package_id("one"))
    assert again() == (1, ["import two"])
    assert again(join_datasets=False)[0] == 2
    assert act("harvest_objects_import", join_datasets="false") == 2
    with pytest.raises(tk.ObjectNotFound):
        again(package_id="no-such-dataset")


def test_segments(source_id: str) -> None:
    """Several processes may share the work: each takes the objects whose id has one of its digits in front."""
    digits = [hashlib.md5(obj.id.encode()).hexdigest()[0] for obj in HarvestObject.filter(current=True)]
    others = "".join(set("0123456789abcdef") - set(digits))
    assert again(segments="".join(digits))[0] == 2
    assert again(segments=others) == (0, [])
    assert act("harvest_objects_import", segments=digits[0].upper()) == digits.count(digits[0])
    with pytest.raises(tk.ValidationError, match="Must be hex digits"):
        act("harvest_objects_import", segments="0x")


def test_what_is_at_work_is_left_alone(script: Script, source_id: str) -> None:
    """An object that a worker will come to is not imported at the same time."""
    job = HarvestJob.get(start(source_id))
    waiting = HarvestObject(guid="new", job=job, state="WAITING", current=True)
    waiting.save()
    assert again(harvest_object_id=waiting.id, join_datasets=False) == (0, [])


def test_an_inactive_source(source_id: str) -> None:
    """It is refused; so is one that is not there."""
    act("harvest_source_patch", id=source_id, state="inactive")
    with pytest.raises(tk.ValidationError, match="Can not import on inactive sources"):
        again(source_id=source_id)
    with pytest.raises(tk.ObjectNotFound):
        again(source_id="no-such-source")


def test_importing_from_another_ckan_again(remote: RemotePortal) -> None:
    """The CKAN harvester saves a dataset anew although its record did not change."""
    remote.datasets.append(dataset(1, title="Far away"))
    source_id = str(make_source("ckan", url=remote.url)["id"])
    harvest(source_id)
    [obj] = HarvestObject.filter(harvest_source_id=source_id, current=True)
    content = json.loads(obj.content) | {"title": "Nearer"}
    obj.content = json.dumps(content)
    model.Session.commit()
    assert act("harvest_objects_import", source_id=source_id) == 1
    assert act("package_show", id=obj.package_id)["title"] == "Nearer"
    assert found('title:"Nearer"') == [act("package_show", id=obj.package_id)["name"]]
