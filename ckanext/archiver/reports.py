"""The reports of the archiver: broken links, and what the archive holds.

What is stored counts public and private datasets apart, so that each viewer is shown the sums of what they may see.
Each report reads its figures with one grouped query, however many organizations there are.
"""

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.relay import ckan_211
from ckanext.relay.errors import redact
from ckanext.relay.translation import N_
from ckanext.report import config as report_config
from ckanext.report.interfaces import IReport
from ckanext.report.lib import Plot, dataset_notes, largest, percent
from ckanext.report.reports import combinations
from ckanext.report.visibility import Viewer, visible_rows

from . import explanations
from .domain import history, status
from .model import Archival, removals
from .model.resources import is_archived

__all__ = [
    "IReport",
    "archive_usage",
    "archive_usage_report_info",
    "broken_links",
    "broken_links_for_organization",
    "broken_links_index",
    "broken_links_option_combinations",
    "broken_links_report_info",
]

#: Which links count as broken: those that are confirmed to be, or all whose latest check failed.
CONFIRMED, LATEST = "confirmed", "latest"

_ACTIVE = model.State.ACTIVE
_package = model.Package.__table__
_resource = model.Resource.__table__
_group = model.Group.__table__
_archival = Archival.__table__
_of_dataset = sa.and_(_package.c.state == _ACTIVE, is_archived)
_of_resource = sa.and_(_resource.c.package_id == _package.c.id, _resource.c.state == _ACTIVE)


# -- broken links


def broken_links(
    organization: str | None = None, include_sub_organizations: bool = False, verdict: str = CONFIRMED
) -> dict[str, Any]:
    """Return how many links are broken in each organization, or the broken links of one.

    :param organization: name or id
    :param include_sub_organizations: also count what is below an organization
    :param verdict: ``confirmed`` or ``latest``
    :raises ObjectNotFound: there is no such organization, or no such verdict
    """
    broken = _is_broken(verdict)
    organizations = _organizations()
    if not organization:
        return _everything(organizations, _counted(_broken_counts(broken)), include_sub_organizations)
    chosen = next((each for each in organizations if organization in (each["name"], each["id"])), None)
    if chosen is None:
        raise tk.ObjectNotFound(tk._("There is no organization {0}").format(organization))
    ids = _below(chosen["id"], _children(organizations)) if include_sub_organizations else [chosen["id"]]
    stored = {
        "organization_name": chosen["name"],
        "organization_title": chosen["title"],
        "counts": _counted(_broken_counts(broken).where(_package.c.owner_org.in_(ids))),
        "table": _broken_rows(broken, ids),
    }
    return {**stored, **_totals(_sums(stored["counts"]))}


def broken_links_index(include_sub_organizations: bool = False) -> dict[str, Any]:
    """Kept for themes: return how many links are broken in each organization."""
    return broken_links(None, include_sub_organizations)


def broken_links_for_organization(organization: str, include_sub_organizations: bool = False) -> dict[str, Any]:
    """Kept for themes: return the broken links of an organization.

    :raises ObjectNotFound: there is no such organization
    """
    return broken_links(organization, include_sub_organizations)


def _is_broken(verdict: str) -> Any:
    if verdict == CONFIRMED:
        return _archival.c.verdict == history.BROKEN
    if verdict == LATEST:
        return _archival.c.is_broken
    raise tk.ObjectNotFound(tk._("There is no verdict {0}: choose confirmed or latest").format(verdict))


def _everything(
    organizations: list[dict[str, Any]], counts: list[dict[str, Any]], include_sub_organizations: bool
) -> dict[str, Any]:
    children = _children(organizations) if include_sub_organizations else {}
    organizations = [{**each, "below": _below(each["id"], children)} for each in organizations]
    sums = _sums(counts)
    return {
        "organizations": organizations,
        "counts": counts,
        "table": _by_organization(organizations, sums),
        **_totals(sums),
    }


def _broken_counts(broken: Any) -> Any:
    """Return the query for four counts: datasets, links, datasets with broken links, and broken links."""
    counts = (
        sa.func.count(sa.distinct(_package.c.id)),
        sa.func.count(_resource.c.id),
        sa.func.count(sa.distinct(_package.c.id)).filter(broken),
        sa.func.count(_resource.c.id).filter(broken),
    )
    return _grouped(*counts)


def _grouped(*counts: Any) -> Any:
    """Return the query for counts of each organization, public and private datasets apart."""
    key = (_package.c.owner_org, sa.func.coalesce(_package.c.private, sa.false()).label("private"))
    with_archivals = _package.outerjoin(_resource, _of_resource).outerjoin(
        _archival, _archival.c.resource_id == _resource.c.id
    )
    query = sa.select(*key, *counts).select_from(with_archivals)
    return query.where(_of_dataset, _package.c.owner_org.isnot(None)).group_by(*key)


def _counted(query: Any) -> list[dict[str, Any]]:
    rows = model.Session.execute(query)
    return [{"organization": row[0], "private": row[1], "counts": [int(each) for each in row[2:]]} for row in rows]


def _sums(counts: Iterable[dict[str, Any]], viewer: Viewer | None = None) -> dict[str, list[int]]:
    """Return the counts of each organization, with those of private datasets as far as a viewer may see them."""
    sums: dict[str, list[int]] = {}
    for each in counts:
        owner = each["organization"]
        if each["private"] and viewer and not (viewer.sees_all or owner in viewer.organizations):
            continue
        before = sums.get(owner, [0] * len(each["counts"]))
        sums[owner] = [a + b for a, b in zip(before, each["counts"], strict=True)]
    return sums


def _organizations() -> list[dict[str, Any]]:
    """Return ``id``, ``name`` and ``title`` of the active organizations, by name."""
    query = sa.select(_group.c.id, _group.c.name, _group.c.title).where(
        _group.c.is_organization, _group.c.state == _ACTIVE
    )
    rows = model.Session.execute(query.order_by(_group.c.name))
    return [{"id": row.id, "name": row.name, "title": row.title or row.name} for row in rows]


def _children(organizations: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return by id the ids of those of the organizations that are right below another one."""
    member = model.Member.__table__
    is_below = sa.and_(member.c.table_name == "group", member.c.state == _ACTIVE)
    children: dict[str, list[str]] = {each["id"]: [] for each in organizations}
    for child, parent in model.Session.execute(sa.select(member.c.group_id, member.c.table_id).where(is_below)):
        if child in children and parent in children:
            children[parent].append(child)
    return children


def _below(organization: str, children: dict[str, list[str]]) -> list[str]:
    """Return the ids of an organization and of all that are below it."""
    found = [organization]
    for each in found:
        found += [child for child in children.get(each, ()) if child not in found]
    return found


def _by_organization(organizations: list[dict[str, Any]], sums: dict[str, list[int]]) -> list[dict[str, Any]]:
    rows = []
    for each in organizations:
        of_all = [sums.get(below, [0, 0, 0, 0]) for below in each["below"]]
        datasets, links, broken_datasets, broken = (sum(column) for column in zip(*of_all, strict=True))
        rows.append(
            {
                "organization_title": each["title"],
                "organization_name": each["name"],
                "package_count": datasets,
                "resource_count": links,
                "broken_package_count": broken_datasets,
                "broken_package_percent": percent(broken_datasets, datasets),
                "broken_resource_count": broken,
                "broken_resource_percent": percent(broken, links),
            }
        )
    return sorted(rows, key=lambda row: (-row["broken_package_count"], -row["broken_resource_count"]))


def _totals(sums: dict[str, list[int]]) -> dict[str, int]:
    datasets, links, broken_datasets, broken = (sum(column) for column in zip([0] * 4, *sums.values(), strict=True))
    return {
        "num_broken_packages": broken_datasets,
        "num_broken_resources": broken,
        "num_packages": datasets,
        "num_resources": links,
        "broken_package_percent": percent(broken_datasets, datasets),
        "broken_resource_percent": percent(broken, links),
    }


def _broken_rows(broken: Any, organization_ids: list[str]) -> list[dict[str, Any]]:
    of_archival = ("first_failure", "updated", "last_success", "url_redirected_to", "reason", "status_id")
    columns = (
        *(_package.c.id.label("package_id"), _package.c.title, _package.c.name, _resource.c.position),
        *(_resource.c.id, _resource.c.url, *(_archival.c[name] for name in of_archival)),
        *(_archival.c.failure_count, _archival.c.cause, _archival.c.verdict, _archival.c.checked_url),
        *(_group.c.title.label("group_title"), _group.c.name.label("group_name")),
        ckan_211.extra("external_reference").label("external_reference"),
    )
    tables = (
        _package.join(_resource, _of_resource)
        .join(_archival, _archival.c.resource_id == _resource.c.id)
        .join(_group, _group.c.id == _package.c.owner_org)
    )
    query = sa.select(*columns).select_from(tables)
    query = query.where(_of_dataset, broken, _package.c.owner_org.in_(organization_ids))
    rows = model.Session.execute(query.order_by(_package.c.title, _package.c.name, _resource.c.position)).all()
    notes = _notes({row.package_id for row in rows})
    return [_broken_row(row, notes.get(row.package_id, "")) for row in rows]


def _broken_row(row: Any, notes: str) -> dict[str, Any]:
    return {
        "dataset_title": row.title or row.name,
        "dataset_name": row.name,
        "dataset_notes": notes,
        "organization_title": row.group_title or row.group_name,
        "organization_name": row.group_name,
        "resource_position": row.position,
        "resource_id": row.id,
        "resource_url": redact(row.url or ""),
        "url_up_to_date": row.checked_url in (None, row.url),
        "via": _via(row.external_reference or ""),
        "first_failure": _iso(row.first_failure),
        "last_updated": _iso(row.updated),
        "last_success": _iso(row.last_success),
        "url_redirected_to": row.url_redirected_to,
        "reason": row.reason,
        "status": status.TEXTS.get(row.status_id),
        "failure_count": row.failure_count,
        "cause": row.cause,
        "verdict": row.verdict,
    }


def _via(external_reference: str) -> str:
    """Return from where a dataset of data.gov.uk came, which its templates show."""
    if external_reference == "ONSHUB":
        return "Stats Hub"
    return "Data4nr" if external_reference.startswith("DATA4NR") else ""


def _iso(time: datetime.datetime | None) -> str | None:
    return time.isoformat() if time else None


def _notes(package_ids: set[str]) -> dict[str, str]:
    if not report_config.has_notes():
        return {}
    packages = model.Session.query(model.Package).filter(model.Package.id.in_(package_ids))
    return {package.id: dataset_notes(package) for package in packages}


def _visible_links(data: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return the rows and sums over what a viewer may see."""
    shown = {key: value for key, value in data.items() if key not in ("counts", "organizations")}
    sums = _sums(data["counts"], viewer)
    if "organizations" in data:
        shown["table"] = _by_organization(data["organizations"], sums)
    else:
        shown = visible_rows(shown, viewer, "dataset_name")
    return {**shown, **_totals(sums)}


def _plot_of_links(data: dict[str, Any], options: dict[str, Any]) -> Plot | None:
    """Return which organizations have the most broken links, or why those of one are broken."""
    if options.get("organization"):
        return Plot(tk._("Why links are broken"), (tk._("Cause"), tk._("Broken links")), _causes(data["table"]))
    rows = largest(data["table"], "organization_title", "broken_resource_count")
    columns = (tk._("Organization"), tk._("Broken links"))
    return Plot(tk._("The organizations with the most broken links"), columns, rows) if rows else None


def _causes(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return why links are broken, in the words of the reader, and how many for each cause."""
    words: Counter[str] = Counter()
    for (cause, stored), number in Counter((row["cause"], row["status"] or row["reason"]) for row in rows).items():
        explained = explanations.explain(cause)
        words[explained.summary if explained else stored or tk._("Not recorded")] += number
    return words.most_common(20)


def broken_links_option_combinations() -> Iterator[dict[str, Any]]:
    """Yield each organization, and all together, with and without those below it, by both verdicts."""
    for verdict in (CONFIRMED, LATEST):
        for each in combinations():
            yield {**each, "verdict": verdict}


broken_links_report_info: dict[str, Any] = {
    "name": "broken-links",
    "title": N_("Broken links"),
    "description": N_(
        "Links of resources that lead to nothing: those that failed again and again over some time, "
        "or all that failed at the latest check."
    ),
    "option_defaults": OrderedDict(organization=None, include_sub_organizations=False, verdict=CONFIRMED),
    "option_combinations": broken_links_option_combinations,
    "generate": broken_links,
    "template": "report/broken_links.html",
    "visible": _visible_links,
    "plot": _plot_of_links,
}


# -- what the archive holds


def archive_usage() -> dict[str, Any]:
    """Return for each organization how many resources it has, of how many there is a copy, and how large these are."""
    is_linked = sa.func.coalesce(_resource.c.url_type, "") != "upload"
    is_copy = sa.and_(_archival.c.cache_filepath.isnot(None), sa.or_(is_linked, removals.is_copy()))
    size = sa.func.coalesce(sa.func.sum(_archival.c.size).filter(is_copy), 0)
    counts = _counted(_grouped(sa.func.count(_resource.c.id), sa.func.count(_resource.c.id).filter(is_copy), size))
    organizations = _organizations()
    return {"organizations": organizations, "counts": counts, **_usage(organizations, _sums(counts))}


def _usage(organizations: list[dict[str, Any]], sums: dict[str, list[int]]) -> dict[str, Any]:
    resources, copies, size = (sum(column) for column in zip([0] * 3, *sums.values(), strict=True))
    rows = []
    for each in organizations:
        own = sums.get(each["id"], [0, 0, 0])
        rows.append(
            {
                "organization_title": each["title"],
                "organization_name": each["name"],
                "resource_count": own[0],
                "copy_count": own[1],
                "size": own[2],
                "size_percent": percent(own[2], size),
            }
        )
    table = sorted(rows, key=lambda row: -row["size"])
    return {"table": table, "num_resources": resources, "num_copies": copies, "size": size}


def _visible_usage(data: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    return _usage(data["organizations"], _sums(data["counts"], viewer))


def _plot_of_usage(data: dict[str, Any], _options: dict[str, Any]) -> Plot | None:
    megabytes = [[name, round(size / 2**20, 1)] for name, size in largest(data["table"], "organization_title", "size")]
    columns = (tk._("Organization"), tk._("Size of the copies, MiB"))
    title = tk._("The organizations with the largest copies")
    return Plot(title, columns, megabytes) if megabytes else None


archive_usage_report_info: dict[str, Any] = {
    "name": "archive-usage",
    "title": N_("Archive usage"),
    "description": N_(
        "How many files of each organization the archive has copies of, and how large they are. "
        "Files that are the same are kept once."
    ),
    "option_defaults": None,
    "option_combinations": None,
    "generate": archive_usage,
    "template": "report/archive_usage.html",
    "visible": _visible_usage,
    "plot": _plot_of_usage,
}
