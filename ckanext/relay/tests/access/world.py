"""A small portal with something of everything that the plugins show or change."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.archiver.model.tables import link_table
from ckanext.archiver.tests.portal import add_archival, store_copy
from ckanext.harvest.model import (
    HarvestGatherError,
    HarvestJob,
    HarvestObject,
    HarvestObjectError,
    HarvestObjectExtra,
    HarvestSource,
)
from ckanext.harvest.tests.harvesting import act
from ckanext.relay import clock, lease
from ckanext.relay.tests.access.roles import MEMBERS, ROLES
from ckanext.report.report_registry import ReportRegistry
from ckanext.syndicate.model.tables import outbox_table
from ckanext.syndicate.tests.standing import add_copy, add_failure, add_target

PASSWORD = "correct-horse-battery"
PROFILE = "odp"
#: Who may create datasets is as CKAN has it, not as test.ini does. Nobody listens at the port of the target.
SETTINGS = {
    "ckan.auth.create_dataset_if_not_in_organization": False,
    "ckan.auth.create_unowned_dataset": False,
    f"ckanext.syndicate.profile.{PROFILE}.ckan_url": "http://127.0.0.1:9",
    f"ckanext.syndicate.profile.{PROFILE}.api_key": "no-such-key",
}

Say = Callable[[str], str]


class World:
    """People of each role, and what the routes and actions are about; ``ids`` holds the name or id of each.

    :param say: gives the text that stands in a field, by the name of the field
    :param link: gives a URL that stands in a field
    :ivar secrets: the texts of what is private, which is for the members of the organization
    """

    def __init__(self, say: Say = str, link: Say = "http://data.example/{}".format) -> None:
        self._say, self.link = say, link
        self.secrets: list[str] = []
        self.ids: dict[str, str] = {"profile": PROFILE}
        self.tokens: dict[str, str] = {}
        self._people()
        self._harvested()
        self._runs()
        self._archived()
        self._syndicated()
        self._reports()
        model.Session.commit()
        model.Session.remove()

    def say(self, name: str) -> str:
        """Return the text of a field."""
        text = self._say(name)
        if "private" in name:
            self.secrets.append(text)
        return text

    def leaks(self, role: str, answer: str) -> list[str]:
        """Return what is private and shown to somebody for whom it is not."""
        return [] if role in MEMBERS else [secret for secret in self.secrets if secret in answer]

    def fill(self, wanted: Any) -> Any:
        """Put the ids in: ``{source}`` becomes the id of the source."""
        if isinstance(wanted, dict):
            return {key: self.fill(value) for key, value in wanted.items()}
        if isinstance(wanted, list):
            return [self.fill(value) for value in wanted]
        return wanted.format_map(self.ids) if isinstance(wanted, str) else wanted

    def _people(self) -> None:
        users = {}
        for role in ROLES[1:]:
            more = {"sysadmin": True} if role == "sysadmin" else {}
            user = factories.User(fullname=self.say(f"name of the {role}"), password=PASSWORD, **more)
            self.tokens[role] = factories.APIToken(user=user["name"])["token"]
            users[role] = user["name"]
        for where, owner in (("organization", ""), ("elsewhere", " elsewhere")):
            capacities = [{"name": users[f"{role}{owner}"], "capacity": role} for role in ("member", "editor", "admin")]
            made = factories.Organization(
                users=capacities, title=self.say(f"title of {where}"), description=self.say(f"description of {where}")
            )
            self.ids[where] = made["id"]
            self.ids[f"{where}_name"] = made["name"]
        self.ids["group"] = factories.Group(title=self.say("title of the group"))["id"]
        self.ids["editor"], self.ids["sysadmin_name"] = users["editor"], users["sysadmin"]

    # -- harvest

    def _source(self, name: str, **fields: Any) -> str:
        made = act(
            "harvest_source_create",
            name=f"{name}-source",
            title=self.say(f"title of the source {name}"),
            notes=self.say(f"description of the source {name}"),
            url=self.link(f"url-of-the-{name}-source"),
            source_type="ckan",
            owner_org=self.ids["organization"],
            **fields,
        )
        self.ids[f"{name}_source"] = made["id"]
        self.ids[f"{name}_source_name"] = made["name"]
        return str(made["id"])

    def _dataset(self, name: str, **fields: Any) -> dict[str, Any]:
        made = act(
            "package_create",
            name=f"{name}-dataset",
            title=self.say(f"title of the dataset {name}"),
            notes=self.say(f"description of the dataset {name}"),
            owner_org=self.ids["organization"],
            extras=[{"key": "syndicate", "value": "true"}],
            resources=[
                {
                    "url": self.link(f"{name}.csv"),
                    "name": self.say(f"name of the resource of {name}"),
                    "description": self.say(f"description of the resource of {name}"),
                    "format": "CSV",
                }
            ],
            **fields,
        )
        self.ids[f"{name}_dataset"], self.ids[f"{name}_resource"] = made["id"], made["resources"][0]["id"]
        self.ids[f"{name}_dataset_name"] = made["name"]
        return dict(made)

    def _job(self, source: str, name: str, status: str = "Finished") -> HarvestJob:
        now = clock.now()
        begun = now - datetime.timedelta(hours=1) if status != "New" else None
        finished = now if status == "Finished" else None
        job = HarvestJob(
            source_id=self.ids[f"{source}_source"],
            status=status, created=now - datetime.timedelta(hours=2), gather_started=begun,
            gather_finished=begun, finished=finished,
        )  # fmt: skip
        job.save()
        self.ids[f"{name}_job"] = job.id
        return job

    def _object(self, job: HarvestJob, name: str, **fields: Any) -> HarvestObject:
        now = clock.now()
        content = json.dumps({"id": name, "title": self.say(f"content of the object {name}")})
        done = {"gathered": now, "fetch_started": now, "fetch_finished": now, "import_started": now}
        obj = HarvestObject(
            guid=self.say(f"guid of the object {name}"), job=job, source=job.source, content=content,
            **{"state": "COMPLETE", "report_status": "added", **done, "import_finished": now, **fields},
        )  # fmt: skip
        obj.save()
        HarvestObjectExtra(object=obj, key="title", value=self.say(f"extra of the object {name}")).save()
        self.ids[f"{name}_object"] = obj.id
        return obj

    def _harvested(self) -> None:
        for visibility, private in (("public", False), ("private", True)):
            self._source(visibility, private=private)
            job = self._job(visibility, visibility)
            HarvestGatherError.create(self.say(f"gather error of the {visibility} job"), job)
            dataset = self._dataset(visibility, private=private)
            self._object(job, visibility, package_id=dataset["id"], current=True)
            failed = self._object(job, f"failed_{visibility}", state="ERROR", report_status="errored")
            HarvestObjectError.create(self.say(f"error of the {visibility} object"), failed, "Import", 7)
        self._source("kept", config=json.dumps({"read_only": True}))
        kept = self._dataset("kept")
        self._object(self._job("kept", "kept"), "kept", package_id=kept["id"], current=True)

    def _runs(self) -> None:
        """Jobs that have not ended, and a source that was deleted."""
        self._source("busy")
        running = self._job("busy", "running", "Running")
        waiting = {"import_started": None, "import_finished": None, "report_status": None, "state": "WAITING"}
        self._object(running, "waiting", **waiting)
        self._source("queued")
        self._job("queued", "new", "New")
        self._source("deleted")
        act("harvest_source_delete", id=self.ids["deleted_source"])
        for name in ("public", "busy", "queued"):
            source = HarvestSource.get(self.ids[f"{name}_source"])
            source.frequency, source.next_run = "DAILY", clock.now() - datetime.timedelta(days=2)
            source.save()

    # -- the others

    def _archived(self) -> None:
        since = clock.now() - datetime.timedelta(days=9)
        for name in ("public", "private"):
            resource = {"id": self.ids[f"{name}_resource"], "package_id": self.ids[f"{name}_dataset"]}
            add_archival(
                {**resource, "url": self.link(f"{name}.csv")},
                cache_filepath=store_copy(resource), cache_url=self.link(f"copy-of-{name}"),
                status_id=12, is_broken=True, verdict="broken", cause="http_404", failure_count=3, first_failure=since,
                reason=self.say(f"reason of {name}"), url_redirected_to=self.link(f"redirect-of-{name}"),
                mimetype=self.say(f"mimetype of {name}"), etag=self.say(f"etag of {name}"),
                last_modified=self.say(f"last modified of {name}"),
                redirects=json.dumps([[301, self.link(f"hop-of-{name}")]]),
            )  # fmt: skip

        # the public one waits for no check
        row = sa.update(link_table).where(link_table.c.resource_id == self.ids["public_resource"])
        lease.execute(row.values(lane=None, due=None))

    def _syndicated(self) -> None:
        at = {name: {"id": self.ids[f"{name}_dataset"], "name": f"{name}-dataset"} for name in ("public", "private")}
        for name, dataset in at.items():
            add_copy(
                dataset, PROFILE, target_id=self.say(f"target id of {name}"), name=self.say(f"copied name of {name}"),
                target_name=self.say(f"target name of {name}"),
            )  # fmt: skip
        _clear_outbox()
        for name, dataset in at.items():
            add_failure(dataset, PROFILE, error=self.say(f"error at the target of {name}"))
        add_target(
            PROFILE, ckan_url="http://127.0.0.1:9", site_url=self.link("site-of-the-target"), cause="unreachable",
            error=self.say("error of the target"), down_since=clock.now(), failures=3,
        )  # fmt: skip

    def _reports(self) -> None:
        for report in ReportRegistry.instance().get_reports():
            if report.name != "publisher-activity":  # whose default is an organization that is not here
                report.refresh_cache({**report.option_defaults})
            if "organization" in report.option_defaults:
                report.refresh_cache({**report.option_defaults, "organization": self.ids["organization_name"]})


def _clear_outbox() -> None:
    """Forget what making the datasets has asked for."""
    lease.execute(sa.delete(outbox_table))
