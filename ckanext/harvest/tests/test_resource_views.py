"""Resources that get a view when they are created: CKAN 2.11 commits then, in the middle of saving the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ckan import model
from ckanext.imageview.plugin import ImageView

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob, HarvestObject, record
from ckanext.harvest.runner import Next
from ckanext.harvest.tests.harvesting import act, counts, ended, found, harvest, make_source, start, work_off
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, package_id

PLUGINS = {"scripted_harvester": ScriptedHarvester, "image_view": ImageView}
pytestmark = pytest.mark.usefixtures("portal")

RESOURCES = [{"url": f"http://remote.example/{number}.png", "format": "PNG"} for number in (1, 2)]


@pytest.fixture(autouse=True)
def script(portal: None, ckan_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """A harvester that leaves commit and index to the runner, of records with two pictures each."""
    ckan_config["ckan.views.default_views"] = ["image_view"]
    monkeypatch.setattr(ScriptedHarvester, "batched_writes", True)
    ScriptedHarvester.script = Script(("one", "two"), imports=save)
    yield ScriptedHarvester.script
    ScriptedHarvester.script = Script()


def save(obj: HarvestObject) -> Any:
    resources = [dict(resource) for resource in RESOURCES]
    package = {"id": package_id(obj.guid), "title": f"Record {obj.guid}", "resources": resources}
    return ScriptedHarvester()._create_or_update_package(package, obj, package_dict_form="package_show")


def abort(job_id: str) -> None:
    record.abort(HarvestJob.get(job_id))
    model.Session.remove()


def test_resources_get_their_views() -> None:
    """A harvested resource has the views that an uploaded one gets, and its dataset is found."""
    assert counts(harvest(make_source("scripted")["id"])) == {"added": 2}
    for guid in ("one", "two"):
        for resource in act("package_show", id=package_id(guid))["resources"]:
            [view] = act("resource_view_list", id=resource["id"])
            assert view["view_type"] == "image_view"
    assert found() == ["record-one", "record-two"]


def test_a_dataset_with_views_is_saved_with_its_object_or_not_at_all(script: Script) -> None:
    """What is thrown away because the job was aborted leaves no dataset behind, found or not."""

    def aborted(obj: HarvestObject) -> Any:
        with ThreadPoolExecutor(1) as elsewhere:  # with a session of its own
            elsewhere.submit(abort, obj.harvest_job_id).result(timeout=30)
        return save(obj)

    script.imports = aborted
    source_id = make_source("scripted")["id"]
    job_id = start(source_id)
    list(runner.gather(job_id))
    work_off(Next("process", source_id))
    assert counts(ended(job_id)) == {"errored": 2}
    assert model.Package.get(package_id("one")) is None
    assert found() == []
