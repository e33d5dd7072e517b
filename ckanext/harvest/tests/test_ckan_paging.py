"""Remote portals that do not page as they should, and what is asked for how often."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob
from ckanext.harvest.tests.harvesting import (
    ckan_source,
    counts,
    found,
    gather_errors,
    harvest,
    objects,
    shown,
    start,
    work_off,
)
from ckanext.harvest.tests.remote_ckan import RemotePortal, Request, dataset

pytestmark = pytest.mark.usefixtures("portal")


def test_a_portal_that_ignores_the_page_size(remote: RemotePortal) -> None:
    """All datasets in one answer are taken, and nothing more is asked for."""

    def everything(request: Request, params: dict[str, str]) -> None:
        request.send_result({"count": 130, "results": request.server.datasets})

    remote.datasets, remote.instead = [dataset(number) for number in range(130)], everything
    job_id = start(ckan_source(remote.url))
    list(runner.gather(job_id))
    assert len(remote.searches()) == 1
    assert len({obj.guid for obj in objects(HarvestJob.get(job_id))}) == 130


def test_a_portal_that_ignores_where_a_page_starts(remote: RemotePortal) -> None:
    """The same page again and again ends with an error soon; what is on it arrives once."""

    def first_page(request: Request, params: dict[str, str]) -> None:
        request.send_result({"count": 1000, "results": request.server.datasets})

    remote.datasets, remote.instead = [dataset(number) for number in range(3)], first_page
    job = harvest(ckan_source(remote.url))
    [message] = gather_errors(job)
    assert "the same page again and again: 3 of 1000 datasets were read" in message
    assert (len(remote.searches()), counts(job)) == (4, {"added": 3, "errored": 1})


def test_a_portal_that_does_not_say_how_many(remote: RemotePortal) -> None:
    """Pages are read until one has nothing new."""

    def pages(request: Request, params: dict[str, str]) -> None:
        begin = min(int(params["start"]), 4)
        request.send_result({"results": request.server.datasets[begin : begin + 2]})

    remote.datasets, remote.instead = [dataset(number) for number in range(6)], pages
    job = harvest(ckan_source(remote.url))
    assert (counts(job), gather_errors(job)) == ({"added": 6}, [])
    assert [each["start"] for each in remote.searches()] == ["0", "2", "4", "6"]


def test_a_portal_that_is_busy(remote: RemotePortal) -> None:
    """An answer 503 with ``Retry-After`` is waited for, and is no error."""

    def busy(request: Request, params: dict[str, str]) -> None:
        if len(request.server.searches()) > 1:
            request._package_search(params)
            return
        request.send_response(503)
        request.send_header("Retry-After", "1")
        request.send_header("Content-Length", "0")
        request.end_headers()

    remote.datasets, remote.instead = [dataset(1)], busy
    job = harvest(ckan_source(remote.url))
    assert (counts(job), gather_errors(job), len(remote.searches())) == ({"added": 1}, [], 2)


# -- asked once for a batch


class Statements:
    """The SQL that is sent while this is a context manager, as far as it reads a table."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.sent: list[str] = []

    def _note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        flat = " ".join(statement.split()).replace('"', "")
        if flat.startswith("SELECT") and f"FROM {self.table} " in f"{flat} ":
            self.sent.append(flat)

    def __enter__(self) -> Statements:
        sa.event.listen(model.meta.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sa.event.remove(model.meta.engine, "before_cursor_execute", self._note)

    def by_lookup(self, columns: str) -> list[str]:
        return [each for each in self.sent if each.startswith(f"SELECT {columns}")]


GROUP = '"group".id, "group".name, "group".is_organization'.replace('"', "")


@pytest.mark.parametrize("mode", ["only_local", "create"])
def test_groups_are_looked_up_once_a_batch(remote: RemotePortal, mode: str) -> None:
    """One query finds the groups and organizations of all datasets of a batch, one the organization of the source."""
    for number in range(4):
        factories.Group(name=f"group-{number}")
        factories.Organization(name=f"org-{number}")
    remote.datasets = [
        dataset(
            number,
            groups=[{"id": f"g{number % 4}", "name": f"group-{number % 4}"}],
            owner_org=f"o{number % 4}",
            organization={"id": f"o{number % 4}", "name": f"org-{number % 4}"},
        )
        for number in range(12)
    ]
    source_id = ckan_source(remote.url, remote_groups=mode, remote_orgs=mode)
    job_id = start(source_id)
    list(runner.gather(job_id))
    with Statements("group") as statements:
        steps = runner.process_batch(source_id)
    assert len(statements.by_lookup(GROUP)) == 1
    assert len(found()) > 4
    work_off(*steps)
    ours = shown("dataset-5")
    assert ([group["name"] for group in ours["groups"]], ours["organization"]["name"]) == (["group-1"], "org-1")


def test_what_the_remote_portal_does_not_have_is_asked_once(remote: RemotePortal, ckan_config: dict[str, Any]) -> None:
    """In no later batch of the run is a missing group asked for again, by name and id; the next run asks once more."""
    ckan_config["ckan.harvest.batch_size"] = 2
    group, organization = {"id": "g", "name": "gone"}, {"id": "o", "name": "gone-org"}
    remote.datasets = [dataset(number, groups=[group], organization=organization) for number in range(6)]
    source_id = ckan_source(remote.url, remote_groups="create", remote_orgs="create", force_all=True)
    assert counts(harvest(source_id)) == {"added": 6}
    asked = remote.asked("group_show") + remote.asked("organization_show")
    assert asked == 4  # the group by name and id, the organization as one and as a group
    for number in range(6):
        remote.change(number, title="Changed")
    assert counts(harvest(source_id)) == {"updated": 6}
    assert remote.asked("group_show") + remote.asked("organization_show") == 2 * asked


def test_a_group_that_ckan_refuses_is_asked_for_once(remote: RemotePortal) -> None:
    """Each of its datasets has the error."""
    group = {"id": "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a01", "name": "No Name"}
    remote.groups = [group]
    remote.datasets = [dataset(number, groups=[group]) for number in range(3)]
    job = harvest(ckan_source(remote.url, remote_groups="create"))
    assert counts(job) == {"errored": 3}
    assert {len(obj.errors) for obj in objects(job)} == {1}
    assert remote.asked("group_show") == 1


def test_a_group_that_another_worker_creates_meanwhile(remote: RemotePortal) -> None:
    """It is found by the id or the name that it has then, and the datasets are in it."""
    described = {"id": "7d3f3f0e-0d7a-4d3b-9d4c-0d6f5e1c7a01", "name": "water", "title": "Water"}

    def race(request: Request, params: dict[str, str]) -> None:
        if request.path.startswith("/api/3/action/group_show"):
            other = described | {"id": "another", "title": "The other worker's"}
            with model.meta.engine.begin() as connection:
                fixed = {"type": "group", "state": "active", "is_organization": False, "approval_status": "approved"}
                connection.execute(sa.insert(model.Group.__table__).values(**other, **fixed))
            request.send_result(described)
        else:
            request._package_search(params)

    remote.datasets = [dataset(number, groups=[{"id": described["id"], "name": "water"}]) for number in range(2)]
    remote.instead = race
    assert counts(harvest(ckan_source(remote.url, remote_groups="create"))) == {"added": 2}
    for name in ("dataset-0", "dataset-1"):
        assert [group["title"] for group in shown(name)["groups"]] == ["The other worker's"]
    assert remote.asked("group_show") == 1


def test_whose_datasets_are_is_looked_up_once_a_batch(remote: RemotePortal) -> None:
    """One query finds those datasets that are here, and one the resources."""
    remote.datasets = [dataset(number) for number in range(12)]
    source_id = ckan_source(remote.url, force_all=True)
    for expected in ({"added": 12}, {"updated": 12}):
        job_id = start(source_id)
        list(runner.gather(job_id))
        with Statements("package") as packages, Statements("resource") as resources:
            steps = runner.process_batch(source_id)
        assert len(packages.by_lookup("package.id, package.type, package.owner_org, package.creator_user_id,")) == 1
        assert len(resources.by_lookup("resource.id, resource.package_id FROM")) == 1
        work_off(*steps)
        assert counts(HarvestJob.get(job_id)) == expected
        for number in range(12):
            remote.change(number, title=f"Changed {number}")
