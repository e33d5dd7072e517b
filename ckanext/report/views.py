"""The pages: the list of reports, and each report as HTML, CSV and JSON. Only a sysadmin's POST generates anything."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import ckan.plugins.toolkit as tk
from ckan.lib.pagination import Page
from flask import Blueprint, Response, current_app

from . import config, organizations, runner
from .domain.table import csv_lines, ensure_data_is_dicts, json_pieces
from .model import DataCache
from .report_registry import Report, ReportRegistry

report = Blueprint("report", __name__)

_FORMATS = ("html", "csv", "json")


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [report]


@report.route("/report")
def index() -> str:
    """List the reports that this visitor may see."""
    reports = tk.get_action("report_list")(_context(), {})
    registry = ReportRegistry.instance()
    keys = {each["name"]: registry.get_report(each["name"]).generate_key({}) for each in reports}
    created = DataCache.created_by_key(keys.values())
    dates = {name: created.get(key) for name, key in keys.items()}
    return tk.render("report/index.html", {"reports": reports, "dates": dates})


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
    if answer_as in (None, "", "html"):
        return _page(found, options, data, created)
    if data is None:
        tk.abort(404, _not_generated())
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
    reserved = {"format", "page", "refresh"} - set(found.option_defaults)
    given = {name: value for name, value in tk.request.args.items() if name not in reserved}
    if organization:
        given["organization"] = organization
    for name in given:
        if name not in found.option_defaults:
            tk.abort(400, tk._("Option not allowed by report: {0}").format(name))
        if "\x00" in given[name]:
            tk.abort(400, tk._("The option {0} holds a character that no text may hold").format(name))
    return Report.add_defaults_to_options(given, found.option_defaults)


def _refresh(found: Report, options: dict[str, Any]) -> Any:
    if config.checks_forms() and not tk.g.get("login_via_auth_header"):
        # CKAN may have left this form out: 2.11 does with all of extensions, 2.12 once a visitor was at this address
        current_app.extensions["csrf"].protect()
    try:
        tk.get_action("report_refresh")(_context(), {"id": found.name, "options": options})
    except tk.NotAuthorized as error:
        tk.abort(401, str(error.message or tk._("Only sysadmins can generate reports")))
    except tk.ValidationError as error:
        tk.h.flash_error(" ".join(str(message) for messages in error.error_dict.values() for message in messages))
    except tk.ObjectNotFound as error:
        tk.h.flash_error(str(error.message or tk._("Not found")))
    else:
        tk.h.flash_success(tk._("The report was generated."))
    arguments = {name: value for name, value in tk.request.args.items() if name not in ("page", "refresh")}
    return tk.redirect_to(_address(found, options.get("organization"), arguments))


def _data(found: Report, options: dict[str, Any]) -> tuple[Any, datetime.datetime | None]:
    try:
        context = _context() | {"for_view": True}
        data, created = tk.get_action("report_data_get")(context, {"id": found.name, "options": options})
    except tk.NotAuthorized as error:
        tk.abort(401, str(error.message or tk._("Not authorized to see the report")))
    except tk.ObjectNotFound:
        if options.get("organization") and not organizations.is_active(options["organization"]):
            tk.abort(404, tk._("There is no organization {0}").format(options["organization"]))
        return None, None
    return {**data}, datetime.datetime.fromisoformat(created)


def _page(found: Report, options: dict[str, Any], data: Any, created: datetime.datetime | None) -> str:
    table = data.get("table") if data else None
    page = _paged(found, table)
    if table:
        # templates may change the rows that they show
        data["table"] = [row.copy() for row in (table if page is None else page)]
    # templates that were written for older versions of CKAN look here
    tk.g.data, tk.g.options = data, options
    sysadmin = tk.h.check_access("report_refresh", {"id": found.name})
    variables = {
        "report": found,
        "report_name": found.name,
        "options": options,
        "data": data,
        "table": data.get("table") if data else None,
        "total": len(table or ()),
        "page": page,
        "are_some_results": bool(table if data and "table" in data else data),
        "generated": created,
        "is_stale": created is not None and found.is_stale(created),
        "may_refresh": sysadmin,
        "asked_to_refresh": "refresh" in tk.request.args and "refresh" not in found.option_defaults,
        "failure": runner.failure(found, options) if sysadmin else None,
    }
    return tk.render("report/view.html", variables)


def _paged(found: Report, table: Any) -> Page | None:
    """Return the rows of the page that is asked for, or None if all are on one."""
    if not table or not found.page_size or len(table) <= found.page_size:
        return None
    try:
        number = int(tk.request.args.get("page", 1))
    except ValueError:
        number = 1
    last = -(-len(table) // found.page_size)
    return Page(table, page=min(max(number, 1), last), items_per_page=found.page_size)


def _download(
    found: Report, options: dict[str, Any], data: Any, created: datetime.datetime | None, answer_as: str
) -> Response:
    ensure_data_is_dicts(data)
    if answer_as == "json":
        said = {**data, "generated_at": created.isoformat() if created else None}
        return Response(json_pieces(said), mimetype="application/json")
    key = tk.get_action("report_key_get")(_context(), {"id": found.name, "options": options})
    answer = Response(_encoded(csv_lines(data.get("table") or [])), content_type="application/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"report_{key}.csv")
    return answer


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    return (text.encode("utf-8", "replace") for text in texts)


def _not_generated() -> str:
    return tk._("This report was not generated yet.")


def _context() -> dict[str, Any]:
    return {"user": tk.g.user}
