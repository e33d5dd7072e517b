"""A plugin that is written like ckanext-qa: what it uses of the archiver, and nothing of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
from ckan import model

from ckanext.archiver import runner
from ckanext.archiver.interfaces import IPipe
from ckanext.archiver.model import Archival, Status, aggregate_archivals_for_a_dataset
from ckanext.archiver.tests.portal import act, make_dataset
from ckanext.archiver.tests.web import Web, content, says
from ckanext.relay.tests.plugin_classes import loaded


class QaLike(p.SingletonPlugin):
    """Scores the resources of a dataset by their copies, as soon as all of them are archived, and indexes it then."""

    p.implements(IPipe, inherit=True)

    jobs: list[tuple[str, str]] = []

    def receive_data(self, operation: str, queue: str, **params: Any) -> None:
        if operation == "package-archived":
            package = model.Package.get(params["package_id"])
            assert package is not None
            self.jobs.append((package.id, queue))


def score(resource: Any) -> tuple[int, str]:
    """Return stars, and why; as qa does it, from what the archiver has in its table."""
    archival = Archival.get_for_resource(resource_id=resource.id)
    if archival is None or archival.status_id is None:
        return 0, "No archival"
    if archival.status_id == Status.by_text("Archived successfully") or Status.is_ok(archival.status_id):
        folder, resource_id, name = archival.cache_filepath.rsplit("/", 2)
        assert resource_id == resource.id and os.path.exists(archival.cache_filepath) and folder and name
        with open(archival.cache_filepath, "rb") as file:
            return (3 if file.read(4) == b"a,b\n" else 1), "Content of file appeared to be format CSV"
    if archival.is_broken:
        tries = f"Attempted on {archival.updated}. Tried {archival.failure_count} times since {archival.first_failure}."
        details = f"Reason: {Status.by_id(archival.status_id)}. Error details: {archival.reason}. {tries}"
        return 0, f"File could not be downloaded. {details}"
    return 1, f"Link not sure: {archival.status}"


@pytest.fixture
def qa(archiver_portal: None) -> Iterator[QaLike]:
    with loaded("qa", QaLike) as plugin:
        QaLike.jobs = []
        yield plugin


def test_a_dataset_is_scored_when_it_is_archived(web: Web, qa: QaLike) -> None:
    """It is told once, with the true queue, of a dataset whose copies and verdicts it can read; and no sooner."""
    web.pages["/robots.csv"] = says(403)
    urls = [web.url("/data.csv"), web.url("/missing.csv"), web.url("/robots.csv")]
    made = make_dataset(resources=[{"url": url, "format": "CSV"} for url in urls])
    list(runner.archive_batch("priority"))
    assert qa.jobs == []
    runner.tell()
    assert qa.jobs == [(made["id"], "priority")]
    package = model.Package.get(made["id"])
    good, bad, robots = (score(resource) for resource in package.resources)
    assert good == (3, "Content of file appeared to be format CSV")
    assert (
        bad[0] == 0 and "Reason: Download error. Error details: Server reported status error: 404 Not Found." in bad[1]
    )
    assert "Tried 1 times since 20" in bad[1] and robots[0] == 0
    archivals = Archival.get_for_package(package.id)
    assert aggregate_archivals_for_a_dataset(archivals)["status"] == "Download error"
    path = archivals[0].cache_filepath
    assert (
        model.Session.query(Archival).filter(Archival.cache_filepath == path).one().resource_id
        == package.resources[0].id
    )
    assert model.Session.query(Archival).filter(Archival.is_broken == True).count() == 2  # noqa: E712  # as qa writes it
    with open(path, "rb") as file:
        assert file.read() == content("/data.csv")


def test_a_dataset_without_a_good_link_is_not_scored(web: Web, qa: QaLike) -> None:
    """If every link fails, it is not told."""
    make_dataset(resources=[{"url": web.url("/missing.csv")}])
    list(runner.archive_batch("bulk"))
    runner.tell()
    assert qa.jobs == []


def test_rows_that_qa_writes_itself(qa: QaLike) -> None:
    """Its tests make archivals without a status; whatever reads them bears that."""
    made = make_dataset()
    archival = Archival.create(made["resources"][0]["id"])
    model.Session.add(archival)
    model.Session.commit()
    assert (
        aggregate_archivals_for_a_dataset([archival, Archival.create(made["resources"][0]["id"])])["status_id"] is None
    )
    assert act("package_show", None, id=made["id"])["archiver"]["status"] is None
    assert score(model.Resource.get(made["resources"][0]["id"])) == (0, "No archival")
