"""The pages: the list of reports, and each report as HTML, CSV and JSON. Nothing is generated here, workers are asked
to by a sysadmin's POST."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import ckan.plugins.toolkit as tk
from flask import Blueprint, Response

from ckanext.relay import pages
from ckanext.relay.clock import now

from . import organizations
from .domain.rows import Choice
from .domain.table import csv_lines, ensure_data_is_dicts, json_pieces
from .model import DataCache
from .report_registry import Report, ReportRegistry

report = Blueprint("report", __name__)
pages.guard(report)

_FORMATS = ("html", "csv", "json")

#: Arguments of a page that are no options, unless a report has an option of that name.
_OF_THE_PAGE = frozenset({"format", "page", "refresh", "q", "sort", "seen"})

#: After how long people are told that no worker has begun.
_PATIENCE = datetime.timedelta(seconds=60)


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [report]


@report.route("/report")
def index() -> str:
    """List the reports that this visitor may see."""
    reports = tk.get_action("report_list")(pages.context(), {})
    registry = ReportRegistry.instance()
    keys = {each["name"]: registry.get_report(each["name"]).generate_key({}) for each in reports}
    created = DataCache.created_by_key(keys.values())
    dates = {name: created.get(key) for name, key in keys.items()}
    stale = {name for name, date in dates.items() if date and registry.get_report(name).is_stale(date)}
    # here and not in the template, where what is translated counts as HTML: reports come from plugins of others, too
    texts = ("title", "description")
    shown = [each | {name: tk._(str(each[name])) for name in texts if each[name]} for each in reports]
    return tk.render("report/index.html", {"reports": shown, "dates": dates, "stale": stale})


@report.route("/reports")
def reports() -> Any:
    """Lead to the list."""
    return tk.redirect_to("report.index")


@report.route("/report/<report_name>", methods=["GET", "POST"])
def view(report_name: str) -> Any:
    """Show a report."""
    return _answer(report_name, None)


@report.route("/report/<report_name>/<organization>", methods=["GET", "POST"])
def org(report_name: str, organization: str) -> Any:
    """Show a report about an organization."""
    return _answer(report_name, organization)


@report.route("/report-progress/<report_name>")
def progress(report_name: str) -> Any:
    """Answer the part of a page that tells how far the generating of its report is: as HTML if it is not what the page
    says already, and with the whole page anew when there is a new report."""
    found = _find(report_name)
    options = _options(found, None)
    status = _status(found, options)
    phase = _phase(status)
    if phase and phase == tk.request.args.get("seen"):
        return Response(status=204)
    shown = tk.render("report/snippets/progress.html", _progress(found, options, status))
    if phase:
        return shown
    return pages.fragment_done(shown, reloads=not status["failed"])


def _answer(report_name: str, organization: str | None) -> Any:
    found = _find(report_name)
    if address := _better_address(found, organization):
        return tk.redirect_to(address)
    options = _options(found, organization)
    answer_as = tk.request.args.get("format")
    if answer_as and answer_as not in _FORMATS:
        tk.abort(400, tk._("Format not known - try html, json or csv"))
    if tk.request.method == "POST" and not answer_as:
        return _refresh(found, options)
    data, created = _data(found, options)
    choice = _choice(found)
    if answer_as in (None, "", "html"):
        return _page(found, options, data, created, choice)
    if data is None:
        tk.abort(404, tk._("This report was not generated yet."))
    if "table" in data:
        data["table"] = choice.of(data)
    return _download(found, options, data, created, answer_as)


def _find(report_name: str) -> Report:
    try:
        return ReportRegistry.instance().get_report(report_name)
    except KeyError:
        tk.abort(404, tk._("There is no report {0}").format(report_name))
        raise


def _better_address(found: Report, organization: str | None) -> str | None:
    """Return where the page of these options is, if it is not here: the organization is part of the path."""
    arguments = tk.request.args.to_dict()
    has_organization = "organization" in found.option_defaults
    if "organization" in arguments:
        wanted = arguments.pop("organization")
        return _address(found, wanted if has_organization else None, arguments)
    if organization and not has_organization:
        return _address(found, None, arguments)
    if not organization and has_organization and (default := found.option_defaults["organization"]):
        return _address(found, default, arguments)
    return None


def _address(found: Report, organization: str | None, arguments: dict[str, Any]) -> str:
    if organization:
        path = tk.h.url_for("report.org", report_name=found.name, organization=organization)
    else:
        path = tk.h.url_for("report.view", report_name=found.name)
    return path + (f"?{urlencode(arguments)}" if arguments else "")


def _options(found: Report, organization: str | None) -> dict[str, Any]:
    """Return what the query says, by the options of the report."""
    reserved = _OF_THE_PAGE - set(found.option_defaults)
    given = {name: value for name, value in tk.request.args.items() if name not in reserved}
    if organization:
        given["organization"] = organization
    for name in given:
        if name not in found.option_defaults:
            tk.abort(400, tk._("Option not allowed by report: {0}").format(name))
        if "\x00" in given[name]:
            tk.abort(400, tk._("The option {0} holds a character that no text may hold").format(name))
    return Report.add_defaults_to_options(given, found.option_defaults)


def _choice(found: Report) -> Choice:
    text, sort = (tk.request.args.get(name, "") if name not in found.option_defaults else "" for name in ("q", "sort"))
    return Choice(text.replace("\x00", ""), sort)


def _refresh(found: Report, options: dict[str, Any]) -> Any:
    organization = options.get("organization")
    if organization and not organizations.title(organization):
        tk.abort(404, tk._("There is no organization {0}").format(organization))
    try:
        asked = {"id": found.name, "options": options, "background": True}
        tk.get_action("report_refresh")(pages.context(), asked)
    except tk.NotAuthorized as error:
        tk.abort(401, str(error.message or tk._("Only sysadmins can generate reports")))
    except tk.ValidationError as error:
        tk.h.flash_error(pages.in_words(error))
    arguments = {name: value for name, value in tk.request.args.items() if name not in ("page", "refresh")}
    return tk.redirect_to(_address(found, options.get("organization"), arguments))


def _data(found: Report, options: dict[str, Any]) -> tuple[Any, datetime.datetime | None]:
    try:
        context = {**pages.context(), "for_view": True}
        data, created = tk.get_action("report_data_get")(context, {"id": found.name, "options": options})
    except tk.NotAuthorized as error:
        tk.abort(401, str(error.message or tk._("Not authorized to see the report")))
    except tk.ObjectNotFound:
        if options.get("organization") and not organizations.title(options["organization"]):
            tk.abort(404, tk._("There is no organization {0}").format(options["organization"]))
        return None, None
    return {**data}, datetime.datetime.fromisoformat(created)


def _status(found: Report, options: dict[str, Any]) -> dict[str, Any]:
    try:
        status = tk.get_action("report_status")(pages.context(), {"id": found.name, "options": options})
    except tk.NotAuthorized as error:
        tk.abort(401, str(error.message or tk._("Not authorized to see the report")))
    return dict(status)


def _phase(status: Mapping[str, Any]) -> str:
    """Return ``waiting``, ``late`` if nobody comes, ``generating``, or nothing."""
    if status["begun"]:
        return "generating"
    if not status["asked"]:
        return ""
    return "late" if now() - datetime.datetime.fromisoformat(status["asked"]) > _PATIENCE else "waiting"


def _progress(found: Report, options: dict[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the part of the page on the generating is shown with."""
    phase = _phase(status)
    # a box that is not ticked is left out, as browsers do
    chosen = {name: value for name, value in options.items() if value is True or value != found.option_defaults[name]}
    arguments: dict[str, Any] = {
        name: 1 if value is True else value for name, value in chosen.items() if value not in (None, False)
    }
    address = tk.h.url_for("report.progress", report_name=found.name)
    return {
        "phase": phase,
        "status": status,
        "progress_url": f"{address}?{urlencode({**arguments, 'seen': phase})}",
        "page_url": _address(found, arguments.pop("organization", None), arguments),
    }


def _page(found: Report, options: dict[str, Any], data: Any, created: datetime.datetime | None, choice: Choice) -> str:
    table = data.get("table") if data else None
    rows = choice.of(data) if data else None
    page = _paged(found, rows)
    if isinstance(rows, list):
        # templates may change the rows that they show
        data["table"] = [row.copy() for row in (rows[page.offset : page.last_item] if page else rows)]
    # templates that were written for older versions of CKAN look here
    tk.g.data, tk.g.options = data, options
    status = _status(found, options)
    variables = {
        "report": found,
        "report_name": found.name,
        "title": tk._(str(found.title)),
        "description": tk._(str(found.description)) if found.description else "",
        "organization_title": organizations.title(options.get("organization")),
        "options": options,
        "data": data,
        "table": data.get("table") if data else None,
        "total": len(rows or ()),
        "total_of_all": len(table or ()),
        "page": page,
        "plot": found.plot({**data, "table": rows}, options) if rows and found.plot else None,
        "are_some_results": bool(table if data and "table" in data else data),
        "may_filter": bool(found.page_size) and "q" not in found.option_defaults and isinstance(table, list),
        "text": choice.text,
        "generated": created,
        "is_stale": created is not None and found.is_stale(created),
        "may_refresh": tk.h.check_access("report_refresh", {"id": found.name}),
        "asked_to_refresh": "refresh" in tk.request.args and "refresh" not in found.option_defaults,
        **_progress(found, options, status),
    }
    return tk.render("report/view.html", variables)


def _paged(found: Report, rows: Any) -> pages.Page | None:
    """Return the page that is asked for, or None if all rows are on one."""
    if not rows or not found.page_size or len(rows) <= found.page_size:
        return None
    return pages.Page(pages.number(), found.page_size, len(rows))


def _download(
    found: Report, options: dict[str, Any], data: Any, created: datetime.datetime | None, answer_as: str
) -> Response:
    ensure_data_is_dicts(data)
    if answer_as == "json":
        said = {**data, "generated_at": created.isoformat() if created else None}
        answer = Response(json_pieces(said), mimetype="application/json")
    else:
        key = tk.get_action("report_key_get")(pages.context(), {"id": found.name, "options": options})
        answer = Response(_encoded(csv_lines(data.get("table") or [])), content_type="application/csv")
        answer.headers.set("Content-Disposition", "attachment", filename=f"report_{key}.csv")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    return (text.encode("utf-8", "replace") for text in texts)
