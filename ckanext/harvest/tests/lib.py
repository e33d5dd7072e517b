"""A whole harvest in a test's own process, for third-party harvesters.

It needs a database with the tables and an empty search index (``clean_db``, ``migrate_db_for("harvest")``,
``clean_index``), no broker and no worker.
"""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.harvest import queue
from ckanext.harvest.model import HarvestJob, HarvestObject
from ckanext.harvest.tests import factories


def run_harvest(url: str, harvester: Any, config: str = "") -> dict[str, dict[str, Any]]:
    """Harvest a URL with a harvester and return what became of each record, as :func:`run_harvest_job` does.

    A source that has the URL is used again, so that a second call is a second harvest.

    :param harvester: the instance, of a plugin that is loaded
    :param config: the configuration of the source, if it is made
    """
    source = factories.HarvestSourceObj(url=url, config=config, source_type=harvester.info()["name"])
    job: Any = factories.HarvestJobObj(source=source)
    return run_harvest_job(job, harvester)


def run_harvest_job(job: HarvestJob, harvester: Any) -> dict[str, dict[str, Any]]:
    """Take a job through all stages of a harvester, and end it. What a stage raises passes through.

    :returns: by guid: ``obj_id``, ``state``, ``report_status``, ``errors`` (rows), and ``dataset`` as ``package_show``
        has it, if the object is complete and has one
    """
    job.status = "Running"
    job.save()
    ids = queue.gather_stage(harvester, job)
    results = {}
    for object_id in ids if isinstance(ids, list) else ():
        obj = HarvestObject.get(object_id)
        queue.fetch_and_import_stages(harvester, obj)
        obj = HarvestObject.get(object_id)
        if obj is not None:  # a harvester may delete an object that it has no use for
            results[obj.guid] = _result(obj)
    context = {"ignore_auth": True, "user": ""}
    tk.get_action("harvest_jobs_run")(context, {"source_id": job.source_id})
    return results


def _result(obj: HarvestObject) -> dict[str, Any]:
    result = {"obj_id": obj.id, "state": obj.state, "report_status": obj.report_status, "errors": obj.errors}
    if obj.state == "COMPLETE" and obj.package_id:
        context = {"ignore_auth": True, "user": ""}
        result["dataset"] = tk.get_action("package_show")(context, {"id": obj.package_id})
    return result
