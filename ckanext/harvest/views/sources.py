"""The pages of a harvest source beside those that CKAN serves for every dataset."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan.lib.navl import dictization_functions
from ckan.lib.plugins import lookup_package_plugin
from ckan.logic import clean_dict, parse_params, tuplize_dict
from flask import Response

from ckanext.relay import clock, pages

from .. import registry, source_status, tasks
from ..domain import job_state
from ..logic import HarvestJobExists, HarvestSourceInactiveError
from ..model import clearings
from ..sources import DATASET_TYPE_NAME
from .blueprint import harvester
from .texts import indented

#: After how many seconds a page says that no worker has come.
_LATE = 60


def find_source(id: str, to_edit: bool = False) -> dict[str, Any]:
    """Return a source for a page; who may not see it gets the page that says so, as for one that is not there.

    :param id: id or name
    :param to_edit: whether the page is for those who may edit it
    """
    # no page of ours shows the error summary of the last job, which takes longer than all else
    source: dict[str, Any] = pages.call("harvest_source_show", {"id": id}, return_error_summary=False)
    if source.get("type") != DATASET_TYPE_NAME:
        tk.abort(404, tk._("Harvest source not found"))
    if to_edit:
        try:
            tk.check_access("harvest_source_update", pages.context(), {"id": source["id"]})
        except tk.NotAuthorized:
            tk.abort(403, tk._("You may not edit this harvest source."))
    return source


def _render(template: str, source: dict[str, Any], **variables: Any) -> str:
    variables |= {"harvest_source": source, "pkg_dict": source, "dataset_type": DATASET_TYPE_NAME}
    return tk.render(template, variables)


# -- looking


@harvester.route("/harvest/about/<id>")
def about(id: str) -> str:
    """Show what is set for a source."""
    source = find_source(id)
    infos = {info["name"]: info for info, _ in registry.harvesters()}
    description = infos.get(source.get("source_type"), {}).get("description")
    config_text = indented(source.get("config") or "")
    return _render("source/about.html", source, config_text=config_text, source_type_description=description)


@harvester.route("/harvest/admin/<id>")
def admin(id: str) -> str:
    """Show how a source does, and what somebody who may edit it can do."""
    source = find_source(id, to_edit=True)
    shown = source["status"]
    return _render(
        "source/admin.html",
        source,
        source_status=source_status.of_source(source["id"]),
        **_clearing(source),
        job=shown["last_job"],
        job_count=shown["job_count"],
        job_status_text=_job_status_text(shown["last_job"]),
    )


def _job_status_text(job: dict[str, Any] | None) -> str:
    if job is None:
        return ""
    if job["status"] == job_state.RUNNING and not job.get("gather_started"):
        return str(tk._("It waits for a worker."))
    texts = {
        job_state.NEW: tk._("It waits to be started."),
        job_state.RUNNING: tk._("It is running."),
        job_state.FINISHED: tk._("It has ended."),
        job_state.ABORTED: tk._("It was never begun."),
    }
    return str(texts.get(job["status"], job["status"]))


# -- changing; each address answers GET with a page that asks first


@harvester.route("/harvest/refresh/<id>", methods=["GET", "POST"])
def refresh(id: str) -> Response | str:
    """Start a job."""
    source = find_source(id, to_edit=True)
    if tk.request.method == "GET":
        return pages.confirm(
            title=tk._("Harvest {0}").format(_title(source)),
            question=tk._("Start a job for this source now?"),
            action=tk._("Harvest now"),
            cancel_url=_admin_url(source),
            danger=False,
        )
    try:
        pages.call("harvest_job_create", {"source_id": source["id"]})
    except HarvestJobExists:
        if source_status.is_being_cleared(source["id"]):
            tk.h.flash_error(tk._("This source is being cleared. Try again when that has ended."))
        else:
            tk.h.flash_error(tk._("A job of this source is running or waits already. Try again when it has ended."))
    except HarvestSourceInactiveError:
        tk.h.flash_error(tk._("This source is inactive. Make it active in its form first."))
    else:
        tk.h.flash_success(tk._("A job was started. The workers begin with it as soon as one is free."))
    return _to_admin(source)


@harvester.route("/harvest/clear/<id>", methods=["GET", "POST"])
def clear(id: str) -> Response | str:
    """Remove all that a source has brought."""
    source = find_source(id, to_edit=True)
    if tk.request.method == "GET":
        return pages.confirm(
            title=tk._("Clear {0}").format(_title(source)),
            question=tk._("Remove all that this source has brought, for good?"),
            consequences=[*_of_clearing(source), tk._("The source itself stays.")],
            action=tk._("Clear"),
            cancel_url=_admin_url(source),
        )
    _clear(source)
    return _to_admin(source)


def _clear(source: dict[str, Any]) -> None:
    """Let a worker do it, which takes as long as it takes."""
    pages.require("harvest_source_clear", {"id": source["id"]})
    clearings.ask(source["id"], tk.g.user)
    tasks.clear_now(source["id"])


@harvester.route("/harvest/clear/<id>/progress")
def clear_progress(id: str) -> Response | str:
    """Answer with the part of a page that changes while a source is cleared; the page is loaded anew in the end."""
    source = find_source(id, to_edit=True)
    state = _clearing(source)
    shown = tk.render("source/clearing.html", {"harvest_source": source, **state})
    asked = state["clearing"]
    if state["is_being_cleared"] or (asked and not asked.error):
        return shown
    if not asked:
        tk.h.flash_success(tk._("All datasets and jobs of this source were removed."))
    return pages.fragment_done(shown, reloads=True)


def _clearing(source: dict[str, Any]) -> dict[str, Any]:
    is_being_cleared = source_status.is_being_cleared(source["id"])
    asked = clearings.find(source["id"])
    is_late = asked is not None and (clock.now() - asked.asked).total_seconds() > _LATE
    return {"clearing": asked, "is_being_cleared": is_being_cleared, "is_late": is_late}


def _of_clearing(source: dict[str, Any]) -> list[str]:
    datasets = source["status"]["total_datasets"]
    jobs = source["status"]["job_count"]
    return [
        tk.ungettext(
            "{0} public dataset is deleted; it cannot be brought back but by harvesting again.",
            "{0} public datasets are deleted; they cannot be brought back but by harvesting again.",
            datasets,
        ).format(tk.h.localised_number(datasets)),
        tk._("Private datasets of this source are deleted, too."),
        tk.ungettext("{0} job is deleted, with its errors.", "{0} jobs are deleted, with their errors.", jobs).format(
            tk.h.localised_number(jobs)
        ),
    ]


@harvester.route("/harvest/delete/<id>", methods=["GET", "POST"])
def delete(id: str) -> Response | str:
    """Delete a source; with ``clear`` in the address or the form, all that it has brought, too."""
    source = find_source(id, to_edit=True)
    clears = (tk.request.values.get("clear") or "").lower() in ("true", "1")
    if tk.request.method == "GET":
        return _confirm_deletion(source, clears)
    pages.call("harvest_source_delete", {"id": source["id"]})
    tk.h.flash_success(tk._("The source was deleted. Nothing is harvested from it any more."))
    if clears:
        _clear(source)
    return _to_admin(source)


def _confirm_deletion(source: dict[str, Any], clears: bool) -> str:
    here = {"id": source["name"]}
    variables = {
        "title": tk._("Delete {0}").format(_title(source)),
        "question": tk._("Delete this harvest source?"),
        "consequences": [
            tk._("Nothing is harvested from it any more. In its form it can be made active again."),
            *(_of_clearing(source) if clears else [tk._("Its datasets and jobs stay.")]),
        ],
        "action": tk._("Delete the source and all its datasets") if clears else tk._("Delete the source"),
        "cancel_url": _admin_url(source),
        "danger": True,
        "fields": {"clear": "true"} if clears else {},
        "action_url": tk.url_for("harvester.delete", **here),
        "other_url": tk.url_for("harvester.delete", **here, **({} if clears else {"clear": "true"})),
        "other": tk._("Keep its datasets") if clears else tk._("Delete its datasets, too"),
    }
    return str(tk.render("source/delete.html", variables))


def _title(source: dict[str, Any]) -> str:
    return str(source["title"] or source["name"])


def _admin_url(source: dict[str, Any]) -> str:
    return str(tk.url_for("harvester.admin", id=source["name"]))


def _to_admin(source: dict[str, Any]) -> Response:
    return tk.redirect_to(_admin_url(source))


# -- the form


@harvester.route("/harvest/connection-test", methods=["POST"])
def connection_test() -> Response | str:
    """Look what is at the address in a form, which stays as it was filled in. Nothing is saved."""
    try:
        given = clean_dict(dictization_functions.unflatten(tuplize_dict(parse_params(tk.request.form))))
    except dictization_functions.DataError:
        tk.abort(400, tk._("Integrity Error"))
    try:
        found = pages.call("harvest_source_test", given)
    except tk.ValidationError as error:
        found = {"errors": error.error_dict}
    if tk.request.headers.get("HX-Request"):
        return tk.render("snippets/source_connection.html", {"connection": found})
    return _form_again(given, found)


def _form_again(given: dict[str, Any], found: dict[str, Any]) -> str:
    """Show the form as CKAN does when there is something wrong with it."""
    stored = find_source(given["id"], to_edit=True) if given.get("id") else None
    style = "edit" if stored else "new"
    plugin: Any = lookup_package_plugin(DATASET_TYPE_NAME)
    form_vars = {
        "data": {**(stored or {}), **given},
        "errors": found.get("errors", {}),
        "error_summary": {},
        "action": style,
        "form_style": style,
        "stage": ["active"],
        "dataset_type": DATASET_TYPE_NAME,
        "connection": found,
    }
    variables = {"form_vars": form_vars, "form_snippet": plugin.package_form(), "dataset_type": DATASET_TYPE_NAME}
    if not stored:
        return tk.render(plugin.new_template(), variables)
    return tk.render(plugin.edit_template(), variables | {"pkg_dict": stored, "pkg": stored})
