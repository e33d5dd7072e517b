"""Which report, with which options."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.report.report_registry import Options, Report, ReportRegistry

from . import schema


def validated(data_dict: Any, fields: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return what an action is given, by its schema.

    :raises ValidationError: it is not what it must be
    """
    found, errors = tk.navl_validate(dict(data_dict or {}), fields, context)
    if errors:
        raise tk.ValidationError(errors)
    return dict(found)


def report(data_dict: Any, context: Any) -> Report:
    """Return the report ``id``.

    :raises ObjectNotFound: there is none of that name
    """
    return _find(validated(data_dict, schema.report(), context))


def report_with_options(data_dict: Any, context: Any) -> tuple[Report, Options]:
    """Return the report ``id`` and its ``options``, those that are missing by their defaults.

    :raises ObjectNotFound: there is no report of that name
    """
    given = validated(data_dict, schema.report_with_options(), context)
    found = _find(given)
    options = Report.add_defaults_to_options(given.get("options") or {}, found.option_defaults)
    return found, _with_name_of_organization(options)


def may_generate(context: Any, report: Report) -> bool:
    """Tell whether who asks may generate a report."""
    try:
        tk.check_access("report_refresh", {**context}, {"id": report.name})
    except tk.NotAuthorized:
        return False
    return True


def _find(given: dict[str, Any]) -> Report:
    try:
        return ReportRegistry.instance().get_report(given["id"])
    except KeyError:
        raise tk.ObjectNotFound(tk._("There is no report {0}").format(given["id"])) from None


def _with_name_of_organization(options: Options) -> Options:
    """Data are stored by the name of an organization, which may be asked for by its id."""
    if not isinstance(asked := options.get("organization"), str):
        return options
    name = model.Session.query(model.Group.name).filter_by(id=asked).scalar()
    return {**options, "organization": name} if name else options
