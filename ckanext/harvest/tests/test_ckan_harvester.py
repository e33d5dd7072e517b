"""The CKAN harvester against a remote portal that answers over HTTP."""

from __future__ import annotations

import datetime
import functools
import json
import logging
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib.search.query import PackageSearchQuery
from ckan.lib.signals import action_succeeded
from ckan.tests import factories

from ckanext.harvest import runner
from ckanext.harvest.harvesters import CKANHarvester, ckanharvester
from ckanext.harvest.harvesters.ckanharvester import ContentFetchError, ContentNotFoundError
from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource
from ckanext.harvest.model import record as states
from ckanext.harvest.runner import Next
from ckanext.harvest.tests import remote_ckan
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
    sweep,
    work_off,
)
from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset
from ckanext.relay import ckan_211
from ckanext.relay import session as relay_session
from ckanext.relay.http import Limits, guarded_session

pytestmark = pytest.mark.usefixtures("portal", "small_limits")


class CustomHarvester(CKANHarvester):
    """A subclass as portals write them."""

    def info(self) -> dict[str, Any]:
        return {"name": "custom", "title": "Custom", "description": "A subclass"}

    def modify_package_dict(self, package_dict: dict[str, Any], harvest_object: HarvestObject) -> dict[str, Any]:
        return package_dict | {"title": f"{package_dict['title']} ({harvest_object.guid})"}

    def _search_for_datasets(self, base_url: str, fq_terms: list[str] | None = None) -> list[dict[str, Any]]:
        return [each for each in super()._search_for_datasets(base_url, fq_terms) if each["title"] != "Dataset 2"]


PLUGINS = {"custom_harvester": CustomHarvester}


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What would take minutes takes a moment, what would be gigabytes is a megabyte."""
    limits = Limits(connect=5, read=1.5, total=4, body_bytes=1_000_000, tries=2, backoff=0.01)
    monkeypatch.setattr(relay_session, "guarded_session", functools.partial(guarded_session, limits=limits))
    relay_session._session.cache_clear()
    yield
    relay_session._session.cache_clear()


def source(remote: RemotePortal, source_type: str = "ckan", **config: Any) -> str:
    """Register a remote portal and return the id of the source."""
    return str(make_source(source_type, url=remote.url, config=json.dumps(config) if config else "")["id"])


def shown(name: str) -> dict[str, Any]:
    return act("package_show", id=name)


def modified_times() -> dict[str, datetime.datetime]:
    model.Session.remove()
    return {each.name: each.metadata_modified for each in model.Session.query(model.Package).filter_by(type="dataset")}


# -- what arrives


def test_a_dataset_arrives_as_it_is(remote: RemotePortal) -> None:
    """Title, text, tags, extras and resources of the remote dataset are those of ours; it belongs to the source's
    organization and says where it comes from."""
    remote.datasets = [dataset(1, organization={"id": "remote-org", "name": "city"}, owner_org="remote-org")]
    source_id = source(remote)
    assert counts(harvest(source_id)) == {"added": 1}
    ours, theirs = shown("dataset-1"), remote.datasets[0]
    for field in ("id", "name", "title", "notes", "license_id"):
        assert ours[field] == theirs[field]
    assert [tag["name"] for tag in ours["tags"]] == ["water"]
    assert ours["owner_org"] == act("harvest_source_show", id=source_id)["owner_org"]
    [resource] = ours["resources"]
    assert (resource["url"], resource["format"], resource["name"]) == (
        "http://files.city.example/1.csv",
        "CSV",
        "Table",
    )
    assert not resource.get("url_type")
    [found_by_search] = act("package_search", fq=f'harvest_source_id:"{source_id}"')["results"]
    extras = {extra["key"]: extra["value"] for extra in found_by_search["extras"]}
    assert extras["contact"] == "office@city.example"
    assert extras["harvest_object_id"] == current(ours["id"])[0].id


def test_all_pages_are_read(remote: RemotePortal) -> None:
    """The search is asked for a hundred datasets at a time, until there are no more."""
    remote.datasets = [dataset(number) for number in range(230)]
    job_id = start(source(remote))
    list(runner.gather(job_id))
    assert [(each["rows"], each["start"], each["sort"]) for each in remote.searches()] == [
        ("100", "0", "id asc"),
        ("100", "100", "id asc"),
        ("100", "200", "id asc"),
    ]
    assert all(set(each) == {"rows", "start", "sort"} for each in remote.searches())
    assert HarvestObject.filter(harvest_job_id=job_id).count() == 230


def test_a_portal_that_allows_fewer_rows(remote: RemotePortal) -> None:
    """Nothing is left out if a page has fewer datasets than were asked for."""
    remote.datasets, remote.most_rows = [dataset(number) for number in range(7)], 3
    assert counts(harvest(source(remote))) == {"added": 7}


def test_records_are_imported_while_others_are_gathered(remote: RemotePortal) -> None:
    """The first page is open to the workers before the second one is read."""
    remote.datasets, remote.most_rows = [dataset(number) for number in range(4)], 2
    source_id = source(remote)
    job_id = start(source_id)
    gathering: Any = runner.gather(job_id)
    assert next(gathering) == Next("process", source_id)
    runner.process_batch(source_id)
    assert len(found()) == 2
    work_off(*gathering)
    assert counts(ended(job_id)) == {"added": 4}


def test_an_id_that_comes_twice(remote: RemotePortal) -> None:
    """A dataset that is on two pages, because the remote index changed between them, is imported once."""
    every = [dataset(number) for number in range(4)]

    def overlapping(request: remote_ckan.Request, params: dict[str, str]) -> None:
        begin = int(params["start"])
        page = {0: [*every[:3], every[2]], 4: every[1:4]}.get(begin, [])
        request.send_result({"count": 7, "results": page})

    remote.instead = overlapping
    job = harvest(source(remote))
    assert len(objects(job)) == 4
    assert counts(job) == {"added": 4}
    assert len(found()) == 4


def test_ids_that_are_no_uuids(remote: RemotePortal) -> None:
    """An id is whatever the remote portal says; the dataset keeps it, and is found again by it."""
    remote.datasets = [dataset(1, id="DE-4711/a b"), dataset(2, id="ä" * 80)]
    source_id = source(remote, force_all=True)
    assert counts(harvest(source_id)) == {"added": 2}
    assert shown("dataset-1")["id"] == "DE-4711/a b"
    remote.change(0, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 1, "not modified": 1}
    assert shown("dataset-1")["title"] == "Changed"


def test_an_id_that_is_the_name_of_a_dataset_of_ours(remote: RemotePortal) -> None:
    """A remote id never leads to a dataset that only has the same name, nor takes its place."""
    local = factories.Dataset(name="budget", title="Our own")
    remote.datasets = [dataset(1, id="budget", name="other")]
    job = harvest(source(remote))
    assert (shown(local["id"])["title"], shown("budget")["id"]) == ("Our own", local["id"])
    assert "'budget is the name of another dataset'" in errors(objects(job)[0])[0][1]


def test_names_that_clash(remote: RemotePortal) -> None:
    """A name that a dataset of ours has already, or that comes twice, gets a number."""
    factories.Dataset(name="dataset-1", title="Our own")
    remote.datasets = [dataset(1), dataset(2, name="same"), dataset(3, name="same")]
    assert counts(harvest(source(remote))) == {"added": 3}
    assert found() == ["dataset-1", "dataset-11", "same", "same1"]
    assert shown("dataset-1")["title"] == "Our own"


def test_a_dataset_keeps_its_name(remote: RemotePortal) -> None:
    """An update does not rename, since links lead to the name."""
    remote.datasets = [dataset(1)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    remote.change(0, name="renamed", title="Renamed")
    assert counts(harvest(source_id)) == {"updated": 1}
    assert (shown(remote.datasets[0]["id"])["name"], shown("dataset-1")["title"]) == ("dataset-1", "Renamed")


def test_datasets_without_an_id(remote: RemotePortal) -> None:
    """What has no id is named in an error of the job, the rest arrives."""
    remote.datasets = [dataset(1), dataset(2, id=None), dataset(3, id=7), dataset(4, id="")]
    del remote.datasets[1]["id"]
    job = harvest(source(remote))
    assert found() == ["dataset-1"]
    [message] = gather_errors(job)
    assert all(name in message for name in ("dataset-2", "dataset-3", "dataset-4"))
    assert counts(job) == {"added": 1, "errored": 1}


def test_a_default_extra_with_a_format(remote: RemotePortal) -> None:
    """Where one was stored before the form refused it, the records say what is wrong."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    HarvestSource.get(source_id).config = json.dumps({"default_extras": {"long": "{dataset_id:>3000000}"}})
    model.Session.commit()
    job = harvest(source_id)
    [(stage, message)] = errors(objects(job)[0])
    assert stage == "Import" and "default_extras: long must have {dataset_id} as it is" in message


@pytest.mark.parametrize("bad", ["\x00", "half \ud800"])
def test_ids_that_are_no_text_of_the_database(remote: RemotePortal, bad: str) -> None:
    """JSON may hold them. A dataset with one is named in an error; ids of resources and groups are left out; whatever
    was gathered with them arrives, and a source that mirrors deletions can ask for the rest."""
    odd: list[Any] = [{"id": bad, "url": "http://files.city.example/odd.csv"}]
    remote.datasets = [
        dataset(1),
        dataset(2, id=bad, name=f"dataset {bad}"),
        dataset(3, resources=odd),
        dataset(4, groups=[{"id": bad, "name": bad}], organization={"id": bad, "name": bad}),
        dataset(5),
    ]
    source_id = source(remote, remote_groups="only_local", remote_orgs="only_local", delete_missing=True)
    for job in (harvest(source_id), harvest(source_id)):
        [message] = gather_errors(job)
        assert message == f"1 remote datasets have no usable id: {f'dataset {bad}'!r}"
    assert found() == [f"dataset-{number}" for number in (1, 3, 4, 5)]
    assert len(shown("dataset-3")["resources"][0]["id"]) == 36
    act("harvest_source_patch", id=source_id, title="Edited")
    assert counts(harvest(source_id)) == {"not modified": 4, "errored": 1}


BROKEN: dict[str, dict[str, Any]] = {
    "a tag that CKAN refuses": {"tags": [{"name": "?"}]},
    "a visibility that is none": {"private": "perhaps", "owner_org": None},
    "an extra twice": {"extras": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
    "resources that are no list": {"resources": "none"},
    "tags of another shape": {"tags": ["water"]},
    "extras without a key": {"extras": [{"value": "1"}]},
    "groups that are no groups": {"groups": ["economy"]},
    "text with a NUL": {"title": "no \x00 text"},
    "half a character": {"title": "half \ud800 of it"},
    "a title that is a list": {"title": ["one", "two"]},
    "a name that is nothing": {"name": None, "title": None},
    "numbers for texts": {"name": 7, "title": 8, "notes": 9},
    "an organization that is a name": {"organization": "city"},
}


def test_invalid_datasets_among_good_ones(remote: RemotePortal) -> None:
    """Whatever is wrong with some datasets, each gets a clear error or arrives, and the good ones all arrive."""
    remote.datasets = [dataset("good-1"), dataset("good-2")]
    remote.datasets += [dataset(f"bad-{number}") | fields for number, fields in enumerate(BROKEN.values())]
    job = harvest(source(remote, remote_groups="only_local"))
    by_id = by_guid(job)
    assert {"dataset-good-1", "dataset-good-2"} <= set(found())
    for (what, _), record in zip(BROKEN.items(), remote.datasets[2:], strict=True):
        obj = by_id[record["id"]]
        messages = errors(obj)
        assert obj.report_status == "added" or len(messages) == 1, what
        for _, message in messages:
            assert len(message) > 20 and "Given up" not in message, what
            assert not message.startswith(("AttributeError", "TypeError", "KeyError", "DataError")), what
    assert counts(job)["errored"] >= 9
    tag_error = errors(by_id[remote.datasets[2]["id"]])[0]
    assert tag_error[0] == "Import"
    assert tag_error[1].startswith(f"Invalid package with GUID {remote.datasets[2]['id']}: {{'tags'")
    report = act("harvest_job_report", id=job.id)["object_errors"]
    assert report[by_id[remote.datasets[2]["id"]].id]["original_url"].startswith(f"{remote.url}/dataset/")


def test_remote_harvest_sources_are_ignored(remote: RemotePortal) -> None:
    """A remote dataset of type ``harvest`` is no dataset, no error, and nothing that was deleted."""
    remote.datasets = [dataset(1), dataset(2, type="harvest")]
    source_id = source(remote)
    job = harvest(source_id)
    assert found() == ["dataset-1"]
    assert (gather_errors(job), counts(job).get("errored")) == ([], None)
    harvest(source_id)
    assert "metadata_modified" in remote.searches()[-1].get("fq", ""), "the next run asks for all again"


# -- what has not changed


def actions_of(function: Any) -> list[tuple[str, Any]]:
    """Return the actions that succeed while a function runs, each with the id that it was given."""
    called = []

    def note(action: str, data_dict: Any = None, **_: Any) -> None:
        called.append((action, (data_dict or {}).get("id")))

    with action_succeeded.connected_to(note):
        function()
    return called


def test_what_has_not_changed_costs_nothing(remote: RemotePortal) -> None:
    """Records with the same content are reported as not modified; no dataset is read, written or indexed."""
    remote.datasets = [dataset(number) for number in range(3)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    before = modified_times()
    for each in remote.datasets:
        each["tracking_summary"] = {"total": 8, "recent": 2}  # visits are no change
    jobs: list[HarvestJob] = []
    called = actions_of(lambda: jobs.append(harvest(source_id)))
    assert counts(jobs[0]) == {"not modified": 3}
    assert modified_times() == before
    touched = {each["id"] for each in remote.datasets}
    assert not [call for call in called if call[0] in ("package_create", "package_update") or call[1] in touched]
    for obj in objects(jobs[0]):
        assert (obj.current, obj.package_id, obj.content) == (False, None, None)
    assert all(len(current(dataset_id)) == 1 for dataset_id in touched)


def test_what_has_changed_is_updated(remote: RemotePortal) -> None:
    """Only what changed is imported, and the newest object is the current one."""
    remote.datasets = [dataset(number) for number in range(3)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    before = modified_times()
    remote.change(1, notes="Other words", resources=[])
    job = harvest(source_id)
    assert counts(job) == {"updated": 1, "not modified": 2}
    assert shown("dataset-1")["notes"] == "Other words"
    assert shown("dataset-1")["resources"] == []
    assert {name for name, at in modified_times().items() if at != before[name]} == {"dataset-1"}
    assert [obj.harvest_job_id for obj in current(remote.datasets[1]["id"])] == [job.id]


def test_a_change_without_a_date_is_a_change(remote: RemotePortal) -> None:
    """What counts is the content, not the date that the remote portal tells."""
    remote.datasets = [dataset(1)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    remote.datasets[0]["title"] = "Changed in silence"
    assert counts(harvest(source_id)) == {"updated": 1}
    assert shown("dataset-1")["title"] == "Changed in silence"


def test_another_configuration_imports_all_again(remote: RemotePortal) -> None:
    """When the source is told to make something else of the records, all of them are gathered and imported anew."""
    remote.datasets = [dataset(1), dataset(2)]
    source_id = source(remote)
    harvest(source_id)
    act("harvest_source_patch", id=source_id, config=json.dumps({"default_tags": [{"name": "harvested"}]}))
    assert counts(harvest(source_id)) == {"updated": 2}
    assert [tag["name"] for tag in shown("dataset-1")["tags"]] == ["harvested", "water"]
    act(
        "harvest_source_patch",
        id=source_id,
        config=json.dumps({"default_tags": [{"name": "harvested"}], "force_all": True}),
    )
    assert counts(harvest(source_id)) == {"not modified": 2}


def test_objects_from_before_there_were_hashes(remote: RemotePortal) -> None:
    """In a database that was taken over, what has not changed is recognised by its stored content."""
    remote.datasets = [dataset(1), dataset(2)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    model.Session.execute(sa.update(HarvestObject).values(content_hash=None))
    model.Session.commit()
    remote.change(1, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 1, "not modified": 1}


def test_an_object_from_before_whose_content_is_no_json(remote: RemotePortal) -> None:
    """Stored content that cannot be compared counts as changed."""
    remote.datasets = [dataset(1)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    model.Session.execute(sa.update(HarvestObject).values(content_hash=None, content="<xml/>"))
    model.Session.commit()
    assert counts(harvest(source_id)) == {"updated": 1}


def test_fields_that_keep_their_local_value(remote: RemotePortal, ckan_config: dict[str, Any]) -> None:
    """``ckan.harvest.not_overwrite_fields`` names what people here maintain."""
    ckan_config["ckan.harvest.not_overwrite_fields"] = ["notes"]
    remote.datasets = [dataset(1)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    act("package_patch", id="dataset-1", notes="Our words")
    remote.change(0, notes="Their words", title="Their title")
    harvest(source_id)
    assert (shown("dataset-1")["notes"], shown("dataset-1")["title"]) == ("Our words", "Their title")


# -- what is asked for


def test_the_second_run_asks_for_changes_only(remote: RemotePortal) -> None:
    """After a run without errors the search is asked for what changed since an hour before it, and nothing at all is
    no error."""
    remote.datasets = [dataset(1), dataset(2)]
    source_id = source(remote)
    first = harvest(source_id)
    second = harvest(source_id)
    since = (first.gather_started - datetime.timedelta(hours=1)).isoformat()
    assert remote.searches()[-1]["fq"] == f"metadata_modified:[{since}Z TO *]"
    assert (counts(second), gather_errors(second)) == ({}, [])
    remote.change(0, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 1}


@pytest.mark.parametrize("late", [False, True])
def test_an_aborted_run_stands_for_nothing(remote: RemotePortal, late: bool) -> None:
    """A job that was aborted while it was gathered has no error, and did not come to all; the one before it did."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    first = harvest(source_id)
    job = HarvestJob.get(start(source_id))
    states.gather_begins(job)
    act("harvest_job_abort", id=job.id)
    if late:
        states.gather_ends(job)  # the worker has noticed
    harvest(source_id)
    since = (first.gather_started - datetime.timedelta(hours=1)).isoformat()
    assert remote.searches()[-1]["fq"] == f"metadata_modified:[{since}Z TO *]"


def test_a_job_that_does_not_say_when_it_ended(remote: RemotePortal) -> None:
    """In a database that was taken over, it counts if it says that all was gathered."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    job = harvest(source_id)
    job.finished = None
    model.Session.commit()
    harvest(source_id)
    assert "fq" in remote.searches()[-1]


def test_after_a_run_with_errors_all_is_asked_for(remote: RemotePortal) -> None:
    """What failed may come the next time although it did not change."""
    remote.datasets = [dataset(1), dataset(2, tags=[{"name": "?"}])]
    source_id = source(remote)
    harvest(source_id)
    remote.datasets[1]["tags"] = []
    assert counts(harvest(source_id)) == {"added": 1, "not modified": 1}
    assert "fq" not in remote.searches()[-1]


def test_a_portal_that_cannot_search_for_changes(remote: RemotePortal) -> None:
    """If the search for changes fails, all is asked for."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    harvest(source_id)

    def picky(request: remote_ckan.Request, params: dict[str, str]) -> None:
        if "fq" in params:
            remote_ckan.error_500(request, params)
        else:
            request._package_search(params)

    remote.instead = picky
    job = harvest(source_id)
    assert (counts(job), gather_errors(job)) == ({"not modified": 1}, [])


@pytest.mark.parametrize(
    ("config", "query", "names"),
    [
        ({"organizations_filter_include": ["city"]}, "organization:city", ["a", "b"]),
        ({"organizations_filter_exclude": ["city"]}, "-organization:city", ["c", "d"]),
        (
            {"organizations_filter_include": ["city", "county"]},
            "(organization:city OR organization:county)",
            ["a", "b", "c"],
        ),
        ({"groups_filter_include": ["water"]}, "groups:water", ["a", "c"]),
        ({"groups_filter_exclude": ["water", "air"]}, "-groups:water -groups:air", ["d"]),
        (
            {"organizations_filter_include": ["city"], "groups_filter_exclude": ["water"]},
            "organization:city -groups:water",
            ["b"],
        ),
    ],
)
def test_filters(remote: RemotePortal, config: dict[str, Any], query: str, names: list[str]) -> None:
    """Organizations and groups can be chosen or left out."""
    for name, organization, groups in (
        ("a", "city", ["water"]),
        ("b", "city", ["air"]),
        ("c", "county", ["water", "air"]),
        ("d", "state", []),
    ):
        fields = {
            "organization": {"id": organization, "name": organization},
            "groups": [{"name": each} for each in groups],
        }
        remote.datasets.append(dataset(name, name=name + name, **fields))
    job_id = start(source(remote, **config))
    list(runner.gather(job_id))
    assert remote.searches()[0]["fq"] == query
    contents = [json.loads(obj.content)["name"] for obj in objects(HarvestJob.get(job_id))]
    assert sorted(contents) == [name + name for name in names]


def test_headers(remote: RemotePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the configuration, also by reference, and the user agent go with each request."""
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_CITY", "t0ken")
    remote.datasets = [dataset(1)]
    assert counts(harvest(source(remote, api_key="env:CITY", user_agent="Our portal"))) == {"added": 1}
    assert {headers.get("Authorization") for _, _, headers in remote.requests} == {"t0ken"}
    assert {headers.get("User-Agent") for _, _, headers in remote.requests} == {"Our portal"}


# -- groups, organizations and defaults


GROUPS = [
    {
        "id": "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a01",
        "name": "water",
        "title": "Water",
        "packages": [{"id": "x"}],
        "users": [{"id": "y"}],
    },
    {
        "id": "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a02",
        "name": "air",
        "title": "Air",
        "extras": [{"key": "a", "value": "b"}],
    },
]


def in_groups(number: int) -> dict[str, Any]:
    return dataset(number, groups=[{"id": each["id"], "name": each["name"], "title": each["title"]} for each in GROUPS])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(None, []), ("only_local", ["water"]), ("create", ["air", "water"])],
)
def test_remote_groups(remote: RemotePortal, mode: str | None, expected: list[str]) -> None:
    """Remote groups are dropped, kept if there are such groups here, or created."""
    factories.Group(name="water", title="Our water")
    remote.groups, remote.datasets = GROUPS, [in_groups(1), in_groups(2)]
    job = harvest(source(remote, **({"remote_groups": mode} if mode else {})))
    assert counts(job) == {"added": 2}
    for name in ("dataset-1", "dataset-2"):
        assert sorted(group["name"] for group in shown(name)["groups"]) == expected
    assert act("group_show", id="water")["title"] == "Our water"
    if mode == "create":
        assert (act("group_show", id="air")["title"], act("group_show", id="air")["id"]) == ("Air", GROUPS[1]["id"])
    assert remote.asked("group_show") == (1 if mode == "create" else 0)


def test_a_group_that_cannot_be_created(remote: RemotePortal) -> None:
    """The error of the dataset names the group, and what CKAN has against it."""
    remote.groups = [{"id": CITY, "name": "No Name", "title": "Water"}]
    remote.datasets = [dataset(1, groups=[{"id": CITY, "name": "No Name"}]), dataset(2)]
    job = harvest(source(remote, remote_groups="create"))
    assert counts(job) == {"added": 1, "errored": 1}
    [(_, message)] = errors(by_guid(job)[remote.datasets[0]["id"]])
    assert "group_create of No Name failed" in message and "name" in message


def test_a_group_that_the_remote_portal_does_not_show(remote: RemotePortal) -> None:
    """The dataset arrives without it."""
    remote.datasets = [in_groups(1)]
    job = harvest(source(remote, remote_groups="create"))
    assert counts(job) == {"added": 1}
    assert shown("dataset-1")["groups"] == []


CITY = "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a03"
ORGANIZATION = {"id": CITY, "name": "city", "title": "The city", "users": [], "package_count": 9}


def of_organization(number: int) -> dict[str, Any]:
    return dataset(number, owner_org=CITY, organization={"id": CITY, "name": "city", "title": "The city"})


@pytest.mark.parametrize(
    ("mode", "local", "expected"),
    [
        (None, True, "the source's"),
        ("only_local", False, "the source's"),
        ("only_local", True, "city"),
        ("create", False, "city"),
        ("create", True, "city"),
    ],
)
def test_remote_organizations(remote: RemotePortal, mode: str | None, local: bool, expected: str) -> None:
    """Datasets belong to the source's organization, to their own one if it is here too, or to one that is created."""
    if local:
        factories.Organization(name="city", title="Our city")
    remote.organizations, remote.datasets = [ORGANIZATION], [of_organization(1), of_organization(2)]
    source_id = source(remote, **({"remote_orgs": mode} if mode else {}))
    assert counts(harvest(source_id)) == {"added": 2}
    organization = shown("dataset-1")["organization"]
    if expected == "city":
        assert (organization["name"], organization["title"]) == ("city", "Our city" if local else "The city")
    else:
        assert organization["id"] == act("harvest_source_show", id=source_id)["owner_org"]
    assert shown("dataset-2")["organization"] == organization
    assert remote.asked("organization_show") == (1 if mode == "create" and not local else 0)


def test_an_organization_that_is_a_group_there(remote: RemotePortal) -> None:
    """An old portal shows its organizations as groups."""
    remote.groups, remote.datasets = [ORGANIZATION], [of_organization(1)]
    assert counts(harvest(source(remote, remote_orgs="create"))) == {"added": 1}
    assert shown("dataset-1")["organization"]["title"] == "The city"


def test_an_organization_that_is_not_shown(remote: RemotePortal) -> None:
    """The dataset falls back to the organization of the source."""
    remote.datasets = [of_organization(1)]
    source_id = source(remote, remote_orgs="create")
    assert counts(harvest(source_id)) == {"added": 1}
    assert shown("dataset-1")["owner_org"] == act("harvest_source_show", id=source_id)["owner_org"]


def test_defaults(remote: RemotePortal) -> None:
    """Tags, groups and extras of the configuration are added, with fields filled in; what the dataset has wins."""
    group = factories.Group(name="economy")
    remote.datasets = [dataset(1)]
    source_id = source(
        remote,
        default_tags=[{"name": "harvested"}, {"name": "water"}],
        default_groups=["economy"],
        default_extras={
            "origin": "{harvest_source_url}/dataset/{dataset_id}",
            "via": "{harvest_source_title} {harvest_source_id}",
            "run": "{harvest_job_id} {harvest_object_id}",
            "contact": "nobody",
            "number": 7,
        },
    )
    job = harvest(source_id)
    assert counts(job) == {"added": 1}
    ours = shown("dataset-1")
    extras = {extra["key"]: extra["value"] for extra in ours["extras"]}
    assert [tag["name"] for tag in ours["tags"]] == ["harvested", "water"]
    assert [each["id"] for each in ours["groups"]] == [group["id"]]
    assert extras["origin"] == f"{remote.url}/dataset/{remote.datasets[0]['id']}"
    assert extras["via"] == f"{act('harvest_source_show', id=source_id)['title']} {source_id}"
    assert extras["run"] == f"{job.id} {objects(job)[0].id}"
    assert extras["contact"] == "office@city.example"
    assert str(extras["number"]) == "7"


def test_extras_that_override(remote: RemotePortal) -> None:
    """With ``override_extras`` the configuration wins."""
    remote.datasets = [dataset(1)]
    harvest(source(remote, default_extras={"contact": "nobody"}, override_extras=True))
    assert {extra["key"]: extra["value"] for extra in shown("dataset-1")["extras"]}["contact"] == "nobody"


def test_clean_tags(remote: RemotePortal) -> None:
    """With ``clean_tags`` what CKAN would refuse becomes a tag that it takes."""
    remote.datasets = [dataset(1, tags=[{"name": "Drinking Water!"}, {"name": " "}, {"name": "?"}])]
    assert counts(harvest(source(remote, clean_tags=True))) == {"added": 1}
    assert [tag["name"] for tag in shown("dataset-1")["tags"]] == ["drinking-water"]


# -- portals that fail


FAILURES = [
    pytest.param(remote_ckan.html, "was not JSON", id="html"),
    pytest.param(remote_ckan.no_success, "being rebuilt", id="success false"),
    pytest.param(remote_ckan.no_results, "no list of datasets", id="another shape"),
    pytest.param(remote_ckan.error_500, "500", id="500"),
    pytest.param(remote_ckan.redirect_loop, "redirect", id="redirect loop"),
    pytest.param(remote_ckan.hang, "time", id="hang"),
    pytest.param(remote_ckan.trickle, "seconds", id="trickle"),
    pytest.param(remote_ckan.endless, "larger than 1000000 bytes", id="endless"),
    pytest.param(remote_ckan.hang_up, "onnection", id="hangs up"),
]


@pytest.mark.parametrize(("failure", "text"), FAILURES)
def test_a_portal_that_fails_on_the_way(remote: RemotePortal, failure: remote_ckan.Answer, text: str) -> None:
    """The job has one clear error, what was read before arrives, and the next run brings the rest."""
    remote.datasets, remote.most_rows = [dataset(number) for number in range(3)], 2
    remote.instead = remote_ckan.after(1, failure)
    source_id = source(remote)
    job = harvest(source_id)
    [message] = gather_errors(job)
    assert message.startswith("Unable to search remote CKAN for datasets:")
    assert text.lower() in message.lower() and remote.url in message
    assert len(message) < 700
    assert counts(job) == {"added": 2, "errored": 1}
    assert len(found()) == 2
    remote.instead = None
    assert counts(harvest(source_id)) == {"added": 1, "not modified": 2}
    assert len(found()) == 3


def test_a_portal_that_fails_at_once(remote: RemotePortal) -> None:
    """What was harvested before stays as it is."""
    remote.datasets = [dataset(1)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    remote.instead = remote_ckan.html
    job = harvest(source_id)
    assert (counts(job), len(gather_errors(job))) == ({"errored": 1}, 1)
    assert found() == ["dataset-1"]
    assert len(current(remote.datasets[0]["id"])) == 1


def test_a_portal_that_cannot_be_reached() -> None:
    """Nobody listens: the job says so, and the source may run again."""
    for port in remote_ckan.unused_port():
        source_id = str(make_source("ckan", url=f"http://127.0.0.1:{port}")["id"])
        for _ in range(2):
            job = harvest(source_id)
            [message] = gather_errors(job)
            assert "No connection to 127.0.0.1" in message
            assert counts(job) == {"errored": 1}


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid", "ftp://city.example", "basic_test", "http://[", "http://"]
)
def test_a_url_that_leads_nowhere(url: str) -> None:
    """Whatever a source has for a URL, its job ends with an error."""
    job = harvest(str(make_source("ckan", url=url)["id"]))
    assert len(gather_errors(job)) == 1
    assert counts(job) == {"errored": 1}


def test_an_address_that_is_not_admitted(remote: RemotePortal, ckan_config: dict[str, Any]) -> None:
    """A portal in the own network is not asked at all, unless the sysadmin opened it; the error says how."""
    ckan_config["ckanext.relay.allowed_networks"] = []
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    job = harvest(source_id)
    [message] = gather_errors(job)
    assert "portal's own machine" in message and "ckanext.relay.allowed_networks" in message
    assert remote.requests == []
    ckan_config["ckanext.relay.allowed_networks"] = ["127.0.0.0/8"]
    assert counts(harvest(source_id)) == {"added": 1}


def test_a_redirect_into_the_own_network(remote: RemotePortal, ckan_config: dict[str, Any]) -> None:
    """A portal cannot send the harvester to an address that is not admitted."""
    ckan_config["ckanext.relay.allowed_networks"] = ["127.0.0.1/32"]

    def elsewhere(request: remote_ckan.Request, params: dict[str, str]) -> None:
        request.send_response(302)
        request.send_header("Location", f"http://127.0.0.2:{remote.server_port}/api/3/action/package_search")
        request.send_header("Content-Length", "0")
        request.end_headers()

    remote.instead = elsewhere
    job = harvest(source(remote))
    assert "portal's own machine" in gather_errors(job)[0]
    assert len(remote.requests) == 1


def test_a_portal_without_datasets(remote: RemotePortal) -> None:
    """An empty portal is an error the first time, since something is probably wrong."""
    job = harvest(source(remote))
    assert gather_errors(job) == [f"No datasets found at CKAN: {remote.url}"]


def test_a_configuration_that_is_no_json(remote: RemotePortal) -> None:
    """A source whose configuration was broken in the database ends with an error, and runs when it is mended."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    for config, expected in (("{force_all", {"errored": 1}), ('["a list"]', {"errored": 1}), ("{}", {"added": 1})):
        model.Session.execute(sa.text("UPDATE harvest_source SET config = :config"), {"config": config})
        model.Session.commit()
        model.Session.remove()
        job = harvest(source_id)
        assert counts(job) == expected
        assert len(gather_errors(job)) == expected.get("errored", 0)


def test_no_secret_in_any_error(
    remote: RemotePortal, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the password of an address nor the token of a configuration is in an error, a report or the log."""
    caplog.set_level(logging.DEBUG)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):  # migrations, for one, silence loggers
            monkeypatch.setattr(logger, "disabled", False)
    secrets = ("hidden-pass", "hidden-token", "hidden-key")
    url = f"http://reader:hidden-pass@127.0.0.1:{remote.server_port}/?api_key=hidden-key"
    given = {"url": url, "config": json.dumps({"api_key": "hidden-token", "force_all": True})}
    source_id = str(make_source("ckan", **given)["id"])

    def everything_back(request: remote_ckan.Request, params: dict[str, str]) -> None:
        request.send_text(f"You sent {request.path}", status=403)

    for answer in (everything_back, remote_ckan.html, remote_ckan.redirect_loop, remote_ckan.hang_up, None):
        remote.instead = answer
        job = harvest(source_id)
        assert len(gather_errors(job)) == 1
        said = json.dumps(
            [act("harvest_job_show", id=job.id), act("harvest_job_report", id=job.id), gather_errors(job)]
        )
        assert not [secret for secret in secrets if secret in said], answer
    assert "api_key=********" in caplog.text
    assert not [secret for secret in secrets if secret in caplog.text]


def test_tokens_with_line_ends(remote: RemotePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and variables have them at their ends, where they are cut off. One within a token is an error that does not
    show it."""
    remote.datasets = [dataset(1)]
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_PORTAL", "hidden-token\n")
    assert counts(harvest(source(remote, api_key="env:PORTAL"))) == {"added": 1}
    assert remote.requests[-1][2]["Authorization"] == "hidden-token"
    asked = len(remote.requests)
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_PORTAL", "hidden-token\nhidden-too")
    [message] = gather_errors(harvest(source(remote, api_key=" env:PORTAL\n", force_all=True)))
    assert "header value" in message and "line ends" in message and "hidden" not in message
    assert len(remote.requests) == asked


def test_a_batch_of_updates(remote: RemotePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The datasets that are to be updated are asked of the search index at once, and none of them for itself."""
    remote.datasets = [dataset(number) for number in range(3)]
    source_id = source(remote, force_all=True)
    harvest(source_id)
    for place in range(3):
        remote.change(place, title=f"Changed {place}")
    asked: list[str] = []
    ask = PackageSearchQuery.get_index

    def get_index(query: PackageSearchQuery, reference: str) -> dict[str, Any]:
        asked.append(reference)
        return ask(query, reference)

    monkeypatch.setattr(PackageSearchQuery, "get_index", get_index)
    assert counts(harvest(source_id)) == {"updated": 3}
    # where CKAN 2.11 runs, its activity plugin asks for the dataset as it is afterwards
    assert all(asked.count(each["id"]) == int(ckan_211.RUNS) for each in remote.datasets)
    assert {shown(f"dataset-{number}")["title"] for number in range(3)} == {f"Changed {n}" for n in range(3)}


def test_ids_of_tags(remote: RemotePortal) -> None:
    """A tag is the one that has its name here, whatever id the remote portal has for it."""
    factories.Dataset(tags=[{"name": "ours"}])
    ours = model.Tag.by_name("ours").id
    odd: list[Any] = [{"name": "Too: odd", "id": ours}, {"name": "nul\0", "id": ours}, {"name": ["ours"]}]
    given = [{"name": "theirs", "id": ours}, {"name": "ours", "id": "theirs"}, {"name": "new"}]
    remote.datasets = [
        dataset(1, tags=given),
        dataset(2, tags=given),
        *(dataset(3 + i, tags=[odd[i]]) for i in (0, 1, 2)),
    ]
    source_id = source(remote, force_all=True)
    assert counts(harvest(source_id)) == {"added": 2, "errored": 3}
    remote.change(0, tags=given[1:])
    assert counts(harvest(source_id))["updated"] == 1
    tags = {number: sorted(tag["name"] for tag in shown(f"dataset-{number}")["tags"]) for number in (1, 2)}
    assert tags == {1: ["new", "ours"], 2: ["new", "ours", "theirs"]}
    model.Session.remove()
    assert {tag.name for tag in model.Session.query(model.Tag)} == {"ours", "theirs", "new"}
    assert model.Session.get(model.Tag, ours).name == "ours"


def test_a_job_that_finds_nothing(remote: RemotePortal) -> None:
    """Where nothing changed, nobody is called to process it: the job ends at once."""
    remote.datasets = [dataset(1)]
    source_id = source(remote)
    harvest(source_id)
    remote.datasets = []
    job_id = start(source_id)
    assert list(runner.gather(job_id)) == [Next("finish", job_id)]


# -- workers that die, and jobs that are aborted


def test_a_worker_that_died_while_it_gathered(remote: RemotePortal) -> None:
    """The job is gathered once more; what was saved is left as it is, what was imported is not imported again."""
    remote.datasets, remote.most_rows = [dataset(number) for number in range(5)], 2
    source_id = source(remote)
    job_id = start(source_id)
    gathering: Any = runner.gather(job_id)
    next(gathering)
    runner.process_batch(source_id)
    gathering.close()  # the worker is gone, and its lease with it
    model.Session.remove()
    first = {obj.id for obj in objects(HarvestJob.get(job_id))}
    assert len(first) == 2
    sweep()
    job = ended(job_id)
    assert job.attempts == 2
    assert first < {obj.id for obj in objects(job)}
    assert counts(job) == {"added": 5}
    assert len(found()) == 5


def test_a_job_that_is_aborted_while_it_is_gathered(remote: RemotePortal) -> None:
    """Gathering stops at the next page, and what was gathered is given up."""
    remote.datasets, remote.most_rows = [dataset(number) for number in range(6)], 2
    source_id = source(remote)
    job_id = start(source_id)
    gathering: Any = runner.gather(job_id)
    next(gathering)
    act("harvest_job_abort", id=job_id)
    work_off(*gathering)
    model.Session.remove()
    assert HarvestJob.get(job_id).status == "Finished"
    assert len(remote.searches()) <= 2
    assert {obj.report_status for obj in objects(HarvestJob.get(job_id))} == {"errored"}
    assert found() == []
    assert counts(harvest(source_id)) == {"added": 6}


# -- what subclasses and their tests rely on


def test_a_subclass(remote: RemotePortal) -> None:
    """A subclass may change datasets before they are saved, and may know better where datasets are."""
    remote.datasets = [dataset(1), dataset(2)]
    assert counts(harvest(source(remote, "custom"))) == {"added": 1}
    assert shown("dataset-1")["title"] == f"Dataset 1 ({remote.datasets[0]['id']})"


def test_content(remote: RemotePortal) -> None:
    """``_get_content`` returns text, and raises what subclasses catch."""
    harvester = p.get_plugin("ckan_harvester")
    remote.instead = remote_ckan.html
    assert harvester._get_content(remote.url).startswith("<!doctype html>")
    remote.instead = remote_ckan.error_500
    with pytest.raises(ContentFetchError, match=f"^HTTP error: 500 {remote.url}"):
        harvester._get_content(f"{remote.url}/one")
    remote.instead = None
    with pytest.raises(ContentNotFoundError, match="^HTTP error: 404 "):
        harvester._get_content(f"{remote.url}/two")
    remote.instead = remote_ckan.hang
    with pytest.raises(ContentFetchError, match="^Request error: "):
        harvester._get_content(remote.url)


def test_requests_can_be_patched(remote: RemotePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of third parties replace ``requests.get`` in the module of the harvester."""

    class Response:
        text = json.dumps({"success": True, "result": {"results": [dataset(1)], "count": 1}})

        def raise_for_status(self) -> None:
            pass

    monkeypatch.setattr(ckanharvester.requests, "get", lambda url, **options: Response())
    assert counts(harvest(source(remote))) == {"added": 1}
    assert remote.requests == []
