"""The pages of all plugins on a full portal, as benchmarks/pages runs it."""

from __future__ import annotations

import inspect
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import requests
from ckanapi import RemoteCKAN

from ckanext.relay.devstack.processes import environment
from ckanext.relay.devstack.stack import Stack

from . import machine
from .full_portal import PROFILE, SETTINGS, FullPortal, Sizes
from .sites import HERE

say = partial(click.echo, err=True)
PLUGINS = "activity harvest ckan_harvester archiver report tagless_report syndicate"
#: Milliseconds in which each page is to be there.
TARGET = 300
WARM, CALLS = 2, 10

_SOURCE, _JOB, _DATASET, _RESOURCE = "large-source", "large-job", "dataset-0000007", "resource-0000007-0"
_OBJECT, _FAILED = "object-7", "object-40"

#: Each endpoint of ours that answers GET with a page, with the addresses that are timed; ``{cause}`` is that of most
#: errors of the large job.
PAGES: dict[str, tuple[str, ...]] = {
    "harvester.dashboard": (
        *("/harvest/dashboard", "/harvest/dashboard?days=365", "/harvest/dashboard?state=failing"),
        f"/harvest/dashboard?source={_SOURCE}",
    ),
    "harvester.about": (f"/harvest/about/{_SOURCE}",),
    "harvester.admin": (f"/harvest/admin/{_SOURCE}",),
    "harvester.refresh": (f"/harvest/refresh/{_SOURCE}",),
    "harvester.clear": (f"/harvest/clear/{_SOURCE}",),
    "harvester.clear_progress": (f"/harvest/clear/{_SOURCE}/progress",),
    "harvester.delete": (f"/harvest/delete/{_SOURCE}",),
    "harvester.job_list": (f"/harvest/{_SOURCE}/job", f"/harvest/{_SOURCE}/job?page=2"),
    "harvester.job_show": (
        *(f"/harvest/{_SOURCE}/job/{_JOB}", f"/harvest/{_SOURCE}/job/{_JOB}?q=reason"),
        *(f"/harvest/{_SOURCE}/job/{_JOB}?cause={{cause}}", f"/harvest/{_SOURCE}/job/{_JOB}?cause={{cause}}&page=20"),
    ),
    "harvester.job_show_last": (f"/harvest/{_SOURCE}/job/last",),
    "harvester.job_progress": (f"/harvest/{_SOURCE}/job/{_JOB}/progress",),
    "harvester.job_abort": (f"/harvest/{_SOURCE}/job/{_JOB}/abort",),
    "harvester.job_retry": (f"/harvest/{_SOURCE}/job/{_JOB}/retry",),
    "harvester.job_history_clear": (f"/harvest/{_SOURCE}/job/clear",),
    "harvester.object_show": (f"/harvest/object/{_OBJECT}", f"/dataset/harvest_object/{_OBJECT}"),
    "harvester.object_view": (f"/harvest/object/{_OBJECT}/view", f"/harvest/object/{_FAILED}/view"),
    "archiver.check_resource": (f"/dataset/{_DATASET}/resource/{_RESOURCE}/archiver/check",),
    "archiver.check_dataset": (f"/dataset/{_DATASET}/archiver/check",),
    "archiver.resource_panel": (f"/dataset/{_DATASET}/resource/{_RESOURCE}/archiver/panel",),
    "archiver.dataset_panel": (f"/dataset/{_DATASET}/archiver/panel",),
    "report.index": ("/report",),
    "report.view": (
        *("/report/broken-links", "/report/harvest-status", "/report/archive-usage", "/report/syndication-status"),
        "/report/tagless-datasets",
    ),
    "report.org": (
        *("/report/broken-links/organization-1", "/report/broken-links/organization-1?page=2"),
        "/report/broken-links/organization-1?q=host-1&sort=dataset_title",
    ),
    "report.progress": ("/report-progress/broken-links",),
    "syndicate.index": ("/ckan-admin/syndicate",),
    "syndicate.dashboard": ("/ckan-admin/syndicate/dashboard",),
    "syndicate.profile_logs": (
        *(f"/ckan-admin/syndicate/profile/{PROFILE}", f"/ckan-admin/syndicate/profile/{PROFILE}?state=failed"),
        f"/ckan-admin/syndicate/profile/{PROFILE}?page=2000",
    ),
    "syndicate_dataset.status": (f"/syndicate/dataset/{_DATASET}",),
    "syndicate.approve": (f"/ckan-admin/syndicate/profile/{PROFILE}/approve",),
}
#: Those that are parts of pages, which ask for them with htmx.
FRAGMENTS = (
    *("harvester.clear_progress", "harvester.job_progress", "archiver.resource_panel", "archiver.dataset_panel"),
    *("report.progress", "syndicate_dataset.status"),
)
#: Endpoints of ours without a page, and why.
OTHERS = {
    "archiver.download": "a file",
    "harvester.job_errors": "a file",
    "report.reports": "leads to the list of reports",
}
#: Pages of CKAN that the plugins change.
OF_CKAN = (
    *("/harvest/", "/harvest/?q=source&page=3", "/harvest/new", f"/harvest/{_SOURCE}", f"/harvest/edit/{_SOURCE}"),
    *("/dataset/", "/dataset/?q=dataset&page=100", f"/dataset/{_DATASET}", f"/dataset/edit/{_DATASET}"),
    *(f"/dataset/{_DATASET}/resource/{_RESOURCE}", "/organization/organization-1", "/ckan-admin/"),
)


@dataclass(frozen=True)
class Timed:
    """How long an address takes when it was asked for before, in milliseconds."""

    path: str
    median: float
    slowest: float

    @property
    def met(self) -> bool:
        return self.slowest < TARGET

    def line(self) -> str:
        return f"{self.path:<72}{self.median:>8.0f}{self.slowest:>9.0f}  {'met' if self.met else 'MISSED'}"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--part", type=click.FloatRange(0.001, 1), default=1.0, help="How much of it all there is.")
@click.option("--record", is_flag=True, help="Write benchmarks/results/pages-DATE.md.")
@click.option("--keep", is_flag=True, help="Time the pages of the portal that the last run has filled.")
@machine.state_option
def main(part: float, record: bool, keep: bool, state: Path) -> None:
    """Fill a portal with 1,000,000 harvest objects and 300,000 archivals, and time each page as a sysadmin."""
    sizes = Sizes() if part == 1 else Sizes().smaller(part)
    stack = Stack(state / "pages", plugins=PLUGINS, say=say)
    stack.this.settings.update(SETTINGS)
    stack.down()
    try:
        stack.up(portals=(), worker=0, beat=False)
        if not keep:
            stack.postgres.drop_database("this")
            requests.post(
                f"{stack.solr.core('this')}/update?commit=true", json={"delete": {"query": "*:*"}}, timeout=60
            )
        stack.up(portals=("this",), worker=0, beat=False)
        check_routes(json.loads(_worker(stack, "routes")))
        if not keep:
            _fill(stack, sizes)
        about = _about(FullPortal(stack, sizes))
        timed = list(_timed(stack))
    finally:
        stack.down()
    lines = [about, "", f"{'milliseconds, as a sysadmin':<72}{'median':>8}{'slowest':>9}"]
    lines += [each.line() for each in timed]
    missed = sum(not each.met for each in timed)
    lines += [
        "",
        f"{'MISSED' if missed else 'met'}: {len(timed) - missed} of {len(timed)} pages always under {TARGET} ms",
    ]
    click.echo("\n".join(lines))
    if record:
        path = machine.record("pages", "Pages of a full portal", machine.here(lines))
        say(f"recorded in {path}")


def routes(app: Any) -> list[str]:
    """Return the endpoints of our pages that a browser may ask for."""
    ours = tuple(f"ckanext.{plugin}." for plugin in ("harvest", "archiver", "report", "syndicate"))
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods]
    return sorted({rule.endpoint for rule in rules if _module(app.view_functions[rule.endpoint]).startswith(ours)})


def _module(view: Any) -> str:
    return str(inspect.unwrap(getattr(view, "view_class", view)).__module__)


def check_routes(found: list[str]) -> None:
    """Return if the table above names each endpoint that answers GET, and no other.

    :raises ClickException: it does not; says what is missing and what is too much
    """
    known = {*PAGES, *OTHERS}
    missing, gone = sorted(set(found) - known), sorted(known - set(found))
    if missing or gone:
        raise click.ClickException(
            f"the table in benchmarks/of_pages.py lacks {', '.join(missing) or 'nothing'}; "
            f"there is no {', '.join(gone) or 'other too much'}"
        )


def _about(portal: FullPortal) -> str:
    tables = ("harvest_object", "harvest_job", "harvest_source", "archival", "resource", "package")
    return ", ".join(f"{portal.count(table):,} rows of {table}" for table in tables)


def _fill(stack: Stack, sizes: Sizes) -> None:
    begun = time.monotonic()
    portal = FullPortal(stack, sizes)
    for what in portal.fill():
        say(f"{what} are there after {time.monotonic() - begun:.0f} s")
    sources = [f"source-{number}" for number in range(1, sizes.sources)]
    _worker(stack, "index", *(portal.dataset(number) for number in portal.indexed_first()), *sources)
    portal.index()
    say(f"the search index is there after {time.monotonic() - begun:.0f} s")
    ckan = str(Path(sys.executable).with_name("ckan"))
    _run(stack, [ckan, "report", "generate"])
    say(f"the reports are there after {time.monotonic() - begun:.0f} s")


def _worker(stack: Stack, *arguments: str) -> str:
    return _run(stack, [sys.executable, "-m", "benchmarks.page_worker", *arguments]).splitlines()[-1]


def _run(stack: Stack, command: list[str]) -> str:
    variables: Any = environment(stack.this.variables())
    done = subprocess.run(command, cwd=HERE.parent, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command[:4])} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _timed(stack: Stack) -> Iterator[Timed]:
    paths = [path for paths in PAGES.values() for path in paths] + [*OF_CKAN]
    fragments = {path for endpoint in FRAGMENTS for path in PAGES[endpoint]}
    with RemoteCKAN(stack.this.url, apikey=stack.this.api_token) as api:
        causes = api.call_action("harvest_job_error_causes", {"id": _JOB})["results"]
    cause = quote(causes[0]["cause"])
    with requests.Session() as session:
        session.headers["Authorization"] = stack.this.api_token

        def times_of(path: str, calls: int) -> list[float]:
            session.headers["HX-Request"] = "true" if path in fragments else None
            return [_milliseconds(session, stack.this.url, path.format(cause=cause)) for _ in range(calls)]

        for path in paths:  # servers that have just been started are at work for some seconds
            times_of(path, 1)
        for path in paths:
            times = times_of(path, WARM + CALLS)[WARM:]
            timed = Timed(path, statistics.median(times), max(times))
            say(timed.line())
            yield timed


def _milliseconds(session: requests.Session, url: str, path: str) -> float:
    begun = time.perf_counter()
    answer = session.get(f"{url}{path}", timeout=120, allow_redirects=False)
    taken = (time.perf_counter() - begun) * 1000
    # what has nothing to ask leads to the page that it was asked from
    leads_back = answer.is_redirect and "/user/login" not in answer.headers["Location"]
    if answer.status_code not in (200, 286) and not leads_back:
        raise click.ClickException(f"{path} answers {answer.status_code}")
    return taken


if __name__ == "__main__":
    main()
