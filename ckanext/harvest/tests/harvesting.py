"""Harvests in this process: the functions of the runner, called as the workers would call them."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.relay import search

#: The keys of a job's stats: these, and no other.
STATS = ("added", "updated", "not modified", "errored", "deleted")

_numbers = itertools.count(1)
_RUN: dict[str, Callable[[str], Iterable[runner.Next]]] = {
    "gather": runner.gather,
    "process": runner.process_batch,
    "finish": runner.finish,
    "reindex": runner.reindex,
    "mail": runner.mail,
}


def act(action: str, **data: Any) -> Any:
    """Call an action as the portal itself, which may do all."""
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    return tk.get_action(action)({"ignore_auth": True, "user": user}, data)


def elsewhere(statement: str, **values: Any) -> list[Any]:
    """Run a statement as another process would, and commit."""
    with model.meta.engine.begin() as connection:
        result = connection.execute(sa.text(statement), values)
        return list(result) if result.returns_rows else []


def sql(statement: str, **values: Any) -> list[Any]:
    """The same, with nothing of before left in the session."""
    model.Session.remove()
    return elsewhere(statement, **values)


def make_source(source_type: str, **fields: Any) -> dict[str, Any]:
    """Create a source, in an organization of its own unless one is named."""
    number = next(_numbers)
    organization = fields.pop("owner_org", None) or factories.Organization()["id"]
    given = {"url": f"http://source-{number}.example", "name": f"source-{number}", "owner_org": organization}
    return act("harvest_source_create", **given | {"source_type": source_type} | fields)


def ckan_source(url: str, source_type: str = "ckan", **config: Any) -> str:
    """Register a remote CKAN and return the id of the source."""
    return str(make_source(source_type, url=url, config=json.dumps(config) if config else "")["id"])


def configure(source_id: str, **config: Any) -> None:
    """Give a source another configuration."""
    act("harvest_source_patch", id=source_id, config=json.dumps(config))


def shown(name: str) -> dict[str, Any]:
    """Return a dataset, also one that is deleted."""
    return act("package_show", id=name)


def start(source_id: str) -> str:
    """Create a job that runs and return its id; nothing is done for it yet."""
    return str(act("harvest_job_create", source_id=source_id)["id"])


def work_off(*steps: runner.Next) -> list[runner.Next]:
    """Do what workers would do, until nothing is left that may be done now.

    :returns: what they would do later
    """
    todo = deque(steps)
    later = []
    while todo:
        step = todo.popleft()
        if step.countdown:
            later.append(step)
        else:
            todo.extend(_RUN[step.task](step.id))
    model.Session.remove()
    return later


def sweep() -> list[runner.Next]:
    """Sweep, and do all that the sweep names."""
    return work_off(*runner.sweep())


def harvest(source_id: str) -> HarvestJob:
    """Harvest a source and return its job, which must have ended as jobs do."""
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    return ended(job_id)


def ended(job_id: str) -> HarvestJob:
    """Return a job that has ended, after making sure that it and its objects ended as the contract says."""
    model.Session.remove()
    job = HarvestJob.get(job_id)
    assert job.status == "Finished"
    assert job.gather_started and job.gather_finished and job.finished
    assert job.claimed_by is None
    assert set(stats(job)) == set(STATS)
    for obj in objects(job):
        assert obj.state in ("COMPLETE", "ERROR"), obj
        assert obj.report_status in STATS, obj
        assert (obj.state == "ERROR") == (obj.report_status == "errored"), obj
        assert obj.claimed_by is None, obj
        assert not obj.needs_index, obj
    return job


def stats(job: HarvestJob) -> dict[str, int]:
    """Return the counts of a job as the API shows them."""
    return act("harvest_job_show", id=job.id)["stats"]


def counts(job: HarvestJob) -> dict[str, int]:
    """Return the counts of a job that are not zero."""
    return {key: count for key, count in stats(job).items() if count}


def objects(job: HarvestJob) -> list[HarvestObject]:
    """Return the objects of a job in the order in which they were gathered."""
    return HarvestObject.filter(harvest_job_id=job.id).order_by(HarvestObject.gathered, HarvestObject.id).all()


def by_guid(job: HarvestJob) -> dict[str, HarvestObject]:
    """Return the objects of a job by guid."""
    return {obj.guid: obj for obj in objects(job)}


def errors(obj: HarvestObject) -> list[tuple[str, str]]:
    """Return stage and message of each error of an object."""
    return [(error.stage, error.message) for error in obj.errors]


def gather_errors(job: HarvestJob) -> list[str]:
    """Return the messages of the gather stage."""
    return [error.message for error in job.get_gather_errors()]


def found(query: str = "*:*") -> list[str]:
    """Return the names of the datasets that a search finds, sorted."""
    search.index([])
    shown = act("package_search", q=query, rows=1000, include_private=True)
    return sorted(dataset["name"] for dataset in shown["results"])


def current(package_id: str) -> list[HarvestObject]:
    """Return the current objects of a dataset; the contract wants one, and none of a deleted one."""
    return HarvestObject.filter(package_id=package_id, current=True).all()


def names(datasets: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names of datasets, sorted."""
    return sorted(dataset["name"] for dataset in datasets)
