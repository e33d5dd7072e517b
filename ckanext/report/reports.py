"""The report that comes along: datasets without tags. It also shows how a report is written."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.relay.translation import N_

from .domain.table import percent
from .organizations import all_organizations, filter_by_organizations
from .visibility import Viewer, visible_rows

_MOST_ROWS = 100


def tagless(organization: str | None = None, include_sub_organizations: bool = False) -> dict[str, Any]:
    """Return the newest active datasets without tags, and how many there are among all.

    ``public`` holds the figures for those who may not see private datasets.
    """
    chosen = model.Session.query(model.Package).filter(model.Package.state == "active")
    chosen = filter_by_organizations(chosen, organization, include_sub_organizations)
    figures = _figures(chosen)
    everything = [sum(counts) for counts in zip(*figures.values(), strict=True)] or [0, 0, 0]
    return {
        "table": _rows(chosen),
        **_shares(*everything),
        "public": _shares(*figures.get(False, (0, 0, 0))),
    }


def _rows(chosen: Any) -> list[dict[str, Any]]:
    columns = (model.Package.name, model.Package.title, model.Package.notes, model.Package.metadata_created)
    tagged = sa.exists().where(model.PackageTag.package_id == model.Package.id, model.PackageTag.state == "active")
    query = chosen.outerjoin(model.User, model.User.id == model.Package.creator_user_id).filter(~tagged)
    # those that everybody may see come first, so that others do not crowd them out
    query = query.order_by(model.Package.private, model.Package.metadata_created.desc(), model.Package.name)
    return [
        {
            "name": name,
            "title": title,
            "notes": notes,
            "user": user,
            "created": created.isoformat() if created else None,
        }
        for name, title, notes, created, user in query.with_entities(*columns, model.User.name).limit(_MOST_ROWS)
    ]


def _figures(chosen: Any) -> dict[bool, tuple[int, int, int]]:
    """Return by ``private`` how many datasets there are, how many of them have no tag, and how many tags they have."""
    is_active = model.PackageTag.state == "active"
    tags = sa.select(model.PackageTag.package_id, sa.func.count().label("number")).where(is_active)
    each = tags.group_by(model.PackageTag.package_id).subquery()
    private = sa.func.coalesce(model.Package.private, sa.false()).label("private")  # old databases may not say
    query = chosen.outerjoin(each, each.c.package_id == model.Package.id).with_entities(
        private,
        sa.func.count(),
        sa.func.count().filter(each.c.number.is_(None)),
        sa.func.coalesce(sa.func.sum(each.c.number), 0),
    )
    return {row[0]: (row[1], row[2], int(row[3])) for row in query.group_by(private)}


def _shares(datasets: int, without_tags: int, tags: int) -> dict[str, Any]:
    return {
        "num_packages": datasets,
        "packages_without_tags_percent": percent(without_tags, datasets),
        "average_tags_per_package": round(tags / datasets, 1) if datasets else 0,
    }


def visible(data: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Return the rows that a viewer may see, and the figures over what they may see or over what everybody may."""
    seen = {key: value for key, value in data.items() if key != "public"}
    if not viewer.sees_all:
        seen |= data.get("public", {})
    return visible_rows(seen, viewer, "name")


def combinations() -> Iterator[dict[str, Any]]:
    """Yield each organization, and all together, with and without those below it."""
    for organization in all_organizations(include_none=True):
        for include_sub_organizations in (False, True):
            yield {"organization": organization, "include_sub_organizations": include_sub_organizations}


tagless_report_info = {
    "name": "tagless-datasets",
    "title": N_("Tagless datasets"),
    "description": N_("Datasets which have no tags."),
    "option_defaults": OrderedDict(organization=None, include_sub_organizations=False),
    "option_combinations": combinations,
    "generate": tagless,
    "template": "report/tagless-datasets.html",
    "visible": visible,
}
