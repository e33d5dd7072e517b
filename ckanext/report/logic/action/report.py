"""Actions on reports. Only ``report_refresh`` generates anything, or has a worker do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.report import runner, tasks, wanted
from ckanext.report.logic import parameters, schema
from ckanext.report.logic.auth import user_object
from ckanext.report.report_registry import ReportRegistry
from ckanext.report.visibility import Viewer

__all__ = ["report_data_get", "report_key_get", "report_list", "report_refresh", "report_show", "report_status"]


@tk.side_effect_free
def report_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reports that the user may see, by title: what ``report_show`` returns of each."""
    tk.check_access("report_list", context, data_dict)
    user = user_object(context)
    sees_all = Viewer(context.get("user"), bool(context.get("ignore_auth"))).sees_all
    reports = ReportRegistry.instance().get_reports()
    return [report.as_dict() for report in reports if sees_all or report.is_visible_to_user(user)]


@tk.side_effect_free
def report_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return ``name``, ``title``, ``description``, ``option_defaults`` and ``template`` of a report.

    :param id: its name
    """
    tk.check_access("report_show", context, data_dict)
    return parameters.report(data_dict, context).as_dict()


@tk.side_effect_free
def report_data_get(context: Any, data_dict: dict[str, Any]) -> list[Any]:
    """Return what the user may see of the data that were generated last, and when that was. Nothing is generated.

    :param id: the name of the report
    :param options: an object; those that are missing have their defaults
    :returns: a list of the data and the date, ISO format, UTC. With ``for_view`` in the context others share the rows:
        whoever changes one must copy it before.
    :raises ObjectNotFound: there is no such report, or it was never generated with these options
    """
    tk.check_access("report_data_get", context, data_dict)
    report, options = parameters.report_with_options(data_dict, context)
    data, created = report.get_stored(options, Viewer(context.get("user"), bool(context.get("ignore_auth"))))
    if created is None:
        raise tk.ObjectNotFound(tk._("The report {0} was not generated yet with these options").format(report.title))
    return [data if context.get("for_view") else _copied(data), created.isoformat()]


def _copied(data: Any) -> Any:
    """Return data that the caller may change: rows and names, as old callers do; others share what is inside."""
    if not isinstance(data, Mapping):
        return data
    return {key: [row.copy() for row in value] if key == "table" else value for key, value in data.items()}


@tk.side_effect_free
def report_key_get(context: Any, data_dict: dict[str, Any]) -> str:
    """Return the key of a report with these options, as part of a file name.

    :param id: the name of the report
    :param options: an object; those that are missing have their defaults
    """
    tk.check_access("report_key_get", context, data_dict)
    report, options = parameters.report_with_options(data_dict, context)
    return report.generate_key(options).replace("?", "_")


@tk.side_effect_free
def report_status(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the generating of a report with these options. All times are UTC, in ISO format.

    :param id: the name of the report
    :param options: an object; those that are missing have their defaults
    :returns: ``generated``, when what is stored was; ``asked``, since when a worker is asked for it, and ``begun``,
        since when one is at it; ``failed``, when the last attempt did, and for those who may generate ``error``, why.
        Each is None if it is not so.
    """
    tk.check_access("report_status", context, data_dict)
    report, options = parameters.report_with_options(data_dict, context)
    created = report.get_cached_date(**options)
    asked = wanted.find(report, options)
    error, failed = runner.failure(report, options) or (None, None)
    found = {
        "generated": created.isoformat() if created else None,
        "asked": asked.asked if asked else None,
        "begun": asked.begun if asked else None,
        "failed": failed.isoformat() if failed else None,
    }
    return {**found, "error": error} if parameters.may_generate(context, report) else found


def report_refresh(context: Any, data_dict: dict[str, Any]) -> None:
    """Generate a report now; if somebody else does already, wait for that.

    :param id: the name of the report
    :param options: an object; those that are missing have their defaults
    :param background: have a worker do it, and do not wait; ``report_status`` tells how far it is
    :raises ValidationError: it could not be generated; the log of the server says why
    """
    tk.check_access("report_refresh", context, data_dict)
    report, options = parameters.report_with_options(data_dict, context)
    options = {name: options[name] for name in report.option_defaults}
    if parameters.validated(data_dict, schema.background(), context)["background"]:
        tasks.send_wanted(wanted.ask(report, options))
        return
    error = runner.attempt(report, options).error
    if isinstance(error, (tk.ObjectNotFound, tk.ValidationError)):
        raise error
    if error is not None:
        message = tk._("The report could not be generated: {0}").format(runner.described(error))
        raise tk.ValidationError({"id": [message]})
