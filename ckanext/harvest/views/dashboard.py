"""The page on how all sources are doing."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins.toolkit as tk
from flask_babel import format_timedelta

from ckanext.relay import pages
from ckanext.relay.celery_app import BULK, PRIORITY

from ..domain.health_of_source import PROBLEMS, STATES
from .blueprint import harvester

_ROWS = 50
#: From how many days back the plots may begin.
_SPANS = (7, 30, 90, 365)
_SPAN = 30


@harvester.route("/harvest/dashboard")
def dashboard() -> str:
    """Show which sources somebody should look at, what the jobs brought, and whether workers are there."""
    arguments = tk.request.args
    state, source = arguments.get("state"), arguments.get("source") or None
    state = state if state in STATES else None
    days = next((span for span in _SPANS if str(span) == arguments.get("days")), _SPAN)
    asked = {"state": state, "source_id": source, "days": days, "limit": _ROWS}
    number = pages.number()
    shown = pages.call("harvest_dashboard_show", {**asked, "offset": (number - 1) * _ROWS})
    page = pages.Page(number, _ROWS, shown["count"])
    if page.number != number:
        shown = pages.call("harvest_dashboard_show", {**asked, "offset": page.offset})
    engine = shown["engine"]
    variables: dict[str, Any] = {
        "shown": shown,
        "page": page,
        "engine": engine,
        "unserved": [lane for lane in (PRIORITY, BULK) if lane not in engine["lanes"]],
        "state": state,
        "states": [each for each in STATES if shown["states"][each] or each in PROBLEMS],
        "source": shown["sources"][0] if source and shown["sources"] else None,
        "days": days,
        "spans": _SPANS,
        "frequencies": {each["value"]: each["text"] for each in tk.h.harvest_frequencies()},
        "duration": _duration,
    }
    return tk.render("harvest/dashboard.html", variables)


def _duration(seconds: float) -> str:
    """Return a time span in words, such as "2 hours"."""
    return str(format_timedelta(datetime.timedelta(seconds=seconds), granularity="second"))
