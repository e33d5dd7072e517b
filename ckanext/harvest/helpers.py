"""Template helpers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.lib.pagination import Page
from markupsafe import Markup

from ckanext.relay import pages

from . import provenance, registry, source_status
from .model import UPDATE_FREQUENCIES, HarvestObject
from .sources import DATASET_TYPE_NAME

_PAGE = 20


def get_helpers() -> dict[str, Any]:
    """Return the helpers by name."""
    return {
        helper.__name__: helper
        for helper in (
            package_list_for_source,
            package_count_for_source,
            harvesters_info,
            harvester_types,
            harvest_frequencies,
            link_for_harvest_object,
            harvest_source_extra_fields,
            get_harvest_source,
            harvest_provenance,
            harvest_visible_source,
            harvest_facet_label,
            harvest_facet_labels,
            harvest_source_states,
            harvest_source_state_names,
        )
    }


def package_list_for_source(source_id: str) -> Markup:
    """Return a page of the datasets of a source as HTML; the parameter ``page`` of the request says which page."""
    page = pages.Page(pages.number(), _PAGE, package_count_for_source(source_id))
    found = _search(source_id, rows=_PAGE, start=page.offset)
    if not found["results"]:
        return Markup(tk.render_snippet("snippets/package_list_empty.html", {}))
    source = get_harvest_source(source_id)

    def url(page: int | None = None, q: str | None = None) -> str:
        name = source["name"] if source else source_id
        return str(tk.url_for(f"{DATASET_TYPE_NAME}.read", id=name, **({"page": page} if page else {})))

    pager = Page(
        collection=found["results"], page=page.number, url=url, item_count=found["count"], items_per_page=_PAGE,
        presliced_list=True,
    )  # fmt: skip
    listed = tk.render_snippet("snippets/package_list.html", {"packages": found["results"]})
    return Markup(listed) + Markup(pager.pager())


def package_count_for_source(source_id: str) -> int:
    """Return how many datasets of a source the user can find."""
    return int(_search(source_id, rows=0)["count"])


def _search(source_id: str, **options: int) -> dict[str, Any]:
    escaped = source_id.replace("\\", "\\\\").replace('"', '\\"')
    query = {"fq": f'+harvest_source_id:"{escaped}"', "include_private": True, **options}
    return tk.get_action("package_search")({"user": _user()}, query)


def _user() -> str:
    return str(getattr(tk.g, "user", "") or "")


def harvesters_info() -> list[dict[str, Any]]:
    """Return what ``harvesters_info_show`` says."""
    return tk.get_action("harvesters_info_show")({"user": _user()}, {})


def harvester_types() -> list[dict[str, str]]:
    """Return the types of source as options of a form."""
    return [{"text": tk._(info["title"]), "value": info["name"]} for info in harvesters_info()]


def harvest_frequencies() -> list[dict[str, str]]:
    """Return the frequencies as options of a form."""
    names = {
        "MANUAL": tk._("Manual"),
        "MONTHLY": tk._("Monthly"),
        "WEEKLY": tk._("Weekly"),
        "BIWEEKLY": tk._("Biweekly"),
        "DAILY": tk._("Daily"),
        "ALWAYS": tk._("Always"),
    }
    return [{"text": names[frequency], "value": frequency} for frequency in UPDATE_FREQUENCIES]


def link_for_harvest_object(id: str | None = None, guid: str | None = None, text: str | None = None) -> str | Markup:
    """Return a link to the record of an object, named by its id or by its GUID, whose current object is meant.

    :param text: of the link; by default what it was named by
    :returns: HTML, or an empty text if there is no such object
    """
    if not id and not guid:
        return ""
    if not id:
        query = model.Session.query(HarvestObject.id).filter_by(guid=guid, current=True)
        row = query.order_by(HarvestObject.import_finished.desc()).first()
        if row is None:
            return ""
        id = row.id
    url = tk.url_for("harvester.object_show", id=id)
    return Markup('<a href="{}">{}</a>').format(url, text or guid or id)


def harvest_source_extra_fields() -> dict[str, list[str]]:
    """Return the fields that harvesters add to the form of a source, by type."""
    return {
        info["name"]: list(harvester.extra_schema())
        for info, harvester in registry.harvesters()
        if hasattr(harvester, "extra_schema")
    }


def get_harvest_source(source_id: str | None = None) -> dict[str, Any] | None:
    """Return a source, or None if the user may not see it or there is none."""
    if not source_id:
        return None
    try:
        return tk.get_action("harvest_source_show")({"user": _user()}, {"id": source_id})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return None


def harvest_source_states(source_ids: Sequence[str]) -> dict[str, source_status.SourceStatus]:
    """Return how each of these sources is doing, by its id; one that is not there is left out."""
    return source_status.of_sources(source_ids)


def harvest_source_state_names() -> dict[str, str]:
    """Return what each state of a source is called."""
    return source_status.names()


def harvest_facet_label(item: dict[str, Any] | str | None) -> str:
    """Return what a frequency or a type of source is called.

    :param item: the value itself, or an item of a facet, whose ``name`` it is
    """
    value = str((item.get("name") if isinstance(item, dict) else item) or "")
    labels = {option["value"]: option["text"] for option in harvest_frequencies()}
    if value not in labels:  # a list of sources asks for each: so not by the action, which looks the user up
        labels = {info["name"]: tk._(info["title"]) for info, _ in registry.harvesters()}
    return labels.get(value, value)


def harvest_facet_labels(fields: Iterable[tuple[str, str]] | None) -> dict[tuple[str, str], str]:
    """Return what the values of a search are called, for the chosen ones of frequency and type."""
    return {
        (name, value): harvest_facet_label(value)
        for name, value in fields or ()
        if name in ("frequency", "source_type")
    }


def harvest_provenance(package_id: str) -> provenance.Provenance | None:
    """Return where a dataset comes from, None if it was not harvested."""
    return provenance.of_dataset(package_id)


def harvest_visible_source(source_id: str) -> dict[str, Any] | None:
    """Return ``id``, ``name`` and ``title`` of a source, None if there is none or the visitor may not see it."""
    return provenance.visible_source(source_id)
