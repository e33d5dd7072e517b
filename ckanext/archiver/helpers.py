"""Template helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ckan.plugins.toolkit as tk
from markupsafe import Markup

from ckanext.relay.errors import redact

from . import config, panels
from .domain import status
from .domain.badge import badge
from .explanations import explain

_NOTHING = Markup("<!-- No archival info for this resource -->")
_KEYS = ("archiver", "qa")


def get_helpers() -> dict[str, Any]:
    """Return the helpers by name."""
    return {
        helper.__name__: helper
        for helper in (
            archiver_resource_show,
            archiver_is_resource_broken_html,
            archiver_is_resource_cached_html,
            archiver_badge_html,
            archiver_resource_panel_html,
            archiver_dataset_panel_html,
            archiver_format_resource_items,
            archiver_status_label,
            archiver_reason_label,
            archiver_show_broken_status,
            archiver_show_cached_url,
            format_resource_items,
        )
    }


def archiver_resource_show(resource_id: str) -> dict[str, Any] | None:
    """Return what is known of the link of a resource, or None if nothing is that the user may see."""
    try:
        return tk.get_action("archiver_resource_show")({"user": _user()}, {"id": resource_id})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return None


def archiver_is_resource_broken_html(resource: dict[str, Any]) -> Markup:
    """Return what the page of a resource says of its link, as HTML.

    :param resource: as ``resource_show`` returns it
    """
    archival = resource.get("archiver")
    if not isinstance(archival, dict):
        return _NOTHING
    return _snippet(
        "archiver/is_resource_broken.html", resource, archival,
        badge=badge(archival), explanation=explain(archival.get("cause")), may_edit=_may_edit(resource),
    )  # fmt: skip


def archiver_is_resource_cached_html(resource: dict[str, Any]) -> Markup:
    """Return what the page of a resource says of its copy, as HTML.

    :param resource: as ``resource_show`` returns it
    """
    archival = resource.get("archiver")
    if not isinstance(archival, dict):
        return _NOTHING
    return _snippet("archiver/is_resource_cached.html", resource, archival, badge=badge(archival))


def archiver_badge_html(resource: dict[str, Any], may_edit: bool = False, is_update: bool = False) -> Markup:
    """Return the badge of a resource for lists and headings, as HTML; nothing if pages say nothing of links.

    :param resource: as ``package_show`` returns it
    :param may_edit: whether the reader may edit the resource; then there is room for a badge where there is none yet
    :param is_update: whether it takes the place of one that a page has already
    """
    archival = panels.archival_of(resource)
    if not config.show_broken_status() or not (archival or may_edit):
        return Markup("")
    shown = badge(archival) if archival else None
    variables = {"resource": resource, "badge": shown, "may_edit": may_edit, "is_update": is_update}
    return Markup(tk.render_snippet("archiver/badge.html", variables))


def archiver_resource_panel_html(resource: dict[str, Any], dataset: dict[str, Any]) -> Markup:
    """Return all that the page of a resource says of its link and its copy, and a button to check it, as HTML; nothing
    if there is nothing to say.

    :param resource: as ``package_show`` returns it
    :param dataset: idem
    """
    panel = panels.of_resource(dataset, resource, _may_edit(resource))
    if panel.is_empty or not (config.show_broken_status() or (panel.archival and config.show_cached_url())):
        return Markup("")
    variables = {"panel": panel, "resource": resource, "dataset": dataset}
    return Markup(tk.render_snippet("archiver/resource_panel.html", variables))


def archiver_dataset_panel_html(dataset: dict[str, Any]) -> Markup:
    """Return all that the page of a dataset says of its links together, and a button to check them, as HTML; nothing
    if there is nothing to say.

    :param dataset: as ``package_show`` returns it
    """
    if not config.show_broken_status():
        return Markup("")
    panel = panels.of_dataset(dataset, bool(tk.h.check_access("package_update", {"id": dataset["id"]})))
    if panel.is_empty:
        return Markup("")
    return Markup(tk.render_snippet("archiver/dataset_panel.html", {"panel": panel, "dataset": dataset}))


def _snippet(template: str, resource: dict[str, Any], archival: dict[str, Any], **more: Any) -> Markup:
    # rows that another archiver wrote have reasons with whole addresses in them
    shown = {**archival, "reason": redact(archival.get("reason") or "")}
    return Markup(tk.render_snippet(template, {**shown, "resource": resource, **more}))


def archiver_format_resource_items(items: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the fields of a resource for a table, without what is no field of it. CKAN's own helper does so, too."""
    return tk.h.format_resource_items(items)


@tk.chained_helper
def format_resource_items(original: Callable[[Any], Any], items: Iterable[tuple[str, Any]]) -> Any:
    """The helper of CKAN, which would show our dictionaries as if they were texts."""
    return original([(key, value) for key, value in items if key not in _KEYS])


def archiver_status_label(text: str | None) -> str:
    """Return the text of a status in the language of the reader."""
    return {
        status.TEXTS[status.ARCHIVED]: tk._("Archived successfully"),
        status.TEXTS[status.NOT_CHANGED]: tk._("Content has not changed"),
        status.TEXTS[status.URL_INVALID]: tk._("URL invalid"),
        status.TEXTS[status.URL_REQUEST_FAILED]: tk._("URL request failed"),
        status.TEXTS[status.DOWNLOAD_ERROR]: tk._("Download error"),
        status.TEXTS[status.CHOSE_NOT_TO_DOWNLOAD]: tk._("Chose not to download"),
        status.TEXTS[status.DOWNLOAD_FAILURE]: tk._("Download failure"),
        status.TEXTS[status.SYSTEM_ERROR]: tk._("System error during archival"),
    }.get(text or "", text or "")


def archiver_reason_label(reason: str | None, cause: str | None = None) -> str:
    """Return the reason of a failure in words for people, by its cause if that is known.

    :param reason: as the archival has it
    :param cause: idem
    """
    explanation = explain(cause)
    return explanation.summary if explanation else redact(reason or "")


def archiver_show_broken_status() -> bool:
    """Return whether pages say what is known of links."""
    return config.show_broken_status()


def archiver_show_cached_url() -> bool:
    """Return whether pages offer the copies."""
    return config.show_cached_url()


def _may_edit(resource: dict[str, Any]) -> bool:
    return bool(tk.h.check_access("resource_update", {"id": resource["id"]})) if resource.get("id") else False


def _user() -> str:
    return str(getattr(tk.g, "user", "") or "")
