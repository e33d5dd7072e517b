"""Datasets that the remote portal no longer has, and those that come back."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
from ckan import model

from ckanext.harvest import runner
from ckanext.harvest.domain import search_terms
from ckanext.harvest.harvesters import CKANHarvester
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.harvest.tests import remote_ckan
from ckanext.harvest.tests.harvesting import (
    act,
    by_guid,
    ckan_source,
    configure,
    counts,
    current,
    elsewhere,
    ended,
    found,
    gather_errors,
    harvest,
    objects,
    shown,
    start,
    sweep,
    work_off,
)
from ckanext.harvest.tests.remote_ckan import RemotePortal, Request, dataset

pytestmark = pytest.mark.usefixtures("portal")


class OwnSearchHarvester(CKANHarvester):
    """A subclass that leaves out what it does not want."""

    def info(self) -> dict[str, Any]:
        return {"name": "own_search", "title": "Own search", "description": "A subclass"}

    def _search_for_datasets(self, base_url: str, fq_terms: list[str] | None = None) -> list[dict[str, Any]]:
        return [each for each in super()._search_for_datasets(base_url, fq_terms) if each.get("title") != "Unwanted"]


PLUGINS = {"own_search_harvester": OwnSearchHarvester}


def mirrored(remote: RemotePortal, count: int, **config: Any) -> str:
    """Harvest so many datasets of a source that mirrors deletions; return its id."""
    remote.datasets = [dataset(number) for number in range(count)]
    source_id = ckan_source(remote.url, **({"delete_missing": True} | config))
    assert counts(harvest(source_id)) == {"added": count}
    return source_id


def state(record: dict[str, Any]) -> str:
    return shown(record["id"])["state"]


def test_nothing_is_deleted_unless_the_source_says_so(remote: RemotePortal) -> None:
    """Without ``delete_missing`` a dataset stays, and the remote portal is asked as it always was."""
    remote.datasets = [dataset(number) for number in range(3)]
    source_id = ckan_source(remote.url, force_all=True)
    harvest(source_id)
    remote.datasets.pop()
    assert counts(harvest(source_id)) == {"not modified": 2}
    assert found() == ["dataset-0", "dataset-1", "dataset-2"]
    assert {name for each in remote.searches() for name in each} == {"rows", "start", "sort"}


@pytest.mark.parametrize("force_all", [False, True])
def test_what_is_gone_is_deleted(remote: RemotePortal, force_all: bool) -> None:
    """After a run for changes only, too, the ids are compared; the deletion is marked as all harvesters mark it."""
    source_id = mirrored(remote, 4, force_all=force_all)
    gone = remote.datasets.pop(1)
    job = harvest(source_id)
    assert counts(job) == {"deleted": 1} | ({"not modified": 3} if force_all else {})
    assert gather_errors(job) == []
    assert (found(), state(gone)) == (["dataset-0", "dataset-2", "dataset-3"], "deleted")
    obj = by_guid(job)[gone["id"]]
    assert (obj.package_id, obj.current, {extra.key: extra.value for extra in obj.extras}) == (
        gone["id"], False, {"status": "delete"},
    )  # fmt: skip
    assert current(gone["id"]) == []
    assert all(len(current(each["id"])) == 1 for each in remote.datasets)
    again = harvest(source_id)
    assert "deleted" not in counts(again)


def test_a_deletion_is_no_error(remote: RemotePortal) -> None:
    """The run after it asks for changes only."""
    source_id = mirrored(remote, 4)
    remote.datasets.pop()
    harvest(source_id)
    remote.requests.clear()
    harvest(source_id)
    assert "metadata_modified" in remote.searches()[0]["fq"]


@pytest.mark.parametrize("force_all", [False, True])
def test_what_comes_back_is_restored(remote: RemotePortal, force_all: bool) -> None:
    """The dataset is active again, under its id and name, although nothing says that it changed."""
    source_id = mirrored(remote, 4, force_all=force_all)
    gone = remote.datasets.pop()
    harvest(source_id)
    assert "dataset-3" not in found()
    remote.datasets.append(gone)
    job = harvest(source_id)
    assert counts(job) == {"updated": 1} | ({"not modified": 3} if force_all else {})
    assert "dataset-3" in found()
    assert (state(gone), shown("dataset-3")["id"]) == ("active", gone["id"])
    assert [obj.harvest_job_id for obj in current(gone["id"])] == [job.id]
    assert len(shown("dataset-3")["resources"]) == 1


def test_a_record_without_a_state_is_restored(remote: RemotePortal) -> None:
    """An old portal does not tell the state of a dataset that it shows."""
    source_id = mirrored(remote, 2)
    gone = remote.datasets.pop()
    harvest(source_id)
    remote.datasets.append({key: value for key, value in gone.items() if key != "state"})
    harvest(source_id)
    assert state(gone) == "active"


def test_a_changed_and_a_gone_dataset(remote: RemotePortal) -> None:
    """One run does both."""
    source_id = mirrored(remote, 5)
    remote.datasets.pop()
    remote.change(0, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 1, "deleted": 1}


def test_what_no_longer_matches_the_filter(remote: RemotePortal) -> None:
    """A dataset that was moved to another organization there is gone for this source."""
    city, county = ({"id": name, "name": name} for name in ("city", "county"))
    remote.datasets = [dataset(number, organization=city) for number in range(3)]
    source_id = ckan_source(remote.url, delete_missing=True, organizations_filter_include=["city"])
    harvest(source_id)
    remote.change(0, organization=county)
    assert counts(harvest(source_id)) == {"deleted": 1}
    assert found() == ["dataset-1", "dataset-2"]


def test_a_late_index(remote: RemotePortal) -> None:
    """A new dataset that the remote search shows long after its date arrives all the same."""
    source_id = mirrored(remote, 2)
    remote.datasets.append(dataset("late", metadata_modified="2026-01-02T00:00:00.000000"))
    assert counts(harvest(source_id)) == {"added": 1}


def test_only_datasets_of_the_source(remote: RemotePortal) -> None:
    """What people made here, and what came from another source, is never touched."""
    act("package_create", name="local", title="Our own", owner_org=None)
    with RemotePortal() as other:
        other.datasets = [dataset(f"other-{number}") for number in range(2)]
        harvest(ckan_source(other.url))
        source_id = mirrored(remote, 2)
        remote.datasets.pop()
        assert counts(harvest(source_id)) == {"deleted": 1}
    assert found() == ["dataset-0", "dataset-other-0", "dataset-other-1", "local"]


def test_what_another_source_took_over_meanwhile(remote: RemotePortal) -> None:
    """Between finding and deleting, the current object of the dataset counts."""
    source_id = mirrored(remote, 3)
    gone = remote.datasets.pop()
    other_id = ckan_source("http://other.example")
    job_id = start(source_id)
    list(runner.gather(job_id))
    model.Session.query(HarvestObject).filter_by(package_id=gone["id"], current=True).update(
        {"harvest_source_id": other_id}
    )
    model.Session.commit()
    work_off(runner.Next("process", source_id))
    assert (counts(ended(job_id)), state(gone)) == ({"not modified": 1}, "active")


def test_an_old_deletion_that_is_done_again(remote: RemotePortal) -> None:
    """Whoever imports an old object once more does not delete what is back since then."""
    source_id = mirrored(remote, 2)
    gone = remote.datasets.pop()
    deletion_id = by_guid(harvest(source_id))[gone["id"]].id
    remote.datasets.append(gone)
    harvest(source_id)
    assert p.get_plugin("ckan_harvester").import_stage(HarvestObject.get(deletion_id)) == "unchanged"
    assert (state(gone), len(current(gone["id"]))) == ("active", 1)


# -- the guard


def test_a_source_that_shrinks(remote: RemotePortal) -> None:
    """More than the share is held back, with an error that says what to do; who does it gets the deletion."""
    source_id = mirrored(remote, 10)
    del remote.datasets[4:]
    job = harvest(source_id)
    [message] = gather_errors(job)
    assert "no longer lists 6 of the 10 datasets" in message and '"delete_limit": 60' in message
    assert (counts(job), len(found())) == ({"errored": 1}, 10)
    assert all(len(current(dataset(number)["id"])) == 1 for number in range(10))
    configure(source_id, delete_missing=True, delete_limit=60)
    assert counts(harvest(source_id)) == {"deleted": 6, "not modified": 4}
    assert len(found()) == 4


@pytest.mark.parametrize("force_all", [False, True])
def test_a_source_that_is_empty(remote: RemotePortal, force_all: bool) -> None:
    """An answer without any dataset deletes nothing."""
    source_id = mirrored(remote, 3, force_all=force_all)
    remote.datasets.clear()
    job = harvest(source_id)
    assert any("lists none of the 3 datasets" in message for message in gather_errors(job))
    assert (len(found()), objects(job)) == (3, [])


def test_each_deletion_may_be_approved(remote: RemotePortal) -> None:
    """A limit of 0 holds a single one back."""
    source_id = mirrored(remote, 3, delete_limit=0)
    remote.datasets.pop()
    job = harvest(source_id)
    assert len(gather_errors(job)) == 1
    assert len(found()) == 3


# -- listings that cannot be trusted


def fails_for_ids(request: Request, params: dict[str, str]) -> None:
    if "fl" in params:
        remote_ckan.error_500(request, params)
    else:
        request._package_search(params)


def lies_about_ids(request: Request, params: dict[str, str]) -> None:
    """Leave out one of the ids that are counted."""
    shown_ids = [{"id": each["id"]} for each in request.server.datasets]
    if "fl" in params:
        page = shown_ids[:-1] if params["start"] == "0" else []
        request.send_result({"count": len(shown_ids), "results": page})
    else:
        request._package_search(params)


def changes_all_the_time(request: Request, params: dict[str, str]) -> None:
    """Say another number at each page."""
    if "fl" in params:
        page = [{"id": each["id"]} for each in request.server.datasets]
        begin = int(params["start"])
        request.send_result({"count": len(page) - begin % 2, "results": page[begin : begin + 1]})
    else:
        request._package_search(params)


@pytest.mark.parametrize("answer", [fails_for_ids, lies_about_ids, changes_all_the_time])
def test_ids_that_cannot_be_listed(remote: RemotePortal, answer: remote_ckan.Answer) -> None:
    """Nothing is deleted and the run has an error, but what changed arrives."""
    source_id = mirrored(remote, 4)
    remote.datasets.pop(0)
    remote.change(0, title="Changed")
    remote.instead = answer
    job = harvest(source_id)
    [message] = gather_errors(job)
    assert message.startswith("Nothing more was deleted, since the remote portal does not say which datasets it has")
    assert counts(job) == {"updated": 1, "errored": 1}
    assert len(found()) == 4
    remote.instead = None
    assert counts(harvest(source_id)) == {"not modified": 3, "deleted": 1}


@pytest.mark.parametrize("force_all", [False, True])
def test_an_index_that_lost_a_part(remote: RemotePortal, force_all: bool) -> None:
    """A dataset that no search shows but that is counted is not taken for gone."""
    source_id = mirrored(remote, 4, force_all=force_all)
    lost = remote.datasets.pop(0)
    remote.lost = 1
    job = harvest(source_id)
    assert any(message.startswith("Nothing more was deleted") for message in gather_errors(job))
    assert (len(found()), state(lost)) == (4, "active")


def test_a_search_that_fails_half_way(remote: RemotePortal) -> None:
    """What was not read is not taken for gone."""
    source_id = mirrored(remote, 4, force_all=True)
    remote.most_rows = 2
    remote.requests.clear()
    remote.instead = remote_ckan.after(1, remote_ckan.error_500)
    job = harvest(source_id)
    assert len(gather_errors(job)) == 1
    assert len(found()) == 4


def test_a_dataset_that_slips_through(remote: RemotePortal) -> None:
    """One that is missing in the listing but found by its id is there, and stays."""
    source_id = mirrored(remote, 4)

    def without_one(request: Request, params: dict[str, str]) -> None:
        if "fl" in params and "id:" not in params["fq"]:
            page = [{"id": each["id"]} for each in request.server.datasets[:-1]]
            request.send_result({"count": len(page), "results": page})
        else:
            request._package_search(params)

    remote.instead = without_one
    job = harvest(source_id)
    assert (counts(job), gather_errors(job), len(found())) == ({}, [], 4)


def test_a_dataset_that_vanishes_between_two_pages(remote: RemotePortal) -> None:
    """What follows it moves up; it is read in a second go, nothing slips through, and the vanished one is deleted."""
    source_id = mirrored(remote, 6, force_all=True)
    remote.datasets.sort(key=lambda each: each["id"])
    remote.most_rows = 2
    remote.requests.clear()
    gone = remote.datasets[0]
    for each in remote.datasets:
        each["title"] = f"Changed {each['id']}"

    def vanishing(request: Request, params: dict[str, str]) -> None:
        request._package_search(params)
        if gone in remote.datasets:
            remote.datasets.remove(gone)

    remote.instead = vanishing
    job = harvest(source_id)
    assert counts(job) == {"updated": 6}  # the vanished one was on the first page
    assert all(shown(each["id"])["title"].startswith("Changed") for each in remote.datasets)
    assert counts(harvest(source_id)) == {"deleted": 1, "not modified": 5}


def test_many_ids(remote: RemotePortal) -> None:
    """Ids are asked for without the datasets, and by the page as far as the portal allows."""
    source_id = mirrored(remote, 12)
    remote.most_rows = 6
    del remote.datasets[:2]
    remote.requests.clear()
    assert counts(harvest(source_id)) == {"deleted": 2}
    listing = [each for each in remote.searches() if each.get("fq") == "-dataset_type:harvest"]
    assert [(each["rows"], each["start"], each["sort"], each["fl"]) for each in listing] == [
        ("1000", "0", "id asc", "id"),
        ("1000", "6", "id asc", "id"),
    ]
    assert len(remote.searches()) == 4  # and one for changes, one for the two by id


def test_a_subclass_with_a_search_of_its_own(remote: RemotePortal) -> None:
    """What it leaves out is gone for this source."""
    remote.datasets = [dataset(number) for number in range(4)]
    source_id = ckan_source(remote.url, "own_search", delete_missing=True)
    harvest(source_id)
    remote.change(0, title="Unwanted")
    remote.datasets.pop()
    assert counts(harvest(source_id)) == {"deleted": 2}
    assert found() == ["dataset-1", "dataset-2"]


def test_what_is_asked_for_is_what_ckan_understands() -> None:
    """The parameters by which ids are listed and asked for mean to a real CKAN what they mean to our remote portal."""
    ckan_source("http://city.example")
    ids = sorted(act("package_create", name=f"dataset-{number}")["id"] for number in range(3))
    asked = {"rows": "1000", "start": "0", "sort": "id asc", "fl": "id", "fq": "-dataset_type:harvest"}
    answer = act("package_search", **asked)
    assert (answer["count"], answer["results"]) == (3, [{"id": each} for each in ids])
    for terms, expected in (
        ([search_terms.any_of("id", ids[:2])], ids[:2]),
        ([search_terms.term("id", ids[2])], ids[2:]),
        ([search_terms.any_of("id", [ids[0], 'odd" OR id:*'])], ids[:1]),
        ([search_terms.term("organization", "none"), search_terms.any_of("id", ids)], []),
        ([f"-{search_terms.term('organization', 'a b')}", search_terms.any_of("id", ids)], ids),
    ):
        found_ids = [each["id"] for each in act("package_search", **asked | {"fq": " ".join(terms)})["results"]]
        assert found_ids == expected, terms


# -- jobs that are cut short


def test_a_job_that_is_aborted_before_it_deletes(remote: RemotePortal) -> None:
    """Nothing is deleted, the datasets stay the source's, and the next run deletes them."""
    source_id = mirrored(remote, 5)
    gone = remote.datasets.pop()
    job_id = start(source_id)
    list(runner.gather(job_id))
    act("harvest_job_abort", id=job_id)
    work_off(runner.Next("process", source_id))
    assert (state(gone), len(current(gone["id"]))) == ("active", 1)
    model.Session.remove()
    assert "deleted" in counts(harvest(source_id))


def test_an_abort_stops_the_listing(remote: RemotePortal) -> None:
    """Between two pages of ids the job is seen to be over."""
    source_id = mirrored(remote, 6)
    remote.most_rows = 1
    job_id = start(source_id)
    remote.requests.clear()

    def aborted(request: Any, params: dict[str, str]) -> None:
        if params.get("fl") == "id":
            elsewhere("UPDATE harvest_job SET status = 'Finished' WHERE id = :id", id=job_id)
            remote.instead = None
        request._package_search(params)

    remote.instead = aborted
    work_off(runner.Next("gather", job_id))
    assert len([each for each in remote.searches() if each.get("fl") == "id"]) == 1


def test_a_worker_that_died_after_the_deletion(remote: RemotePortal) -> None:
    """The object is taken up again and ends as deleted."""
    source_id = mirrored(remote, 3)
    gone = remote.datasets.pop()
    job_id = start(source_id)
    list(runner.gather(job_id))
    act("package_delete", id=gone["id"])
    sweep()
    job = ended(job_id)
    assert counts(job) == {"deleted": 1}
    assert current(gone["id"]) == []


def test_a_worker_that_died_while_it_gathered(remote: RemotePortal) -> None:
    """Gathered once more, a dataset gets no second object."""
    source_id = mirrored(remote, 4)
    gone = remote.datasets.pop()
    job_id = start(source_id)
    list(runner.gather(job_id))
    job = HarvestJob.get(job_id)
    job.gather_finished = None
    model.Session.commit()
    sweep()
    assert [obj.guid for obj in objects(ended(job_id))] == [gone["id"]]


def test_a_deletion_that_is_refused(remote: RemotePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """If CKAN or a plugin fails, the object has an error, the dataset stays the source's, and the next run deletes."""
    source_id = mirrored(remote, 3)
    gone = remote.datasets.pop()
    get_action = tk.get_action

    def refusing(name: str) -> Any:
        def refused(context: Any, data_dict: Any) -> None:
            raise tk.ValidationError({"id": ["It is in use"]})

        return refused if name == "package_delete" else get_action(name)

    with monkeypatch.context() as patch:
        patch.setattr(tk, "get_action", refusing)
        job_id = start(source_id)
        work_off(runner.Next("gather", job_id))
    assert counts(ended(job_id)) == {"errored": 1}
    assert len(current(gone["id"])) == 1
    assert "deleted" in counts(harvest(source_id))


def test_an_id_that_is_no_text_of_the_database(remote: RemotePortal) -> None:
    """Nobody can ask for the dataset; the others that were late are gathered."""
    source_id = mirrored(remote, 2)
    remote.datasets += [dataset(2, id="half \ud800"), dataset(3)]
    assert counts(harvest(source_id)) == {"added": 1}
