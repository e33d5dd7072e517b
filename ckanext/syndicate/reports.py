"""The report on syndication: how many datasets are in which state at each target, and which.

What is stored holds everything. Each viewer is shown what is about datasets of their organizations: which portals are
pushed to, and what these say, is nobody else's business. Sums are made of what the viewer may see.
"""

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay.errors import redact
from ckanext.relay.translation import N_
from ckanext.report.interfaces import IReport
from ckanext.report.lib import Plot
from ckanext.report.visibility import Viewer

from . import panel, profiles, status

__all__ = [
    "IReport",
    "syndication_status",
    "syndication_status_option_combinations",
    "syndication_status_report_info",
]

_package = model.Package.__table__
_group = model.Group.__table__


def syndication_status(profile: str | None = None, state: str | None = None) -> dict[str, Any]:
    """Return how many datasets are in which state at each target; or, if a target or a state is chosen, which.

    :param profile: id of a profile
    :param state: one of :data:`ckanext.syndicate.status.STATES`
    :raises ObjectNotFound: there is no such profile, or no such state
    """
    if profile and profile not in (known := _profiles()):
        raise tk.ObjectNotFound(tk._("There is no profile {0}, only {1}").format(profile, ", ".join(known)))
    if state and state not in status.STATES:
        raise tk.ObjectNotFound(tk._("There is no state {0}, only {1}").format(state, ", ".join(status.STATES)))
    if profile or state:
        rows = list(_rows(profile or None, state or None))
        return {"profiles": _profiles(), "table": rows, "num_datasets": len(rows)}
    counts = _counts()
    return {"profiles": _profiles(), "counts": counts, **_summed(_profiles(), counts)}


def _profiles() -> list[str]:
    return [profile.id for profile in profiles.all_profiles()]


# -- sums


def _counts() -> list[dict[str, Any]]:
    """Return how many datasets of each organization are in each state at each target."""
    rows = status.entry_rows().subquery()
    key = (rows.c.profile_id, _package.c.owner_org, rows.c.state)
    query = sa.select(*key, sa.func.count().label("number"), sa.func.max(rows.c.pushed).label("pushed"))
    query = query.select_from(rows.outerjoin(_package, _package.c.id == rows.c.local_id)).group_by(*key)
    return [
        {
            "profile": row.profile_id,
            "organization": row.owner_org,
            "state": row.state,
            "number": row.number,
            "pushed": _iso(row.pushed),
        }
        for row in model.Session.execute(query.order_by(*key))
    ]


def _summed(known: Iterable[str], counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    table: dict[str, dict[str, Any]] = {profile_id: _empty(profile_id) for profile_id in known}
    for each in counts:
        row = table.setdefault(each["profile"], _empty(each["profile"]))
        row[each["state"]] += each["number"]
        row["datasets"] += each["number"]
        row["last_pushed"] = max(filter(None, (row["last_pushed"], each["pushed"])), default=None)
    return {"table": list(table.values()), "num_datasets": sum(row["datasets"] for row in table.values())}


def _empty(profile_id: str) -> dict[str, Any]:
    return {"profile": profile_id, "datasets": 0, **dict.fromkeys(status.STATES, 0), "last_pushed": None}


# -- datasets


def _rows(profile_id: str | None, state: str | None) -> Iterator[dict[str, Any]]:
    entries = list(status.entries(profile_id, [state] if state else status.STATES))
    owners = _owners() if entries else {}
    for entry in entries:
        owner = owners.get(entry.dataset_id)
        yield {
            "dataset_title": entry.title or entry.name or entry.dataset_id,
            "dataset_name": entry.name,
            "dataset_id": entry.dataset_id,
            "organization": owner.owner_org if owner else None,
            "organization_name": owner.name if owner else None,
            "organization_title": (owner.title or owner.name) if owner else None,
            "profile": entry.profile_id,
            "state": entry.state,
            "target_url": entry.target_url,
            "pushed": _iso(entry.pushed),
            "since": _iso(entry.since),
            "attempts": entry.attempts,
            "cause": entry.cause,
            "explanation": entry.explanation,
            "error": redact(entry.error or ""),
        }


def _owners() -> dict[str, Any]:
    """Return by id the organization of each dataset that was ever of interest to a target."""
    ids = sa.select(status.entry_rows().subquery().c.local_id)
    query = sa.select(_package.c.id, _package.c.owner_org, _group.c.name, _group.c.title)
    query = query.select_from(_package.outerjoin(_group, _group.c.id == _package.c.owner_org))
    return {row.id: row for row in model.Session.execute(query.where(_package.c.id.in_(ids)))}


def _iso(time: datetime.datetime | None) -> str | None:
    return time.isoformat() if time else None


# -- who sees what


def _may_see(user: Any, _options: dict[str, Any]) -> bool:
    """Tell whether somebody may see the report at all: whoever is in an organization."""
    viewer = Viewer(getattr(user, "name", None))
    return viewer.sees_all or bool(viewer.organizations)


def _visible(data: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return what is about datasets of the organizations of a viewer; who sees all sees also those that are gone."""

    def mine(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if viewer.sees_all or row["organization"] in viewer.organizations]

    if "counts" in data:
        return {"profiles": data["profiles"], **_summed(data["profiles"], mine(data["counts"]))}
    rows = mine(data["table"])
    return {**data, "table": rows, "num_datasets": len(rows)}


def _plot(data: dict[str, Any], options: dict[str, Any]) -> Plot | None:
    """Return how many datasets are in which state; at each target, if these are what is listed."""
    names = panel.state_names()
    if options.get("profile") or options.get("state"):
        counts = Counter(row["state"] for row in data["table"])
        rows: list[Any] = [[names[state], counts[state]] for state in status.STATES if counts[state]]
        return Plot(tk._("Datasets by state"), (tk._("State"), tk._("Datasets")), rows)
    used = [state for state in status.STATES if any(row[state] for row in data["table"])]
    rows = [[row["profile"], *(row[state] for state in used)] for row in data["table"]]
    columns = (tk._("Target"), *(names[state] for state in used))
    return Plot(tk._("Datasets by target and state"), columns, rows, stacked=True) if used else None


def syndication_status_option_combinations() -> Iterator[dict[str, Any]]:
    """Yield all targets together and each alone, with all states and with each."""
    for profile_id in (None, *_profiles()):
        for state in (None, *status.STATES):
            yield {"profile": profile_id, "state": state}


syndication_status_report_info: dict[str, Any] = {
    "name": "syndication-status",
    "title": N_("Syndication status"),
    "description": N_("Which datasets are at which target, which wait, and which failed or are held, with the reason."),
    "option_defaults": OrderedDict(profile=None, state=None),
    "option_combinations": syndication_status_option_combinations,
    "generate": syndication_status,
    "template": "report/syndication_status.html",
    "authorize": _may_see,
    "visible": _visible,
    "plot": _plot,
}
