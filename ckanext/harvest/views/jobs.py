"""The pages of a source's jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Response
from markupsafe import Markup

from ckanext.relay import pages

from ..domain import job_state
from ..model import HarvestJob, errors, retry, tally
from .blueprint import harvester
from .sources import find_source

#: Jobs, causes of errors, and errors of a cause on a page.
_ROWS = 20
#: What an export says of an error.
_EXPORTED = (
    *("stage", "message", "line", "created", "guid", "state", "report_status", "dataset_name", "dataset_title"),
    *("harvest_object_id", "cause"),
)


# -- looking


@harvester.route("/harvest/<source>/job")
def job_list(source: str) -> str:
    """List the jobs of a source, the newest first."""
    shown = find_source(source, to_edit=True)
    page = pages.Page(pages.number(), _ROWS, shown["status"]["job_count"])
    asked = {"source_id": shown["id"], "limit": _ROWS, "offset": page.offset}
    return _render("source/job/list.html", shown, jobs=pages.call("harvest_job_list", asked), page=page)


@harvester.route("/harvest/<source>/job/last")
def job_show_last(source: str) -> str:
    """Show the newest job of a source."""
    shown = find_source(source, to_edit=True)
    last = shown["status"]["last_job"]
    if last is None:
        tk.abort(404, tk._("This source was not harvested yet."))
    return _show(shown, last["id"])


@harvester.route("/harvest/<source>/job/<id>")
def job_show(source: str, id: str) -> str:
    """Show a job: how far it is, what it came to, and what went wrong."""
    return _show(find_source(source, to_edit=True), id)


def _show(source: dict[str, Any], job_id: str) -> str:
    job = _job(job_id, source["id"])
    last = source["status"]["last_job"]
    return _render(
        "source/job/read.html",
        source,
        **_state(job),
        **_errors(job),
        job_report=AllErrors(job["id"]),
        is_last_job=last is not None and last["id"] == job["id"],
    )


@harvester.route("/harvest/<source>/job/<id>/progress")
def job_progress(source: str, id: str) -> Any:
    """Answer with the part of a job's page that changes while the job runs; when it has ended, with the rest, too."""
    if HarvestJob.get(id) is None:  # cleared away while somebody looks
        return pages.fragment_done(Markup('<p class="empty">{}</p>').format(tk._("This job was removed.")))
    package = model.Package.get(source)
    job = _job(id, package.id if package else None)
    variables = {"harvest_source": {"name": source, "id": job["source_id"]}, **_state(job)}
    if variables["is_open"]:
        return tk.render("source/job/progress.html", variables)
    return pages.fragment_done(tk.render("source/job/ended.html", {**variables, **_errors(job)}))


@harvester.route("/harvest/<source>/job/<id>/errors.<format>")
def job_errors(source: str, id: str, format: str) -> Response:
    """Answer with the errors of a job as a file: those that its page is narrowed down to."""
    job = _job(id, find_source(source, to_edit=True)["id"])
    wanted = errors.Wanted(job["id"], **{name: value or None for name, value in _asked().items()})
    rows = ({**row, "created": row["created"].isoformat() if row["created"] else None} for row in errors.each(wanted))
    return pages.export(f"harvest-errors-{job['id']}", _EXPORTED, rows, format)


def _render(template: str, source: dict[str, Any], **variables: Any) -> str:
    variables |= {"harvest_source": source, "pkg_dict": source, "dataset_type": source["type"]}
    return tk.render(template, variables)


def _job(job_id: str, source_id: str | None) -> dict[str, Any]:
    """Return a job of a source without its counts, which :func:`_state` has."""
    job = pages.call("harvest_job_show", {"id": job_id}, return_stats=False, return_error_summary=False)
    if job["source_id"] != source_id:
        tk.abort(404, tk._("This source has no such job."))
    return dict(job)


def _state(job: dict[str, Any]) -> dict[str, Any]:
    """Return how far a job is, for templates."""
    progress = tally.progress(HarvestJob.get(job["id"]))
    is_open = _is_open(job)
    may_retry = not is_open and retry.has_failed(job["id"])
    return {"job": job | {"stats": progress.counts}, "progress": progress, "is_open": is_open, "may_retry": may_retry}


def _is_open(job: dict[str, Any]) -> bool:
    return job["status"] in job_state.lifecycle.open


def _asked() -> dict[str, str]:
    """Return to what the errors are narrowed down."""
    names = {"stage": "stage", "cause": "cause", "text": "q"}
    return {name: tk.request.args.get(given, "").replace("\x00", "").strip() for name, given in names.items()}


def _errors(job: dict[str, Any]) -> dict[str, Any]:
    """Return the causes of a job's errors, or the errors of the cause that is asked for, for templates."""
    asked = _asked()
    wanted = {"id": job["id"], "q": asked["text"], "stage": asked["stage"]}
    if asked["cause"]:
        wanted["cause"] = asked["cause"]
    action = "harvest_job_error_list" if asked["cause"] else "harvest_job_error_causes"
    found = pages.call(action, {**wanted, "limit": _ROWS, "offset": (pages.number() - 1) * _ROWS})
    page = pages.Page(pages.number(), _ROWS, found["count"])
    if page.number != pages.number():  # beyond the last one
        found = pages.call(action, {**wanted, "limit": _ROWS, "offset": page.offset})
    return {"asked": asked, "found": found["results"], "stages": found.get("stages", {}), "page": page}


class AllErrors(Mapping[str, Any]):
    """All errors of a job, for themes of other portals, read when a template looks at them."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id

    @cached_property
    def _all(self) -> dict[str, Any]:
        return dict(pages.call("harvest_job_report", {"id": self.job_id}))

    def __getitem__(self, name: str) -> Any:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


# -- changing; each address answers GET with a page that asks first


@harvester.route("/harvest/<source>/job/<id>/abort", methods=["GET", "POST"])
def job_abort(source: str, id: str) -> Any:
    """End a job now."""
    shown = find_source(source)
    pages.require("harvest_job_abort", {"id": id})
    job = _job(id, shown["id"])
    if not _is_open(job):
        tk.h.flash_notice(tk._("This job has ended already."))
    elif tk.request.method == "GET":
        return pages.confirm(
            title=tk._("Abort the job of {0}").format(shown["title"]),
            question=tk._("End this job now?"),
            consequences=[
                tk._("Records that are not done yet count as failed. They can be retried later."),
                tk._("What is imported already stays."),
            ],
            action=tk._("Abort the job"),
            cancel_url=_job_url(shown, id),
        )
    else:
        pages.call("harvest_job_abort", {"id": job["id"]})
        tk.h.flash_success(tk._("The job was aborted."))
    return tk.redirect_to(_job_url(shown, id))


@harvester.route("/harvest/<source>/job/<id>/retry", methods=["GET", "POST"])
def job_retry(source: str, id: str) -> Any:
    """Try the failed records of a job again."""
    shown = find_source(source, to_edit=True)
    job = _job(id, shown["id"])
    if tk.request.method == "GET":
        return pages.confirm(
            title=tk._("Retry the failed records of {0}").format(shown["title"]),
            question=tk._("Start a job with the records that failed?"),
            consequences=[tk._("They are fetched and imported as they were gathered. Nothing else is gathered.")],
            action=tk._("Retry failed records"),
            cancel_url=_job_url(shown, id),
            danger=False,
        )
    try:
        made = pages.call("harvest_job_retry", {"id": job["id"]})
    except tk.ValidationError as error:
        tk.h.flash_error(pages.in_words(error))
        return tk.redirect_to(_job_url(shown, id))
    tk.h.flash_success(tk._("A job with the failed records was started."))
    return tk.redirect_to(_job_url(shown, made["id"]))


@harvester.route("/harvest/<source>/job/clear", methods=["GET", "POST"])
def job_history_clear(source: str) -> Any:
    """Remove the jobs of a source that nothing depends on any more."""
    shown = find_source(source)
    pages.require("harvest_source_job_history_clear", {"id": shown["id"]})
    page = tk.url_for("harvester.job_list", source=shown["name"])
    if tk.request.method == "GET":
        return pages.confirm(
            title=tk._("Clear the job history of {0}").format(shown["title"]),
            question=tk._("Remove the jobs of this source, with their records and errors, for good?"),
            consequences=[
                tk._("Jobs that have not ended stay, and those that a dataset has its present state from."),
                tk._("No dataset is removed."),
            ],
            action=tk._("Clear the job history"),
            cancel_url=page,
        )
    try:
        pages.call("harvest_source_job_history_clear", {"id": shown["id"], "keep_current": True})
    except tk.ValidationError as error:
        tk.h.flash_error(pages.in_words(error))
    else:
        tk.h.flash_success(tk._("The job history was cleared."))
    return tk.redirect_to(page)


def _job_url(source: dict[str, Any], job_id: str) -> str:
    return str(tk.url_for("harvester.job_show", source=source["name"], id=job_id))
