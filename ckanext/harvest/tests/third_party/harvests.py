"""Harvest each remote catalogue twice through the API of a portal, and say what came of it, without what is new in
each run.

The same for both portals: the one with ckanext-harvest 1.6.3, and ours.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ckanapi import RemoteCKAN

from .remotes import DOCUMENTS, Api, Ckan, Csw, Files, Folder, Remote

Dict = dict[str, Any]

#: What a portal needs in its configuration to harvest all of these, besides the harvest plugin itself. On
#: ckanext-harvest a harvester must come before the one that it is a subclass of, or the two are one.
PLUGINS = (
    "dcat dcat_rdf_harvester basket_dcat_json_harvester dcat_json_harvester spatial_metadata bare_csw_harvester"
    " basket_csw_harvester csw_harvester waf_harvester harvest_basket transmute dkan_harvester socrata_harvester"
    " arcgis_harvester ods_harvester junar_harvester custom_ckan_harvester"
)
#: With CKAN 2.12 ckanext-spatial raises when it indexes an unchanged record anew, which kills the consumer of
#: ckanext-harvest 1.6.3; it does not if the portal and each source say so.
SETTINGS = {"ckan.views.default_views": "", "ckanext.spatial.harvest.reindex_unchanged": "False"}
_SPATIAL = {"reindex_unchanged": "False"}


@dataclass(frozen=True)
class Source:
    """A source: the harvester that it is for, and the catalogue that this reads."""

    name: str
    source_type: str
    remote: Callable[[str], Remote | Ckan]
    path: str = ""
    config: Dict = field(default_factory=dict)


_TRANSMUTED = {
    "root": "Dataset",
    "types": {
        "Dataset": {
            "fields": {
                "title": {},
                "name": {},
                "identifier": {"map": "guid"},
                "description": {"map": "notes"},
                "data_lang": {"value": "English"},
                "keyword": {"remove": True},
                "publisher": {"remove": True},
                "modified": {"map": "version"},
            }
        }
    },
}

SOURCES = (
    Source("rdf_xml", "dcat_rdf", Files, "/catalog.rdf"),
    Source("turtle", "dcat_rdf", Files, "/catalog.ttl", {"rdf_format": "text/turtle"}),
    Source("data_json", "dcat_json", Api, "/data.json"),
    Source("csw", "bare_csw", Csw, "/csw", _SPATIAL | {"default_tags": ["survey"], "clean_tags": True}),
    Source("basket_csw", "basket_csw", Csw, "/csw", _SPATIAL),
    Source("waf", "waf", Folder, "/", _SPATIAL | {"default_extras": {"from": "{harvest_source_url}"}}),
    Source("dkan", "dkan", Api, config={"default_extras": {"source": "{harvest_source_title}"}}),
    Source("socrata", "socrata", Api),
    Source("arcgis", "arcgis", Api),
    Source("ods", "ods", Api),
    Source("junar", "junar", Api, config={"auth_key": "fixture"}),
    Source("basket_dcat_json", "basket_dcat_json", Api, "/data.json", {"tsm_schema": _TRANSMUTED}),
    Source("ckan", "ckan", Ckan, config={"default_tags": [{"name": "from-the-opera"}], "max_datasets": 10}),
)
RUNS = (1, 2)
_PORTAL = "http://portal.example"


def harvest_all(api: RemoteCKAN, sources: Iterable[Source] = SOURCES, pause: float = 0.5) -> dict[str, list[Dict]]:
    """Harvest all sources side by side, in two runs, and return what each run left of each.

    :param pause: seconds between two looks at a job
    """
    organization = api.call_action("organization_create", {"name": "harvesting", "title": "Harvesting"})
    with ExitStack() as serving:
        harvests = [Harvest(api, source, source.remote(source.name)) for source in sources]
        for harvest in harvests:
            serving.enter_context(harvest.remote)
            harvest.register(organization["id"])
        for run in RUNS:
            for harvest in harvests:
                harvest.start(run)
            wait_for(harvests, pause)
            api.call_action("harvest_jobs_run", {})
            for harvest in harvests:
                harvest.observe()
        return {harvest.source.name: harvest.observed for harvest in harvests}


def wait_for(harvests: Sequence[Harvest], pause: float, seconds: float = 150) -> None:
    """Wait until nothing is left to do of the newest jobs of sources.

    What cron does every few minutes is done when nothing moves: on ckanext-harvest no job ends otherwise, and no object
    is worked on whose id the gather stage does not name; but what waits at a busy time would be sent twice.
    """
    until = time.monotonic() + seconds
    before: list[Dict] = []
    quiet = 0
    while True:
        jobs = [harvest.job() for harvest in harvests]
        if not any(map(_is_open, jobs)):
            return
        quiet = quiet + 1 if jobs == before else 0
        before = jobs
        if quiet and quiet % 4 == 0:
            harvests[0].call("harvest_jobs_run")
        assert time.monotonic() < until, f"the jobs got no further than {jobs}"
        time.sleep(pause)


def _is_open(job: Dict) -> bool:
    return job["status"] in ("New", "Running") and (not job["gather_finished"] or "null" in job["stats"])


class Harvest:
    """The harvests of one source."""

    def __init__(self, api: RemoteCKAN, source: Source, remote: Remote | Ckan) -> None:
        self.api, self.source, self.remote = api, source, remote
        self.observed: list[Dict] = []
        self.neutral = Neutral(source.name, {remote.url: f"http://{source.name}.example", api.address: _PORTAL})
        self.jobs: list[str] = []

    def call(self, action: str, **data: Any) -> Any:
        return self.api.call_action(action, data)

    def register(self, organization_id: str) -> None:
        self.neutral.name(organization_id, "organization")
        config = json.dumps(self.source.config) if self.source.config else ""
        created = self.call(
            "harvest_source_create",
            name=f"source-{self.source.name.replace('_', '-')}",
            title=f"Source {self.source.name}",
            url=self.remote.url + self.source.path,
            source_type=self.source.source_type,
            config=config,
            owner_org=organization_id,
        )
        self.id = created["id"]
        self.neutral.name(self.id, "source")

    def start(self, run: int) -> None:
        self.remote.run = run
        self.neutral.begin()
        self.jobs.append(self.call("harvest_job_create", source_id=self.id)["id"])
        self.neutral.name(self.jobs[-1], f"job {run}")

    def observe(self) -> None:
        """Note what there is when the job has ended."""
        until = time.monotonic() + 60
        while self.job()["status"] != "Finished" and time.monotonic() < until:
            time.sleep(0.1)
        self.observed.append(self._observe(self.job()))

    def job(self) -> Dict:
        return self.call("harvest_job_show", id=self.jobs[-1])

    def _observe(self, job: Dict) -> Dict:
        ids = self.call("harvest_object_list", source_id=self.id, only_current=False)
        objects = [self.call("harvest_object_show", id=each) for each in ids]
        order = {job_id: number for number, job_id in enumerate(self.jobs)}
        objects.sort(key=lambda obj: (order[obj["job"]], obj["extras"].get("waf_location") or "", obj["guid"]))
        package_ids = dict.fromkeys(obj["package"] for obj in objects if obj.get("package"))
        datasets = [_in_order(self.call("package_show", id=each)) for each in package_ids]
        answer = self.call("package_search", fq=f'harvest_source_id:"{self.id}"', rows=100)
        found = [_in_order(dataset) for dataset in answer["results"]]
        for obj in objects:
            self.neutral.name_digest(obj["extras"].get("waf_location", ""))
        for dataset in datasets:
            self.neutral.name_dataset(dataset)
        for obj in objects:
            self.neutral.name(obj["id"], f"object {self.neutral(obj['guid'])} of {self.neutral(obj['job'])}")
        status = self.call("harvest_source_show_status", id=self.id)
        return self.neutral(
            {
                "job": {key: job[key] for key in ("status", "stats", "gather_error_summary", "object_error_summary")},
                "report": self.call("harvest_job_report", id=job["id"]),
                "status": {key: status[key] for key in ("job_count", "total_datasets")},
                "objects": [_object(obj, with_content=obj["job"] == job["id"]) for obj in objects],
                "datasets": {dataset["name"]: dataset for dataset in datasets},
                "found": {each["name"]: "as shown" if each in datasets else each for each in found},
            }
        )


_OF_OBJECT = ("guid", "job", "package", "current", "state", "report_status", "metadata_modified_date", "extras")


def _in_order(dataset: Dict) -> Dict:
    """Return a dataset with those lists sorted whose order says nothing."""
    tags = sorted(dataset["tags"], key=lambda tag: tag["name"])
    return dataset | {"tags": tags, "extras": sorted(dataset["extras"], key=lambda extra: extra["key"])}


def _object(obj: Dict, with_content: bool) -> Dict:
    """Return what stays of an object; its record as JSON where it is that, so that a difference has a name."""
    shown = {key: obj.get(key) for key in _OF_OBJECT}
    shown["errors"] = [{key: error[key] for key in ("stage", "message", "line")} for error in obj["errors"]]
    if with_content:
        try:
            shown["content"] = json.loads(obj["content"])
        except (TypeError, ValueError):
            shown["content"] = obj["content"]
    return shown


class Neutral:
    """Called with JSON, returns it with names in the place of what another run has otherwise: ids that the portal
    makes, times of a run (0 is before the first), traces of Python, addresses.

    Ids and times that the catalogue gave stay as they are."""

    _TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{6})?")
    _UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
    _BLANK_NODE = re.compile(r"\bn[0-9a-f]{32}b\d+\b")  # as rdflib calls them
    _TRACE = re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL)

    def __init__(self, name: str, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._names: dict[str, str] = {}
        self._made, self._begun = _now() - timedelta(hours=1), list[datetime]()
        self._given = "".join(path.read_text() for path in DOCUMENTS.glob(f"{name}*") if path.is_file())

    def begin(self) -> None:
        """A run begins: from now on times are its times."""
        self._begun.append(_now())

    def name(self, an_id: str | None, name: str) -> None:
        """Give an id a name, unless it has one, or the catalogue chose it; never two ids the same name."""
        if not an_id or an_id in self._names or an_id in self._given:
            return
        while f"<{name}>" in self._names.values():
            name = f"another {name}"
        self._names[an_id] = f"<{name}>"

    def name_digest(self, url: str) -> None:
        """Give the digest of a URL a name, which the harvester of web accessible folders takes for a guid."""
        if url:
            self.name(hashlib.md5(url.encode()).hexdigest(), f"digest of {self._place(url)}")

    def name_dataset(self, dataset: Dict) -> None:
        self.name(dataset["id"], f"dataset {dataset['name']}")
        self.name(dataset["creator_user_id"], "user")
        for tag in dataset["tags"]:
            self.name(tag["id"], f"tag {tag['name']}")
        for resource in dataset["resources"]:
            self.name(resource["id"], f"resource {self._place(resource['url'])} of {dataset['name']}")

    def __call__(self, shown: Any) -> Any:
        if isinstance(shown, dict):
            return {self(key): self(value) for key, value in shown.items()}
        if isinstance(shown, list):
            return [self(value) for value in shown]
        return self._text(shown) if isinstance(shown, str) else shown

    def _text(self, text: str) -> str:
        for an_id, name in self._names.items():
            text = text.replace(an_id, name)
        text = self._BLANK_NODE.sub("<blank node>", self._TRACE.sub("<trace>", self._place(text)))
        text = self._UUID.sub(lambda found: found.group() if found.group() in self._given else "<an id>", text)
        return self._TIME.sub(self._time, text)

    def _place(self, text: str) -> str:
        for address, name in self._addresses.items():
            text = text.replace(address, name)
        return text

    def _time(self, found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(found.group())
        if not self._made <= moment < _now() + timedelta(days=1):
            return found.group()
        return f"<run {sum(begun <= moment for begun in self._begun)}>"


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
