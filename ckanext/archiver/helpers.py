"""Template helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ckan.plugins.toolkit as tk
from markupsafe import Markup

from ckanext.relay.errors import redact

from . import config
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
